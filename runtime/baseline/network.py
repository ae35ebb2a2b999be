"""The network's own figures, to stand beside its baselines. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.driver import Compilation
from ..compare.read import Run, read
from ..compare.settings import differences, settings_of, value_text
from ..runs import RUNS, read_run

ALIKE = re.compile(r"(data|objective)\b(?!.*\b(augment|predict)\b)")
"""Settings that must be the same for figures to be of the same samples and of the same kind."""


@dataclass(frozen=True)
class Network:
    """A finished run of a spec.

    figures: of the test samples. seconds: of training. step: of the checkpoint that was tested.
    differs: the settings in which its spec is another one, as `params.width: 8, not 16`.
    """

    folder: Path
    figures: dict[str, float]
    seconds: float | None
    data: str
    step: int
    differs: tuple[str, ...] = field(default_factory=tuple)


def network_of_run(compilation: Compilation, folder: Path) -> Network:
    """The network of a given run.

    Raises: NetwrightError: R901: the folder is no run, or its run did not finish. R902: it is of
        other data or of another objective.
    """
    run = read(folder)
    if run.settings is None or not run.test:
        why = run.notes[0] if run.notes else f"it {run.outcome.predicate}"
        raise failure(
            Code.R901,
            f"expected a finished run in `{folder}`, found one without test figures: {why}",
            help="finish it with `netwright train --resume`, or name another one",
        )
    differs = _differing(compilation, run)
    barred = [text for path, text in differs.items() if ALIKE.match(path)]
    if barred:
        raise failure(
            Code.R902,
            f"expected a run with the spec's data and objective, found others in `{folder}`",
            notes=barred,
            help="give the spec the run's settings, or name another run",
        )
    return _network(run, tuple(differs.values()))


def newest_network(compilation: Compilation, parent: Path = RUNS) -> Network | None:
    """The newest finished run of a spec, or of one that differs elsewhere than in its figures.

    A run of the very same spec goes before newer ones that differ. None where there is no run.
    """
    found = list(_comparable(compilation, parent))
    same = (network for network in found if not network.differs)
    return next(same, found[0] if found else None)


def _comparable(compilation: Compilation, parent: Path) -> Iterator[Network]:
    for folder in _folders(compilation.spec.name, parent):
        try:
            yield network_of_run(compilation, folder)
        except NetwrightError:
            continue


def _folders(name: str, parent: Path) -> list[Path]:
    """The runs of a spec's name, the newest first; whatever their folders are called."""
    found = []
    for folder in parent.iterdir() if parent.is_dir() else ():
        try:
            record = read_run(folder)
        except NetwrightError:
            continue
        if record.get("name") == name:
            found.append((str(record.get("began")), _number(folder), folder))
    return [folder for _, _, folder in sorted(found, reverse=True)]


def _number(folder: Path) -> int:
    """The n of `<name>-<n>`, which tells runs of one second apart; 0 where there is none."""
    match = re.search(r"-(\d{1,9})$", folder.name)
    return int(match[1]) if match else 0


def _differing(compilation: Compilation, run: Run) -> dict[str, str]:
    """Path -> what the run's spec has there."""
    assert run.settings
    found = differences([settings_of(compilation), run.settings])
    return {
        item.path: f"{item.path}: {value_text(item.values[1])}, not {value_text(item.values[0])}"
        for item in found
        if item.path != "name"
    }


def _network(run: Run, differs: tuple[str, ...]) -> Network:
    return Network(run.folder, dict(run.test), run.seconds, run.data, run.tested_step, differs)
