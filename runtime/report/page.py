"""The frame of a page: styles, head, links to the sections, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from ... import __version__
from .header import header
from .markup import Html, element, joined, prose
from .section import LeftOut, Piece, Section
from .subject import Subject

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What the page may load: nothing but what it brings along, and no scripts."""

SELF_CONTAINED = "This page loads nothing: it can be kept and sent as the one file that it is."


def page(subject: Subject, pieces: Sequence[Piece]) -> Html:
    """A whole HTML file."""
    sections = [piece for piece in pieces if isinstance(piece, Section)]
    left_out = [piece for piece in pieces if isinstance(piece, LeftOut)]
    body = [
        header(subject),
        _links(sections),
        element("main", joined([*map(_section, sections), _left_out(left_out)])),
        element("footer", f"Written by netwright {__version__}. {SELF_CONTAINED}"),
    ]
    html = element("html", _head(subject), element("body", joined(body)), lang="en")
    return Html(f"<!DOCTYPE html>\n{html}\n")


def _head(subject: Subject) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{subject.name}: report"),
        element("style", Html(_styles())),
    )


@cache
def _styles() -> str:
    return files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def _links(sections: Sequence[Section]) -> Html:
    links = (element("a", section.title, href=f"#{section.anchor}") for section in sections)
    return element("nav", joined(links), aria_label="sections")


def _section(section: Section) -> Html:
    note = element("p", prose(section.note), class_="note") if section.note else ""
    return element("section", element("h2", section.title), note, section.body, id=section.anchor)


def _left_out(pieces: Sequence[LeftOut]) -> Html:
    if not pieces:
        return Html("")
    titles: dict[str, list[str]] = {}
    for piece in pieces:
        titles.setdefault(piece.why, []).append(piece.title)
    items = (
        element("li", element("b", ", ".join(named)), ": ", prose(why), ".")
        for why, named in titles.items()
    )
    body = element("ul", joined(items))
    return element("section", element("h2", "Left out"), body, id="left-out", class_="left-out")
