"""The reference in a terminal: the list of pages, and one page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from .pages import Page, Setting, below, pages, settings_called

INDENT = "  "


def listing() -> Iterator[str]:
    """Every page with its first sentence, those that belong to another indented below it."""
    found = list(pages().values())
    column = max(len(INDENT * page.depth + page.name) for page in found) + 2
    for page in found:
        yield f"{INDENT * page.depth + page.name:<{column}}{page.summary}"


def names() -> list[str]:
    """What can be asked for: pages, and the keys of settings."""
    keys = (setting.key for page in pages().values() for setting in page.settings)
    return list(dict.fromkeys([*pages(), *keys]))


def shown(name: str, width: int) -> Iterator[str]:
    """The page of a name, or every setting of that name.

    name: one of `names`. width: how many characters a line may have.
    """
    page = pages().get(name)
    if page:
        yield from _page(page, width)
        return
    for owner, setting in settings_called(name):
        yield _title(owner)
        yield from _setting(setting, len(name) + 4, width)


def _title(page: Page) -> str:
    """The way to a page: `training: optimizer: muon`."""
    return ": ".join(page.path)


def _page(page: Page, width: int) -> Iterator[str]:
    yield _title(page)
    yield ""
    for paragraph in page.text:
        yield from textwrap.wrap(paragraph, width)
        yield ""
    for name in page.choices:
        yield from _item(name, pages()[name].summary, 20, width)
    column = max((len(setting.key) for setting in page.settings), default=0) + 4
    for setting in page.settings:
        yield from _setting(setting, column, width)
    more = [other.name for other in below(page) if other.name not in page.choices]
    if more:
        yield ""
        yield from textwrap.wrap(f"More pages: {', '.join(more)}", width)


def _setting(setting: Setting, column: int, width: int) -> Iterator[str]:
    default = "" if setting.default == "required" else f"default {setting.default}"
    if setting.default == "none":
        default = "optional"
    yield from _item(setting.key, f"{setting.value}; {default or 'required'}", column, width)
    yield from _item("", setting.meaning, column, width)


def _item(name: str, text: str, column: int, width: int) -> Iterator[str]:
    """A name, and a text in a column beside it."""
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=f"{INDENT}{name}".ljust(column),
        subsequent_indent=" " * column,
        break_on_hyphens=False,
    )
