"""What was trained on files is used on files of the same kind: spec, training, export, predict."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.render import render
from netwright.runtime.bundle import ImageForm, TableForm, open_bundle
from netwright.runtime.data.images import Form
from netwright.runtime.export import export_run
from netwright.runtime.inspect import describe
from netwright.runtime.predict import predict_files
from netwright.runtime.session import load
from netwright.runtime.train import train
from PIL import Image

from .. import generative
from .tiny import compile_text

GOLDENS = Path(__file__).parent / "messages"
Golden = Callable[[Path, str], None]

TABLE = """\
spec: v1
name: cells
data:
  source:
    csv:
      path: cells.csv
      delimiter: ";"
      missing: MISSING
      columns: {x: [size, shape], label: kind}
  fields:
    site: {classes: [left, right, middle]}
    label: {classes: [benign, malignant]}
networks:
  net:
    inputs: {x: {shape: [B, 2]}, site: {shape: [B], dtype: int64}}
    layers:
      - {id: where, from: site, embedding: {size: 3, dim: 2}}
      - {id: joined, from: [x, where], concat: {}}
      - linear: 2
    outputs: logits
objective:
  supervised: {network: net, losses: [{cross_entropy: {output: logits, target: label}}]}
training: {batch: 8, epochs: 30, optimizer: {adamw: {lr: 0.1}}}
"""
SITES = ("left", "right", "middle")


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows of which the malignant ones are large."""
    return [
        {
            "id": f"cell {i}",
            "size": i % 2 * 4 + i / count,
            "shape": 1 - i / count,
            "site": SITES[i % 3],
            "kind": ("benign", "malignant")[i % 2],
        }
        for i in range(count)
    ]


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ";") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def trained(text: str, folder: Path) -> Path:
    """The bundle of a spec that is trained on files of a folder."""
    result = train(compile_text(text=text, folder=folder), output=folder / "run", device="cpu")
    return export_run(result.folder).folder


def cells(folder: Path, missing: str = "error") -> Path:
    write_csv(folder / "cells.csv", rows_of(60))
    return trained(TABLE.replace("MISSING", missing), folder)


@pytest.fixture(scope="module")
def table_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cells(tmp_path_factory.mktemp("cells"))


def new_rows() -> list[dict[str, Any]]:
    """Rows in another order of columns, without the answers."""
    rows = rows_of(6)
    return [{key: row[key] for key in ("site", "shape", "id", "size")} for row in rows]


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(
    ("name", "write"), [("new.csv", write_csv), ("new.parquet", write_parquet)]
)
def test_a_table_is_predicted_by_the_names_of_its_columns(
    name: str,
    write: Callable[[Path, list[dict[str, Any]]], Path],
    table_bundle: Path,
    tmp_path: Path,
) -> None:
    path = write(tmp_path / name, new_rows())
    lines = list(predict_files(table_bundle, [path]))
    assert [line.partition(": ")[0] for line in lines] == [f"{path} row {i}" for i in range(1, 7)]
    assert [line.partition(": ")[2].split()[0] for line in lines] == ["benign", "malignant"] * 3
    x = [[row["size"], row["shape"]] for row in new_rows()]
    site = [SITES.index(row["site"]) for row in new_rows()]
    chances = load(table_bundle, "cpu").predict(x=x, site=site)["probabilities"]
    assert [line.split()[4].rstrip(",") for line in lines] == [f"{c.max():.3f}" for c in chances]


def test_decimals_are_parted_as_in_training(tmp_path: Path) -> None:
    rows = [{**row, "size": f"{row['size']}".replace(".", ",")} for row in rows_of(60)]
    rows = [{**row, "shape": f"{row['shape']}".replace(".", ",")} for row in rows]
    write_csv(tmp_path / "cells.csv", rows)
    text = TABLE.replace("MISSING", "error").replace("delimiter", 'decimal: ","\n      delimiter')
    bundle = trained(text, tmp_path)
    commas = list(predict_files(bundle, [write_csv(tmp_path / "new.csv", rows)]))
    arrays = [[float(row[name].replace(",", ".")) for name in ("size", "shape")] for row in rows]
    sites = [SITES.index(row["site"]) for row in rows]
    best = load(bundle, "cpu").predict(x=arrays, site=sites)["probabilities"].argmax(axis=1)
    names = [line.partition(": ")[2].split()[0] for line in commas]
    assert names == [("benign", "malignant")[index] for index in best]


def test_the_very_file_of_training_is_one(table_bundle: Path) -> None:
    """It holds the answers too, and columns that nothing reads."""
    lines = list(predict_files(table_bundle, [table_bundle.parents[1] / "cells.csv"]))
    assert len(lines) == 60


def test_a_table_of_results(table_bundle: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", new_rows())
    for name in ("out.csv", "out.npz"):
        done = list(predict_files(table_bundle, [path, path], output=tmp_path / name))
        assert done == [f"wrote {tmp_path / name}"]
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["file", "row", "class", "probabilities benign", "probabilities malignant"]
    assert list(rows[0]) == names
    assert [row["row"] for row in rows] == list("123456") * 2
    assert {row["file"] for row in rows} == {str(path)}
    assert [row["class"] for row in rows] == ["benign", "malignant"] * 6
    with np.load(tmp_path / "out.npz") as arrays:
        written = [[np.float32(row[name]) for name in names[3:]] for row in rows]
        np.testing.assert_array_equal(np.array(written), arrays["probabilities"])


def test_results_go_to_tables_and_arrays_alone(table_bundle: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", new_rows())
    done = CliRunner().invoke(
        cli, ["predict", str(table_bundle), str(path), "-o", str(tmp_path / "out.txt")]
    )
    assert done.exit_code == 2
    assert "expected a name with .csv, .npz or .png" in done.output
    assert not (tmp_path / "out.txt").exists()


def test_a_row_without_a_value_is_left_out_as_in_training(tmp_path: Path) -> None:
    bundle = cells(tmp_path, "drop")
    rows = new_rows()
    rows[1]["size"] = ""
    path, told = write_csv(tmp_path / "new.csv", rows), list[str]()
    lines = list(predict_files(bundle, [path], warn=told.append))
    assert [line.split(": ")[0] for line in lines] == [f"{path} row {i}" for i in (1, 3, 4, 5, 6)]
    assert told == ["left out 1 of 6 rows of `new.csv`, which lack a value"]


def test_a_value_is_filled_in_as_in_training(tmp_path: Path) -> None:
    bundle = cells(tmp_path, "{fill: 2.5}")
    rows = new_rows()
    rows[1]["size"] = ""
    told: list[str] = []
    lines = list(predict_files(bundle, [write_csv(tmp_path / "a.csv", rows)], warn=told.append))
    rows[1]["size"] = 2.5
    filled = list(predict_files(bundle, [write_csv(tmp_path / "a.csv", rows)]))
    assert lines == filled
    assert told == ["put 2.5 in place of values that 1 of 6 rows of `a.csv` lack"]


def without(column: str) -> list[dict[str, Any]]:
    return [{key: row[key] for key in row if key != column} for row in new_rows()]


def changed(column: str, value: object) -> list[dict[str, Any]]:
    rows = new_rows()
    rows[2][column] = value
    return rows


WRONG: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "column": lambda: without("size"),
    "word": lambda: changed("site", "midle"),
    "class": lambda: changed("site", "below"),
    "text": lambda: changed("size", "large"),
    "missing": lambda: changed("shape", ""),
    "infinite": lambda: changed("shape", "inf"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_table_is_told_with(
    case: str, golden: Golden, table_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetwrightError) as caught:
        list(predict_files(table_bundle, [write_csv(Path("new.csv"), WRONG[case]())]))
    text = render(list(caught.value.diagnostics), "text")
    golden(GOLDENS / f"f601_predict_{case}.txt", text)


def test_another_delimiter_is_told(
    golden: Golden, table_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetwrightError) as caught:
        list(predict_files(table_bundle, [write_csv(Path("new.csv"), new_rows(), ",")]))
    text = render(list(caught.value.diagnostics), "text")
    golden(GOLDENS / "f601_predict_delimiter.txt", text)


def nan() -> dict[str, Any]:
    x = np.zeros((3, 2), np.float32)
    x[2] = np.nan
    return {"x": x, "site": np.zeros(3, np.int64)}


def unknown_class() -> dict[str, Any]:
    return {"x": np.zeros((3, 2), np.float32), "site": np.array([0, -1, 3])}


@pytest.mark.parametrize("make", [nan, unknown_class], ids=lambda make: make.__name__)
def test_what_values_are_told_with(
    make: Callable[[], dict[str, Any]],
    golden: Golden,
    table_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("new.npz", **make())
    with pytest.raises(NetwrightError) as caught:
        list(predict_files(table_bundle, [Path("new.npz")]))
    golden(GOLDENS / f"b802_{make.__name__}.txt", render(list(caught.value.diagnostics), "text"))
    with pytest.raises(NetwrightError) as caught:
        load(table_bundle, "cpu").predict(**make())
    assert [d.code for d in caught.value.diagnostics] == [Code.B802]


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_numbers_that_float32_does_not_hold(value: float, table_bundle: Path) -> None:
    with pytest.raises(
        NetwrightError, match=rf"found {value:g} at `x\[0, 1\]`".replace("+", r"\+")
    ):
        load(table_bundle, "cpu").predict(x=[[0.0, value]], site=[0])


def test_answers_that_overflow_are_told(table_bundle: Path, tmp_path: Path) -> None:
    path, told = tmp_path / "large.npz", list[str]()
    x = np.array([[0, 0], [3e38, 3e38]], np.float32)
    np.savez(path, x=x, site=np.array([0, 0]))
    list(predict_files(table_bundle, [path], warn=told.append))
    assert told
    assert all(f"for 1 of 2 samples in `{path}`" in text for text in told)


def test_an_npz_that_holds_the_answers_too(table_bundle: Path, tmp_path: Path) -> None:
    inputs = {"x": np.zeros((2, 2), np.float32), "site": np.array([0, 1])}
    np.savez(tmp_path / "all.npz", **inputs, label=np.array([0, 1]), id=np.array(["a", "b"]))
    assert len(list(predict_files(table_bundle, [tmp_path / "all.npz"]))) == 2
    np.savez(tmp_path / "half.npz", x=inputs["x"], label=np.array([0, 1]))
    with pytest.raises(
        NetwrightError, match=r"expected the inputs `x`, `site` in .* found `x`, `l"
    ):
        list(predict_files(table_bundle, [tmp_path / "half.npz"]))


def test_predicting_a_table_imports_no_torch(table_bundle: Path, tmp_path: Path) -> None:
    """And arrays no Arrow."""
    path = write_csv(tmp_path / "new.csv", new_rows())
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2), np.float32), site=np.array([0, 1]))
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from netwright.runtime.predict import predict_files\n"
        f"list(predict_files(Path({str(table_bundle)!r}), [Path({str(tmp_path / 'a.npz')!r})]))\n"
        "assert 'pyarrow' not in sys.modules and 'PIL' not in sys.modules\n"
        f"list(predict_files(Path({str(table_bundle)!r}), [Path({str(path)!r})]))\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


REGRESSION = """\
spec: v1
name: doubles
data:
  source: {parquet: {path: doubles.parquet}}
  fields: {x: {}, y: {}}
networks:
  net:
    inputs: {x: {shape: [B]}}
    layers: [{reshape: [1]}, {linear: 1}, {reshape: []}]
    outputs: y
objective:
  supervised: {network: net, losses: [{mse: {output: y, target: y}}]}
training: {batch: 8, epochs: 2}
"""


def test_numbers_of_a_table(tmp_path: Path) -> None:
    rows = [{"x": float(i), "y": 2.0 * i} for i in range(20)]
    write_parquet(tmp_path / "doubles.parquet", rows)
    bundle = trained(REGRESSION, tmp_path)
    path = write_csv(tmp_path / "new.csv", [{"x": 1.0}, {"x": 2.0}], ",")
    answers = load(bundle, "cpu").predict(x=[1.0, 2.0])["y"]
    lines = list(predict_files(bundle, [path]))
    assert lines == [f"{path} row {i + 1}: y {value:.4g}" for i, value in enumerate(answers)]
    list(predict_files(bundle, [path], output=tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text() == "file,row,y\n" + "".join(
        f"{path},{i + 1},{value!s}\n" for i, value in enumerate(answers)
    )


# Images

IMAGES = """\
spec: v1
name: shapes
data:
  source: {image_folder: {path: shapes, size: [6, 8], fit: FIT, mode: grey}}
networks:
  net:
    inputs: {image: {shape: [B, 1, 6, 8]}}
    layers: [flatten, {linear: 2}]
    outputs: logits
objective:
  supervised: {network: net, losses: [{cross_entropy: {output: logits, target: label}}]}
training: {batch: 8, epochs: 2}
"""


def draw(folder: Path) -> None:
    """Twelve colour images of each class and of several sizes."""
    generator = np.random.default_rng(0)
    for name in ("disc", "square"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = generator.integers(0, 256, (13 + number, 31 - number, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module", params=["crop", "pad", "resize"])
def shapes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a network that was trained on images of any size."""
    folder = tmp_path_factory.mktemp("shapes")
    draw(folder / "shapes")
    return trained(IMAGES.replace("FIT", request.param), folder)


def test_images_are_brought_to_the_form_of_training(shapes: Path, tmp_path: Path) -> None:
    form = open_bundle(shapes).manifest.reading.images["image"]
    assert (form.size, form.mode) == ([6, 8], "grey")
    path = shapes.parents[1] / "shapes" / "disc" / "3.png"
    list(predict_files(shapes, [path], output=tmp_path / "out.npz"))
    pixels = Form(1, 6, 8, form.fit).read(path)[None]
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(
            found["logits"], load(shapes, "cpu").predict(image=pixels)["logits"]
        )


def test_a_folder_of_images(shapes: Path, tmp_path: Path) -> None:
    root = shapes.parents[1] / "shapes"
    one = [line for n in (0, 2, 10) for line in predict_files(shapes, [root / "disc" / f"{n}.png"])]
    lines = list(predict_files(shapes, [root]))
    assert [lines[0], lines[2], lines[10]] == one
    assert len(lines) == 24
    assert lines[23].startswith(f"{root / 'square' / '11.png'}: ")
    list(predict_files(shapes, [root], output=tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "class", "probabilities disc", "probabilities square"]
    assert rows[10]["file"] == str(root / "disc" / "10.png")


def test_what_else_is_in_a_folder(shapes: Path, tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(NetwrightError, match=r"expected images in the folder .* found none") as e:
        list(predict_files(shapes, [tmp_path]))
    assert e.value.diagnostics[0].code is Code.R903
    (tmp_path / "notes.txt").write_text("hello")
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    assert len(list(predict_files(shapes, [tmp_path], warn=told.append))) == 1
    assert told == [f"left out in `{tmp_path}`, as no images by their names: `notes.txt`"]
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(NetwrightError, match=r"b\.png"):
        list(predict_files(shapes, [tmp_path]))


def test_a_folder_for_a_program_without_images(table_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(
        NetwrightError, match=r"expected a CSV or Parquet table, .* found the folder"
    ):
        list(predict_files(table_bundle, [tmp_path]))


@pytest.mark.parametrize("change", [{"size": [6]}, {"size": [0, 8]}, {"fit": "zoom"}, {"extra": 1}])
def test_a_form_that_no_training_had(change: dict[str, Any], shapes: Path) -> None:
    with pytest.raises(ValueError, match="ImageForm"):
        ImageForm.model_validate({"size": [6, 8], "fit": "pad", "mode": "rgb", **change})


@pytest.mark.parametrize(
    "change",
    [
        {"columns": {"x": []}},
        {"columns": {"x": ""}},
        {"delimiter": ";;"},
        {"decimal": "-"},
        {"missing": "guess"},
        {"missing": float("nan")},
    ],
)
def test_columns_that_no_training_had(change: dict[str, Any]) -> None:
    TableForm.model_validate({"columns": {"x": ["a", "b"], "y": "c"}})
    with pytest.raises(ValueError, match="TableForm"):
        TableForm.model_validate({"columns": {"x": "a"}, **change})


def test_a_bundle_of_a_version_that_recorded_none(shapes: Path, tmp_path: Path) -> None:
    """Images must then have the size of the input."""
    manifest = json.loads((shapes / "manifest.json").read_text())
    del manifest["reading"]
    for name in os.listdir(shapes):
        (tmp_path / name).write_bytes((shapes / name).read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    path = shapes.parents[1] / "shapes" / "disc" / "3.png"
    with pytest.raises(NetwrightError, match="expected an image 8 wide and 6 high"):
        list(predict_files(tmp_path, [path]))


# Arrays

ARRAYS = """\
spec: v1
name: scans
data:
  source: SOURCE
  fields:
    image: {shape: [B, 1, 4, 4], dtype: uint8, scale: [0, 1]}
    label: {shape: [B], dtype: int64, below: 2}
networks:
  net:
    inputs: {image: {shape: [B, 1, 4, 4]}}
    layers: [flatten, {linear: 2}]
    outputs: logits
objective:
  supervised: {network: net, losses: [{cross_entropy: {output: logits, target: label}}]}
training: {batch: 8, epochs: 2}
"""
SCANS = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
LABELS = np.arange(20) % 2


def test_arrays_by_the_names_that_training_read(tmp_path: Path) -> None:
    """And without the axis of channels, which training adds too."""
    np.savez(tmp_path / "scans.npz", x_train=SCANS, y_train=LABELS)
    source = "{npz: {path: scans.npz, arrays: {image: x_train, label: y_train}}}"
    bundle = trained(ARRAYS.replace("SOURCE", source), tmp_path)
    lines = list(predict_files(bundle, [tmp_path / "scans.npz"]))
    np.savez(tmp_path / "own.npz", image=SCANS[:, None], x_train=SCANS[:3])
    own = list(predict_files(bundle, [tmp_path / "own.npz"]))
    assert [line.partition(": ")[2] for line in lines] == [line.partition(": ")[2] for line in own]
    assert len(own) == 20


@pytest.mark.parametrize("name", ["images.idx", "images.gz"])
def test_files_of_mnist_s_format(name: str, tmp_path: Path) -> None:
    images = b"\0\0\x08\x03" + np.array(SCANS.shape, ">i4").tobytes() + SCANS.tobytes()
    labels = b"\0\0\x08\x01" + np.array([20], ">i4").tobytes() + LABELS.astype(np.uint8).tobytes()
    (tmp_path / name).write_bytes(gzip.compress(images) if name.endswith("gz") else images)
    (tmp_path / "labels").write_bytes(labels)
    bundle = trained(ARRAYS.replace("SOURCE", f"{{idx: {{train: [{name}, labels]}}}}"), tmp_path)
    np.save(tmp_path / "a.npy", SCANS[:, None])
    [found, expected] = (
        [line.partition(": ")[2] for line in predict_files(bundle, [tmp_path / file])]
        for file in (name, "a.npy")
    )
    assert found == expected
    assert len(found) == 20


def test_tables_for_a_program_that_learnt_from_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(20, dtype=np.float32), y=np.zeros(20, np.float32))
    text = REGRESSION.replace("parquet: {path: doubles.parquet}", "npz: {path: a.npz}")
    text = text.replace("{x: {}, y: {}}", "{x: NUMBER, y: NUMBER}")
    text = text.replace("NUMBER", "{shape: [B], dtype: float32}")
    bundle = trained(text, tmp_path)
    path = write_csv(tmp_path / "new.csv", new_rows())
    with pytest.raises(
        NetwrightError, match=r"expected an `\.npy` or `\.npz` file, found"
    ) as caught:
        list(predict_files(bundle, [path]))
    assert caught.value.diagnostics[0].code is Code.R903


def test_outputs_that_no_table_holds(tmp_path: Path) -> None:
    text = ARRAYS.replace("SOURCE", "{npz: {path: scans.npz}}").replace(
        "layers: [flatten, {linear: 2}]\n    outputs: logits",
        "layers: [{id: map, conv2d: {channels: 2, kernel: 3}}, flatten, {id: fc, linear: 2}]\n"
        "    outputs: {logits: fc, map: map}",
    )
    np.savez(tmp_path / "scans.npz", image=SCANS, label=LABELS)
    bundle = trained(text, tmp_path)
    with pytest.raises(NetwrightError, match=r"found `map` float32\[B, 2, 4, 4\]") as caught:
        list(predict_files(bundle, [tmp_path / "scans.npz"], output=tmp_path / "out.csv"))
    assert caught.value.diagnostics[0].code is Code.R903
    assert not (tmp_path / "out.csv").exists()
    list(predict_files(bundle, [tmp_path / "scans.npz"], output=tmp_path / "out.npz"))


def test_inspect_tells_the_columns(table_bundle: Path, shapes: Path) -> None:
    assert "x from the columns `size`, `shape` of tables" in describe(table_bundle)
    assert "site from the column `site` of tables" in describe(table_bundle)
    assert "classes of site: left, right, middle" in describe(table_bundle)
    assert "image from image files: grey, 8 wide and 6 high by " in describe(shapes)


# Programs besides `predict`

DIGITS = np.random.default_rng(1).integers(0, 17, (5, 1, 8, 8), dtype=np.uint8)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    np.save(tmp_path / "digits.npy", DIGITS)
    return tmp_path / "digits.npy"


def normal(count: int, seed: int = 0) -> Any:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((count, 3), np.float32)


@pytest.mark.parametrize("seed", [None, 0, 3])
def test_noise_is_drawn_and_not_asked_for(seed: int | None, vae_bundle: Path, digits: Path) -> None:
    lines = list(predict_files(vae_bundle, [digits], program="score", seed=seed))
    found = load(vae_bundle, "cpu").program("score")(image=DIGITS, noise=normal(5, seed or 0))
    assert lines == [
        f"{digits}[{i}]: " + ", ".join(f"{name} {x[i]:.4g}" for name, x in found.items())
        for i in range(5)
    ]
    assert list(found) == ["elbo", "reconstruction", "kl", "error"]


def test_every_sample_has_noise_of_its_own(vae_bundle: Path, digits: Path, tmp_path: Path) -> None:
    """Wherever the files and batches end."""
    output = tmp_path / "out.npz"
    list(predict_files(vae_bundle, [digits] * 20, program="score", seed=3, output=output))
    session = load(vae_bundle, "cpu").program("score")
    expected = session(image=np.tile(DIGITS, (20, 1, 1, 1)), noise=normal(100, 3))
    with np.load(output) as found:
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4)


def test_a_seed_where_nothing_is_drawn(vae_bundle: Path, digits: Path) -> None:
    with pytest.raises(NetwrightError, match=r"a program with noise .* found `encode`") as caught:
        list(predict_files(vae_bundle, [digits], program="encode", seed=0))
    assert caught.value.diagnostics[0].code is Code.B802
    done = CliRunner().invoke(
        cli, ["predict", str(vae_bundle), str(digits), "--program", "encode", "--seed", "1"]
    )
    assert done.exit_code == 1
    assert "leave `--seed` out" in done.stderr


def test_a_program_that_takes_noise_alone(vae_bundle: Path, digits: Path) -> None:
    with pytest.raises(NetwrightError, match="found `sample`, which takes noise alone") as caught:
        list(predict_files(vae_bundle, [digits], program="sample"))
    assert caught.value.diagnostics[0].help == "`netwright sample` runs it"


def test_samples_for_labels_of_a_file(conditional_bundle: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.arange(10))
    output, given = tmp_path / "out.npz", [tmp_path / "labels.npy"]
    list(predict_files(conditional_bundle, given, program="sample", seed=2, output=output))
    expected = load(conditional_bundle, "cpu").sample(10, seed=2, given={"label": range(10)})
    with np.load(output) as found:
        np.testing.assert_allclose(found["image"], expected["image"], atol=1e-4)


def test_the_program_is_named_where_there_is_no_predict(vae_bundle: Path, digits: Path) -> None:
    with pytest.raises(NetwrightError, match=r"`score`, found `predict`") as caught:
        list(predict_files(vae_bundle, [digits]))
    assert "--program" in str(caught.value.diagnostics[0].help)


def test_codes(vae_bundle: Path, digits: Path, tmp_path: Path) -> None:
    codes = load(vae_bundle, "cpu").program("encode")(image=DIGITS)
    [first, *_] = predict_files(vae_bundle, [digits], program="encode")
    shown = "; ".join(
        f"{name} {', '.join(f'{number:.4g}' for number in x[0])}" for name, x in codes.items()
    )
    assert first == f"{digits}[0]: {shown}"
    list(predict_files(vae_bundle, [digits], program="encode", output=tmp_path / "codes.csv"))
    with (tmp_path / "codes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[2:] == [f"{name} {i}" for name in ("mean", "logvar") for i in range(3)]
    assert np.float32(rows[4]["mean 2"]) == codes["mean"][4, 2]


def test_reconstructions_as_arrays_and_as_a_picture(
    vae_bundle: Path, digits: Path, tmp_path: Path
) -> None:
    for name in ("out.npz", "out.png"):
        list(predict_files(vae_bundle, [digits], program="reconstruct", output=tmp_path / name))
    expected = load(vae_bundle, "cpu").program("reconstruct")(image=DIGITS)["reconstruction"]
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(found["reconstruction"], expected, atol=1e-4)
    pixels = np.asarray(Image.open(tmp_path / "out.png"))  # 3 x 2, each 8 pixels 7 times as large
    assert pixels.shape == (2 * 58 + 2, 3 * 58 + 2)
    shown = pixels[2 + 58 + 3 : 2 + 58 + 56 : 7, 2 + 3 : 2 + 56 : 7]
    assert np.abs(shown - expected[3, 0].clip(0, 16) / 16 * 255).max() <= 1
    with pytest.raises(NetwrightError, match=r"to draw, found `mean` float32\[B, 3\]") as caught:
        list(predict_files(vae_bundle, [digits], program="encode", output=tmp_path / "b.png"))
    assert caught.value.diagnostics[0].code is Code.R903


def test_a_condition_is_read_and_noise_is_drawn(conditional_bundle: Path, tmp_path: Path) -> None:
    labels = np.arange(5)
    np.savez(tmp_path / "digits.npz", image=DIGITS, label=labels)
    output = tmp_path / "out.csv"
    given = [tmp_path / "digits.npz"]
    list(predict_files(conditional_bundle, given, program="score", output=output))
    session = load(conditional_bundle, "cpu").program("score")
    expected = session(image=DIGITS, label=labels, noise=normal(5))["elbo"]
    with output.open(newline="") as file:
        found = [np.float32(row["elbo"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.savez(tmp_path / "images.npz", image=DIGITS)
    with pytest.raises(NetwrightError, match="expected the inputs `image`, `label` in") as caught:
        list(predict_files(conditional_bundle, [tmp_path / "images.npz"], program="score"))
    assert not any("noise" in note for note in caught.value.diagnostics[0].notes)


def test_arrays_that_do_not_fit_are_told_before_noise_is_drawn(
    vae_bundle: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", DIGITS[:, :, :7])
    with pytest.raises(NetwrightError, match="expected `image` as uint8") as caught:
        list(predict_files(vae_bundle, [tmp_path / "a.npy"], program="score"))
    assert f"read from `{tmp_path / 'a.npy'}`" in caught.value.diagnostics[0].notes


def test_scores_of_images_in_a_folder(tmp_path: Path) -> None:
    draw(tmp_path / "shapes")
    bundle = generative.exported(generative.FOLDER, tmp_path) / "bundle"
    lines = list(predict_files(bundle, [tmp_path / "shapes"], program="score"))
    assert len(lines) == 24
    assert lines[0].startswith(f"{tmp_path / 'shapes' / 'disc' / '0.png'}: elbo -")
    assert lines == list(predict_files(bundle, [tmp_path / "shapes"], program="score", seed=0))
    sheet = tmp_path / "sheet.png"
    list(predict_files(bundle, [tmp_path / "shapes"], program="reconstruct", output=sheet))
    with Image.open(sheet) as image:
        assert image.size == (5 * 58 + 2, 5 * 58 + 2)


def test_codes_and_scores_of_a_table(tmp_path: Path) -> None:
    rows = [{"size": i % 7, "price": 500 + 40 * (i % 7) + i % 3} for i in range(40)]
    path = write_csv(tmp_path / "rooms.csv", rows, ",")
    bundle = generative.exported(generative.TABLE, tmp_path) / "bundle"
    form = open_bundle(bundle).manifest.reading.table
    assert form is not None
    assert form.columns == {"x": ["size", "price"]}, "no columns for codes and noise"
    assert "from the column `z`" not in describe(bundle)
    for program, word in {"encode": "mean", "score": "elbo"}.items():
        lines = list(predict_files(bundle, [path], program=program))
        assert len(lines) == 40
        assert lines[0].startswith(f"{path} row 1: {word} ")
