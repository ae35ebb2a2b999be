"""What a network says of one sample beside the truth: in words, bars or pictures, by its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.fields import Field
from ...compiler.objectives.losses import Loss
from .markup import Html, element, joined
from .numbers import percent, short_text
from .pictures import gray_or_color, is_drawable, limits, mask, numbers

Array = NDArray[Any]


@dataclass(frozen=True)
class Judged:
    """One output of a sample and what it was compared with.

    output: [...] as the network gives it, numbers in the units of the data.
    truth: [...] as stored in `field`.
    """

    loss: Loss
    field: Field
    output: Array
    truth: Array


@dataclass(frozen=True)
class Answer:
    """What a card shows of an output. pictures: with their captions. right: None for numbers."""

    words: Html
    pictures: Sequence[tuple[str, Html]] = ()
    right: bool | None = None


def answer(judged: Judged) -> Answer:
    """One output, explained by its loss's kind and its shape."""
    return _KINDS[judged.loss.kind](judged)


def names_of(field: Field, count: int) -> Sequence[str]:
    """The names of a field's classes; their numbers where it has no names."""
    named = field.classes or []
    return named if len(named) == count else [str(index) for index in range(count)]


# Exclusive classes


def _classes(judged: Judged) -> Answer:
    if judged.output.ndim == 1:
        return _one_class(judged)
    if judged.output.ndim == 3:
        return _class_of_each_pixel(judged)
    return _class_of_each_step(judged)


def _one_class(judged: Judged) -> Answer:
    """The predicted and the true class with their probabilities."""
    scores = softmax(judged.output)
    best, true = int(scores.argmax()), int(judged.truth)
    names = names_of(judged.field, len(scores))
    bars = [_bar(names[best], float(scores[best]), "right" if best == true else "wrong")]
    if best != true:
        bars.append(_bar(names[true], float(scores[true]), "true"))
    return Answer(element("div", joined(bars), class_="bars"), right=best == true)


def _bar(name: str, share: float, kind: str) -> Html:
    fill = element("i", style=f"width:{100 * share:.1f}%")
    label = element("span", name, class_="name", title=name)
    value = element("span", percent(share), class_="value")
    return element("div", label, element("span", fill, class_="track"), value, class_=f"bar {kind}")


def _class_of_each_pixel(judged: Judged) -> Answer:
    """Truth and prediction [H, W] in the colours of the classes."""
    ignored, truth = getattr(judged.loss, "ignore", None), judged.truth
    best = judged.output.argmax(axis=0)
    shown = np.where(truth == ignored, truth, best) if ignored is not None else best
    pictures = (
        ("truth", mask(truth, ignored, "true classes of the pixels")),
        ("prediction", mask(shown, ignored, "predicted classes of the pixels")),
    )
    return Answer(_share_right(best, truth, ignored, "pixels"), pictures)


def _class_of_each_step(judged: Judged) -> Answer:
    ignored = getattr(judged.loss, "ignore", None)
    best = judged.output.argmax(axis=0)
    return Answer(_share_right(best, judged.truth, ignored, "places"))


def _share_right(best: Array, truth: Array, ignored: int | None, what: str) -> Html:
    counted = np.ones(truth.shape, bool) if ignored is None else truth != ignored
    share = float((best == truth)[counted].mean()) if counted.any() else 0.0
    return element("p", element("b", percent(share)), f" of the {what} right")


def softmax(scores: Array) -> Array:
    """Probabilities of scores along axis 0, in float64."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=0))
    return np.asarray(shifted / shifted.sum(axis=0))


# Questions of yes or no


def _binary(judged: Judged) -> Answer:
    chance = 1 / (1 + np.exp(-judged.output.astype(np.float64)))
    truth = _as_seen(judged.truth, judged.field)
    if is_drawable(chance.shape):
        share = float(((chance > 0.5) == (truth > 0.5)).mean())
        pictures = (
            ("truth", gray_or_color(truth, 0, 1, "true pixels")),
            ("probability", gray_or_color(chance, 0, 1, "predicted probabilities")),
        )
        return Answer(element("p", element("b", percent(share)), " of the pixels right"), pictures)
    if chance.size > 1:
        return _several_questions(chance.reshape(-1), truth.reshape(-1))
    yes, true = float(chance.reshape(())), float(truth.reshape(())) > 0.5
    right = (yes > 0.5) == true
    bars = [_bar("yes" if yes > 0.5 else "no", max(yes, 1 - yes), "right" if right else "wrong")]
    bars += [] if right else [_bar("yes" if true else "no", min(yes, 1 - yes), "true")]
    return Answer(element("div", joined(bars), class_="bars"), right=right)


def _several_questions(chance: Array, truth: Array) -> Answer:
    wrong = np.flatnonzero((chance > 0.5) != (truth > 0.5))
    if not wrong.size:
        return Answer(element("p", f"all {chance.size} answers right"), right=True)
    worst = wrong[np.argsort(-np.abs(chance[wrong] - truth[wrong]))][:3]
    bars = [_bar(f"question {i}", float(chance[i]), "wrong") for i in worst.tolist()]
    told = element("p", f"{wrong.size} of {chance.size} answers wrong")
    return Answer(joined([told, element("div", joined(bars), class_="bars")]), right=False)


def _as_seen(raw: Array, field: Field) -> Array:
    """Stored values as the loss sees them: by the field's rule for the whole field."""
    shift, factor = field.affine()
    return (raw.astype(np.float64) - shift[0]) * factor[0]


# Numbers


def _values(judged: Judged) -> Answer:
    output, truth = judged.output, judged.truth
    if is_drawable(truth.shape):
        low, high = limits(judged.field, truth)
        pictures = (
            ("truth", gray_or_color(truth, low, high, "true values")),
            ("prediction", gray_or_color(output, low, high, "predicted values")),
        )
        return Answer(_off(output, truth), pictures)
    if truth.size == 1:
        rows = (("predicted", short_text(float(output.reshape(())))),
                ("true", short_text(float(truth.reshape(())))))  # fmt: skip
    else:
        rows = (("predicted", numbers(output, 4)), ("true", numbers(truth, 4)))
    words = (element("div", element("span", k), element("b", v)) for k, v in rows)
    return Answer(joined([element("div", joined(words), class_="pairs"), _off(output, truth)]))


def _off(output: Array, truth: Array) -> Html:
    error = float(np.abs(output - truth.astype(np.float64)).mean())
    word = "off by " if truth.size == 1 else "off by, on average, "
    return element("p", word, element("b", short_text(error)))


_KINDS: dict[str, Callable[[Judged], Answer]] = {
    "classes": _classes,
    "binary": _binary,
    "values": _values,
}
