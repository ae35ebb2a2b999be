"""HTML that escapes by construction: text is escaped unless it is `Html` already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

VOID = frozenset({"br", "img", "meta"})
"""Elements that hold nothing and are not closed."""


class Html(str):
    """Markup, made here from escaped parts; any other text is not to be trusted."""

    __slots__ = ()


Attribute = str | float | bool | None


def text(content: str) -> Html:
    """Content as HTML: escaped, and without what no HTML file may hold."""
    if isinstance(content, Html):
        return content
    sound = content.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Html(escape(sound))


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Parts one after another, each escaped unless it is HTML."""
    return Html(text(between).join(text(part) for part in parts))


def element(tag: str, *content: str, **attributes: Attribute) -> Html:
    """`<tag attributes>content</tag>`.

    Args:
        attributes: a trailing underscore keeps a name apart from Python's (`class_`); others become
            hyphens (`stroke_width`). None and False leave an attribute out; True writes it alone.
    """
    opened = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}>"
    if tag in VOID:
        return Html(opened)
    return Html(f"{opened}{joined(content)}</{tag}>")


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {written}"
    shown = short(value) if isinstance(value, float) else str(value)
    return f' {written}="{text(shown)}"'


def prose(content: str) -> Html:
    """Text in which `names between backticks` are code."""
    parts = content.split("`")
    if len(parts) % 2 == 0:  # one without its partner
        return text(content)
    return joined(element("code", p) if place % 2 else text(p) for place, p in enumerate(parts))


def short(number: float) -> str:
    """A coordinate without needless digits."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def table(head: Iterable[str], rows: Iterable[Iterable[str]], *, kind: str = "") -> Html:
    """A table that scrolls sideways by itself where it is wider than the page.

    Args:
        head: the columns' names. rows: cells; a row's first cell names it. kind: a CSS class.
    """
    columns = (element("th", name, scope="col") for name in head)
    body = (element("tr", joined(_cells(row))) for row in rows)
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", joined(columns))),
            element("tbody", joined(body)),
            class_=kind or None,
        ),
        class_="scroll",
    )


def _cells(row: Iterable[str]) -> Iterable[Html]:
    for place, cell in enumerate(row):
        yield element("td", cell) if place else element("th", cell, scope="row")
