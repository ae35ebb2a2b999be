"""The samples with the highest losses: what the network saw, what it said, and what is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ...compiler.objectives.losses import LAST, Loss
from ...compiler.objectives.pairs import pair_of
from ...compiler.objectives.supervised import Supervised
from ..data.restore import compared
from ..number_text import counted
from .answers import Answer, Judged, answer, names_of
from .markup import Html, element, joined
from .numbers import figure_text
from .pictures import class_color, sample_view, table_rows
from .probe import Answers, Array, Probe, Sweep
from .section import LeftOut, Piece, Section
from .state import after_step

SHOWN = 24
"""How many samples are shown."""

LEGEND = 30
"""Up to this many classes of pixels, a legend names their colours."""


def mistakes(probe: Probe, sweep: Sweep) -> Piece:
    """Cards of the samples with the highest losses, the worst first."""
    known = np.flatnonzero(np.isfinite(sweep.losses))
    if not known.size:
        return LeftOut(title(probe.settings), f"no {probe.part} sample has a loss that is a number")
    worst = known[np.argsort(-sweep.losses[known], kind="stable")][:SHOWN]
    answers = probe.answers(sweep.indices[worst])
    said = [[answer(j) for j in _judged(probe, answers, place)] for place in range(len(worst))]
    cards = (
        _card(probe, answers, place, said[place], int(sweep.indices[i]), float(sweep.losses[i]))
        for place, i in enumerate(worst)
    )
    body = joined([*_legends(probe, answers), element("ul", joined(cards), class_="cards")])
    return Section(_title(probe.settings, said), body, _note(probe, sweep, said))


def title(settings: Supervised) -> str:
    """What the section is called: numbers are not right or wrong."""
    numbers = all(item.loss.kind == "values" for item in settings.losses)
    return "Largest errors" if numbers else "Worst mistakes"


def _title(settings: Supervised, said: list[list[Answer]]) -> str:
    """Where most answers are right, though the least sure, they are no mistakes."""
    right = sum(all(answer.right for answer in answers) for answers in said)
    return "Highest losses" if right > len(said) / 2 else title(settings)


def _note(probe: Probe, sweep: Sweep, said: list[list[Answer]]) -> str:
    looked, size = len(sweep.indices), probe.size
    among = f"all {size:,}" if looked == size else f"{looked:,} evenly drawn of {size:,}"
    told = (
        f"The {counted(len(said), 'sample')} with the highest loss among {among} {probe.part} "
        f"samples, whose median loss is {figure_text(float(np.nanmedian(sweep.losses)))}. "
        f"The network is that {after_step(probe.step)}."
    )
    judged = [answers for answers in said if any(a.right is not None for a in answers)]
    wrong = sum(any(a.right is False for a in answers) for answers in judged)
    return f"{told} {_verdict(wrong, len(judged))}" if judged else told


def _verdict(wrong: int, shown: int) -> str:
    if not wrong:
        return "All of these are right, but the least sure."
    if wrong == shown:
        return "All of these are wrong."
    verb = "is" if wrong == 1 else "are"
    return f"{wrong} of these {verb} wrong; the others are right, but the least sure."


def _card(
    probe: Probe, answers: Answers, place: int, found: list[Answer], index: int, loss: float
) -> Html:
    views = [*_inputs(probe, answers, place), *(view for item in found for view in item.pictures)]
    drawn = (
        element("figure", view, element("figcaption", name) if len(views) > 1 else "")
        for name, view in views
    )
    name = probe.name_of(index).replace("`", "")
    named = element("span", name, title=name)
    foot = element("p", element("span", f"loss {figure_text(loss)}"), named, class_="foot")
    words = joined(item.words for item in found)
    kind = "card wrong" if any(item.right is False for item in found) else "card"
    wide = " wide" if len(views) > 2 else ""
    return element(
        "li", element("div", joined(drawn), class_="views"), words, foot, class_=kind + wide
    )


def _inputs(probe: Probe, answers: Answers, place: int) -> Iterator[tuple[str, Html]]:
    """Every field that the network reads; those of a table as one list."""
    names = list(dict.fromkeys(probe.settings.inputs(probe.graph).values()))
    samples = {name: _real(probe, answers, name, place) for name in names}
    if all(probe.columns_of(name) for name in names):
        rows = (
            table_rows(probe.fields[name], sample, probe.columns_of(name))
            for name, sample in samples.items()
        )
        yield (
            "",
            element("div", joined(row for part in rows for row in part), class_="pairs columns"),
        )
        return
    for name, sample in samples.items():
        yield name, sample_view(probe.fields[name], sample, name)


def _real(probe: Probe, answers: Answers, name: str, place: int) -> Array:
    """A field of a sample without its padding."""
    counted = probe.fields[name].lengths
    sample: Array = answers.raw[name][place]
    return sample if counted is None else sample[: int(answers.raw[counted][place])]


def _judged(probe: Probe, answers: Answers, place: int) -> Iterator[Judged]:
    """Every output that a loss judges, once."""
    for loss in _losses(probe).values():
        pair = pair_of(loss, probe.pairs)
        field = probe.fields[loss.target]
        output = answers.outputs[loss.output][place]
        truth = compared(answers.raw[loss.target][place], field)
        if loss.kind == "classes" and pair.axis == LAST:
            output = np.moveaxis(output, LAST, 0)
        if pair.lengths is not None:
            real = slice(int(answers.raw[pair.lengths][place]))
            output = output[:, real] if loss.kind == "classes" else output[real]
            truth = truth[real]
        yield Judged(loss, field, output, truth)


def _losses(probe: Probe) -> Mapping[str, Loss]:
    """Output -> the first loss that judges it."""
    return {item.loss.output: item.loss for item in reversed(probe.settings.losses)}


def _legends(probe: Probe, answers: Answers) -> Iterator[Html]:
    """What the colours of pixels and of bars mean."""
    for loss in _losses(probe).values():
        output = answers.outputs[loss.output]
        count = output.shape[pair_of(loss, probe.pairs).axis] if loss.kind == "classes" else 0
        if output.ndim == 4 and 0 < count <= LEGEND:
            names = names_of(probe.fields[loss.target], count)
            yield _legend({name: class_color(label) for label, name in enumerate(names)})
        elif loss.kind == "classes" and output.ndim == 2:
            yield _legend({"true class": "var(--t0)", "predicted, and wrong": "var(--t1)"})


def _legend(colors: Mapping[str, str]) -> Html:
    """Names with their colours in CSS."""
    keys = (
        element(
            "span", element("i", class_="swatch", style=f"background:{color}"), name, class_="key"
        )
        for name, color in colors.items()
    )
    return element("p", joined(keys), class_="legend")
