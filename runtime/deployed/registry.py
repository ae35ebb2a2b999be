"""From an objective to what is known of its bundles; one line for each objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...compiler.driver import Compilation
from ..data.dataset import Dataset, Part
from ..opening import objective_of
from ..session import Bundle
from . import encoder_decoder, gan, language_model, seq2seq, supervised


@dataclass(frozen=True)
class Deployed:
    """What can be asked of the bundles of an objective.

    figures: losses and metrics over a part of the data. demonstrate: lines that show it at work.
    """

    figures: Callable[[Compilation, Bundle, Dataset, Part], dict[str, float]]
    demonstrate: Callable[[Compilation, Bundle, Dataset], Iterator[str]]


DEPLOYED = {
    "supervised": Deployed(supervised.figures, supervised.demonstrate),
    "language_model": Deployed(language_model.figures, language_model.demonstrate),
    "seq2seq": Deployed(seq2seq.figures, seq2seq.demonstrate),
    "gan": Deployed(gan.figures, gan.demonstrate),
    **dict.fromkeys(
        encoder_decoder.CODED,
        Deployed(encoder_decoder.figures, encoder_decoder.demonstrate),
    ),
}
"""By the name of the objective."""


def deployed(compilation: Compilation) -> Deployed:
    return DEPLOYED[objective_of(compilation).name]
