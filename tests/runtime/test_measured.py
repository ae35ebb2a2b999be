"""`normalize: training`: numbers of the training samples reach everything that is made of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.objectives.fields import Field, Normalize
from netwright.runtime.baseline.baselines import measure_baselines
from netwright.runtime.bundle import open_bundle
from netwright.runtime.compare.comparison import compare
from netwright.runtime.data.columns import ArrayColumn
from netwright.runtime.data.normalizing import measure
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run, export_weights
from netwright.runtime.opening import completed, open_run, read_data
from netwright.runtime.runs import RUN, SOURCE, read_run
from netwright.runtime.train import train

from .tiny import compile_text

SPEC = """\
spec: v1
name: rents
data:
  source: {csv: {path: rents.csv, columns: {x: [area, year], y: [rent]}}}
  fields: {x: {normalize: training}, y: {normalize: training}}
  split: {validation: 0.25, test: 0.25}
networks:
  net:
    inputs: {x: {shape: [B, 2]}}
    layers: [linear: 1]
    outputs: rent
objective:
  supervised:
    network: net
    losses: [{mse: {output: rent, target: y}}]
    metrics: [mae]
training: {batch: 16, epochs: 30, optimizer: {adamw: {lr: 0.05}}}
"""


def write(folder: Path) -> None:
    """Rents of 80 flats: 12 for each square metre and 3 for each year since 1900."""
    random = np.random.default_rng(0)
    area, year = random.uniform(20, 120, 80), random.uniform(1900, 2000, 80)
    rent = 12 * area + 3 * (year - 1900)
    rows = "\n".join(f"{a:.3f},{b:.3f},{c:.3f}" for a, b, c in zip(area, year, rent, strict=True))
    (folder / "rents.csv").write_text(f"area,year,rent\n{rows}\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rents")
    write(folder)
    return train(compile_text(text=SPEC, folder=folder), output=folder / "run", device="cpu").folder


@pytest.fixture(scope="module")
def rents_bundle(run: Path) -> Path:
    return export_run(run).folder


def training_values(run: Path, name: str) -> np.ndarray:
    dataset = read_data(compile_text(text=SPEC, folder=run.parent), run.parent)
    return dataset.parts["train"][name].whole()


def test_a_run_records_what_its_training_samples_are_like(run: Path) -> None:
    recorded = read_run(run)["statistics"]
    for name in ("x", "y"):
        values = training_values(run, name)
        assert len(values) == 45
        np.testing.assert_allclose(recorded[name]["mean"], values.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(recorded[name]["std"], values.std(axis=0), rtol=1e-6)


def test_the_source_of_a_run_has_them_and_that_of_the_spec_says_that_it_has_not(run: Path) -> None:
    source, compiled = (run / SOURCE).read_text(), compile_text(text=SPEC).source
    mean = read_run(run)["statistics"]["x"]["mean"][0]
    assert repr(mean) in source
    assert "stand in place" not in source
    assert "Programs normalize `x` and `y` by mean 0 and deviation 1" in compiled


def test_programs_have_the_same_form_before_the_numbers_are_known(run: Path) -> None:
    before, after = compile_text(text=SPEC).programs["predict"], open_run(run).programs["predict"]
    assert [node.path for node in before.nodes] == [node.path for node in after.nodes]


def test_the_exported_program_takes_and_gives_raw_numbers(rents_bundle: Path) -> None:
    session = ort.InferenceSession(rents_bundle / "predict.onnx")
    x = np.array([[50, 1950], [100, 1910]], np.float32)
    (rent,) = session.run(["rent"], {"x": x})
    np.testing.assert_allclose(rent[:, 0], [750, 1230], atol=30)


def test_run_and_bundle_have_the_same_figures(run: Path, rents_bundle: Path) -> None:
    assert open_bundle(rents_bundle).manifest.statistics.keys() == {"x", "y"}
    of_run, of_bundle = evaluate(run), evaluate(rents_bundle, data_dir=run.parent)
    assert of_run == pytest.approx(of_bundle, rel=1e-4)
    assert of_run["mae"] > 3 * of_run["loss"]  # raw units beside scaled ones


def test_a_bundle_keeps_them_when_the_data_changes(
    run: Path, rents_bundle: Path, tmp_path: Path
) -> None:
    rows = [
        list(map(float, line.split(",")))
        for line in (run.parent / "rents.csv").read_text().split()[1:]
    ]
    doubled = "\n".join(",".join(str(2 * value) for value in row) for row in rows)
    (tmp_path / "rents.csv").write_text(f"area,year,rent\n{doubled}\n")
    assert evaluate(rents_bundle, data_dir=tmp_path)["mae"] > 100


def test_a_resumed_run_goes_on_with_them_and_writes_its_source_again(
    run: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    written = (run / SOURCE).read_text()
    (copy / SOURCE).unlink()
    train(compile_text(text=SPEC, folder=run.parent), output=copy, resume=True, device="cpu")
    assert (copy / SOURCE).read_text() == written


@pytest.mark.parametrize("damage", ["lost", "short", "wrong"])
def test_a_record_without_them_is_damaged(run: Path, tmp_path: Path, damage: str) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copy / RUN).read_text())
    if damage == "lost":
        del record["statistics"]["x"]
    elif damage == "short":
        record["statistics"]["x"]["mean"] = [1.0, 2.0, 3.0]
    else:
        record["statistics"]["x"]["std"] = [0.0, 1.0]
    (copy / RUN).write_text(json.dumps(record))
    with pytest.raises(NetwrightError) as caught:
        open_run(copy)
    assert caught.value.diagnostics[0].code is Code.R901


def test_a_spec_alone_is_not_exported(tmp_path: Path) -> None:
    weights = {"net.linear_1.weight": np.ones((1, 2), np.float32)}
    with pytest.raises(NetwrightError, match="mean and deviation of `x`") as caught:
        export_weights(compile_text(text=SPEC), weights, tmp_path / "bundle")
    assert caught.value.diagnostics[0].code is Code.R901
    assert not (tmp_path / "bundle").exists()


def test_baselines_and_comparisons_take_the_run_for_one_of_the_same_spec(
    run: Path, tmp_path: Path
) -> None:
    compilation = compile_text(text=SPEC, folder=run.parent)
    found = measure_baselines(compilation, run=run)
    ridge = found.models[1].figures
    assert ridge["mae"] < 30 < found.models[0].figures["mae"]
    assert found.network
    assert not found.network.differs
    copy = shutil.copytree(run, tmp_path / "run")
    record = json.loads((copy / RUN).read_text())
    record["statistics"]["x"]["mean"][0] += 1
    (copy / RUN).write_text(json.dumps(record))
    assert compare([run, copy]).settings == ()


def test_a_constant_is_divided_by_one_and_told() -> None:
    fields = {"x": Field(shape=["B", 2], dtype="float32", normalize=Normalize(measured="training"))}
    values = np.stack([np.full(50, 0.1), np.arange(50)], axis=1).astype(np.float32)
    found, notes = measure(fields, {"x": ArrayColumn(values)})
    assert found["x"].std == pytest.approx([1.0, values[:, 1].std()])
    assert notes == [
        "channels [0] of `x` has one value in all training samples: it is divided by 1, since a "
        "deviation of 0 can't be"
    ]


def test_numbers_that_float32_can_not_normalize_are_told(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "rents.csv"
    rows = path.read_text().split()
    huge = [
        ",".join([f"{1e32 + 1e30 * i:g}", *row.split(",")[1:]]) for i, row in enumerate(rows[1:])
    ]
    path.write_text("\n".join([rows[0], *huge]))
    with pytest.raises(NetwrightError, match="float32 can normalize") as caught:
        read_data(compile_text(text=SPEC, folder=tmp_path), tmp_path)
    assert caught.value.diagnostics[0].code is Code.F601


@pytest.mark.parametrize(
    ("shape", "axis", "expected"),
    [
        (["B", 2, 4, 4], None, [0.25, 0.75]),
        (["B", "T", 4, 4], 3, [0.5] * 4),
    ],
)
def test_images_are_measured_by_channel_in_units_of_one(
    shape: list[int | str], axis: int | None, expected: list[float]
) -> None:
    field = Field(shape=shape, dtype="uint8", normalize=Normalize(measured="training", axis=axis))
    sizes = (3, *(size if isinstance(size, int) else 4 for size in shape[1:]))
    values = np.full(sizes, 64, np.uint8)
    values[:, sizes[1] // 2 :] = 191
    found, _ = measure({"x": field}, {"x": ArrayColumn(values)})
    assert found["x"].mean == pytest.approx(expected, abs=0.01)


def test_what_is_measured_completes_a_compilation(tmp_path: Path) -> None:
    write(tmp_path)
    compilation = compile_text(text=SPEC, folder=tmp_path)
    dataset = read_data(compilation, tmp_path)
    assert not completed(compilation, dataset).fields["x"].awaits_data
    assert compilation.fields["x"].awaits_data
