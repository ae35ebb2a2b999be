"""The head of the page: name, when, spec, and the figures that count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...compiler.summary import short_number, totals
from ..progress import duration
from .markup import Html, element, joined
from .numbers import date_text, figure_text
from .subject import Subject

MOST_RESULTS = 4
"""How many figures of the result have a tile."""


def header(subject: Subject) -> Html:
    """Name and state, one line about the run, and tiles with its key figures."""
    state = "finished" if subject.finished else "not finished"
    badge = element("span", state, class_=f"badge {'good' if subject.finished else 'open'}")
    parts = [element("h1", subject.name, " ", badge)]
    if subject.compilation and subject.compilation.spec.summary:
        parts.append(element("p", subject.compilation.spec.summary, class_="lead"))
    parts.append(element("p", joined(_meta(subject), " · "), class_="meta"))
    tiles = (_tile(name, value, detail) for name, value, detail in _tiles(subject))
    parts.append(element("dl", joined(tiles), class_="tiles"))
    return element("header", joined(parts))


def _meta(subject: Subject) -> Iterator[str]:
    if subject.began:
        yield f"began {date_text(subject.began)}"
    else:
        yield f"run.json dated {date_text(subject.dated)}"
    digest = str(subject.record.get("spec_sha256") or "not recorded")
    yield joined(["spec ", element("code", digest[:12])])
    yield f"on {subject.record.get('device') or 'an unknown device'}"
    yield element("span", str(subject.folder), class_="path")


def _tile(name: str, value: str, detail: str) -> Html:
    small = element("dd", detail, class_="detail") if detail else ""
    return element("div", element("dt", name), element("dd", value), small)


def _tiles(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """Name, value and a remark of each key figure."""
    yield from _results(subject)
    if subject.compilation:
        sums = [totals(graph) for graph in subject.compilation.graphs.values()]
        count = sum(one.parameters for one in sums)
        cost = f"{short_number(sum(one.flops for one in sums))}FLOPs a sample"
        yield "parameters", short_number(count).strip(), cost
    yield _steps(subject)
    yield from _time(subject)


def _results(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """The figures of the tested checkpoint; of a run that goes on, the last measured ones."""
    part = subject.summary.main_part if subject.summary else None
    if subject.summary and part:
        figures = subject.summary.metrics[part]
        detail = f"{part}, {subject.summary.chosen} checkpoint"
    elif subject.history and subject.history[-1]["validation"]:
        figures, detail = subject.history[-1]["validation"], "validation, so far"
    elif subject.history:
        figures, detail = subject.history[-1]["train"], "training, so far"
    else:
        return
    for name in _leading(subject, figures)[:MOST_RESULTS]:
        yield name.replace("_", " "), figure_text(figures[name]), detail


def _leading(subject: Subject, figures: Mapping[str, float | None]) -> list[str]:
    """The metrics, then the loss; its terms are in the curves."""
    trained = subject.history[-1]["train"] if subject.history else {}
    metrics = [name for name in figures if name not in trained and name != "loss"]
    return [*metrics, *(["loss"] if "loss" in figures else [])]


def _steps(subject: Subject) -> tuple[str, str, str]:
    total = subject.summary.total_steps if subject.summary else None
    done = f"{subject.last_step:,}"
    epochs = subject.history[-1]["epoch"] if subject.history else 0
    detail = f"{epochs:,} epochs" if epochs != 1 else "1 epoch"
    if total is not None and total > subject.last_step:
        return "steps", done, f"of {total:,}; {detail}"
    return "steps", done, detail


def _time(subject: Subject) -> Iterator[tuple[str, str, str]]:
    last = subject.history[-1] if subject.history else {}
    seconds = subject.summary.seconds if subject.summary else last.get("seconds")
    rate = last.get("samples_per_second")
    detail = f"{rate:,.0f} samples/s" if isinstance(rate, int | float) else ""
    if isinstance(seconds, int | float):
        yield "time", duration(seconds), detail
