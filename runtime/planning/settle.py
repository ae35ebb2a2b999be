"""Which plan a run has: the one that it began with, or a new one, by rules or measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from ...compiler.driver import Compilation
from ..data.dataset import Dataset
from ..device import choose_device
from ..distributed.world import ALONE, World
from ..opening import check_trainable, read_data
from ..plan import DamagedPlan, Plan, parse_plan, read_plan, table
from .choose import choose_plan, refusal
from .kernels import kernels
from .measured import Measuring
from .situation import machine_of, work_of

Tell = Callable[[str], None]


def settle_plan(
    compilation: Compilation,
    dataset: Dataset,
    device: torch.device,
    run: Path | None,
    warn: Tell,
    world: World = ALONE,
    tell: Tell = lambda text: None,
) -> Plan:
    """The plan of a run, which all processes follow.

    Args:
        run: the folder of a run to go on with; its plan stands where it can be carried out here.
        warn, tell: take what the user must not miss, and what only takes long.
    Raises: NetwrightError: R905: the machine can't do what the spec asks for. R903: the disk.
    """

    def settle() -> dict[str, object]:
        plan = _stored(compilation, dataset, device, run, warn, world) if run else None
        if plan is None:
            plan = _new(compilation, dataset, device, world, tell)
            if run:
                plan.write(run)
        return plan.record()

    return parse_plan(world.lead(settle))


def preview_plan(
    compilation: Compilation, device: str | None, data_dir: Path | None, processes: int = 1
) -> list[str]:
    """The plan that a new run would have, in lines for people; nothing is written.

    Args: see `train.train`; processes: how many would train together on this machine.
    Raises: NetwrightError: S102, F601, F602, R905.
    """
    check_trainable(compilation)
    dataset = read_data(compilation, (data_dir or compilation.folder).resolve())
    chosen = choose_device(device or compilation.spec.training.device)
    plan = _new(compilation, dataset, chosen, World(size=processes), lambda text: None)
    machine = machine_of(chosen, World(size=processes))
    settings, size = compilation.spec.training, dataset.size("train")
    heading = f"{compilation.spec.name} on {machine.name}"
    if processes > 1:
        heading += f", {processes} processes"
    steps = settings.total_steps(size)
    return [f"{heading}: {steps:,} steps of {min(settings.batch, size):,} samples", *table(plan)]


def _new(
    compilation: Compilation, dataset: Dataset, device: torch.device, world: World, tell: Tell
) -> Plan:
    plan = choose_plan(compilation, dataset, device, world)
    if compilation.spec.training.plan.choose == "rules":
        return plan
    tell("timing some steps, to choose how they run")
    work, machine = work_of(compilation, dataset, device), machine_of(device, world)
    with kernels(plan):
        return Measuring(compilation, dataset, device, work, machine).improve(plan)


def _stored(
    compilation: Compilation,
    dataset: Dataset,
    device: torch.device,
    run: Path,
    warn: Tell,
    world: World,
) -> Plan | None:
    """The plan that a run began with; None, and a warning, where it can't be followed."""
    try:
        plan = read_plan(run)
    except DamagedPlan as reason:
        warn(f"the plan of the run can't be used: {reason}; it is decided anew")
        return None
    if plan.device != device.type:
        warn(
            f"the run began on {plan.device} and goes on on {device.type}: its plan is decided "
            "anew, and its weights will differ from an uninterrupted run's"
        )
        return None
    work, machine = work_of(compilation, dataset, device), machine_of(device, world)
    refused = refusal(plan, work, machine)
    if refused is None:
        return plan
    warn(f"the plan of the run can't be used: {refused.diagnostics[0].message}; decided anew")
    return None
