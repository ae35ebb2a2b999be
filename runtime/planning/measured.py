"""Decides how steps are executed by measuring: the candidates take steps in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from ...compiler.diagnostics import NetwrightError
from ...compiler.driver import Compilation
from ...compiler.objectives.obstacles import compile_obstacle, recordable_form
from ..data.dataset import Dataset
from ..data.room import cores
from ..memory import is_out_of_memory
from ..plan import Decision, Plan, Timing, What
from .choose import common_forms, graphs_impossible, shown
from .layout import fitting
from .situation import Machine, Work
from .timing import Candidate, compare

GAIN = 0.97
"""What a candidate must take of the other's time to be preferred: less may be noise."""

LOST = 8
"""It must also be faster in every round but one in so many: chance does that once in 50 times."""

COMPILE_RUN = 180.0
"""Seconds of a whole run below which compiling is not tried: it takes a minute by itself."""

Change = dict[str, Any]
"""Other values for a plan: that of the decision in question first, then what it needs besides."""


@dataclass
class Measuring:
    """Improves a plan one decision after the other.

    best: the plan so far, at work.
    """

    compilation: Compilation
    dataset: Dataset
    device: torch.device
    work: Work
    machine: Machine
    best: Candidate = field(init=False)

    def improve(self, plan: Plan) -> Plan:
        """The plan with the fastest candidate for each decision that the spec leaves open."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            self.best = self._candidate(plan)
            try:
                for what, changes in STAGES.items():
                    self._settle(what, list(changes(self)))
            finally:
                self.best.close()
        return self.best.plan

    def asked(self, what: What) -> bool:
        """Whether the spec has taken a decision."""
        return getattr(self.work.settings.plan, what) is not None

    def _candidate(self, plan: Plan) -> Candidate:
        return Candidate(self.compilation, self.dataset, self.device, plan)

    def _settle(self, what: What, changes: list[Change]) -> None:
        """Compare the best plan so far with its changes, and go on with the fastest."""
        if not changes:
            return
        others, timings = self._candidates(what, changes)
        before = self.best
        if others:
            compare([before, *others])
            fastest = min(others, key=lambda one: median(one.against(before)))
            self.best = fastest if self._wins(what, fastest) else before
            timings = [
                _timing(what, before),
                *(_timing(what, one, before, preferred=one is self.best) for one in others),
                *timings,
            ]
        for candidate in (before, *others):
            if candidate is not self.best:
                candidate.close()
        if what == "compile":
            torch.compiler.reset()
        self.best.plan = _recorded(before.plan, self.best.plan, what, timings)

    def _candidates(
        self, what: What, changes: list[Change]
    ) -> tuple[list[Candidate], list[Timing]]:
        """The changed plans at work; what stands for those that do not work here."""
        found, failed = list[Candidate](), list[Timing]()
        for change in changes:
            try:
                found.append(self._candidate(self.best.plan.model_copy(update=change)))
            except (NetwrightError, RuntimeError, MemoryError) as error:
                note = _note(error)
                failed.append(
                    Timing(what=what, value=shown(change[what]), milliseconds=None, note=note)
                )
        return found, failed

    def _wins(self, what: What, fastest: Candidate) -> bool:
        ratios = fastest.against(self.best)
        lost = sum(ratio >= 1 for ratio in ratios)
        if median(ratios) > GAIN or lost > len(ratios) // LOST:
            return False
        gain = (self.best.median - fastest.median) * self.work.steps
        return what != "compile" or gain > fastest.warm_up


def _memory_formats(measuring: Measuring) -> Iterator[Change]:
    best = fitting(measuring.work.operators)
    if not measuring.asked("memory_format"):
        now = measuring.best.plan.memory_format
        yield from ({"memory_format": one} for one in ("contiguous", best) if one != now)


def _optimizers(measuring: Measuring) -> Iterator[Change]:
    if not measuring.asked("optimizer") and not measuring.best.plan.graphs:
        now = measuring.best.plan.optimizer
        forms = common_forms(measuring.work.settings)
        yield from ({"optimizer": form} for form in forms if form != now)


def _graphs(measuring: Measuring) -> Iterator[Change]:
    impossible = graphs_impossible(measuring.work, measuring.machine)
    if not measuring.asked("graphs") and not impossible:
        yield {"graphs": True, "optimizer": recordable_form(measuring.work.settings)}


def _compile(measuring: Measuring) -> Iterator[Change]:
    impossible = compile_obstacle(measuring.work.layers) or measuring.machine.no_compiler
    plan = measuring.best.plan
    if measuring.asked("compile") or impossible or plan.graphs:
        return
    if measuring.best.seconds_a_step() * measuring.work.steps > COMPILE_RUN:
        yield {"compile": True}


def _workers(measuring: Measuring) -> Iterator[Change]:
    plan, most = measuring.best.plan, max(1, cores() // measuring.machine.processes)
    if measuring.asked("workers") or plan.data == "device":
        return
    numbers = {0, 1, most // 2, most, plan.workers // 2, min(most, 2 * plan.workers)}
    yield from ({"workers": number} for number in sorted(numbers - {plan.workers}))


STAGES: Mapping[What, Callable[[Measuring], Iterator[Change]]] = {
    "workers": _workers,  # first, so that other candidates do not wait for the loader
    "memory_format": _memory_formats,
    "optimizer": _optimizers,
    "graphs": _graphs,  # after the optimizer, whose form it may change
    "compile": _compile,  # last: its price depends on what is gained over all others
}
"""Which decisions are measured, in order, and what is compared with the best plan so far."""


def _timing(
    what: What, candidate: Candidate, base: Candidate | None = None, *, preferred: bool = False
) -> Timing:
    """How long a step takes; of one that was compared with `base`, by the same rounds.

    A machine that slows down for some rounds moves the medians of both, but not their ratio, which
    is what decides.
    """
    value, notes = shown(getattr(candidate.plan, what)), []
    if what == "compile" and candidate.plan.compile:
        notes.append(f"after {candidate.warm_up:.0f} s of compiling")
    seconds = candidate.median
    if base is not None:
        ratios = candidate.against(base)
        seconds = base.median * median(ratios)
        faster = sum(ratio < 1 for ratio in ratios)
        if median(ratios) < 1 and not preferred:
            notes.append(f"faster in {faster} of {len(ratios)} rounds: too little to change")
    milliseconds = float(f"{seconds * 1000:.4g}")
    return Timing(what=what, value=value, milliseconds=milliseconds, note=", ".join(notes))


def _note(error: Exception) -> str:
    """Why a candidate does not work here. Raises: what is none of the reasons there are."""
    if isinstance(error, NetwrightError):
        return error.diagnostics[0].message
    if is_out_of_memory(error):
        return "not enough memory beside the other candidates"
    raise error


def _recorded(before: Plan, after: Plan, what: What, timings: list[Timing]) -> Plan:
    """The plan after a comparison, with what was found."""
    why = "a step: " + ", ".join(_told(timing) for timing in timings)
    plan = before.model_copy(update={"timings": (*before.timings, *timings)})
    for decided in before.decisions:
        value = getattr(after, decided.what)
        if decided.what == what or value != getattr(before, decided.what):
            taken = Decision(what=decided.what, value=shown(value), why=why, by="measured")
            plan = plan.changed(taken)
    return plan


def _told(timing: Timing) -> str:
    if timing.milliseconds is None:
        return f"{timing.value} ({timing.note})"
    note = f" ({timing.note})" if timing.note else ""
    return f"{timing.value} {timing.milliseconds:g} ms{note}"
