"""Observers that show a run: a live display for terminals, plain lines for everything else."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING, Any

from .number_text import counted, figures_text
from .observer import Begin, EpochEnd, Observer, Progress

if TYPE_CHECKING:
    from rich.console import Console

LINE_SECONDS = 10.0
"""How often plain lines tell of an epoch that takes long."""


def observer_for(stream: IO[str]) -> Observer:
    """The live display where the stream is a terminal, plain lines where it is not."""
    from rich.console import Console

    console = Console(file=stream)
    return Live(console) if console.is_terminal else Lines(console)


def duration(seconds: float) -> str:
    """`8 s`, `2:05`, `1:02:05`."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _heading(begin: Begin) -> str:
    length = counted(begin.epochs, "epoch") if begin.epochs else counted(begin.total_steps, "step")
    return (
        f"training {begin.name}: {_parameters_text(begin)}, {begin.samples:,} samples, "
        f"{length}, {begin.device}, {begin.precision} -> {begin.folder}"
    )


def _parameters_text(begin: Begin) -> str:
    frozen = begin.trained != begin.parameters
    return f"{begin.parameters:,} parameters" + (f", {begin.trained:,} trained" if frozen else "")


def _epoch_text(end: EpochEnd, epochs: int, *, rate: bool) -> str:
    parts = [f"epoch {end.epoch:>{len(str(epochs))}}/{epochs}", figures_text(end.losses)]
    if end.validation:
        parts.append(f"validation {figures_text(end.validation)}")
    parts += [f"{end.rate:,.0f} samples/s"] if rate else []
    parts.append(duration(end.seconds))
    return "  ".join(parts) + ("  best so far" if end.best else "")


class Lines(Observer):
    """One line per epoch, and now and then one within an epoch that takes long."""

    _tells_rate = True

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epochs, self._total, self._told = 1, 1, 0.0

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def begin(self, begin: Begin) -> None:
        self._epochs = max(1, -(-begin.total_steps // begin.steps_per_epoch))
        self._total, self._told = begin.total_steps, time.monotonic()
        self._print(_heading(begin))
        place = f"at step {begin.step} of {begin.total_steps}"
        if begin.is_over:
            self._print(f"the run ended {place}; it is measured again")
        elif begin.step:
            self._print(f"going on {place}")

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self._told < LINE_SECONDS:
            return
        self._told = time.monotonic()
        left = duration(progress.seconds_left)
        self._print(
            f"step {progress.step}/{self._total}  {figures_text(progress.losses)}  "
            f"{progress.rate:,.0f} samples/s  {left} left"
        )

    def epoch_end(self, epoch: EpochEnd) -> None:
        self._told = time.monotonic()
        self._print(_epoch_text(epoch, self._epochs, rate=self._tells_rate))

    def tell(self, text: str) -> None:
        self._print(text)

    def warn(self, text: str) -> None:
        self._print(f"warning: {text}", style="bold yellow")


class Live(Lines):
    """A bar with step, loss, rate and time left; the lines above it have the figures of epochs.

    All of it fits into 80 columns.
    """

    _tells_rate = False

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar: Any = None
        self._task: Any = None

    def begin(self, begin: Begin) -> None:
        from rich import progress as rich

        super().begin(begin)
        self._bar = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(bar_width=max(8, min(40, self._console.width - 68))),
            rich.TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            rich.TextColumn("{task.fields[figures]}"),
            rich.TextColumn("[dim]{task.fields[speed]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task(
            "training", total=begin.total_steps, completed=begin.step, figures="", speed=""
        )
        self._bar.start()

    def progress(self, progress: Progress) -> None:
        left = duration(progress.seconds_left)
        self._bar.update(
            self._task,
            completed=progress.step,
            description=f"epoch {progress.epoch}/{self._epochs}",
            figures=figures_text(progress.losses),
            speed=f"{progress.rate:,.0f} samples/s, {left} left",
        )

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
