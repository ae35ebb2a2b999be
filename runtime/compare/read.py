"""What one run's folder tells of it, as far as it can be read. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from ...compiler.diagnostics import NetwrightError
from ...compiler.driver import Compilation, compile_spec
from ...compiler.objectives.parameter_rules import trained_count
from ...compiler.objectives.training import Training
from ..checkpoint import steps
from ..files import read_json
from ..history import Record, read_history
from ..opening import as_recorded
from ..outcome import Outcome, readable_outcome
from ..runs import PLAN, SPEC, SUMMARY, read_run
from ..stages import used_stage
from .settings import Settings, settings_of

Status = Literal["finished", "running", "stopped", "diverged", "cut off"]


@dataclass(frozen=True)
class Span:
    """A figure over a run: its best value and the step of that, and its last value.

    best: None where the spec does not say which direction is better, or no value is a number.
    """

    best: float | None
    best_step: int | None
    last: float | None


@dataclass(frozen=True)
class Run:
    """One run, as far as it can be read.

    name: of the spec. settings: None where the spec can't be compiled.
    higher: figure -> whether higher is better. figures: those of them that are no losses.
    outcome: how it came to its end. parameters: how many numbers its networks learn; trained: those
    that no rule keeps as they are. epoch, step: done so far. total_epochs, total_steps: None
    where they are not known. seconds: of training. rate: samples per second, the epochs' median.
    decisions: what was settled when training began. validation: figures over the run.
    test: figures of the chosen checkpoint, that of `tested_step`. notes: what could not be read.
    """

    folder: Path
    name: str
    outcome: Outcome
    settings: Settings | None
    higher: Mapping[str, bool]
    figures: frozenset[str]
    parameters: int | None
    trained: int | None
    epoch: int
    step: int
    total_epochs: int | None
    total_steps: int | None
    seconds: float | None
    rate: float | None
    device: str
    precision: str
    data: str
    versions: Mapping[str, str]
    decisions: Mapping[str, str]
    history: Sequence[Record]
    validation: Mapping[str, Span]
    test: Mapping[str, float]
    tested_step: int
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def status(self) -> Status:
        """The outcome in a word."""
        how = self.outcome.how
        return "finished" if how == "early" else "stopped" if how == "gated" else how


def read(folder: Path) -> Run:
    """Read a run.

    Raises: NetwrightError: R901: the folder is no run, or its record is damaged.
    """
    record, history, notes = read_run(folder), read_history(folder), list[str]()
    compilation = _compiled(folder, notes)
    summary = _json(folder / SUMMARY, notes)
    decisions = _decisions(_json(folder / PLAN, notes))
    figures = _metrics(compilation)
    higher = dict.fromkeys(_names(history), False) | figures if compilation else {}
    training = compilation.spec.training if compilation else None
    outcome, problem = readable_outcome(folder)
    notes += [problem] if problem else []
    last: Record = history[-1] if history else {}
    return Run(
        folder=folder,
        name=str(record.get("name")),
        outcome=outcome,
        settings=settings_of(compilation) if compilation else None,
        higher=higher,
        figures=frozenset(figures),
        parameters=_parameters(compilation),
        trained=_trained(compilation),
        epoch=last.get("epoch", 0),
        step=max([last.get("step", 0), *steps(folder)[:1]]),
        total_epochs=_epochs(training) if training else None,
        total_steps=_total_steps(outcome, summary, training),
        seconds=_number(summary.get("seconds", last.get("seconds"))),
        rate=_median([_number(r.get("samples_per_second")) for r in history]),
        device=decisions.get("device", str(record.get("device", "-"))),
        precision=decisions.get("precision", training.precision if training else "-"),
        data=str(record.get("data", "-")),
        versions=_texts(record.get("versions")),
        decisions=decisions,
        history=history,
        validation={name: _span(history, name, higher.get(name)) for name in _names(history)},
        test=_numbers(_map(summary.get("metrics")).get("test")),
        tested_step=_whole(summary.get("step")) or 0,
        notes=tuple(notes),
    )


def _compiled(folder: Path, notes: list[str]) -> Compilation | None:
    try:
        return used_stage(as_recorded(compile_spec(folder / SPEC), folder), folder)
    except NetwrightError as error:
        first = error.diagnostics[0]
        notes.append(f"its spec can't be compiled ({first.code.name}: {first.message})")
        return None


def _json(path: Path, notes: list[str]) -> Mapping[str, Any]:
    """A file of the run that may not be there yet."""
    if not path.exists():
        return {}
    try:
        content = read_json(path)
        if not isinstance(content, Mapping):
            raise ValueError("it is no map")
    except (OSError, ValueError) as error:
        notes.append(f"`{path.name}` is damaged ({error})")
        return {}
    return content


def _decisions(plan: Mapping[str, Any]) -> dict[str, str]:
    """What was settled when the run began: `precision` -> `bf16`."""
    found = plan.get("decisions")
    listed = (
        [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
    )
    return {
        str(item["what"]): str(item["value"]) for item in listed if {"what", "value"} <= {*item}
    }


def _metrics(compilation: Compilation | None) -> dict[str, bool]:
    """Metric -> whether higher is better; what a history has besides are losses."""
    objective = compilation.spec.objective if compilation else None
    return objective.figures() if objective else {}


def _parameters(compilation: Compilation | None) -> int | None:
    if compilation is None:
        return None
    return sum(graph.parameter_count() for graph in compilation.graphs.values())


def _trained(compilation: Compilation | None) -> int | None:
    if compilation is None:
        return None
    return trained_count(compilation.spec.training.parameters, compilation.graphs)


def _epochs(training: Training) -> int | None:
    """None where a run is counted in steps."""
    return None if training.steps else training.total_epochs


def _total_steps(
    outcome: Outcome, summary: Mapping[str, Any], training: Training | None
) -> int | None:
    """By what the run wrote down; else by its spec, where that counts in steps."""
    known = outcome.total_steps or _whole(summary.get("total_steps"))
    return known or (training.steps if training else None)


def _names(history: Sequence[Record]) -> list[str]:
    """The figures of the validation, in the order of their first appearance."""
    return list(dict.fromkeys(name for record in history for name in record["validation"]))


def _span(history: Sequence[Record], name: str, higher: bool | None) -> Span:
    values = [(r["step"], _number(r["validation"].get(name))) for r in history]
    measured = [(value, step) for step, value in values if value is not None]
    if not measured:
        return Span(None, None, None)
    last = measured[-1][0]
    if higher is None:
        return Span(None, None, last)
    best, step = (max if higher else min)(measured, key=lambda pair: pair[0])
    return Span(best, step, last)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(item) for key, item in _map(value).items()}


def _numbers(value: object) -> dict[str, float]:
    pairs = ((str(key), _number(item)) for key, item in _map(value).items())
    return {key: number for key, number in pairs if number is not None}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
