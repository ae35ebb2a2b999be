"""Which run several processes work on and where they go on in it: rank 0 decides, all read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.diagnostics import Code, failure
from ..compiler.driver import Compilation
from ..compiler.objectives.fields import Normalize
from . import checkpoint
from .distributed.joining import launch_name, restarts
from .distributed.world import World
from .lock import run_lock
from .opening import as_recorded
from .runs import (
    JUDGE,
    RUN,
    check_is_run,
    check_same_spec,
    is_run,
    newest_folder,
    read_run,
    recorded_classes,
    recorded_fingerprints,
    recorded_statistics,
    remove_leftovers,
    restore_texts,
    run_folders,
)

if TYPE_CHECKING:
    from .data.dataset import Dataset

Warn = Callable[[str], None]

SHARED = "put the run's folder, `-o`, on a file system that all machines share"


def folder_to_resume(
    compilation: Compilation, output: Path | None, *, resume: bool, world: World
) -> Path | None:
    """The folder of the run to go on with; None where a new one begins.

    A run that torchrun starts anew, since a process was killed, goes on by itself.

    Raises: NetwrightError: R901: there is no run.
    """
    found = world.lead(lambda: _folder(compilation, output, resume=resume))
    return None if found is None else Path(found)


def _folder(compilation: Compilation, output: Path | None, *, resume: bool) -> str | None:
    folder = output or newest_folder(compilation.spec.name) if resume else None
    if folder is None and restarts():
        folder = _begun(compilation, output)
    if folder is None:
        return None
    check_is_run(folder)
    return str(folder)


def enter(folder: Path, compilation: Compilation, held: ExitStack, warn: Warn) -> None:
    """Keep other processes out of the folder of a run to go on with, then see what it holds.

    What a killed process left there is cleared away, and what was damaged of the run's own texts
    is written again.

    Args:
        held: keeps the lock. warn: takes what the user must not miss.
    Raises: NetwrightError: R901: its record is damaged. R902: it has another spec. R903: another
        process trains there, or the disk fails.
    """
    held.enter_context(run_lock(folder, warn))
    check_same_spec(folder, compilation)
    remove_leftovers(folder)
    restore_texts(folder, as_recorded(compilation, folder), warn)


def check_same_data(folder: Path, dataset: Dataset, warn: Warn) -> None:
    """Refuse to go on with other data than the run began with.

    Raises: NetwrightError: R902, with parts, fields and files. R901: the record is damaged.
        F602: a file of the data is gone.
    """
    recorded = recorded_fingerprints(folder)
    if recorded is None:
        warn(
            f"`{folder / RUN}` comes from a version that did not record fingerprints of its data; "
            "whether the data has changed since is not known"
        )
        return
    if changes := dataset.changes(recorded):
        raise failure(
            Code.R902,
            f"expected the data that the run `{folder}` began with, found "
            f"{'; '.join(changes)} changed",
            help="put the data back as it was, or start a new run; `init_from` lets that begin "
            "with the weights of this one",
        )


def check_same_weights(folder: Path, begun_with: Mapping[str, Any]) -> None:
    """Refuse to begin anew from initial weights that changed since the run was made.

    begun_with: what `run.json` would say of them now; empty without `init_from`.
    Raises: NetwrightError: R902.
    """
    recorded = read_run(folder).get("init_from")
    known = recorded.get("sha256") if isinstance(recorded, dict) else None
    if begun_with and begun_with["init_from"]["sha256"] != known:
        raise failure(
            Code.R902,
            f"expected the initial weights that the run `{folder}` was made with, found "
            f"`{begun_with['init_from']['path']}` changed",
            help="put the file back, or start a new run without `--resume`",
        )


def check_same_judge(folder: Path, judged_by: Mapping[str, Any]) -> None:
    """Refuse to go on with figures of another classifier.

    judged_by: what `run.json` would say of it now; empty without one.
    Raises: NetwrightError: R902.
    """
    recorded = read_run(folder).get(JUDGE)
    known = recorded.get("sha256") if isinstance(recorded, dict) else None
    if judged_by and judged_by[JUDGE]["sha256"] != known:
        raise failure(
            Code.R902,
            f"expected the classifier by which the run `{folder}` was judged, found "
            f"`{judged_by[JUDGE]['path']}` changed",
            help="put the bundle back, or start a new run without `--resume`",
        )


def _begun(compilation: Compilation, output: Path | None) -> Path | None:
    """The run that the processes of this launch have begun before they were started anew."""
    name = launch_name()
    if name is None:
        raise failure(
            Code.R901,
            "expected a launch with a name, to find the run that it began before its restart",
            help="give torchrun `--rdzv-backend c10d --rdzv-id NAME`, or go on with `--resume`",
        )
    folders = [output] if output else run_folders(compilation.spec.name)
    runs = [folder for folder in folders if is_run(folder)]
    return next((folder for folder in runs if read_run(folder).get("launch") == name), None)


def recorded_data(folder: Path | None, world: World) -> Path | None:
    """What the data's paths were relative to in the run to go on with."""
    found = world.lead(lambda: read_run(folder).get("data") if folder else None)
    return Path(found) if isinstance(found, str) else None


def known_classes(folder: Path | None, world: World) -> dict[str, list[str]]:
    """The names of classes that the run to go on with has found in its data; see `opening.named`.

    Raises: NetwrightError: R901.
    """
    return world.lead(lambda: recorded_classes(folder) if folder else {})


def known_statistics(folder: Path | None, world: World) -> dict[str, Normalize]:
    """What the run to go on with has measured on its training samples; see `opening.measured`.

    Raises: NetwrightError: R901.
    """

    def read() -> dict[str, dict[str, Any]]:
        found = recorded_statistics(folder) if folder else {}
        return {name: normalize.model_dump() for name, normalize in found.items()}

    return {name: Normalize(**found) for name, found in world.lead(read).items()}


def check_shared(folder: Path, world: World) -> None:
    """Raises: NetwrightError: R901: a process does not see the run's folder."""
    world.together(lambda: _check_there(folder))


def _check_there(folder: Path) -> None:
    if not is_run(folder):
        raise failure(
            Code.R901,
            f"expected the run that rank 0 has made, found no `{RUN}` in `{folder.resolve()}`",
            help=SHARED,
        )


def newest_checkpoint(
    run: Path, world: World, warn: Warn, before: int | None = None
) -> checkpoint.Checkpoint | None:
    """The newest checkpoint that is whole, or the newest before a step; None where there is none.

    Raises: NetwrightError: R901: all are damaged, or a process does not see what rank 0 sees.
    """
    read: list[checkpoint.Checkpoint] = []

    def choose() -> int | None:
        saved = checkpoint.newest(run, warn, before)
        read.extend([saved] if saved else [])
        return int(saved.folder.name) if saved else None

    step = world.lead(choose)
    if step is None:
        return None
    return world.together(lambda: read[0] if read else _load(run, step))


def _load(run: Path, step: int) -> checkpoint.Checkpoint:
    folder = checkpoint.folder_of(run, step)
    try:
        return checkpoint.load(folder)
    except checkpoint.Damaged as reason:
        raise failure(
            Code.R901,
            f"expected the checkpoint that rank 0 has read, found `{folder.resolve()}`: {reason}",
            help=SHARED,
        ) from reason
