"""What a language model has to beat: n-grams of its training text, on its test text. Torch-free."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from ...compiler.diagnostics import Code, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.language_model import LanguageModel
from ...compiler.objectives.text_sources import Text
from ..data.dataset import Dataset
from .ngrams import bits, chances, text_of

ORDERS = (3, 4, 5, 6)
"""The longest sequences that are counted: a token and those before it."""


def ngram_figures(
    compilation: Compilation, dataset: Dataset
) -> Iterator[tuple[str, dict[str, float], float]]:
    """Title, figures and seconds of each order, on the test samples.

    Raises: NetwrightError: O501: the samples are no text.
    """
    objective, data = compilation.spec.objective, compilation.spec.data
    assert isinstance(objective, LanguageModel)
    if data is None or not isinstance(data.source, Text):
        raise failure(
            Code.O501,
            "a baseline of a language model expects data of the source `text`, found "
            f"`{data.source.name if data else 'none'}`",
            span=compilation.located.span(("data", "source")),
            help="compare its runs with one another: `netwright compare`",
        )
    train, test = text_of(dataset.parts["train"]), text_of(dataset.parts["test"])
    began = time.perf_counter()
    vocabulary = dataset.fields[objective.target].class_total or int(train.max()) + 1
    for order, found in enumerate(chances(train, test, vocabulary, max(ORDERS)), start=1):
        # The order of those that are counted first is part of the time of longer ones.
        if order in ORDERS:
            cost = bits(found[1:])  # networks say nothing of the first token
            figures = {"loss": cost * math.log(2), "bits": cost}
            yield f"{order}-grams", figures, time.perf_counter() - began
