"""Decides how steps are executed, by rules, from the spec, the data and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.obstacles import (
    compile_obstacle,
    graphs_obstacle,
    recordable_form,
    used_optimizers,
)
from ...compiler.objectives.optimizers import Implementation
from ...compiler.objectives.training import Training
from ..data.dataset import Dataset
from ..distributed.world import ALONE, World
from ..plan import By, Decision, Plan, What
from .layout import fitting
from .situation import Machine, Work, machine_of, work_of

LARGE, SMALL = 5_000_000, 32
"""Weights of 2D convolutions from which, and samples at once below which, channels_last was slower
on CPUs: ResNets by 15 to 25% with 4 samples and up to 20% with 16, a U-Net by 4%."""

FORMS: Mapping[str, str] = {
    "fused": "one kernel updates all weights",
    "foreach": "one kernel for each operation updates all weights",
    "plain": "weights are updated one by one",
}


def choose_plan(
    compilation: Compilation, dataset: Dataset, device: torch.device, world: World = ALONE
) -> Plan:
    """The plan by rules; what the spec asks for stands.

    Raises: NetwrightError: R905: the machine can't do what the spec asks for.
    """
    return choose(work_of(compilation, dataset, device), machine_of(device, world))


def choose(work: Work, machine: Machine) -> Plan:
    """The same, from values.

    Raises: NetwrightError: R905.
    """
    plan = _Choosing(work, machine).decide()
    refused = refusal(plan, work, machine)
    if refused:
        raise refused
    return plan


def evaluation_plan(compilation: Compilation, dataset: Dataset, device: torch.device) -> Plan:
    """What of a plan matters where nothing is trained; requests for training are passed over."""
    work, machine = work_of(compilation, dataset, device), machine_of(device, ALONE)
    plan = _Choosing(work, machine).decide()
    return Plan(
        device=machine.device,
        precision=plan.precision if plan.precision in machine.precisions else "fp32",
        deterministic=plan.deterministic,
        memory_format=plan.memory_format,
        data=work.home,
        workers=work.workers,
    )


class _Choosing:
    """Takes one decision after the other; later ones look at earlier ones."""

    def __init__(self, work: Work, machine: Machine) -> None:
        self._work, self._machine = work, machine
        self._settings, self._asked = work.settings, work.settings.plan
        self._values: dict[What, Any] = {}
        self._decisions: list[Decision] = []

    def decide(self) -> Plan:
        self._precision()
        self._deterministic()
        self._memory_format()
        self._data()
        self._workers()
        self._optimizer()
        self._compile()
        self._graphs()
        return Plan.of(self._machine.device, self._decisions, [])

    def _take(self, what: What, value: Any, why: str, *, asked: Any = None) -> None:
        by: By = "netwright"
        if asked is not None:
            value, why, by = asked, "as the spec asks", "spec"
        self._values[what] = value
        self._decisions.append(Decision(what=what, value=shown(value), why=why, by=by))

    def _precision(self) -> None:
        word = self._settings.precision
        asked = None if word == "auto" else word
        if "tf32" in self._machine.precisions:
            why = "float32 with products rounded to 10 bits, which tensor cores compute"
            self._take("precision", "tf32", why, asked=asked)
        else:
            self._take("precision", "fp32", "float32; 16 bits only where asked for", asked=asked)

    def _deterministic(self) -> None:
        asked = True if self._settings.deterministic else None
        if self._machine.device == "cpu":
            self._take("deterministic", True, "a CPU's kernels always are", asked=asked)
        else:
            why = "the fastest kernels; their last bits may differ from run to run"
            self._take("deterministic", False, why, asked=asked)

    def _memory_format(self) -> None:
        value, why = fitting(self._work.operators), "there are no 2D or 3D convolutions"
        if self._machine.device == "cpu" and value == "channels_last" and self._heavy:
            value = "contiguous"
            why = "large kernels and a small batch: 0.8 to 1.05 times as fast otherwise on CPUs"
        elif self._machine.device == "cpu" and value == "channels_last":
            why = "2D convolutions: 0.95 to 1.9 times as fast on CPUs, mostly faster"
        elif self._machine.device == "cpu" and value == "channels_last_3d":
            why = "3D convolutions: 0.8 to 1.4 times as fast on CPUs, mostly faster"
        elif value == "channels_last" and self._values["precision"] != "fp32":
            why = "tensor cores take images in this layout"
        elif value != "contiguous":
            value, why = "contiguous", "another layout pays only for images and tensor cores"
        self._take("memory_format", value, why, asked=self._asked.memory_format)

    @property
    def _heavy(self) -> bool:
        """Whether to lay kernels out anew takes longer than it saves with what they are used on."""
        pieces = self._settings.accumulate * self._machine.processes
        return self._work.kernels >= LARGE and self._settings.batch < SMALL * pieces

    def _data(self) -> None:
        if self._asked.data is None and self._asked.workers is not None:
            self._take("data", "loader", "", asked="loader")
            return
        why = "all samples fit, so that a batch is one indexing operation"
        if self._work.storage == "files":
            why = "each sample is a file to decode"
        elif self._work.home == "loader":
            why = "the samples do not fit on the device"
        if self._work.varies:
            why += "; samples of similar length share a batch"
        self._take("data", self._work.home, why, asked=self._asked.data)

    def _workers(self) -> None:
        paying = self._work.workers
        share = max(1, paying // self._machine.processes) if paying else 0
        if self._values["data"] == "device":
            self._take("workers", 0, "there is no loader", asked=self._asked.workers)
        elif share:
            why = "samples are read ahead of their use"
            self._take("workers", share, why, asked=self._asked.workers)
        else:
            why = "samples lie in memory, and are only copied"
            self._take("workers", 0, why, asked=self._asked.workers)

    def _optimizer(self) -> None:
        form = recordable_form(self._settings) if self._asked.graphs else None
        form = form or common_forms(self._settings)[0]
        self._take("optimizer", form, FORMS[form], asked=self._asked.optimizer)

    def _compile(self) -> None:
        obstacle = compile_obstacle(self._work.layers) or self._machine.no_compiler
        why = "takes a minute or more; `plan: measured` finds out whether a long run repays it"
        if obstacle:
            why = f"not possible: {obstacle}"
        elif self._machine.device == "cpu":
            why = "takes a minute, then 0.8 to 1.2 times as fast on CPUs"
        self._take("compile", False, why, asked=self._asked.compile)

    def _graphs(self) -> None:
        obstacle = graphs_impossible(self._work, self._machine)
        why = "pays for small networks alone; `plan: measured` finds out"
        if obstacle:
            why = f"not possible: {obstacle}"
        self._take("graphs", False, why, asked=self._asked.graphs)


def common_forms(training: Training) -> list[Implementation]:
    """The forms that torch has of every optimizer in use, the fastest first."""
    used = used_optimizers(training)
    return [f for f in used[0].implementations if all(f in o.implementations for o in used)]


def shown(value: Any) -> str:
    """A decision's value as `plan.json` and people have it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def graphs_impossible(work: Work, machine: Machine) -> str | None:
    """Why steps can't be recorded as CUDA graphs here; None where they can be."""
    if machine.device == "cpu":
        return "a CPU has no CUDA graphs"
    if machine.processes > 1:
        return "several processes exchange gradients in each step"
    if work.varies:
        return "batches differ in length"
    return graphs_obstacle(work.settings, work.layers)


def refusal(plan: Plan, work: Work, machine: Machine) -> NetwrightError | None:
    """Why a plan can't be carried out on this machine; None where it can be."""
    if plan.precision not in machine.precisions:
        able = "a GPU" if machine.device == "cpu" else "a newer GPU"
        return failure(
            Code.R905,
            f"expected {able} that computes {plan.precision}, found {machine.name}",
            span=work.spans.get("precision"),
            help="set `training: {precision: fp32}`",
        )
    if plan.compile and machine.no_compiler:
        return _impossible("compile", machine.no_compiler, work)
    obstacle = graphs_impossible(work, machine) if plan.graphs else None
    return _impossible("graphs", obstacle, work) if obstacle else None


def _impossible(key: str, why: str, work: Work) -> NetwrightError:
    return failure(
        Code.R905,
        f"expected a machine where `{key}: true` works, found that {why}",
        span=work.spans.get(key),
        help=f"set `training: {{plan: {{{key}: false}}}}`",
    )
