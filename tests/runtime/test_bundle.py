"""Exporting, opening and using bundles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.ir.graph import Graph, Value
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.objectives.fields import Field
from netwright.runtime import export, parity
from netwright.runtime.bundle import Bounds, Port, open_bundle
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.input_checks import check_inputs
from netwright.runtime.inspect import describe
from netwright.runtime.predict import predict_files
from netwright.runtime.session import load
from netwright.runtime.signature import size_grid
from netwright.runtime.train import TrainResult
from PIL import Image
from sklearn.datasets import load_digits

IMAGES = load_digits().images.astype(np.uint8)[:, None]


def code_of(caught: pytest.ExceptionInfo[NetwrightError]) -> Code:
    return caught.value.diagnostics[0].code


def test_a_bundle_holds_what_it_promises(bundle: Path, finished: TrainResult) -> None:
    manifest = open_bundle(bundle).manifest
    assert set(manifest.files) == {"predict.onnx", "spec.yaml"}
    assert manifest.name == "tiny_digits"
    assert manifest.metrics["test"]["accuracy"] == pytest.approx(
        finished.metrics["test"]["accuracy"], abs=1e-5
    )
    assert manifest.labels["probabilities"] == [str(digit) for digit in range(10)]
    assert {case["sizes"]["B"] for case in manifest.parity["cases"]} == {1, 3}
    assert manifest.parity["largest"] < 1e-5
    assert manifest.versions["netwright"]
    model = onnx.load(bundle / "predict.onnx")
    metadata = {item.key: item.value for item in model.metadata_props}
    assert metadata["spec_sha256"] == manifest.spec_sha256
    assert metadata["program"] == "predict"


def test_the_bundle_predicts_what_was_measured(bundle: Path, finished: TrainResult) -> None:
    opened = load(bundle, "cpu")
    results = opened.predict(image=IMAGES[:7])
    assert results["logits"].shape == (7, 10)
    np.testing.assert_allclose(results["probabilities"].sum(axis=1), 1, rtol=1e-5)
    assert evaluate(bundle) == pytest.approx(finished.metrics["test"], rel=1e-4)
    assert evaluate(finished.folder) == pytest.approx(finished.metrics["test"], rel=1e-6)
    joined = opened.program("predict").in_batches({"image": IMAGES[:7]}, 3)
    np.testing.assert_allclose(joined["logits"], results["logits"], rtol=1e-4, atol=1e-5)


def test_opening_and_predicting_imports_no_torch(bundle: Path) -> None:
    script = (
        "import sys, numpy, netwright\n"
        f"bundle = netwright.load({str(bundle)!r})\n"
        "bundle.predict(image=numpy.zeros((2, 1, 8, 8), 'uint8'))\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """A change of the manifest."""

    def apply(folder: Path) -> None:
        data = json.loads((folder / "manifest.json").read_text())
        change(data)
        (folder / "manifest.json").write_text(json.dumps(data))

    return apply


def replaced_by_link(folder: Path) -> None:
    shutil.copy(folder / "predict.onnx", folder.parent / "other.onnx")
    (folder / "predict.onnx").unlink()
    (folder / "predict.onnx").symlink_to(folder.parent / "other.onnx")


def pointing_out(data: dict[str, Any]) -> None:
    data["files"]["../outside.onnx"] = data["files"]["predict.onnx"]


def pointing_to_root(data: dict[str, Any]) -> None:
    data["files"]["/etc/passwd"] = data["files"]["predict.onnx"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: flip(f / "predict.onnx"), "`predict.onnx` has the sha256"),
        (lambda f: flip(f / "spec.yaml"), "`spec.yaml` has the sha256"),
        (lambda f: (f / "predict.onnx").write_bytes(b""), "`predict.onnx` has 0 bytes"),
        (lambda f: (f / "predict.onnx").unlink(), "`predict.onnx` is missing"),
        (lambda f: (f / "manifest.json").write_text("{"), "can't be read"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"), "can't be read"),
        (lambda f: (f / "manifest.json").write_text("[" * 100_000), "can't be read"),
        (lambda f: (f / "manifest.json").write_text("[]"), "no known format"),
        (lambda f: (f / "manifest.json").unlink(), "found no `manifest.json`"),
        (replaced_by_link, "symbolic link"),
        (rewrite(pointing_out), "leads out of the folder"),
        (rewrite(pointing_to_root), "leads out of the folder"),
        (rewrite(lambda d: d.update(format=2)), "found format 2"),
        (rewrite(lambda d: d.update(extra=1)), "extra"),
        (rewrite(lambda d: d.pop("programs")), "programs"),
        (rewrite(lambda d: d["programs"]["predict"].update(file="x.onnx")), "no file"),
        (rewrite(lambda d: d["files"]["predict.onnx"].update(sha256="0" * 64)), "sha256"),
    ],
)
def test_a_changed_bundle_is_refused(
    damage: Callable[[Path], object], words: str, bundle: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    damage(copy)
    with pytest.raises(NetwrightError, match=words) as caught:
        load(copy)
    assert code_of(caught) is Code.B801


def test_a_run_is_told_from_the_bundle_in_it(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "digits-1" / "bundle")
    with pytest.raises(NetwrightError) as caught:
        load(tmp_path / "digits-1")
    step = caught.value.diagnostics[0].help
    assert step == f"name the bundle in it: `{tmp_path / 'digits-1' / 'bundle'}`"


def test_a_file_that_is_no_model(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    (copy / "predict.onnx").write_bytes(b"nonsense")
    record = export._record(copy / "predict.onnx").model_dump()
    rewrite(lambda d: d["files"].update({"predict.onnx": record}))(copy)
    with pytest.raises(NetwrightError, match="can't be loaded") as caught:
        load(copy, "cpu").predict(image=IMAGES[:1])
    assert code_of(caught) is Code.B801


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "expected the inputs `image`, found none"),
        ({"picture": IMAGES[:1]}, "found `picture`"),
        ({"image": IMAGES[0]}, r"found uint8\[1, 8, 8\]"),
        ({"image": IMAGES[:1, :, :7]}, r"found uint8\[1, 1, 7, 8\]"),
        ({"image": IMAGES[:0]}, r"found uint8\[0, 1, 8, 8\]"),
        ({"image": IMAGES[:1].astype(float)}, r"found float64\[1, 1, 8, 8\]"),
        ({"image": IMAGES[:1].astype(int) - 300}, r"found int64\[1, 1, 8, 8\]"),
        ({"image": [[1], [2, 3]]}, "found no array"),
        ({"image": "text"}, r"found <U4\[\]"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, Any], words: str, bundle: Path) -> None:
    with pytest.raises(NetwrightError, match=words) as caught:
        load(bundle, "cpu").predict(**inputs)
    assert code_of(caught) is Code.B802


def test_integers_that_fit_are_taken(bundle: Path) -> None:
    opened = load(bundle, "cpu")
    plain = opened.predict(image=IMAGES[:2])["logits"]
    np.testing.assert_array_equal(opened.predict(image=IMAGES[:2].tolist())["logits"], plain)


def test_one_symbol_has_one_size() -> None:
    ports = {"a": Port(dtype="float32", shape=["B", "T"]), "b": Port(dtype="int64", shape=["T"])}
    bounds = {"T": Bounds(min=2, max=9, multiple_of=2)}
    check_inputs({"a": np.ones((1, 4)), "b": np.arange(4)}, ports, bounds)
    for size, note in (
        (6, "T is 4 in `a`"),
        (3, "a multiple of 2"),
        (10, "at most 9"),
        (1, "least"),
    ):
        with pytest.raises(NetwrightError) as caught:
            check_inputs({"a": np.ones((1, 4)), "b": np.arange(size)}, ports, bounds)
        assert note in caught.value.diagnostics[0].notes[0]


@pytest.mark.parametrize("wrong", [7, -1])
def test_ids_that_the_network_does_not_know(wrong: int) -> None:
    ports = {"ids": Port(dtype="int64", shape=["B", 2], below=7)}
    check_inputs({"ids": [[0, 6]]}, ports, {})
    with pytest.raises(NetwrightError, match=f"from 0 to 6 in `ids`.* found {wrong}") as caught:
        check_inputs({"ids": [[0, 6], [wrong, 9]]}, ports, {})
    assert code_of(caught) is Code.B802


def test_an_unknown_program(bundle: Path) -> None:
    with pytest.raises(NetwrightError, match="found `sample`") as caught:
        load(bundle).program("sample")
    assert code_of(caught) is Code.B802


def test_cuda_for_inference_is_not_replaced_silently(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(NetwrightError) as caught:
        load(bundle, "cuda").predict(image=IMAGES[:1])
    assert code_of(caught) is Code.R905


# Writing


def test_a_bundle_replaces_a_bundle(finished: TrainResult, bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    (copy / "empty").mkdir()
    result = export_run(finished.folder, output=copy, opset=18, with_weights=True)
    assert not (copy / "empty").exists()
    assert set(open_bundle(copy).manifest.files) == {
        "predict.onnx",
        "spec.yaml",
        "weights.safetensors",
    }
    assert onnx.load(result.files["predict"]).opset_import[0].version == 18
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    export_run(finished.folder, output=copy)
    assert set(open_bundle(copy).manifest.files) == {"predict.onnx", "spec.yaml"}


def a_file(folder: Path) -> None:
    (folder / "notes.txt").write_text("precious")


def a_file_below(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("precious")


def a_link(folder: Path) -> None:
    (folder / "notes.txt").symlink_to(folder / "nowhere")


def a_link_to_a_folder(folder: Path) -> None:
    (folder / "notes.txt").symlink_to(folder.parent, target_is_directory=True)


@pytest.mark.parametrize("add", [a_file, a_file_below, a_link, a_link_to_a_folder])
def test_files_that_are_not_the_bundles_are_kept(
    add: Callable[[Path], None], finished: TrainResult, bundle: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    add(copy)
    before = {path: path.lstat().st_mtime_ns for path in copy.rglob("*")}
    with pytest.raises(NetwrightError, match=r"found `(mine/)?notes\.txt`") as caught:
        export_run(finished.folder, output=copy)
    assert code_of(caught) is Code.R903
    assert {path: path.lstat().st_mtime_ns for path in copy.rglob("*")} == before


def test_nothing_but_a_bundle_is_replaced(finished: TrainResult, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    for target in (tmp_path, tmp_path / "mine.txt", finished.folder):
        with pytest.raises(NetwrightError) as caught:
            export_run(finished.folder, output=target)
        assert code_of(caught) is Code.R903
    assert (tmp_path / "mine.txt").read_text() == "precious"
    assert (finished.folder / "run.json").exists()


def test_a_failed_export_keeps_the_old_bundle(
    finished: TrainResult, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    changed = finished.folder / "spec.yaml"
    real = parity.difference
    monkeypatch.setattr(parity, "difference", lambda a, b, **_: (1e-3, real(a, b)[1]))
    with pytest.raises(NetwrightError) as caught:
        export_run(finished.folder, output=copy)
    assert code_of(caught) is Code.X701
    assert changed.exists()
    open_bundle(copy)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_weights_that_differ_are_found(
    finished: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof looks at real outputs: an exported weight that is off by little fails it."""
    real = export.run_passes

    def spoiled(program: Graph, weights: Any) -> Any:
        return real(program, {**weights, key: weights[key] + np.float32(0.01)})

    key = "classifier.linear_0.bias"
    monkeypatch.setattr(export, "run_passes", spoiled)
    with pytest.raises(NetwrightError, match="`logits` of `predict` at B=") as caught:
        export_run(finished.folder, output=tmp_path / "bundle")
    assert {d.code for d in caught.value.diagnostics} == {Code.X701}
    assert not (tmp_path / "bundle").exists()


def test_exporting_no_run(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError):
        export_run(tmp_path)


def graph_of(*types: str) -> Graph:
    values = tuple(Value(f"x{i}", parse_type(text)) for i, text in enumerate(types))
    return Graph("g", values, (), {})


def test_the_grid_covers_batches_and_lengths() -> None:
    grid = size_grid(graph_of("f32[B, 3, H, W]"))
    assert {sizes["B"] for sizes in grid} == {1, 3}
    assert {sizes["H"] for sizes in grid} == {sizes["W"] for sizes in grid} == {2, 5}
    assert any(sizes["H"] != sizes["W"] for sizes in grid)
    assert size_grid(graph_of("f32[4]")) == [{}]


def test_the_grid_keeps_within_bounds() -> None:
    from netwright.compiler.ir.dims import Symbol

    known = {"T": Symbol("T", 5, 20, 8)}
    graph = Graph("g", (Value("x", parse_type("f32[B, T]", known)),), (), {})
    assert {sizes["T"] for sizes in size_grid(graph)} == {8, 16}


def test_samples_keep_to_their_fields() -> None:
    fields = {
        "x0": Field(shape=["B", 50], dtype="uint8", range=[0, 16]),
        "x1": Field(shape=["B", 50], dtype="int64", below=3, lengths="x2"),
        "x2": Field(shape=["B"], dtype="int64"),
    }
    graph = graph_of("u8[B, 50]", "i64[B, 50]", "i64[B]", "f32[B]")
    drawn = parity.sample_inputs(graph, {"B": 9}, fields, np.random.default_rng(0))
    assert drawn["x0"].max() == 16
    assert set(np.unique(drawn["x1"])) == {0, 1, 2}
    assert drawn["x2"].min() >= 1
    assert drawn["x2"].max() > 10
    assert drawn["x3"].dtype == np.float32


@pytest.mark.parametrize(
    ("expected", "actual", "relative"),
    [
        ([1.0, 4.0], [1.0, 4.0], 0),
        ([1.0, 4.0], [1.0, 3.0], 0.25),
        ([0.0], [0.5], 0.5),
        ([1.0], [float("nan")], float("inf")),
        ([1.0], [1.0, 1.0], float("inf")),
        ([7, 50_000], [7, 50_000], 0),
        ([7, 50_000], [8, 50_000], 1),
    ],
)
def test_difference(expected: list[float], actual: list[float], relative: float) -> None:
    assert parity.difference(np.array(expected), np.array(actual))[0] == relative


def test_a_single_number_near_zero_is_judged_beside_those_of_larger_batches() -> None:
    alone, several = np.array([1e-5]), np.array([1e-5, 1.0, float("inf")])
    found = np.array([1e-5 + 1e-7])
    assert parity.difference(alone, found)[0] == pytest.approx(0.01)
    assert parity.difference(alone, found, alike=[several])[0] == pytest.approx(1e-7)


# Predicting from files


def test_predicting_from_files(bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0, 0]).save(tmp_path / "zero.png")
    np.save(tmp_path / "two.npy", IMAGES[:2])
    np.savez(tmp_path / "named.npz", image=IMAGES[:1])
    files = [tmp_path / name for name in ("zero.png", "two.npy", "named.npz")]
    lines = list(predict_files(bundle, files))
    assert len(lines) == 4
    assert lines[0].startswith(f"{files[0]}: 0 0.")
    assert lines[1].startswith(f"{files[1]}[0]: 0 0.")
    assert list(predict_files(bundle, files, output=tmp_path / "out.npz")) == [
        f"wrote {tmp_path / 'out.npz'}"
    ]
    with np.load(tmp_path / "out.npz") as results:
        assert results["logits"].shape == (4, 10)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("none.png", None, Code.R903),
        ("bad.png", b"\x89PNG\r\n\x1a\nnot really", Code.R903),
        ("bad.npy", b"\x93NUMPYxx", Code.R903),
        ("bad.npz", b"PK", Code.R903),
        ("text.txt", b"hello", Code.R903),
    ],
)
def test_files_that_are_no_input(
    name: str, content: bytes | None, code: Code, bundle: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(NetwrightError) as caught:
        list(predict_files(bundle, [tmp_path / name]))
    assert code_of(caught) is code


def test_an_image_of_another_size_is_not_resized(bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 8)).save(tmp_path / "wide.png")
    with pytest.raises(NetwrightError, match="found 9 x 8") as caught:
        list(predict_files(bundle, [tmp_path / "wide.png"]))
    assert code_of(caught) is Code.B802


# Looking inside


def test_inspect(bundle: Path, finished: TrainResult, tmp_path: Path) -> None:
    assert "image: uint8[B, 1, 8, 8]" in describe(bundle)
    assert "accuracy" in describe(bundle)
    run = describe(finished.folder)
    assert f"step {finished.step}: whole" in run
    assert "result: the best checkpoint" in run
    model = describe(bundle / "predict.onnx")
    assert "image: uint8[B, 1, 8, 8]" in model
    assert "Gemm 1" in model
    assert "opset" in model
    for path in (tmp_path, finished.folder / "model.py"):
        with pytest.raises(NetwrightError) as caught:
            describe(path)
        assert code_of(caught) is Code.R903
    assert os.listdir(tmp_path) == []


def renamed_input(data: dict[str, Any]) -> None:
    inputs = data["programs"]["predict"]["inputs"]
    inputs["other"] = inputs.pop("image")


@pytest.mark.parametrize(
    "change",
    [
        renamed_input,
        lambda data: data["programs"]["predict"].update(inputs={}),
        lambda data: data["programs"]["predict"].update(outputs={}),
        lambda data: data.update(metrics={"test": 1}),
        lambda data: data["files"].pop("spec.yaml"),
    ],
    ids=["input", "no-inputs", "no-outputs", "metrics", "spec"],
)
def test_a_manifest_that_lies_is_refused(
    change: Callable[[dict[str, Any]], object], bundle: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    rewrite(change)(copy)
    with pytest.raises(NetwrightError) as caught:
        load(copy, "cpu").program("predict")
    assert code_of(caught) is Code.B801


def test_a_manifest_that_is_a_link_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "manifest.json").rename(tmp_path / "elsewhere.json")
    (copy / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(NetwrightError, match="symbolic link") as caught:
        open_bundle(copy)
    assert code_of(caught) is Code.B801


def test_labels_and_proof_of_other_kinds_are_left_out(bundle: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    odd = {"labels": {"probabilities": ["one"]}, "parity": {"largest": None, "tolerance": "x"}}
    rewrite(lambda data: data.update(odd))(copy)
    np.save(tmp_path / "two.npy", IMAGES[:2])
    assert len(list(predict_files(copy, [tmp_path / "two.npy"]))) == 2
    assert "proof:" not in describe(copy)


def test_an_image_of_16_bits_is_refused(bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 999, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(NetwrightError, match="more than 8 bits") as caught:
        list(predict_files(bundle, [tmp_path / "deep.png"]))
    assert code_of(caught) is Code.R903


def test_export_keeps_a_folder_with_the_manifest_of_another_tool(
    finished: TrainResult, tmp_path: Path
) -> None:
    target, name = tmp_path / "page", "manifest.json"
    target.mkdir()
    (target / name).write_text('{"name": "a web page"}')
    with pytest.raises(NetwrightError) as caught:
        export_run(finished.folder, output=target)
    assert code_of(caught) is Code.R903
    assert (target / name).read_text() == '{"name": "a web page"}'
