"""The head of the page: name, when, spec, and the figures that count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...compiler.driver import Compilation
from ...compiler.objectives.parameter_rules import trained_count
from ...compiler.summary import short_number, totals
from ..outcome import OUTCOME, How
from ..progress import duration
from .markup import Html, element, joined, prose
from .numbers import date_text, figure_text
from .state import after_step
from .subject import Subject

MOST_RESULTS = 4
"""How many figures of the result have a tile."""


BADGES: dict[How, str] = {
    "early": "finished early",
    "cut off": "not finished",
    "gated": "ended by stop_if",
}
"""What a badge says of an outcome that has no such word itself."""


def header(subject: Subject) -> Html:
    """Name and state, one line about the run, and tiles with its key figures."""
    how = subject.outcome.how
    kind = "good" if subject.outcome.is_finished else "open"
    badge = element("span", BADGES.get(how, how), class_=f"badge {kind}")
    parts = [element("h1", subject.name, " ", badge)]
    if subject.compilation and subject.compilation.spec.summary:
        parts.append(element("p", subject.compilation.spec.summary, class_="lead"))
    parts.append(element("p", joined(_meta(subject), " · "), class_="meta"))
    parts += _ending(subject)
    tiles = (_tile(name, value, detail) for name, value, detail in _tiles(subject))
    parts.append(element("dl", joined(tiles), class_="tiles"))
    return element("header", joined(parts))


def _ending(subject: Subject) -> Iterator[Html]:
    """How the run came to its end, unless all went as its spec says; and what is shown of it."""
    if OUTCOME in subject.problems:
        yield element("p", prose(subject.problems[OUTCOME]), ".", class_="ending")
    if subject.outcome.is_finished:
        return
    told = [f"The run {subject.outcome.predicate}."]
    told += [f"Found: {subject.outcome.why}."] if subject.outcome.why else []
    if subject.tested_step is not None:
        told.append(f"What is shown of its network is its state {after_step(subject.tested_step)}.")
    yield element("p", prose(" ".join(told)), class_="ending")


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
        yield _parameters(subject.compilation)
    yield _steps(subject)
    yield from _time(subject)


def _results(subject: Subject) -> Iterator[tuple[str, str, str]]:
    """The figures of the tested checkpoint; of a run that has none, the last measured ones."""
    part = subject.summary.main_part if subject.summary else None
    if subject.summary and part:
        figures = subject.summary.metrics[part]
        detail = f"{part}, {subject.summary.chosen} checkpoint"
    elif subject.history and subject.history[-1]["validation"]:
        figures, detail = subject.history[-1]["validation"], f"validation, at {_last(subject)}"
    elif subject.history:
        figures, detail = subject.history[-1]["train"], f"training, up to {_last(subject)}"
    else:
        return
    for name in _leading(subject, figures)[:MOST_RESULTS]:
        yield name.replace("_", " "), figure_text(figures[name]), detail


def _last(subject: Subject) -> str:
    return f"step {subject.history[-1]['step']:,}"


def _parameters(compilation: Compilation) -> tuple[str, str, str]:
    sums = [totals(graph) for graph in compilation.graphs.values()]
    count = sum(one.parameters for one in sums)
    trained = trained_count(compilation.spec.training.parameters, compilation.graphs)
    detail = f"{short_number(sum(one.flops for one in sums))}FLOPs a sample"
    if trained != count:
        detail = f"{short_number(trained).strip()} trained; {detail}"
    return "parameters", short_number(count).strip(), detail


def _leading(subject: Subject, figures: Mapping[str, float | None]) -> list[str]:
    """The metrics, then the loss; its terms are in the curves."""
    trained = subject.history[-1]["train"] if subject.history else {}
    metrics = [name for name in figures if name not in trained and name != "loss"]
    return [*metrics, *(["loss"] if "loss" in figures else [])]


def _steps(subject: Subject) -> tuple[str, str, str]:
    total = subject.total_steps
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
