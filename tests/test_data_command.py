"""`netwright data`: what it tells and draws, and that its suggestions are right."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.driver import check_source
from netwright.compiler.source import SourceFile
from netwright.runtime.data.spelling import flow, word
from netwright.runtime.data.statistics import numbers, of_each_class
from netwright.runtime.opening import read_data
from PIL import Image

NETWORK = """
networks:
  net:
    inputs: {image: {shape: [B, 3, 6, 5]}}
    layers: [{conv2d: {channels: 3, kernel: 1}}]
    outputs: y
"""


def npz(folder: Path, **changes: Any) -> Path:
    """A spec of 40 noisy images with a label and a number."""
    generator = np.random.default_rng(0)
    image = generator.integers([0, 50, 100], [100, 120, 200], (40, 6, 5, 3)).transpose(0, 3, 1, 2)
    arrays = {
        "image": image.astype(np.uint8),
        "label": np.arange(40) % 4 // 2,
        "age": generator.normal(40, 10, 40).astype(np.float32),
    }
    np.savez(folder / "a.npz", **{**arrays, **changes})
    spec = folder / "any.yaml"
    spec.write_text(
        "spec: v1\nname: any\ndata:\n  source: {npz: {path: a.npz}}\n  fields:\n"
        "    image: {shape: [B, 3, 6, 5], dtype: uint8, scale: [0, 1]}\n"
        "    label: {shape: [B], dtype: int64, classes: [cat, dog]}\n"
        "    age: {shape: [B], dtype: float32}\n" + NETWORK
    )
    return spec


def told(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["data", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def test_a_binarized_field_is_not_to_be_normalized(tmp_path: Path) -> None:
    spec = npz(tmp_path)
    spec.write_text(spec.read_text().replace("scale: [0, 1]", "scale: [0, 1], binarize: 0.4"))
    text = told(spec)
    assert "the network sees 1 where a value after `scale` is above 0.4, else 0" in text
    assert "image: {normalize" not in text


def test_it_tells_sizes_ranges_and_classes(tmp_path: Path) -> None:
    text = told(npz(tmp_path))
    assert re.search(r"^train +32 +3.26 kB +the file, read as needed$", text, re.M)
    assert re.search(r"^test +8 ", text, re.M)
    assert re.search(r"^  cat +16 +50.0%  █{32}$", text, re.M)
    assert "image: uint8 [B, 3, 6, 5]" in text
    assert "repeated: 0 training samples" in text


def test_its_normalize_gives_mean_0_and_deviation_1(tmp_path: Path) -> None:
    spec = npz(tmp_path)
    text = told(spec)
    lines = text[text.index("  fields:\n") :]
    fields = yaml.safe_load(lines)["fields"]
    assert len(fields["image"]["normalize"]["mean"]) == 3
    document = yaml.safe_load(spec.read_text())
    del document["data"]["fields"]["image"]["scale"]
    for name, settings in fields.items():
        document["data"]["fields"][name].update(settings)
    again = check_source(SourceFile("any.yaml", yaml.safe_dump(document)), tmp_path)
    assert not again.has_errors
    dataset = read_data(again, tmp_path)
    for name in ("image", "age"):
        shift, factor = (np.array(v) for v in dataset.fields[name].affine())
        values = dataset.parts["train"][name].whole().astype(float)
        if name == "image":
            shift, factor = shift.reshape(-1, 1, 1), factor.reshape(-1, 1, 1)
        seen = (values - shift) * factor
        axes = (0, 2, 3) if name == "image" else 0
        np.testing.assert_allclose(seen.mean(axis=axes), 0, atol=2e-3)
        np.testing.assert_allclose(seen.std(axis=axes), 1, atol=2e-3)
    spec.write_text(yaml.safe_dump(document))
    assert "normalize" not in told(spec)  # nothing is left to suggest


def test_repeated_samples_and_those_of_two_parts_are_told(tmp_path: Path) -> None:
    image = np.arange(40 * 90).reshape(40, 3, 6, 5) % 251
    image[:20] = image[20:]
    text = told(npz(tmp_path, image=image.astype(np.uint8), age=np.zeros(40, np.float32)))
    within = int(re.findall(r"repeated: (\d+) training", text)[0])
    shared = int(re.findall(r"shared: (\d+) test sample", text)[0])
    assert within + shared == 20
    assert "another `label`" not in text


def test_the_same_sample_with_two_labels_is_told(tmp_path: Path) -> None:
    image = np.zeros((40, 3, 6, 5), np.uint8)
    text = told(npz(tmp_path, image=image, age=np.zeros(40, np.float32)))
    assert "repeated: 31 training samples with the values of an earlier one, 16 of them" in text


def test_the_columns_of_a_table_have_their_names(tmp_path: Path) -> None:
    rows = "".join(f"{20 + i},5,{('no', 'yes')[i % 2]}\n" for i in range(20))
    (tmp_path / "a.csv").write_text("age,constant,answer\n" + rows)
    spec = tmp_path / "any.yaml"
    spec.write_text(
        "spec: v1\nname: any\ndata:\n  source: {csv: {path: a.csv, "
        "columns: {x: [age, constant], y: answer}}}\n"
        '  fields: {y: {classes: ["no", "yes"]}}\n'
        + NETWORK.replace("image", "x")
        .replace("[B, 3, 6, 5]", "[B, 2]")
        .replace("conv2d: {channels: 3, kernel: 1}", "linear: 2")
    )
    text = told(spec, "-o", tmp_path / "a.png")
    assert re.search(r"^  age +mean 29 +deviation 6.144$", text, re.M)
    assert re.search(r"^  constant +mean 5 +deviation 0$", text, re.M)
    rule = yaml.safe_load(text[text.index("  fields:") : text.index("\nwrote")])["fields"]["x"]
    assert rule["normalize"]["std"][1] == 1  # a constant is not stretched


def test_the_classes_of_folders_are_lines_to_paste(tmp_path: Path) -> None:
    for name in ("no", "big cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (5, 6), (number, 0, 0)).save(
                tmp_path / "pets" / name / f"{number}.png"
            )
    spec = tmp_path / "any.yaml"
    spec.write_text(
        "spec: v1\nname: any\ndata: {source: {image_folder: {path: pets, size: [6, 5]}}}\n"
        + NETWORK
    )
    text = told(spec)
    assert '    label: {classes: ["big cat", dog, "no"]}' in text
    assert "note:" not in text


def text_spec(folder: Path, settings: str) -> Path:
    spec = folder / "any.yaml"
    network = NETWORK.replace("image", "tokens").replace("[B, 3, 6, 5]", "[B, 8], dtype: int64")
    network = network.replace("conv2d: {channels: 3, kernel: 1}", "embedding: {size: 9, dim: 2}")
    spec.write_text(
        f"spec: v1\nname: any\ndata: {{source: {{text: {{window: 8, {settings}}}}}}}\n{network}"
    )
    return spec


def test_a_text_is_told_by_its_characters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("banana\tband\n" * 100)
    spec, picture = text_spec(tmp_path, "train: [a.txt]"), tmp_path / "a.png"
    text = told(spec, "-o", picture)
    assert "tokens: int64 [B, 8]; next: the same one character later" in text
    assert "  960 characters, 6 different ones, of a vocabulary of 6" in text
    assert "the most frequent: `a` 33.3%, `n` 25.0%, `b` 16.7%, `\\t` 8.3%, `\\n` 8.3%" in text
    assert "by these shares alone takes 2.36 bits, knowing nothing 2.58" in text
    assert "  it begins:\n    banana\\tband\n    banana\\tband\n" in text
    assert "classes" not in text
    assert picture.exists()


def test_a_short_text_is_told_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("banana band. nab")
    text = told(text_spec(tmp_path, "train: [a.txt]").with_name("any.yaml"), code=1)
    assert "expected at least 2 samples" in text
    (tmp_path / "a.txt").write_text("banana band. nab a band")
    assert "  it begins:\n    banana b\n" in told(tmp_path / "any.yaml")


def test_a_thousand_characters_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(chr(0x4E00 + index) for index in range(1_000)) * 5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of letters that matplotlib's font lacks
        text = told(text_spec(tmp_path, "train: [a.txt]"), "-o", tmp_path / "a.png")
    assert "of a vocabulary of 1,000" in text
    assert len(text) < 2_000


def test_bytes_are_told_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"abb\xff" * 100)
    text = told(text_spec(tmp_path, "train: [a.txt], unit: byte"))
    assert "the most frequent: `b` 50.0%, `a` 25.0%, `\\xff` 25.0%" in text
    assert "of a vocabulary of 256" in text


def test_the_checksum_of_a_package_is_told(tmp_path: Path) -> None:
    package = f"{{name: click, version: {metadata.version('click')}}}"
    spec = text_spec(tmp_path, f"train: [click/*.py], unit: byte, package: {package}")
    found = re.findall(r"for the spec's `package`: `(sha256: \"?[0-9a-f]{64}\"?)`", told(spec))
    assert len(found) == 1
    spec.write_text(spec.read_text().replace(package, package.replace("}", f", {found[0]}}}")))
    assert found[0] in told(spec)


def test_the_picture_shows_samples(tmp_path: Path) -> None:
    spec, picture = npz(tmp_path), tmp_path / "samples.png"
    assert f"wrote {picture}" in told(spec, "-o", picture)
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    # The mean colour of the noise stands where images do, and nowhere else in a white picture.
    blue = (pixels[..., 2] - pixels[..., 0] > 60) & (pixels[..., 0] > 0)
    assert blue.mean() > 0.05


def test_mistakes_in_the_data_are_told(tmp_path: Path) -> None:
    assert "F601" in told(npz(tmp_path, label=np.full(40, 7)), code=1)
    spec = npz(tmp_path)
    (tmp_path / "a.npz").unlink()
    assert "F602" in told(spec, code=1)
    assert "train" in told(spec.with_name("any.yaml"), "--data-dir", folder(tmp_path / "elsewhere"))
    spec.write_text("spec: v1\nname: any\n" + NETWORK)
    assert "S102" in told(spec, code=1)


def folder(path: Path) -> Path:
    path.mkdir()
    npz(path)
    return path


PROBE = """
import sys
from netwright.cli import cli
try:
    cli(["data", *sys.argv[1:]], prog_name="netwright")
except SystemExit as stop:
    assert not stop.code, stop.code
print([name for name in ("torch", "onnxruntime") if name in sys.modules])
"""


def test_networks_that_do_not_fit_yet_are_no_obstacle(tmp_path: Path) -> None:
    spec = npz(tmp_path)
    spec.write_text(spec.read_text().replace("conv2d", "cnv"))
    result = CliRunner().invoke(cli, ["data", str(spec)])
    assert result.exit_code == 0, result.output
    assert "other sections of the spec have mistakes" in result.output
    assert "normalize" in result.output
    spec.write_text(spec.read_text().replace("uint8", "uint9"))
    result = CliRunner().invoke(cli, ["data", str(spec)])
    assert result.exit_code == 1
    assert "uint9" in result.output


def test_it_needs_no_torch(tmp_path: Path) -> None:
    arguments = [str(npz(tmp_path)), "-o", str(tmp_path / "a.png")]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


@pytest.mark.parametrize("along", [False, True])
def test_means_and_deviations_of_chunks_are_those_of_all(along: bool) -> None:
    from netwright.runtime.data.columns import ArrayColumn

    values = np.random.default_rng(1).normal(1e4, 0.1, (1000, 3, 7))
    values[:, 1] += 5

    class Small(ArrayColumn):
        def chunks(self, size: int | None = None) -> Any:
            return super().chunks(size or 130)

    found = numbers(Small(values), axis=1 if along else None)
    axes = (0, 2) if along else (0, 1, 2)
    np.testing.assert_allclose(found.mean, values.mean(axis=axes))
    np.testing.assert_allclose(found.std, values.std(axis=axes), rtol=1e-6)
    np.testing.assert_allclose(found.whole(), (values.mean(), values.std()), rtol=1e-9)
    assert (found.low, found.high) == (values.min(), values.max())


def test_samples_of_each_class() -> None:
    labels = np.array([0] * 50 + [1] * 2 + [3] * 50)
    chosen = labels[of_each_class(labels, 8)]
    assert chosen.tolist() == [0, 0, 0, 1, 1, 3, 3, 3]
    assert len(set(of_each_class(labels, 1000))) == 102


@pytest.mark.parametrize(
    "text", ["cat", "no", "ON", "a b", "10", "1e3", "", "x: y", "a'b", "é", "~"]
)
def test_words_are_read_back_as_texts(text: str) -> None:
    assert yaml.safe_load(flow({"classes": [text]})) == {"classes": [text]}
    assert yaml.safe_load(f"[{word(text)}]") == [text]
