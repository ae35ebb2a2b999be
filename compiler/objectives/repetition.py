"""What an objective names twice: outputs to keep, losses and metrics."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from ..diagnostics import Code
from ..source import Key
from .base import Context
from .metrics import Metric
from .problem import FIRST, Problem, repeats

if TYPE_CHECKING:
    from .supervised import Supervised


def check_repeats(objective: Supervised, context: Context, path: Key) -> None:
    """Report each one where it stands again, with the place of the first."""
    for problem in (*_outputs(objective), *_losses(objective), *_metrics(objective)):
        context.report(problem, path)


def _outputs(objective: Supervised) -> Iterator[Problem]:
    kept = objective.predict or []
    for index, first in repeats(kept):
        yield Problem(
            Code.S102,
            f"`predict` expects different outputs, found `{kept[index]}` twice",
            ("predict", index),
            also=(("predict", first), FIRST),
        )


def _losses(objective: Supervised) -> Iterator[Problem]:
    """Tables name a loss by these three, and a second one would only change its weight."""
    losses = [item.loss for item in objective.losses]
    names = [(loss.name, loss.output, loss.target) for loss in losses]
    for index, first in repeats(names):
        name, output, target = names[index]
        yield Problem(
            Code.O502,
            f"`losses` has `{name}` of `{output}` and `{target}` twice",
            ("losses", index, name),
            help="remove one; `weight` says how much a loss counts",
            also=(("losses", first, name), FIRST),
        )


def _metrics(objective: Supervised) -> Iterator[Problem]:
    """The same label twice, or one figure of the same output and target under two labels."""
    metrics = objective.metrics
    measured = [_measured(objective, metric) for metric in metrics]
    found = dict(repeats(measured)) | dict(repeats([metric.label for metric in metrics]))
    for index, first in sorted(found.items()):
        label, earlier = metrics[index].label, metrics[first].label
        again = " twice" if label == earlier else f", which is `{earlier}` again"
        yield Problem(
            Code.O502,
            f"`metrics` has `{label}`{again}",
            ("metrics", index),
            help="remove one",
            also=(("metrics", first), FIRST),
        )


def _measured(objective: Supervised, metric: Metric) -> Hashable:
    """What a metric computes of what; one that fits no loss, a mistake told elsewhere, is alone."""
    loss = objective.compared_by(metric)
    return (metric.figure, loss.output, loss.target) if loss else id(metric)
