"""The sources `csv` and `parquet`, with real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from netwright.compiler.diagnostics import Code, Diagnostic, NetwrightError
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.objectives.data import Data, Split
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.sources import Csv, Parquet
from netwright.compiler.objectives.table_sources import Drop, Fill
from netwright.runtime.data.cells import NOTHING
from netwright.runtime.data.dataset import Dataset, open_data

DIMS = {"B": Symbol("B")}
COLUMNS: dict[str, Any] = {"features": ["age", "hours"], "label": "income"}
FIELDS = {"label": Field(classes=["low", "high"])}
ROWS: list[tuple[Any, ...]] = [
    (25 + row, 40.5 - row, ("low", "high")[row % 2], f"comment {row}") for row in range(10)
]
NAMES = ("age", "hours", "income", "comment")


def text_of(rows: list[tuple[Any, ...]], names: tuple[str, ...] = NAMES, mark: str = ",") -> str:
    return "\n".join(mark.join(map(str, row)) for row in (names, *rows)) + "\n"


def write(folder: Path, kind: str, rows: list[tuple[Any, ...]], name: str = "a") -> None:
    if kind == "csv":
        shown = [tuple("" if cell is None else cell for cell in row) for row in rows]
        (folder / name).write_text(text_of(shown))
    else:
        columns = zip(*rows, strict=True)
        table = {name: pa.array(column) for name, column in zip(NAMES, columns, strict=True)}
        pq.write_table(pa.table(table), folder / name)


SOURCES = {"csv": Csv, "parquet": Parquet}


def opened(folder: Path, kind: str, fields: dict[str, Field] = FIELDS, **settings: Any) -> Dataset:
    source = SOURCES[kind](**{"path": "a", "columns": COLUMNS, **settings})
    data = Data(source=source, fields=fields, split=Split(seed=1))
    return open_data(data, data.merged_fields(), DIMS, folder)


def named(kind: str, row: int) -> str:
    """What messages call a row: the header of a CSV file is its line 1."""
    return f"line {row + 1}" if kind == "csv" else f"row {row}"


def rows_of(dataset: Dataset, name: str) -> np.ndarray[Any, Any]:
    """All samples of a field, in the order of the file."""
    parts = [dataset.parts[part][name] for part in ("train", "test")]
    values = np.concatenate([part.whole() for part in parts])
    rows = [int(part.where(i).split()[1]) for part in parts for i in range(len(part))]
    return values[np.argsort(rows)]


def wrong(folder: Path, kind: str, *args: Any, **settings: Any) -> list[Diagnostic]:
    with pytest.raises(NetwrightError) as caught:
        opened(folder, kind, *args, **settings)
    return caught.value.diagnostics


@pytest.mark.parametrize("kind", SOURCES)
def test_columns_become_fields(kind: str, tmp_path: Path) -> None:
    write(tmp_path, kind, ROWS)
    dataset = opened(tmp_path, kind)
    features = rows_of(dataset, "features")
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, [row[:2] for row in ROWS])
    assert rows_of(dataset, "label").tolist() == [0, 1] * 5
    assert dataset.parts["train"]["label"].dtype == np.int64


@pytest.mark.parametrize("kind", SOURCES)
def test_one_column_a_list_of_one_and_a_field_named_like_its_column(
    kind: str, tmp_path: Path
) -> None:
    write(tmp_path, kind, ROWS)
    fields = {**FIELDS, "hours": Field(), "age": Field(dtype="int32")}
    columns = {"x": "age", "y": ["age"], "label": "income"}
    dataset = opened(tmp_path, kind, fields, columns=columns)
    train = dataset.parts["train"]
    assert {name: column.shape[1:] for name, column in train.items()} == {
        "x": (), "y": (1,), "label": (), "hours": (), "age": (),
    }  # fmt: skip
    assert train["age"].dtype == np.int32


def test_a_test_file(tmp_path: Path) -> None:
    write(tmp_path, "csv", ROWS)
    write(tmp_path, "csv", ROWS[:3], "b")
    source = Csv(path="a", columns=COLUMNS, test_path="b")
    data = Data(source=source, fields=FIELDS)
    dataset = open_data(data, data.merged_fields(), DIMS, tmp_path)
    assert [dataset.size(part) for part in ("train", "test")] == [10, 3]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_missing_column_is_suggested(kind: str, tmp_path: Path) -> None:
    write(tmp_path, kind, ROWS)
    columns = {"features": ["agee", "hours"], "label": "incme"}
    found = wrong(tmp_path, kind, columns=columns)
    assert {d.code for d in found} == {Code.F601}
    assert [d.help for d in found] == [
        "a column with a similar name exists: `income`",
        "a column with a similar name exists: `age`",
    ]
    assert "`incme`" in found[0].message


@pytest.mark.parametrize("kind", SOURCES)
def test_an_unknown_word_names_its_row(kind: str, tmp_path: Path) -> None:
    rows = [*ROWS[:3], (30, 40.0, "hihg", ""), *ROWS[3:], (30, 40.0, "middle", "")]
    write(tmp_path, kind, rows)
    [found] = wrong(tmp_path, kind)
    place = named(kind, 4) + " and 1 other " + named(kind, 4).split()[0]
    assert f"column `income` of `a`, found `hihg` in {place}" in found.message
    assert "`high`" in (found.help or "")


@pytest.mark.parametrize("kind", SOURCES)
def test_missing_values(kind: str, tmp_path: Path) -> None:
    rows = [*ROWS[:2], (None, 40.0, "low", ""), (30, None, "low", ""), *ROWS[2:]]
    write(tmp_path, kind, rows)
    found = wrong(tmp_path, kind)
    assert [d.code for d in found] == [Code.F601] * 2
    assert f"column `age`, found none in {named(kind, 3)} of `a`" in found[0].message
    assert f"column `hours`, found none in {named(kind, 4)} of `a`" in found[1].message
    assert "missing: drop" in (found[0].help or "")
    dropped = opened(tmp_path, kind, missing=Drop())
    assert rows_of(dropped, "features").tolist() == [list(row[:2]) for row in ROWS]
    assert dropped.notes == ("left out 2 of 12 rows of `a`, which lack a value",)
    filled = opened(tmp_path, kind, missing=Fill(value=-1))
    assert rows_of(filled, "features")[2:4].tolist() == [[-1, 40], [30, -1]]
    assert filled.notes == ("put -1 in place of values that 2 of 12 rows of `a` lack",)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_missing_word_is_not_filled(kind: str, tmp_path: Path) -> None:
    write(tmp_path, kind, [*ROWS, (30, 40.0, None, "")])
    [found] = wrong(tmp_path, kind, missing=Fill(value=0))
    assert f"column `income`, found none in {named(kind, 11)}" in found.message
    assert "fill" not in (found.help or "")
    assert opened(tmp_path, kind, missing=Drop()).size("train") == 8


def test_a_fraction_does_not_fill_whole_numbers(tmp_path: Path) -> None:
    write(tmp_path, "csv", [*ROWS, (None, 40.0, "low", "")])
    fields = {**FIELDS, "age": Field(dtype="int64")}
    [found] = wrong(tmp_path, "csv", fields, missing=Fill(value=0.5), columns={"label": "income"})
    assert "found 0.5" in found.message
    assert "column `age`" in found.message


def test_whole_numbers_are_labels_themselves(tmp_path: Path) -> None:
    rows = [(row, 1.0, row % 2, "") for row in range(10)]
    write(tmp_path, "csv", rows)
    assert rows_of(opened(tmp_path, "csv"), "label").tolist() == [0, 1] * 5
    digits = {"label": Field(classes=["1", "0"])}
    assert rows_of(opened(tmp_path, "csv", digits), "label").tolist() == [1, 0] * 5
    [found] = wrong(tmp_path, "csv", {"label": Field(classes=["low"])})
    assert "from 0 to 0 in `label`, found 1 in line 3 of `a`" in found.message


def test_what_is_no_number(tmp_path: Path) -> None:
    write(tmp_path, "csv", [*ROWS[:2], ("old", 40.0, "low", ""), *ROWS[2:]])
    [found] = wrong(tmp_path, "csv")
    assert "expected numbers in column `age` of `a`, found `old` in line 4" in found.message
    fields = {**FIELDS, "hours": Field(dtype="int64")}
    write(tmp_path, "csv", ROWS)
    [found] = wrong(tmp_path, "csv", fields, columns={"label": "income"})
    assert "expected whole numbers in column `hours` of `a`, found 40.5 in line 2" in found.message
    write(tmp_path, "csv", [*ROWS, (1e300, 1.0, "low", "")])
    [found] = wrong(tmp_path, "csv")
    assert "found inf in line 12 of `a`" in found.message


@pytest.mark.parametrize("value", [1e30, -1e30, float("inf"), 2.0**63])
@pytest.mark.filterwarnings("error")
def test_labels_beyond_all_whole_numbers(value: float, tmp_path: Path) -> None:
    fields = {"label": Field(below=2)}
    write(tmp_path, "csv", [(1, 1.0, 1, ""), (1, 1.0, repr(value), "")])
    [found] = wrong(tmp_path, "csv", fields)
    assert "whole numbers that int64 holds in column `income` of `a`" in found.message
    assert f"found {value:g} in line 3" in found.message
    parquet(tmp_path, age=[1.0, 1.0], hours=[1.0, 1.0], income=[1.0, value])
    [same] = wrong(tmp_path, "parquet", fields)
    assert same.message == found.message.replace("line 3", "row 2")
    assert same.help == found.help


@pytest.mark.parametrize(
    ("mark", "header", "words"),
    [
        (";", "age;hours;income", "expected `,` between the columns of `{0}`, found `;`"),
        ("\t", "age\thours\tincome", "expected `,` between the columns of `{0}`, found tabs"),
        ("|", "Alter|Stunden|Lohn", "expected `,` between the columns of `{0}`, found `|`"),
    ],
)
def test_another_delimiter(mark: str, header: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"{header}\n" + mark.join("123") + "\n")
    [found] = wrong(tmp_path, "csv")
    assert found.code is Code.F601
    assert found.message == words.format(tmp_path / "a")
    assert found.help == f"write `delimiter: {json.dumps(mark)}` in the source `csv`"
    write(tmp_path, "csv", ROWS)
    [found] = wrong(tmp_path, "csv", delimiter=mark)
    assert found.message.endswith("found `,`")


def test_a_column_that_is_no_column_under_any_delimiter(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("wages\n1\n")
    found = wrong(tmp_path, "csv")
    assert {d.message.split("`")[1] for d in found} == {"age", "hours", "income"}


def test_csv_files_as_people_write_them(tmp_path: Path) -> None:
    lines = [
        "\ufeffage; hours ;income;comment",
        ' 1 ; 2.5;low;"a; b\nc"',
        "3;-1e2 ;high;x",
        *["4;5;low;", "6;7;high;"] * 2,
    ]
    (tmp_path / "a").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    features = rows_of(opened(tmp_path, "csv", delimiter=";"), "features")
    assert features.tolist() == [[1, 2.5], [3, -100], [4, 5], [6, 7], [4, 5], [6, 7]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found an empty file"),
        (b"age,hours,income\n1,2\n", "found 2 in line 2"),
        (b"age,hours,income\n1,2,\xff\n", "UTF-8"),
        (b"age\xff,hours,income\n1,2,low\n", "UTF-8"),
        (b"age,hours,income\n", "expected rows in"),
        (b"age,hours,income,age\n1,2,low,1\n", "one column `age`"),
    ],
)
def test_damaged_csv_files(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    found = wrong(tmp_path, "csv")
    assert words in found[0].message
    assert {d.code for d in found} <= {Code.F601, Code.F602}


def test_damaged_parquet_files(tmp_path: Path) -> None:
    write(tmp_path, "parquet", ROWS)
    content = (tmp_path / "a").read_bytes()
    for damaged in (b"", b"PAR1", content[:-9], b"\0" * 200 + content[200:], content[:200]):
        (tmp_path / "a").write_bytes(damaged)
        [found] = wrong(tmp_path, "parquet")
        assert found.code is Code.F602
    (tmp_path / "a").unlink()
    [found] = wrong(tmp_path, "parquet")
    assert "no such file" in found.message


def parquet(folder: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), folder / "a")


def test_lists_in_parquet_are_rows_of_a_matrix(tmp_path: Path) -> None:
    parquet(
        tmp_path,
        x=pa.array([[1, 2, 3], [4, 5, 6], None, [7, None, 9], [10, 11, 12]]),
        y=pa.array([True, False, True, False, True]),
    )
    fields = {"x": Field(shape=["B", 3]), "y": Field(dtype="bool")}
    dataset = opened(tmp_path, "parquet", fields, columns={}, missing=Drop())
    assert rows_of(dataset, "x").tolist() == [[1, 2, 3], [4, 5, 6], [10, 11, 12]]
    assert rows_of(dataset, "y").tolist() == [True, False, True]
    parquet(tmp_path, x=pa.array([[1, 2], [3]]))
    [found] = wrong(tmp_path, "parquet", {"x": Field(shape=["B", 2])}, columns={})
    assert "lists of one length" in found.message


def test_kinds_of_parquet_columns(tmp_path: Path) -> None:
    from datetime import date
    from decimal import Decimal

    parquet(
        tmp_path,
        age=pa.array([1.0, float("nan"), 3.0, 4.0]),
        hours=pa.array([Decimal("1.5"), Decimal("2.5"), Decimal("3.5"), Decimal("4.5")]),
        income=pa.array(["low", "low", "high", "high"]).dictionary_encode(),
        day=pa.array([date(2020, 1, 1)] * 4),
    )
    assert opened(tmp_path, "parquet", missing=Drop()).size("train") == 3 - 1
    [found] = wrong(tmp_path, "parquet", {"day": Field()}, columns={})
    assert "expected numbers or texts in column `day` of `a`, found date32" in found.message


def test_commas_part_decimals(tmp_path: Path) -> None:
    """`decimal` reads numbers as much of Europe writes them, and no others."""
    text = "age;hours;income\n" + "".join(
        f"{row},5;-1{row},25e0;{('low', 'high')[row % 2]}\n" for row in range(6)
    )
    (tmp_path / "a").write_text(text)
    dataset = opened(tmp_path, "csv", delimiter=";", decimal=",")
    wanted = [[row + 0.5, -float(f"1{row}.25")] for row in range(6)]
    assert rows_of(dataset, "features").tolist() == wanted
    (tmp_path / "a").write_text(text.replace("3,5", "3.5"))
    [found] = wrong(tmp_path, "csv", delimiter=";", decimal=",")
    assert "found `3.5` in line 5" in found.message
    assert 'decimal: "."' in (found.help or "")


@pytest.mark.parametrize("word", NOTHING)
def test_words_for_nothing(word: str, tmp_path: Path) -> None:
    """Each of them is a missing value in a column of numbers, and in one of words."""
    write(tmp_path, "csv", [*ROWS, (word, 1.0, "low", ""), (9, 1.0, word, "")])
    assert opened(tmp_path, "csv", missing=Drop()).size("train") == 8
