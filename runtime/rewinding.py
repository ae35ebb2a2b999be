"""Going back after divergence: to which checkpoint, and what becomes of the later ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from .checkpoint import Checkpoint, amend, damage, drop_after, steps
from .history import read_history
from .resuming import newest_checkpoint
from .snapshot import State
from .stepper import Job

Warn = Callable[[str], None]


def destination(
    job: Job, newest: Checkpoint, rewound: int | None, warn: Warn
) -> tuple[Checkpoint, str]:
    """Where a run that diverged goes on: the newest checkpoint, or the one before it.

    The one before where the run had gone back to the newest already and wrote none since: what that
    holds is finite, but leads to the same end.

    Args:
        rewound: the step of the checkpoint that the run went back to last.
    Returns: it, and why it is not the newest one, or is so again.
    Raises: NetwrightError: R901: a process does not see what rank 0 sees.
    """
    if newest.step != rewound:
        return newest, ""
    again = f"the run went back to step {newest.step} before, which led here again"
    older = newest_checkpoint(job.folder, job.world, warn, before=newest.step)
    if older is None:
        return newest, f"{again}, and there is no checkpoint before it; "
    return older, f"{again}; "


def turn_back(saved: Checkpoint, state: State, run: Path) -> None:
    """Let a run on the disk be where a checkpoint was written. state: of that step, as it is now.

    Whenever the process is killed meanwhile, the run goes on from a whole checkpoint: from the
    newest, whose state knows nothing of this yet, so that it comes here again, or from this one.

    Raises: NetwrightError: R903.
    """
    amend(saved, {**saved.data, "state": asdict(state)})
    drop_after(run, saved.step)


def keep_true(job: Job, state: State, warn: Warn) -> None:
    """See that the best checkpoint of a state is there; if it is not, take the best that is left.

    A better one of a later step may have taken its place before the run went back.
    """
    best = state.best_step
    if best is None or best == state.step:  # which has just been read
        return
    reason = job.world.lead(lambda: damage(job.folder, best))
    if reason is None:
        return
    found = job.world.lead(lambda: _best_left(job, state.step))
    state.best_step, state.best_value = found or (None, None)
    instead = f"that of step {state.best_step} takes its place" if found else "none takes its place"
    warn(f"the best checkpoint, that of step {best}, can't be used ({reason}); {instead}")


def _best_left(job: Job, last: int) -> tuple[int, float] | None:
    """The best of the whole checkpoints up to a step, by what was measured then; and its value."""
    best: tuple[int, float] | None = None
    if job.goal is None:
        return None
    measured = {record["step"]: record["validation"] for record in read_history(job.folder)}
    for step in (step for step in steps(job.folder) if step <= last):
        value = measured.get(step, {}).get(job.goal.figure)
        better = value is not None and job.goal.better(value, best[1] if best else None)
        if better and damage(job.folder, step) is None:
            best = step, value
    return best
