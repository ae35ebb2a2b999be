"""The sections of objectives with an encoder and a decoder: what they make, and what codes hold."""

from __future__ import annotations

from ...compiler.driver import Compilation
from ..codes.meter import ACTIVE
from ..number_text import counted
from .chart import Frame, Series, line_chart
from .made import pictures
from .markup import Html, element
from .scales import axis_of, count_axis
from .section import LeftOut, Piece, Pieces, Section
from .subject import Subject

TITLES = {
    "reconstructions": (
        "Reconstructions",
        "Each row of samples stands above what the decoder makes of their codes; where the encoder "
        "reads spoilt samples, these stand in between.",
    ),
    "samples": (
        "New samples",
        "What the decoder makes of random codes, from the same noise at each step; where it reads "
        "a label too, of the labels of real samples.",
    ),
    "interpolations": (
        "Between two samples",
        "Each row goes in equal steps from the code of one sample to that of another.",
    ),
    "codes": (
        "Codes",
        "The codes of samples, coloured by their labels where the data has some: the codes "
        "themselves where they have two elements, else the two directions in which they vary most "
        "(PCA).",
    ),
}
"""Name of a picture -> title, and a note."""

HUGE = 1e100
"""What is larger is no figure of a run."""

MOST = 512
"""How many numbers of a row are drawn, at even distances in their order."""

DETAILS = {
    "kl_per_element": ("KL divergence of each element, in nats", "the largest first"),
    "variance_of_mean": ("variance of each element's mean", "the largest first"),
    "uses_per_code": ("uses of each vector of the codebook", "the most used first"),
}
"""Name of a row of numbers in the summary -> title of its chart, and of the x axis."""


def codes(subject: Subject, compilation: Compilation) -> Pieces:
    """Pictures that were made while training, and charts of what elements of the code carry."""
    yield from pictures(subject, compilation, TITLES)
    objective = compilation.spec.objective
    if objective and objective.name in ("vae", "vq_vae"):  # others have no distribution of codes
        yield _carried(subject)


def _carried(subject: Subject) -> Piece:
    title = "What the code holds"
    details = subject.summary.details if subject.summary else {}
    rows = {name: _sound(row) for name, row in details.items() if name in DETAILS}
    charts = [_chart(name, row) for name, row in rows.items() if row]
    if not charts:
        return LeftOut(title, "only a finished run measures it")
    return Section(title, element("div", *charts, class_="charts"), _note(details))


def _note(details: dict[str, list[float | None]]) -> str:
    if "uses_per_code" in details:
        used = sum(1 for count in details["uses_per_code"] if count)
        total = len(details["uses_per_code"])
        return f"{used} of {counted(total, 'vector')} of the codebook are used."
    variances = details.get("variance_of_mean", [])
    active = sum(1 for value in variances if value is not None and value > ACTIVE)
    return (
        f"{active} of {counted(len(variances), 'element')} are active: their mean varies over the "
        f"data by more than {ACTIVE:g} (Burda et al. 2016). One that is not says nothing of a "
        "sample, and the decoder does without it."
    )


def _sound(row: list[float | None]) -> list[float]:
    """The numbers that can be drawn, whatever stands in the file."""
    return [value for value in row if value is not None and abs(value) < HUGE]


def _chart(name: str, row: list[float]) -> Html:
    title, x_name = DETAILS[name]
    every = -(-len(row) // MOST)
    values = sorted(row, reverse=True)[::every]
    places = [float(1 + place * every) for place in range(len(values))]
    frame = Frame(count_axis(places), axis_of(values), x_name)
    return line_chart(title, places, [Series(title, list(values), 0)], frame, tells_last=False)
