"""Sources, splits and the check of fields against the data."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, Diagnostic, NetwrightError
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.objectives.data import Data, Split
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.sources import Digits, Idx, Npz
from netwright.runtime.data.check import Checker, Labels
from netwright.runtime.data.columns import as_columns
from netwright.runtime.data.dataset import Dataset, open_data
from netwright.runtime.data.idx import read_idx
from netwright.runtime.data.splits import split

DIMS = {"B": Symbol("B"), "T": Symbol("T", 1, 6)}
IMAGE = Field(shape=["B", 1, 4, 3], dtype="uint8")
LABEL = Field(shape=["B"], dtype="int64", below=3)
TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    kind = TYPES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def images(count: int = 5) -> np.ndarray[Any, Any]:
    return np.arange(count * 12, dtype=np.uint8).reshape(count, 4, 3)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_is_read(kind: str, zipped: bool, tmp_path: Path) -> None:
    array = (np.arange(24).reshape(2, 3, 4) - 5).astype(kind)
    content = idx_bytes(array)
    path = tmp_path / "data"
    path.write_bytes(gzip.compress(content) if zipped else content)
    np.testing.assert_array_equal(read_idx(path).whole(), array)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with"),
        (b"\0\0\x08", "begins with"),
        (b"PK\3\4" * 8, "begins with"),
        (b"\0\0\x08\3\0\0", "ends within its 3 sizes"),
        (idx_bytes(images())[:-1], "holds fewer"),
        (idx_bytes(images()) + b"x", "holds more"),
        (gzip.compress(idx_bytes(images()))[:-12], "cut short"),
        (gzip.compress(idx_bytes(images()))[:40] + b"\xff" * 30, "damaged"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "holds fewer"),
        (gzip.compress(b"\0\0\x08\x04" + b"\xff" * 16), "holds fewer"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x", "255 axes"),
    ],
    ids=range(11),  # compressed bytes hold the time, and every worker must see the same ids
)
def test_damaged_idx(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "data.gz"
    path.write_bytes(content)
    with pytest.raises(NetwrightError, match=words) as caught:
        read_idx(path)
    assert caught.value.diagnostics[0].code is Code.F602
    assert str(path) in caught.value.diagnostics[0].message


def idx_data(folder: Path, *, test: bool) -> Data:
    (folder / "images").write_bytes(gzip.compress(idx_bytes(images(10))))
    (folder / "labels").write_bytes(idx_bytes((np.arange(10) % 3).astype("u1")))
    pair = ["images", "labels"]
    return Data(
        source=Idx(train=pair, test=pair if test else None), fields={"image": IMAGE, "label": LABEL}
    )


def test_idx_source_gets_its_channel_axis_and_wider_labels(tmp_path: Path) -> None:
    data = idx_data(tmp_path, test=True)
    dataset = open_data(data, data.fields, DIMS, tmp_path)
    assert dataset.parts["train"]["image"].shape == (10, 1, 4, 3)
    assert dataset.parts["train"]["label"].dtype == np.int64
    assert [dataset.size(part) for part in ("train", "validation", "test")] == [10, 0, 10]


def test_missing_file_names_the_path_and_data_dir(tmp_path: Path) -> None:
    data = idx_data(tmp_path, test=True)
    with pytest.raises(NetwrightError) as caught:
        open_data(data, data.fields, DIMS, tmp_path / "elsewhere")
    found = caught.value.diagnostics[0]
    assert found.code is Code.F602
    assert str(tmp_path / "elsewhere" / "images") in found.message
    assert "--data-dir" in (found.help or "")


def test_npz_source_with_names_of_its_own(tmp_path: Path) -> None:
    x, y = images(6)[:, None], np.arange(6) % 3
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    source = Npz(
        path="a.npz",
        arrays={"image": "x_train", "label": "y_train"},
        test_arrays={"image": "x_test", "label": "y_test"},
    )
    data = Data(source=source, fields={"image": IMAGE, "label": LABEL})
    dataset = open_data(data, data.fields, DIMS, tmp_path)
    assert (dataset.size("train"), dataset.size("test")) == (6, 2)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no zip", Code.F602),
        (b"PK\3\4" + bytes(100), Code.F602),
    ],
)
def test_damaged_npz(content: bytes, code: Code, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    data = Data(source=Npz(path="a.npz"), fields={"image": IMAGE})
    with pytest.raises(NetwrightError) as caught:
        open_data(data, data.fields, DIMS, tmp_path)
    assert caught.value.diagnostics[0].code is code


def test_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.array([{}, []], dtype=object))
    data = Data(source=Npz(path="a.npz"), fields={"image": IMAGE})
    with pytest.raises(NetwrightError, match="Python objects") as caught:
        open_data(data, data.fields, DIMS, tmp_path)
    assert caught.value.diagnostics[0].code is Code.F602


def test_npz_without_a_field(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=images())
    data = Data(source=Npz(path="a.npz"), fields={"image": IMAGE})
    with pytest.raises(NetwrightError, match="found `x`") as caught:
        open_data(data, data.fields, DIMS, tmp_path)
    assert caught.value.diagnostics[0].code is Code.F601


def digits(**settings: Any) -> Dataset:
    data = Data(source=Digits(), split=Split(**settings))
    return open_data(data, data.merged_fields(), DIMS, Path())


def test_digits_are_split_by_class_and_seed() -> None:
    dataset, same, other = digits(validation=0.25), digits(validation=0.25), digits(seed=1)
    sizes = [dataset.size(part) for part in ("train", "validation", "test")]
    assert sizes == [1079, 359, 359]
    for part in ("validation", "test"):
        counts = np.bincount(dataset.parts[part]["label"].whole(), minlength=10)
        assert counts.min() >= 0.95 * sizes[1] / 10 - 1
    first, again, another = (d.parts["test"]["image"].whole() for d in (dataset, same, other))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, another)
    assert dataset.parts["train"]["image"].whole().max() == 16


@pytest.mark.parametrize("count", [2, 3, 10, 101])
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_split_holds_every_sample_once(count: int, fraction: float, labelled: bool) -> None:
    labels = np.arange(count) % 3 if labelled else None
    stay, drawn = split(count, fraction, 7, labels)
    assert sorted([*stay, *drawn]) == list(range(count))
    assert len(drawn) == min(max(1, int(count * fraction)), count - 1)


def wrong(name: str, array: Any, **others: Any) -> str:
    """The message about one wrong field."""
    fields = {
        "image": IMAGE,
        "label": LABEL,
        "value": Field(shape=["B", 2], dtype="float32", range=[0, 1]),
        "tokens": Field(shape=["B", "T"], dtype="int64", lengths="lengths"),
        "lengths": Field(shape=["B"], dtype="int64"),
    }
    arrays = {"tokens": np.ones((4, 5), int), "lengths": np.full(4, 5), name: array, **others}
    chosen = {key: fields[key] for key in arrays}
    problems = conform(arrays, chosen)
    assert {d.code for d in problems} == {Code.F601}
    return problems[0].message


def conform(
    arrays: dict[str, Any], fields: dict[str, Field], labels: dict[str, Labels] | None = None
) -> list[Diagnostic]:
    """What is wrong with these arrays."""
    checker = Checker(fields, DIMS, labels or {})
    checker.conform(as_columns(arrays), "the training samples", trains=True)
    return checker.problems


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("image", np.zeros((4, 1, 4, 4), np.uint8), "uint8[B, 1, 4, 3], found uint8[4, 1, 4, 4]"),
        ("image", np.zeros((4, 1, 4, 3)), "found float64[4, 1, 4, 3]"),
        ("image", np.zeros(()), "found float64[]"),
        ("image", np.full((4, 1, 4, 3), "a"), "found <U1"),
        ("image", np.zeros((0, 1, 4, 3), np.uint8), "samples in `image`, found none"),
        ("label", np.array([0, 1, 2, 3]), "from 0 to 2 in `label`, found 3 in sample 3"),
        ("label", np.array([0, -1, 2, -1]), "found -1 in sample 1 (2 such values)"),
        ("label", np.zeros(3, int), "as many samples in every field"),
        ("value", np.full((4, 2), np.nan, np.float32), "found nan in sample 0"),
        ("value", np.full((4, 2), 1.5, np.float32), "from 0 to 1 in `value`, found 1.5"),
        ("tokens", np.ones((4, 7), int), "int64[B, T], found int64[4, 7]"),
        ("lengths", np.array([1, 2, 3, 6]), "lengths from 1 to 5"),
        ("lengths", np.array([0, 2, 3, 4]), "lengths from 1 to 5"),
    ],
)
def test_data_that_is_not_what_fields_say(name: str, array: Any, words: str) -> None:
    assert words in wrong(name, array)


def test_every_wrong_field_is_told_at_once() -> None:
    fields = {"image": IMAGE, "label": LABEL}
    assert len(conform({"image": np.zeros(3), "label": np.array([9])}, fields)) == 2


def test_ignored_labels_may_lie_outside() -> None:
    labels = {"label": Labels(3, frozenset({255}))}
    assert not conform({"label": np.array([0, 255, 2])}, {"label": LABEL}, labels)
    [found] = conform({"label": np.array([254, 255])}, {"label": LABEL}, labels)
    assert "found 254" in found.message


def test_labels_are_checked_against_the_scores_where_the_field_says_nothing() -> None:
    free = Field(shape=["B"], dtype="int64")
    [found] = conform({"label": np.array([4])}, {"label": free}, {"label": Labels(4)})
    assert "from 0 to 3" in found.message
