"""docs/settings.md: every page of the reference in Markdown."""

from __future__ import annotations

from .pages import Page, Setting, below, pages

HEAD = """\
# Settings

Generated from the models in `compiler/objectives/` and `compiler/language/schema.py` by
`make docs`; do not edit. [language.md](language.md) says what the sections are for, with examples.
`netwright settings` lists these pages, and `netwright settings NAME` prints one.

A map may be left out where none of its settings is required, and `{}` stands for all its defaults.
A choice without arguments may be written as its bare name: `optimizer: adamw`. From `data` on, a
value may be an [expression](language.md#expressions).
"""


def manual() -> str:
    """The whole document."""
    tops = [page for page in pages().values() if not page.depth]
    parts = [HEAD, *(_contents(page) for page in tops), ""]
    parts += [_markdown(page) for page in pages().values()]
    return "\n".join(parts)


def anchor(name: str) -> str:
    """What a link to a page's heading ends in."""
    return "#" + name.replace(".", "").lower()


def _contents(page: Page) -> str:
    inner = ", ".join(_link(other.name) for other in below(page))
    return f"- {_link(page.name)}: {inner}" if inner else f"- {_link(page.name)}"


def _link(name: str, key: str = "") -> str:
    return f"[`{key or name}`]({anchor(name)})"


def _markdown(page: Page) -> str:
    lines = [f"{'#' * min(page.depth + 2, 6)} `{page.name}`", ""]
    lines += ["\n\n".join(page.text), ""]
    if page.choices:
        lines += ["| one of | |", "|---|---|"]
        lines += [f"| {_link(name)} | {_cell(pages()[name].summary)} |" for name in page.choices]
        lines.append("")
    if page.settings:
        lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
        lines += [_row(setting) for setting in page.settings]
        lines.append("")
    return "\n".join(lines)


def _row(setting: Setting) -> str:
    key = _link(setting.page, setting.key) if setting.page else f"`{setting.key}`"
    cells = (key, setting.value, setting.default, setting.meaning)
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
