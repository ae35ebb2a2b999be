"""`report`: from a run's folder to one HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..files import make_folder, write_text
from .contents import pieces
from .page import page
from .section import LeftOut
from .subject import read_subject

REPORT = "report.html"


@dataclass(frozen=True)
class Report:
    """What was written. left_out: sections that the run has nothing for, with the reasons."""

    path: Path
    left_out: tuple[LeftOut, ...]


def write_report(
    run: Path,
    *,
    output: Path | None = None,
    data_dir: Path | None = None,
    device: str | None = None,
    plugins: tuple[Path, ...] = (),
) -> Report:
    """Write one HTML page about a run: it loads nothing, so that it can be sent and kept.

    Whatever the run does not have, or what can't be read any more, is left out and said so.

    Args:
        output: the file; None for `report.html` in the run's folder.
        data_dir: what the data's paths are relative to; None for what the run recorded.
        device: where samples are predicted: `auto`, `cpu` or `cuda`; None for `auto`.
        plugins: those that are loaded, for the command that trains again.
    Raises: NetwrightError: R901: the folder is no run. R903: the file can't be written.
    """
    subject = read_subject(run, data_dir, device, plugins)
    found = list(pieces(subject))
    path = output or run / REPORT
    make_folder(path.parent)
    write_text(path, page(subject, found))
    return Report(path, tuple(piece for piece in found if isinstance(piece, LeftOut)))
