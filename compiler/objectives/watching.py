"""When a run is measured and saved, when it ends early, and what happens when it diverges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .problem import Problem
from .section import Section


class Checkpoint(Section):
    """When the state of a run is saved, and which one is exported."""

    title: ClassVar[str] = "`checkpoint`"

    every: int = Setting(default=1, ge=1, description="Epochs between two checkpoints.")
    steps: int | None = Setting(
        default=None, ge=1, description="Optimizer steps between two checkpoints, beside `every`."
    )
    best: str | None = Setting(
        default=None,
        description="Keep the state with the best value of this metric, or of `loss`, on the "
        "validation samples, and test and export it instead of the last one.",
    )

    def is_due(self, step: int, per_epoch: int) -> bool:
        """Whether the state after `step` steps is saved."""
        if self.steps is not None and step % self.steps == 0:
            return True
        return step % (self.every * per_epoch) == 0


def following(path: tuple[str, ...]) -> str:
    """The setting that follows a figure: `best` of `checkpoint`, `early_stopping`, `stop_if`."""
    return path[-1] if path[0] == "checkpoint" else path[0]


class Validation(Section):
    """How often the validation samples are measured: by epochs or by optimizer steps."""

    title: ClassVar[str] = "`validation`"

    epochs: int | None = Setting(
        default=None, ge=1, description="Epochs between two measurements; 1 unless given."
    )
    steps: int | None = Setting(
        default=None, ge=1, description="Optimizer steps between two measurements, instead."
    )

    def problems(self) -> Iterator[Problem]:
        if self.epochs is not None and self.steps is not None:
            yield Problem(
                Code.O502,
                f"`epochs` and `steps` of `validation` exclude each other, found {self.epochs} "
                f"epochs and {self.steps} steps",
                ("validation", "steps"),
                help="keep one of them",
            )

    def interval(self, per_epoch: int) -> int:
        """Optimizer steps between two measurements."""
        return self.steps or (self.epochs or 1) * per_epoch


class EarlyStopping(Section):
    """End the run when a figure of the validation samples has stopped getting better."""

    title: ClassVar[str] = "`early_stopping`"
    expects: ClassVar[str] = "a whole number or a map"

    figure: str = Setting(
        default="loss", description="`loss` or a metric of the objective, on validation samples."
    )
    patience: int = Setting(
        ge=1, description="How many measurements without a better value end the run."
    )
    min_delta: float = Setting(
        default=0.0, ge=0, description="By how much a value must be better to count."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int) and not isinstance(data, bool)
        return {"patience": data} if is_number else super().desugar(data)


class Gate(Section):
    """Ends a run that does not come to what is asked of it, with an error: `{below: 0.2}`.

    It looks at a figure wherever validation samples are measured. The last state stays, and scripts
    see that the run failed.
    """

    title: ClassVar[str] = "the gate of `stop_if`"

    below: float | None = Setting(default=None, description="End where the figure is less.")
    above: float | None = Setting(default=None, description="End where the figure is more.")
    after: int = Setting(default=0, ge=0, description="Optimizer steps before it first looks.")

    def problems(self) -> Iterator[Problem]:
        if self.below is None and self.above is None:
            yield Problem(
                Code.S102,
                "a gate of `stop_if` expects `below`, `above` or both, found neither",
                help="write `stop_if: {coverage: {below: 0.2, after: 5000}}`",
            )
        elif self.below is not None and self.above is not None and self.below > self.above:
            yield Problem(
                Code.O502,
                f"a gate of `stop_if` expects values between `below` and `above` to be left, found "
                f"`below: {self.below:g}` and `above: {self.above:g}`",
                help="swap them",
            )

    def stops(self, value: float) -> str | None:
        """Why a value ends the run, or None where it does not; one that is no number does."""
        if self.below is not None and not value >= self.below:
            return f"below {self.below:g}"
        if self.above is not None and not value <= self.above:
            return f"above {self.above:g}"
        return None


class OnDivergence(Section):
    """What to do when a loss, a weight or a number that an optimizer keeps is NaN or infinite.

    `stop` ends the run with an error that names the step and the layer. `rewind` goes back to the
    newest checkpoint and on from there with a smaller learning rate and other random numbers. Where
    that diverges again before the next checkpoint, it goes back to the one before; later ones are
    deleted.
    """

    title: ClassVar[str] = "`on_divergence`"
    expects: ClassVar[str] = "`stop`, `rewind` or a map"

    action: Literal["stop", "rewind"] = Setting(
        default="stop", description="stop: end with an error; rewind: go on from a checkpoint."
    )
    lr_factor: float = Setting(
        default=0.5, gt=0, le=1, description="Multiplies the learning rate at each rewind."
    )
    most: int = Setting(default=3, ge=1, description="How many rewinds a run may take.")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"action": data} if isinstance(data, str) else super().desugar(data)

    def problems(self) -> Iterator[Problem]:
        for key in sorted({"lr_factor", "most"} & self.model_fields_set):
            if self.action == "stop":
                yield Problem(
                    Code.O502,
                    f"`{key}` belongs to `action: rewind`, found `action: stop`",
                    ("on_divergence", key),
                    help="write `action: rewind`, or remove it",
                )
