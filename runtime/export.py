"""From a checkpoint to a bundle: passes, ONNX, proof, manifest. Written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import TypeAdapter

from ..compiler.diagnostics import Code, failure
from ..compiler.driver import Compilation
from ..compiler.growing import trained
from ..compiler.ir.graph import Graph
from ..compiler.objectives.fields import Normalize
from ..compiler.passes.pipeline import run_passes
from .bundle import (
    BUNDLE,
    FORMAT,
    MANIFEST,
    SPEC,
    WEIGHTS,
    Bounds,
    FileRecord,
    Manifest,
    Metrics,
    Program,
)
from .bundle_target import check_target
from .checkpoint import load_weights, steps
from .chunk_parity import Whole, compare_chunks
from .draws import judge_of
from .files import make_folder, new_folder, read_json, sha256, write_json, write_text, writing
from .history import read_history
from .memory import enough_memory
from .opening import check_trainable, input_fields, objective_of, open_run, open_stages
from .outcome import Outcome, outcome_of
from .parity import check_parity, compare_program
from .runs import SUMMARY, versions
from .signature import probabilities, program_signature, reading, symbol_bounds
from .stages import find_stage, half_faded, kept, kept_step, value_of
from .weights import check_weights, for_onnx

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ExportResult:
    """A bundle that was written. files: its ONNX files by program."""

    folder: Path
    files: Mapping[str, Path]
    manifest: Manifest

    def lines(self) -> Iterator[str]:
        """What happened, for people."""
        proof = self.manifest.parity
        cases = len({(c["program"], str(c["sizes"])) for c in proof["cases"]})
        yield (
            f"torch and ONNX Runtime agree to {proof['largest']:.1e} of the largest output "
            f"({cases} sizes, {proof['tolerance']:g} allowed)"
        )
        for name, chunks in self._chunked().items():
            yield f"{name}, chunk by chunk, gives what predict gives on the whole, to {chunks:.1e}"
        for name, path in self.files.items():
            program = self.manifest.programs[name]
            inputs = ", ".join(f"{port} {kind}" for port, kind in program.own_inputs().items())
            outputs = ", ".join(f"{port} {kind}" for port, kind in program.own_outputs().items())
            states = f", states: {', '.join(program.states)}" if program.states else ""
            size = self.manifest.files[program.file].bytes
            yield f"program {name}: {inputs} -> {outputs}{states}"
            yield f"wrote {path} ({size:,} bytes)"
        yield f"bundle: {self.folder}"

    def _chunked(self) -> dict[str, float]:
        """The largest relative difference of each program that runs in chunks."""
        found: dict[str, float] = {}
        for case in self.manifest.parity["cases"]:
            if "chunks" in case:
                name = case["program"]
                found[name] = max(found.get(name, 0.0), case["relative"])
        return found


def export_run(
    run: Path,
    *,
    output: Path | None = None,
    opset: int | None = None,
    with_weights: bool = False,
    stage: str | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> ExportResult:
    """Export the checkpoint that a run was tested with; the newest one if it is not finished.

    Args:
        output: the bundle's folder; None for `<run>/bundle`. A bundle there is replaced, unless
            other files stand in it.
        opset: None for the spec's. with_weights: add the trained tensors by their names.
        stage: of a run that grows, the value of its parameter; None for the newest stage. The
            bundle of an earlier one is `<run>/stages/<number>/bundle`, unless asked for elsewhere.
        warn: told where the run did not finish, and of which step the bundle therefore is.
    Raises: NetwrightError: R901, R902: the run. X701: torch and ONNX Runtime differ.
        X702: an operator can't be exported. R903: the folder is taken, or the disk fails.
        E202: there is no such stage.
    """
    state = _newest(run) if stage is None else _of_stage(run, stage)
    outcome = outcome_of(run)
    if state.folder == run and (limits := outcome.limits(state.step)):
        warn(limits)
    if half := half_faded(state.compilation, state.step):
        warn(half)
    weights = load_weights(state.folder, state.step)
    check_weights(trained(state.compilation), weights, run)
    return export_weights(
        state.compilation,
        for_onnx(weights),
        output or state.folder / BUNDLE,
        metrics=state.metrics,
        step=state.step,
        outcome=outcome,
        opset=opset,
        with_weights=with_weights,
    )


@dataclass(frozen=True)
class _State:
    """What is exported of a run. folder: the run's, or that in which it keeps an earlier stage."""

    compilation: Compilation
    folder: Path
    step: int
    metrics: Metrics


def _newest(run: Path) -> _State:
    return _State(open_run(run), run, *tested_step(run))


def _of_stage(run: Path, value: str) -> _State:
    """Raises: NetwrightError: E202: there is no such stage. R901: the run has not ended it."""
    compilation = find_stage(open_stages(run), value)
    if compilation.stage == open_run(run).stage:
        return _newest(run)
    assert compilation.stage is not None
    step = kept_step(run, compilation)
    measured = [r["validation"] for r in read_history(run) if r["step"] == step]
    metrics = {"validation": measured[0]} if measured and measured[0] else {}
    return _State(compilation, kept(run, compilation.stage), step, metrics)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).splitlines()[:3])


def tested_step(run: Path) -> tuple[int, Metrics]:
    """The step that a finished run chose and its figures; else the newest checkpoint's step.

    Raises: NetwrightError: R901: there is no checkpoint.
    """
    found = steps(run)
    if not found:
        raise failure(
            Code.R901,
            f"expected a checkpoint in `{run}`, found none",
            help="train it with `netwright train`",
        )
    if not (run / SUMMARY).is_file():
        return found[0], {}
    try:
        summary = read_json(run / SUMMARY)
        step, metrics = (
            int(summary["step"]),
            TypeAdapter(Metrics).validate_python(summary["metrics"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise failure(
            Code.R901,
            f"`{run / SUMMARY}` is damaged: {_first_line(error)}",
            help="write it anew with `netwright train --resume`",
        ) from error
    return step, metrics


@enough_memory("the export")
def export_weights(
    compilation: Compilation,
    weights: Arrays,
    output: Path,
    *,
    metrics: Metrics | None = None,
    step: int = 0,
    outcome: Outcome | None = None,
    opset: int | None = None,
    with_weights: bool = False,
) -> ExportResult:
    """Export a compiled spec with given weights.

    Args:
        compilation: with what its data gave; see `opening.completed`.
        weights: `<network>.<tensor>` -> array, of every network that a program calls.
        metrics: figures to record, by part of the data. step: how many steps the weights took.
        outcome: how their run came to its end, to record; None where no run made them.
    """
    check_trainable(compilation)
    _check_measured(compilation)
    check_target(output)
    programs = _chosen(compilation)
    with new_folder(output) as draft:
        for name, program in programs.items():
            graph, used = run_passes(program, weights)
            _write_model(compilation, name, graph, used, draft, opset)
        parity = _prove(compilation, programs, weights, draft)
        _write_spec(compilation, draft)
        if with_weights:
            _write_weights(weights, draft / WEIGHTS)
        manifest = _manifest(compilation, programs, draft, parity, metrics or {}, step, outcome)
        write_json(draft / MANIFEST, manifest.model_dump())
    files = {name: output / _file(name) for name in programs}
    return ExportResult(output, files, manifest)


def _chosen(compilation: Compilation) -> dict[str, Graph]:
    wanted = compilation.spec.export.programs or list(compilation.programs)
    return {name: compilation.programs[name] for name in wanted}


def _file(program: str) -> str:
    return f"{program}.onnx"


def _write_model(
    compilation: Compilation,
    name: str,
    graph: Graph,
    weights: Arrays,
    draft: Path,
    opset: int | None,
) -> None:
    from ..compiler.backends.onnx_model import build_model, save_model

    metadata = {
        "name": compilation.spec.name,
        "program": name,
        "spec_sha256": compilation.spec_hash,
        "labels": json.dumps(compilation.labels),
    }
    chosen = opset or compilation.spec.export.opset
    model = build_model(graph, weights, opset=chosen, metadata=metadata, name=name)
    save_model(model, draft / _file(name))
    _check_model(draft / _file(name))


def _check_model(path: Path) -> None:
    """ONNX's own checker; what it finds is a fault of the export, not of the user."""
    import onnx

    onnx.checker.check_model(path, full_check=True)


def _prove(
    compilation: Compilation, programs: Mapping[str, Graph], weights: Arrays, draft: Path
) -> dict[str, Any]:
    from .torch_programs import torch_programs

    in_torch, fields = torch_programs(compilation, weights), input_fields(compilation)
    judge = judge_of(compilation.programs, in_torch)
    comparisons = [
        comparison
        for name, program in programs.items()
        for comparison in compare_program(
            program, draft / _file(name), in_torch[name], fields, judge
        )
    ]
    for program in (program for program in programs.values() if program.time):
        whole = Whole(
            compilation.programs["predict"], draft / _file("predict"), in_torch["predict"]
        )
        comparisons += compare_chunks(program, draft / _file(program.name), whole, fields)
    return check_parity(comparisons, compilation.spec.export.tolerance)


def _write_spec(compilation: Compilation, draft: Path) -> None:
    write_text(draft / SPEC, compilation.resolved)
    for name, text in compilation.libraries.items():
        make_folder((draft / name).parent)
        write_text(draft / name, text)


def _write_weights(weights: Arrays, path: Path) -> None:
    from safetensors.numpy import save_file

    with writing(path):
        save_file(dict(weights), path)


def _manifest(
    compilation: Compilation,
    programs: Mapping[str, Graph],
    draft: Path,
    parity: dict[str, Any],
    metrics: Metrics,
    step: int,
    outcome: Outcome | None,
) -> Manifest:
    paths = sorted(path for path in draft.rglob("*") if path.is_file())
    inputs = {value.name for program in programs.values() for value in program.inputs}
    outputs = {output for program in programs.values() for output in program.outputs}
    inputs &= compilation.fields.keys()  # others are no data, such as states and noise
    symbols = symbol_bounds(programs.values())
    data = compilation.spec.data
    assert data, "what can be trained has data"
    return Manifest(
        format=FORMAT,
        name=compilation.spec.name,
        summary=compilation.spec.summary,
        spec_sha256=compilation.spec_hash,
        files={path.relative_to(draft).as_posix(): _record(path) for path in paths},
        programs=_signatures(compilation, programs, symbols),
        symbols=symbols,
        reading=reading(data.source, inputs),
        labels={name: list(c) for name, c in compilation.labels.items() if name in outputs},
        statistics=_statistics(compilation),
        stage=value_of(compilation),
        probabilities={n: p for n, p in probabilities(compilation).items() if n in outputs},
        parity=parity,
        metrics=metrics,
        step=step,
        total_steps=outcome.total_steps if outcome else None,
        outcome=outcome.predicate if outcome else "",
        versions=versions("torch", "onnx", "onnx-ir", "onnxruntime-gpu", "onnxruntime", "numpy"),
    )


def _signatures(
    compilation: Compilation, programs: Mapping[str, Graph], symbols: Mapping[str, Bounds]
) -> dict[str, Program]:
    objective, fields = objective_of(compilation), compilation.fields
    like = {output: fields[name] for output, name in objective.imitated(fields).items()}
    held = input_fields(compilation)
    return {
        name: program_signature(
            graph, _file(name), held, symbols, objective.noise_inputs(name), like
        )
        for name, graph in programs.items()
    }


def _statistics(compilation: Compilation) -> dict[str, Normalize]:
    """Field -> what training measured to normalize it by."""
    pairs = ((name, field.normalize) for name, field in compilation.fields.items())
    return {name: normalize for name, normalize in pairs if normalize and normalize.measured}


def _check_measured(compilation: Compilation) -> None:
    """Refuse to write programs with constants that stand in for what is to be measured."""
    for name, field in compilation.fields.items():
        if field.awaits_data:
            raise failure(
                Code.R901,
                f"expected the mean and deviation of `{name}` in training samples, found a spec "
                "alone",
                help="export a run, which has measured them",
            )


def _record(path: Path) -> FileRecord:
    return FileRecord(bytes=path.stat().st_size, sha256=sha256(path))
