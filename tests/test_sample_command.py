"""`netwright sample`: new samples as a picture or arrays, by ONNX Runtime alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.bundle import Port
from netwright.runtime.checkpoint import load_weights
from netwright.runtime.export import tested_step as step_of
from netwright.runtime.inspect import describe
from netwright.runtime.noise import NoiseSource
from netwright.runtime.opening import open_run
from netwright.runtime.sample import sample
from netwright.runtime.session import load
from netwright.runtime.sheet import MOST, check_images, draw_sheet
from netwright.runtime.torch_programs import torch_programs
from netwright.runtime.weights import for_onnx
from PIL import Image

from . import generative


def normal(count: int, seed: int = 0) -> Any:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((count, 3), np.float32)


def call(bundle: Path, output: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["sample", str(bundle), "-o", str(output), *arguments])


def told(call: Callable[[], object]) -> str:
    """The message and the help of a mistake in what was given: B802."""
    with pytest.raises(NetwrightError) as caught:
        call()
    [problem] = caught.value.diagnostics
    assert problem.code is Code.B802
    return "\n".join([problem.message, *problem.notes, problem.help or ""])


# Files


def test_a_picture(vae_bundle: Path, tmp_path: Path) -> None:
    first, again, other = (tmp_path / f"{name}.png" for name in ("first", "again", "other"))
    done = call(vae_bundle, first)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"wrote {first}\n", "")
    call(vae_bundle, again, "--seed", "0", "--count", "16")
    call(vae_bundle, other, "--seed", "1")
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    with Image.open(first) as image:
        assert image.mode == "L"
        assert image.width == image.height == 4 * 58 + 2  # 4 x 4, each drawn 7 times as large


def test_arrays(vae_bundle: Path, tmp_path: Path) -> None:
    for name in ("a.npz", "a.npy"):
        assert call(vae_bundle, tmp_path / name, "--count", "70", "--seed", "3").exit_code == 0
    expected = load(vae_bundle, "cpu").program("sample")(noise=normal(70, 3))["image"]
    assert 0 <= expected.min() < 1
    assert 4 < expected.max() <= 16, "raw units of the digits"
    with np.load(tmp_path / "a.npz") as arrays:
        assert list(arrays) == ["image"]
        np.testing.assert_allclose(arrays["image"], expected, atol=1e-4)
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected, atol=1e-4)


def test_fewer_samples_are_the_first_of_more(vae_bundle: Path) -> None:
    bundle = load(vae_bundle, "cpu")
    few, many = (sample(bundle, count, seed=5)["image"] for count in (3, 100))
    np.testing.assert_allclose(few, many[:3], atol=1e-4)
    np.testing.assert_array_equal(bundle.sample(3, seed=5)["image"], few)


def test_other_names_of_files_are_refused(vae_bundle: Path, tmp_path: Path) -> None:
    done = call(vae_bundle, tmp_path / "a.gif")
    assert done.exit_code == 2
    assert "expected a name with .png, .npz or .npy" in done.stderr


def test_a_program_without_images_draws_none(tmp_path: Path) -> None:
    write_rooms(tmp_path / "rooms.csv")
    bundle = generative.exported(generative.TABLE, tmp_path) / "bundle"
    done = call(bundle, tmp_path / "a.png")
    assert done.exit_code == 1
    assert "expected one output of images [B, 1 or 3, H, W] to draw, found `x`" in done.stderr
    assert call(bundle, tmp_path / "a.npz").exit_code == 0
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["x"].shape == (16, 2)
        assert arrays["x"][:, 1].mean() > 100, "raw units"


def write_rooms(path: Path) -> None:
    rows = [f"{i % 7},{500 + 40 * (i % 7) + i % 3}" for i in range(40)]
    path.write_text("\n".join(["size,price", *rows]) + "\n")


# Conditions


def test_conditions_take_turns(conditional_bundle: Path, tmp_path: Path) -> None:
    done = call(conditional_bundle, tmp_path / "a.npy", "--given", "label=3,8", "--count", "5")
    assert done.exit_code == 0
    session = load(conditional_bundle, "cpu").program("sample")
    expected = session(noise=normal(5), label=[3, 8, 3, 8, 3])["image"]
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected, atol=1e-4)


def test_each_condition_has_a_column(conditional_bundle: Path, tmp_path: Path) -> None:
    digits = ",".join(map(str, range(10)))
    call(conditional_bundle, tmp_path / "a.png", "--given", f"label={digits}", "--count", "20")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (10 * 58 + 2, 2 * 58 + 2)


@pytest.mark.parametrize("given", [3, "3", [3], ["3"], np.array([3]), np.array([3], np.uint8)])
def test_conditions_from_python(given: Any, conditional_bundle: Path) -> None:
    bundle = load(conditional_bundle, "cpu")
    expected = bundle.program("sample")(noise=normal(2), label=[3, 3])["image"]
    np.testing.assert_array_equal(sample(bundle, 2, given={"label": given})["image"], expected)


def test_classes_by_their_names(conditional_bundle: Path, tmp_path: Path) -> None:
    names = ["zero", "one, or I", *"23456789"]
    bundle = load(changed(conditional_bundle, tmp_path, rename_classes(names)), "cpu")
    for given, number in {"zero": 0, "one, or I": 1, "2": 2}.items():
        found = sample(bundle, 2, given={"label": given})["image"]
        expected = sample(bundle, 2, given={"label": number})["image"]
        np.testing.assert_array_equal(found, expected)
    both = sample(bundle, 2, given={"label": "zero,9"})["image"]
    np.testing.assert_array_equal(both, sample(bundle, 2, given={"label": [0, 9]})["image"])
    text = told(lambda: sample(bundle, 2, given={"label": "zer"}))
    assert "expected the name of a class for `label`, found 'zer'" in text
    assert "a class with a similar name exists: `zero`" in text


def rename_classes(names: list[str]) -> Callable[[dict[str, Any]], object]:
    return lambda port: port.update(classes=names) if "classes" in port else None


MISTAKES: dict[str, tuple[Any, list[str]]] = {
    "missing": (
        {},
        ["expected `label` to be given to `sample`", "one of `0`, `1`", "`--given label=9`"],
    ),
    "unknown": ({"lable": 3}, ["found `lable`", "an input with a similar name exists: `label`"]),
    "noise": ({"noise": 3, "label": 3}, ["expected `noise` to be left to the seed"]),
    "beyond": ({"label": [3, 12]}, ["from 0 to 9 in `label`", "found 12 at `label[1]`"]),
    "beyond once": ({"label": 12}, ["found 12 at `label[0]`"]),
    "word": ({"label": "cat"}, ["expected the name of a class for `label`, found 'cat'"]),
    "nothing": ({"label": ""}, ["found ''"]),
    "empty": ({"label": []}, ["expected values of `label` int64[B], found none"]),
    "fraction": ({"label": 3.5}, ["expected `label` as int64[B], found float64[1]"]),
    "axes": ({"label": [[1, 2]]}, ["expected `label` as int64[B], found int64[1, 2]"]),
    "ragged": ({"label": [[1], [1, 2]]}, ["expected `label` as int64[B], found no array"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_conditions_that_do_not_fit(case: str, conditional_bundle: Path) -> None:
    given, parts = MISTAKES[case]
    text = told(lambda: sample(load(conditional_bundle, "cpu"), 4, given=given))
    for part in parts:
        assert part in text


def test_where_nothing_is_to_be_given(vae_bundle: Path, tmp_path: Path) -> None:
    done = call(vae_bundle, tmp_path / "a.png", "--given", "label=3")
    assert done.exit_code == 1
    assert "which takes noise alone, found `label`" in done.stderr
    assert call(vae_bundle, tmp_path / "a.png", "--given", "label").exit_code == 2


@pytest.mark.parametrize(("count", "seed", "name"), [(0, 0, "count"), (2, -1, "seed")])
def test_settings_that_are_impossible(count: int, seed: int, name: str, vae_bundle: Path) -> None:
    text = told(lambda: sample(load(vae_bundle, "cpu"), count, seed=seed))
    assert f"expected `{name}` " in text


# The program


def test_noise_of_another_shape(vae_bundle: Path) -> None:
    session = load(vae_bundle, "cpu").program("sample")
    text = told(lambda: session(noise=np.zeros((2, 4), np.float32)))
    assert "expected `noise` as float32[B, 3], found float32[2, 4]" in text
    assert "axis 1 is 4, not 3" in text


def test_a_bundle_without_the_program(vae_bundle: Path, tmp_path: Path) -> None:
    folder = copied(vae_bundle, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["programs"]["sample"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    done = call(folder, tmp_path / "a.png")
    assert done.exit_code == 1
    assert "expected one of the programs `encode`, `decode`, `reconstruct`, `inter" in done.stderr
    assert "such as `vae`" in done.stderr


def test_torch_makes_the_same(vae_run: Path, vae_bundle: Path) -> None:
    weights = for_onnx(load_weights(vae_run, step_of(vae_run)[0]))
    in_torch = torch_programs(open_run(vae_run), weights)["sample"]({"noise": normal(9)})
    found = sample(load(vae_bundle, "cpu"), 9)
    np.testing.assert_allclose(found["image"], in_torch["image"], atol=1e-4 * 16)


def test_onnxruntime_and_numpy_are_enough(vae_bundle: Path) -> None:
    script = (
        "import sys, numpy as np, onnxruntime as ort\n"
        f"session = ort.InferenceSession({str(vae_bundle / 'sample.onnx')!r})\n"
        "noise = np.random.default_rng(0).standard_normal((4, 3), np.float32)\n"
        "[images] = session.run(['image'], {'noise': noise})\n"
        "assert images.shape == (4, 1, 8, 8) and images.max() > 4\n"
        "assert not {'netwright', 'torch'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_command_imports_no_torch(vae_bundle: Path, tmp_path: Path) -> None:
    given = ["sample", str(vae_bundle), "-o", str(tmp_path / "a.png")]
    script = (
        "import sys\nfrom netwright.cli import cli\n"
        f"cli({given!r}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# What a bundle says of its noise


def test_a_bundle_tells_its_noise(vae_bundle: Path) -> None:
    programs = load(vae_bundle, "cpu").manifest.programs
    drawn = {
        name: [n for n, p in prog.inputs.items() if p.noise] for name, prog in programs.items()
    }
    assert {name: inputs for name, inputs in drawn.items() if inputs} == {
        "sample": ["noise"],
        "score": ["noise"],
    }
    limits = {name: programs[name].outputs for name in ("sample", "reconstruct", "encode")}
    assert limits["sample"]["image"].range == [0, 16]
    assert limits["reconstruct"]["reconstruction"].range == [0, 16]
    assert limits["encode"]["mean"].range is None
    assert describe(vae_bundle).count("noise: float32[B, 3], drawn: standard normal numbers") == 2


def test_bundles_that_do_not_tell_it_still_load(vae_bundle: Path, tmp_path: Path) -> None:
    folder = changed(vae_bundle, tmp_path, lambda port: port.pop("noise", None))
    bundle = load(folder, "cpu")
    assert bundle.program("sample")(noise=normal(2))["image"].shape == (2, 1, 8, 8)
    assert "expected `noise` to be given" in told(lambda: sample(bundle, 2))
    assert sample(bundle, 2, given={"noise": normal(2)})["image"].shape == (2, 1, 8, 8)


def test_a_distribution_that_nobody_draws(vae_bundle: Path, tmp_path: Path) -> None:
    folder = changed(vae_bundle, tmp_path, lambda port: port.update(noise="cauchy"))
    with pytest.raises(NetwrightError, match="noise: Input should be 'normal' or 'uniform'"):
        load(folder)


def copied(bundle: Path, folder: Path) -> Path:
    made = folder / "bundle"
    made.mkdir()
    for path in bundle.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    return made


def changed(bundle: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a bundle whose manifest says something else of the inputs of `sample`."""
    made = copied(bundle, folder)
    manifest = json.loads((made / "manifest.json").read_text())
    for port in manifest["programs"]["sample"]["inputs"].values():
        change(port)
    (made / "manifest.json").write_text(json.dumps(manifest))
    return made


# Noise and sheets by themselves


def test_samples_get_the_same_noise_however_many_come_at_a_time() -> None:
    ports = {
        "a": Port(dtype="float32", shape=["B", "2*H", 3], noise="normal"),
        "x": Port(dtype="float32", shape=["B", "H"]),
        "b": Port(dtype="float32", shape=["B", 3], noise="normal"),
        "c": Port(dtype="float32", shape=["B"], noise="uniform"),
    }
    parts, whole = NoiseSource(ports, 4), NoiseSource(ports, 4).draw({"B": 7, "H": 1})
    drawn = [parts.draw({"B": count, "H": 1}) for count in (1, 4, 2)]
    for name in ("a", "b", "c"):
        np.testing.assert_array_equal(np.concatenate([part[name] for part in drawn]), whole[name])
    assert whole.keys() == {"a", "b", "c"}
    assert whole["a"].shape == (7, 2, 3)
    assert not np.array_equal(whole["a"][:, 0], whole["b"])
    assert whole["a"].min() < 0
    many = NoiseSource(ports, 4).draw({"B": 1000, "H": 1})["c"]
    assert 0 <= many.min() < 0.01
    assert 0.99 < many.max() < 1
    assert "nothing tells `H`" in told(lambda: NoiseSource(ports, 4).draw({"B": 7}))


def test_a_sheet_is_clipped_and_filled_with_white() -> None:
    images = np.array([-50, 0, 8, 16, 99], np.float32).reshape(5, 1, 1, 1) * np.ones((1, 3, 60, 60))
    pixels = np.asarray(opened(draw_sheet(images, [0, 16])))
    assert pixels.shape == (2 * 62 + 2, 3 * 62 + 2, 3)
    shown = [pixels[top, left, 0] for top in (30, 92) for left in (30, 92, 154)]
    assert shown == [0, 0, 128, 255, 255, 255]


def test_a_sheet_of_unknown_range_goes_from_its_smallest_to_its_largest() -> None:
    images = np.array([-50, 0, 50], np.float32).reshape(3, 1, 1, 1) * np.ones((1, 1, 60, 60))
    pixels = np.asarray(opened(draw_sheet(images, None, across=9)))
    assert [pixels[30, left] for left in (30, 92, 154)] == [0, 128, 255]


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_sheet_has_its_limits(vae_bundle: Path, tmp_path: Path) -> None:
    done = call(vae_bundle, tmp_path / "a.png", "--count", str(MOST + 1))
    assert done.exit_code == 1
    assert "expected at most 1,024 images to draw, found 1,025" in done.stderr
    image = Port(dtype="float32", shape=["B", 3, "H", 4])
    check_images({"a": image})
    with pytest.raises(NetwrightError, match="found 2 outputs"):
        check_images({"a": image, "b": image})
