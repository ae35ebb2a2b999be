"""`run`: what comes after training: export with proof, and a prediction from the ONNX file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..compiler.diagnostics import Code, failure
from .bundle import Bounds, Port
from .export import ExportResult, export_run
from .lock import holder
from .number_text import figures_text
from .opening import open_run, read_data
from .runs import SOURCE, is_run, read_run
from .session import load
from .train import TrainResult


def remove_run(folder: Path) -> None:
    """Delete a run, to make room for another one.

    Raises: NetwrightError: R903: the folder is no run, or it can't be deleted.
    """
    if not folder.exists():
        return
    if not is_run(folder):
        raise failure(
            Code.R903,
            f"expected a run to replace, found `{folder}` with other content",
            help="choose another folder with `-o`",
        )
    if holder(folder):
        raise failure(
            Code.R903,
            f"expected a run to replace, found that {holder(folder)} trains in `{folder}`",
            help="choose another folder with `-o`, or wait until it is done",
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise failure(
            Code.R903, f"expected to delete `{folder}`, found: {error.strerror or error}"
        ) from error


def finish(result: TrainResult) -> Iterator[str]:
    """Export a finished run and use its bundle; the lines tell what was made and where."""
    for part, figures in result.metrics.items():
        yield f"{part}: {figures_text(figures, ', ')}"
    exported = export_run(result.folder)
    yield from exported.lines()
    yield from _demonstration(result, exported)
    yield f"source: {result.folder / SOURCE}"
    yield from (f"{kind}: {path}" for kind, path in result.files.items())
    if shown := next((name for name in SHOWN if name in exported.files), None):
        yield from _snippet(exported, shown)


def _demonstration(result: TrainResult, exported: ExportResult) -> Iterator[str]:
    """What the bundle answers, in ONNX Runtime."""
    from .deployed.registry import deployed

    compilation = open_run(result.folder)
    dataset = read_data(compilation, Path(read_run(result.folder)["data"]))
    yield from deployed(compilation).demonstrate(compilation, load(exported.folder, "cpu"), dataset)


SHOWN = ("predict", "sample", "reconstruct")
"""The programs that are shown at work, the first that there is."""


def _snippet(exported: ExportResult, name: str) -> Iterator[str]:
    """Three lines of Python that need numpy and onnxruntime alone."""
    program = exported.manifest.programs[name]
    symbols = exported.manifest.symbols
    lengths = {port.lengths for port in program.inputs.values()}
    feeds = ", ".join(
        f'"{given}": {_array(port, symbols, "ones" if given in lengths else "zeros")}'
        for given, port in program.inputs.items()
    )
    yield "run it anywhere with numpy and onnxruntime alone:"
    yield "  import numpy as np, onnxruntime as ort"
    yield f'  session = ort.InferenceSession("{exported.files[name]}")'
    yield f"  print(session.run(None, {{{feeds}}}))"


def _array(port: Port, symbols: Mapping[str, Bounds], maker: str) -> str:
    """An array of the smallest sizes that are allowed. maker: `zeros`; `ones` for lengths."""
    sizes = {name: -(-b.min // b.multiple_of) * b.multiple_of for name, b in symbols.items()}
    shape = tuple(size if isinstance(size, int) else sizes.get(size, 1) for size in port.shape)
    return f'np.{maker}({shape}, "{port.dtype}")'
