"""`inspect`: what is in a run, a bundle or an ONNX file, as text. Torch-free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..compiler.diagnostics import Code, failure
from ..compiler.suggest import listing, visible
from .bundle import (
    Bounds,
    Manifest,
    OpenedBundle,
    Port,
    Reading,
    SeriesForm,
    is_bundle,
    open_bundle,
)
from .checkpoint import Damaged, folder_of, steps, verified_files
from .files import read_json
from .history import read_history
from .number_text import figures_text
from .outcome import BEGAN, Outcome, outcome_of
from .runs import SUMMARY, is_run, read_run
from .stages import kept, kept_stages

MOST_LABELS = 12


def describe(path: Path) -> str:
    """What is at a path, for people.

    Raises: NetwrightError: B801, R901: it is damaged; R903: it is nothing of ours.
    """
    if is_run(path):
        return "\n".join(_run(path))
    if is_bundle(path):
        return "\n".join(_bundle(open_bundle(path)))
    if path.is_file():
        return "\n".join(_model(path))
    raise failure(
        Code.R903,
        f"expected a run, a bundle or an ONNX file, found the folder `{path}`",
        help="name a folder that `netwright train` or `netwright export` made",
    )


def _run(folder: Path) -> Iterator[str]:
    record, history = read_run(folder), read_history(folder)
    yield f"run of {record.get('name')}: {folder}"
    yield from _table(
        {
            "spec": f"{record.get('spec')}  sha256 {str(record.get('spec_sha256'))[:12]}",
            "device": record.get("device"),
            "data": record.get("data"),
            "made with": _versions(record.get("versions")),
            **_ending(outcome_of(folder)),
        }
    )
    if history:
        last = history[-1]
        yield f"  epochs done  {last['epoch']} ({last['step']:,} steps)"
    yield "checkpoints"
    for step in steps(folder):
        yield f"  step {step:,}: {_state(folder_of(folder, step))}"
    yield from _stages(folder)
    if (folder / SUMMARY).is_file():
        yield from _summary(folder / SUMMARY)


def _stages(run: Path) -> Iterator[str]:
    """What a run that grows keeps of its earlier stages."""
    for stage in (kept(run, number) for number in kept_stages(run)):
        for step in steps(stage):
            state = _state(folder_of(stage, step))
            yield f"  end of stage {stage.name}, step {step:,}: {state}"


def _ending(outcome: Outcome) -> dict[str, str]:
    return {"ended": str(outcome)} | ({"because": outcome.why} if outcome.why else {})


def _state(checkpoint: Path) -> str:
    try:
        names = verified_files(checkpoint)
    except Damaged as reason:
        return f"damaged: {reason}"
    size = sum((checkpoint / name).stat().st_size for name in names)
    return f"whole, {_size(size)}"


def _summary(path: Path) -> Iterator[str]:
    try:
        summary = read_json(path)
        yield f"result: the {summary['chosen']} checkpoint, of step {summary['step']:,}"
        yield from _metrics(summary["metrics"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise failure(
            Code.R901,
            f"`{path}` is damaged: {error}",
            help="write it anew with `netwright train --resume`",
        ) from error


def _bundle(bundle: OpenedBundle) -> Iterator[str]:
    manifest = bundle.manifest
    yield f"bundle of {manifest.name}: {bundle.folder} (every file is as its manifest says)"
    if manifest.summary:
        yield f"  {manifest.summary}"
    if manifest.stage:
        yield f"  the stage of its spec with the value {manifest.stage}"
    if manifest.outcome:
        yield f"  trained {_trained(manifest)}; the run {manifest.outcome}"
    for name, program in manifest.programs.items():
        chunks = f", one chunk of {program.time} at a time" if program.time else ""
        yield f"program {name}: {program.file}, {_size(manifest.files[program.file].bytes)}{chunks}"
        for port, kind in program.own_inputs().items():
            yield f"  input   {port}: {kind}{_drawn(kind)}"
        yield from (f"  output  {port}: {kind}" for port, kind in program.own_outputs().items())
        for given, made in program.states.items():
            yield f"  state   {given}: {program.inputs[given]}, from the chunk before: {made}"
        yield from (f"  {symbol} is {_bounds(b)}" for symbol, b in program.symbols.items())
        for port, kind in program.inputs.items():
            if kind.classes:
                yield f"  classes of {port}: {_shortened(kind.classes)}"
    for name, bounds in manifest.symbols.items():
        yield f"  {name} is {_bounds(bounds)}"
    yield from _reading(manifest.reading)
    for output, names in manifest.labels.items():
        yield f"  classes of {output}: {_shortened(names)}"
    yield from _metrics(manifest.metrics)
    yield from _parity(manifest.parity)
    yield f"made with {_versions(manifest.versions)}"


def _drawn(port: Port) -> str:
    """What an input is that nobody gives."""
    words = {"normal": "standard normal numbers", "uniform": "numbers from 0 to below 1"}
    return f", drawn: {words[port.noise]}" if port.noise else ""


def _trained(manifest: Manifest) -> str:
    """`0 of 960 steps, the weights it began with`."""
    total = "" if manifest.total_steps is None else f" of {manifest.total_steps:,}"
    began = "" if manifest.step else f", {BEGAN}"
    return f"{manifest.step:,}{total} steps{began}"


def _reading(reading: Reading) -> Iterator[str]:
    """The files that become inputs, besides those that hold them by their names."""
    for name, form in reading.images.items():
        size = f"{form.size[1]} wide and {form.size[0]} high"
        yield f"  {name} from image files: {form.mode}, {size} by {form.fit}"
    for name, columns in (reading.table.columns if reading.table else {}).items():
        names = [columns] if isinstance(columns, str) else columns
        word = "columns" if len(names) > 1 else "column"
        yield f"  {name} from the {word} {listing(names, MOST_LABELS)} of tables"
    if reading.series:
        yield from _series(reading.series)
    for name, array in reading.arrays.items():
        yield f"  {name} from the array `{array}` of npz files"


def _series(form: SeriesForm) -> Iterator[str]:
    named = listing(form.columns, MOST_LABELS)
    yield f"  past from the last {form.window:,} rows of tables, columns {named}"
    if form.time:
        yield f"  times from the column `{form.time}`"
    if form.group:
        yield f"  a series for each word in the column `{form.group}`"


def _bounds(bounds: Bounds) -> str:
    text = f"at least {bounds.min}"
    if bounds.max is not None:
        text = f"{bounds.min} to {bounds.max}"
    return text + (f", a multiple of {bounds.multiple_of}" if bounds.multiple_of > 1 else "")


def _parity(parity: Mapping[str, Any]) -> Iterator[str]:
    largest, tolerance = parity.get("largest"), parity.get("tolerance")
    if isinstance(largest, float) and isinstance(tolerance, float):
        yield (
            f"proof: torch and ONNX Runtime differ by at most {largest:.1e} of the "
            f"largest output ({tolerance:g} allowed)"
        )


def _model(path: Path) -> Iterator[str]:
    """An ONNX file, read without its external data."""
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's errors are those of its own packages
        raise failure(
            Code.R903, f"expected an ONNX file, found something else: `{path}`", notes=[str(error)]
        ) from error
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)
    yield f"ONNX model {model.graph.name}: {path}, {_size(path.stat().st_size)}"
    yield from _table(
        {
            "made by": f"{model.producer_name} {model.producer_version}".strip(),
            "opset": f"{opsets}, IR version {model.ir_version}",
            **{p.key: _shorter(p.value) for p in model.metadata_props},
        }
    )
    own = {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in own]
    yield from (f"  input   {_typed(onnx, value)}" for value in inputs)
    yield from (f"  output  {_typed(onnx, value)}" for value in model.graph.output)
    counts = Counter(node.op_type for node in model.graph.node)
    yield f"{len(model.graph.node)} nodes: {_counted(counts)}"
    numbers = sum(_elements(initializer.dims) for initializer in model.graph.initializer)
    yield f"{len(own)} tensors with {numbers:,} numbers"


def _typed(onnx: Any, value: Any) -> str:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else "?"
    sizes = (d.dim_param or str(d.dim_value) for d in tensor.shape.dim)
    return f"{value.name}: {dtype}[{', '.join(sizes)}]"


def _elements(dims: Iterable[int]) -> int:
    count = 1
    for size in dims:
        count *= size
    return count


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _table(rows: Mapping[str, object]) -> Iterator[str]:
    width = max(len(name) for name in rows)
    return (f"  {name:<{width}}  {value}" for name, value in rows.items())


def _metrics(metrics: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    for part, figures in metrics.items():
        yield f"{part}: {figures_text(figures, ', ')}"


def _versions(versions: object) -> str:
    if not isinstance(versions, Mapping):
        return "unknown"
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _shortened(names: list[str]) -> str:
    more = f", ... ({len(names)})" if len(names) > MOST_LABELS else ""
    return ", ".join(map(visible, names[:MOST_LABELS])) + more


def _shorter(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."


def _size(count: int) -> str:
    """`378,577 bytes`, `97.8 MB`."""
    return f"{count:,} bytes" if count < 10_000_000 else f"{count / 1e6:,.1f} MB"
