"""Every spec of the zoo goes all the way on made-up data: compile, train, export, predict."""

from __future__ import annotations

import gzip
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from netwright.compiler.driver import Compilation, check
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.language.params import Choices
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.image_sources import ImageFolder
from netwright.compiler.objectives.sources import Idx, Npz, Series
from netwright.compiler.render import render
from netwright.runtime.bundle import Port, read_manifest
from netwright.runtime.export import export_run
from netwright.runtime.opening import input_fields
from netwright.runtime.session import load
from netwright.runtime.train import train
from PIL import Image

from tests.zoo import SPECS

SAMPLES = 12
BATCH = 2
STEPS = 2

SMALLER = {"vgg16_bn": {"shallow": "1", "deep": "1"}}
"""Parameters to set where images of 224 x 224 would take long."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone after the test: some runs are hundreds of megabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_from_spec_to_prediction(path: Path, folder: Path) -> None:
    spec = folder / path.name
    spec.write_text(shortened(path.read_text(encoding="utf-8")), encoding="utf-8")
    compilation = check(spec, Choices(values=SMALLER.get(path.stem, {})))
    assert not compilation.has_errors, render(compilation.diagnostics, "text")
    compile(compilation.source, "model.py", "exec")
    write_data(compilation, folder)

    result = train(compilation, output=folder / "run", device="cpu")
    assert (result.step, result.signal) == (STEPS, None)
    assert all(np.isfinite(v) for part in result.metrics.values() for v in part.values())

    exported = export_run(folder / "run")
    assert exported.manifest.parity["largest"] <= compilation.spec.export.tolerance
    predicts(compilation, exported.folder)


def predicts(compilation: Compilation, folder: Path) -> None:
    """The bundle answers raw samples, with probabilities that add up to 1."""
    manifest, bundle = read_manifest(folder), load(folder, "cpu")
    assert manifest.name == compilation.spec.name
    fields = input_fields(compilation)
    for name in {"predict", "reconstruct", "score", "sample"} & manifest.programs.keys():
        ports = manifest.programs[name].inputs
        answer = bundle.program(name)(**inputs(ports, fields, compilation.spec.dims))
        assert all(np.isfinite(values).all() for values in answer.values())
        for output, about in manifest.probabilities.items():
            np.testing.assert_allclose(answer[output].sum(axis=about.axis), 1, atol=1e-5)


def inputs(
    ports: Mapping[str, Port], fields: Mapping[str, Field], dims: Mapping[str, Symbol]
) -> dict[str, np.ndarray]:
    """Two samples of what a program takes; zeros where no field says what it is, as of noise."""
    read = {name: fields[name] for name in ports if name in fields}
    given = {name: sample(field, 2, dims) for name, field in read.items()}
    for name, field in read.items():
        if field.lengths in given:
            given[field.lengths] = np.full(2, given[name].shape[1])
    others = {name: port for name, port in ports.items() if name not in fields}
    zeros = {n: np.zeros([2, *p.shape[1:]], np.float32) for n, p in others.items()}
    return {**given, **zeros}


def shortened(text: str) -> str:
    """A spec with the same sections whose run is two small steps."""
    text = re.sub(r"(?m)^  batch: \d+$", f"  batch: {BATCH}", text)
    text = re.sub(r"(?m)^  (epochs|steps): \d+$", f"  steps: {STEPS}", text)
    text = re.sub(r"discriminator_steps: \d+", f"discriminator_steps: {STEPS}", text)
    text = re.sub(r"\badding: {", f"adding: {{samples: {SAMPLES}, test_samples: {SAMPLES}, ", text)
    text = re.sub(r"samples: \d{4,}", f"samples: {SAMPLES}", text)
    text = re.sub(r"dataset: \w+", "path: series.csv", text)
    text = re.sub(r"warmup: \d+", "warmup: 1", text)
    # One stage begins before each step but the first.
    text = re.sub(r"values: \[\d, \d, \d\], steps: \[.*?\]", "values: [0, 2], steps: [1]", text)
    # Batch norm over two samples makes gradients a thousand times too large.
    text = re.sub(r"\blr: [\d.e-]+", "lr: 1e-7", text)
    # After two steps the statistics fit nothing yet, and torch's own float32 is off by 0.003 of the
    # largest logit of mobilenet_v2; tests/test_zoo.py holds good weights to 1e-5.
    text += "export: {tolerance: 0.02}\n"
    # Linear layers of 100 million weights cost time alone.
    narrow = re.sub(r"\b4096\b", "64", text)
    return text if narrow == text else re.sub(r"(?m)^expect:\n(?:  .*\n)+", "", narrow)


def write_data(compilation: Compilation, folder: Path) -> None:
    """The files that the spec's source names, with random contents that its fields allow."""
    assert compilation.spec.data
    source, dims = compilation.spec.data.source, compilation.spec.dims
    fields = compilation.fields
    count = max(SAMPLES, *(field.class_total or 0 for field in fields.values()))
    arrays = {name: sample(field, count, dims) for name, field in fields.items()}
    if isinstance(source, Npz):
        for name in source.paths():
            np.savez(folder / name, **arrays)
    if isinstance(source, Series):
        write_series(folder / "series.csv", source)
    if isinstance(source, ImageFolder):
        write_images(folder / source.path, arrays["image"])
    if isinstance(source, Idx):
        for files in (source.train, source.test or []):
            for file, array in zip(files, arrays.values(), strict=True):
                write_idx(folder / file, array)


def write_images(folder: Path, images: np.ndarray) -> None:
    """A file for each of images [N, 3, H, W]."""
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number}.png")


def write_series(path: Path, source: Series) -> None:
    """A series of some windows, with whole numbers as times."""
    rows = np.random.default_rng(0).normal(size=(source.span + 3 * SAMPLES, len(source.used)))
    names = [source.time or "t", *source.used]
    lines = [",".join(map(str, [number, *row])) for number, row in enumerate(rows)]
    path.write_text("\n".join([",".join(names), *lines]), encoding="utf-8")


def sample(field: Field, count: int, dims: Mapping[str, Symbol]) -> np.ndarray:
    """Raw values of a field, at the least sizes that its symbols allow."""
    least = {name: -(-d.min // d.multiple_of) * d.multiple_of for name, d in dims.items()}
    shape = [({**least, "B": count}[s] if isinstance(s, str) else s) for s in field.shape or []]
    generator = np.random.default_rng(0)
    top = field.class_total or 1 + int(field.range[1] if field.range else 255)
    top = max(top, 2)
    values = generator.integers(0, top, shape)
    if field.classes and len(shape) == 1:
        values = np.arange(count) % top  # no class may be without a sample
    return values.astype(field.dtype)


def write_idx(path: Path, array: np.ndarray) -> None:
    """A gzipped IDX file of bytes; the channel axis of images is left out, as MNIST has it."""
    array = array.astype(np.uint8).reshape(
        [n for i, n in enumerate(array.shape) if i == 0 or n > 1]
    )
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.tobytes())
