"""The stages of a run that grows: whose a state is, and what is kept of earlier ones. Torch-free.

The state at a step at which a stage begins is that of its new networks. What the networks before
came to is kept in `stages/<number>/`, a checkpoint as that of a run.
"""

from __future__ import annotations

from pathlib import Path

from ..compiler.diagnostics import Code, failure
from ..compiler.driver import Compilation
from ..compiler.language.param_values import write_value
from ..compiler.objectives.growing import Grow
from ..compiler.suggest import listing
from . import checkpoint
from .runs import STAGES, SUMMARY


def stage_at(compilation: Compilation, step: int) -> Compilation:
    """The stage that has the state after `step` steps; the compilation itself without stages."""
    grow = compilation.spec.training.grow
    if not compilation.stages or grow is None:
        return compilation
    return compilation.stages[grow.stage_at(step)]


def used_stage(compilation: Compilation, run: Path) -> Compilation:
    """The stage whose networks a run is measured and exported with: the newest, if unfinished."""
    if (run / SUMMARY).is_file() and compilation.stages:
        return compilation.stages[-1]
    return stage_at(compilation, next(iter(checkpoint.steps(run)), 0))


def kept(run: Path, number: int) -> Path:
    """Where the end of a stage is kept, in the layout of a run's checkpoints."""
    return run / STAGES / str(number)


def kept_stages(run: Path) -> list[int]:
    """The numbers of the stages that a run has, or will have, before its last."""
    return sorted(int(path.name) for path in (run / STAGES).glob("*") if path.name.isdecimal())


def half_faded(stage: Compilation, step: int) -> str | None:
    """What whoever exports a stage before its fade is over must know; None after that."""
    grow, number = stage.spec.training.grow, stage.stage
    if grow is None or number is None or step >= grow.settled(number):
        return None
    done = grow.fading(number).at(max(step - 1, grow.begin(number)))
    return (
        f"step {step:,} lies within the fade of its stage, {done:.0%} of which is done; exported "
        "programs are as if it were over"
    )


def value_of(compilation: Compilation) -> str:
    """The value of the parameter in a stage, as specs write it; empty of what is no stage."""
    grow = compilation.spec.training.grow
    if compilation.stage is None or grow is None:
        return ""
    return write_value(grow.values[compilation.stage])


def find_stage(compilation: Compilation, value: str) -> Compilation:
    """The stage of a value, as specs write it.

    Raises: NetwrightError: E202: there is none.
    """
    grow = compilation.spec.training.grow
    if not compilation.stages or grow is None:
        raise failure(
            Code.E202,
            f"expected a stage of `training.grow`, found `{value}` and a spec that does not grow",
            help="leave out `--stage`",
        )
    values = _values(grow)
    if value not in values:
        raise failure(
            Code.E202,
            f"expected a value of `{grow.param}` that `grow` names, found `{value}`",
            help=f"choose one of {listing(values)}",
        )
    return compilation.stages[values.index(value)]


def _values(grow: Grow) -> list[str]:
    return [write_value(value) for value in grow.values]


def kept_step(run: Path, stage: Compilation) -> int:
    """The step of the state that a run keeps of an earlier stage.

    Raises: NetwrightError: R901: it has not come to its end, or the state is gone.
    """
    assert stage.stage is not None
    found = checkpoint.steps(kept(run, stage.stage))
    if found:
        return found[0]
    raise failure(
        Code.R901,
        f"expected the end of the stage of `{value_of(stage)}` in `{kept(run, stage.stage)}`, "
        "found none",
        help="go on with the run with `netwright train --resume`; its newest stage is exported "
        "without `--stage`",
    )
