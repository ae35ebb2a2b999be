"""What the runtime tells while it works: nothing in it prints, the caller chooses who listens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Begin:
    """A run is about to take its first step.

    epochs: None where the run is counted in steps. samples: of the training part.
    step: steps that were done before, by the run that this one goes on from.
    is_over: that run came to its end, and takes no more steps.
    parameters: how many numbers the networks learn. trained: those that no rule keeps as they are.
    """

    name: str
    folder: Path
    device: str
    precision: str
    parameters: int
    trained: int
    samples: int
    epochs: int | None
    total_steps: int
    steps_per_epoch: int
    step: int = 0
    is_over: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    epoch: counted from 1. losses: means since the last record, by name.
    rate: samples per second of training alone. seconds_left: at this rate.
    """

    step: int
    epoch: int
    losses: Mapping[str, float]
    lr: float
    rate: float
    seconds_left: float


@dataclass(frozen=True)
class EpochEnd:
    """A record: an epoch, the run, or the steps between two measurements ended.

    losses: means over the training steps since the last record. seconds: of the whole run so far.
    validation: figures by name; empty where nothing was measured.
    best: whether this is the best state so far, where the spec asks to keep it.
    """

    step: int
    epoch: int
    losses: Mapping[str, float]
    lr: float
    rate: float
    seconds: float
    validation: Mapping[str, float]
    best: bool


class Observer:
    """Listens to nothing; a subclass overrides what it wants to know."""

    def begin(self, begin: Begin) -> None: ...

    def progress(self, progress: Progress) -> None: ...

    def epoch_end(self, epoch: EpochEnd) -> None: ...

    def tell(self, text: str) -> None:
        """Something that is good to know."""

    def warn(self, text: str) -> None:
        """Something that the user must not miss."""

    def end(self) -> None:
        """The run ended, in whatever way; always called after `begin`."""


class Together(Observer):
    """Several observers as one; each is told in turn."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def begin(self, begin: Begin) -> None:
        for observer in self._observers:
            observer.begin(begin)

    def progress(self, progress: Progress) -> None:
        for observer in self._observers:
            observer.progress(progress)

    def epoch_end(self, epoch: EpochEnd) -> None:
        for observer in self._observers:
            observer.epoch_end(epoch)

    def tell(self, text: str) -> None:
        for observer in self._observers:
            observer.tell(text)

    def warn(self, text: str) -> None:
        for observer in self._observers:
            observer.warn(text)

    def end(self) -> None:
        for observer in self._observers:
            observer.end()
