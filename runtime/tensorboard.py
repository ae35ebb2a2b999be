"""TensorBoard's event files, written by an observer; the package comes with the extra.

RUN/tensorboard/ then holds what `tensorboard --logdir` shows: `train/...` and `validation/...` by
epoch, `running/...`, `lr` and `samples_per_second` while an epoch goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..compiler.diagnostics import Code, failure
from .files import writing
from .observer import Begin, EpochEnd, Observer, Progress

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class TensorBoard(Observer):
    """Writes a run's figures into its folder; a resumed run goes on in the same curves.

    Raises: NetwrightError: R907: the package is not installed. It is told before training begins.
    """

    def __init__(self) -> None:
        self._make = _writer_class()
        self._writer: SummaryWriter | None = None

    def begin(self, begin: Begin) -> None:
        """Raises: NetwrightError: R903."""
        folder = begin.folder / FOLDER
        # What an earlier process wrote beyond the step that it is resumed from is hidden.
        hidden_from = begin.step + 1 if begin.step else None
        with writing(folder):
            self._writer = self._make(str(folder), purge_step=hidden_from)

    def progress(self, progress: Progress) -> None:
        for name, value in progress.losses.items():
            self._add(f"running/{name}", value, progress.step)
        self._add("lr", progress.lr, progress.step)
        self._add("samples_per_second", progress.rate, progress.step)

    def epoch_end(self, epoch: EpochEnd) -> None:
        for name, value in epoch.losses.items():
            self._add(f"train/{name}", value, epoch.step)
        for name, value in epoch.validation.items():
            self._add(f"validation/{name}", value, epoch.step)
        if self._writer:
            self._writer.flush()

    def end(self) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None

    def _add(self, name: str, value: float, step: int) -> None:
        if self._writer:
            self._writer.add_scalar(name, value, step)


def _writer_class() -> type[SummaryWriter]:
    """torch's writer of event files, which needs the package tensorboard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise failure(
            Code.R907,
            f"`--tensorboard` expects the package tensorboard, found: {error}",
            help='install it with `pip install "netwright[tensorboard]"`, or leave the option out',
        ) from error
    return SummaryWriter
