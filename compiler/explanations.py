"""The long text of each code: `netwright explain D402`, and docs/diagnostics.md.

The pages stand in explanations.md; those of lints are the lints' own docstrings.
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path

from .diagnostics import Code

_PAGES = Path(__file__).with_name("explanations.md")

_FAMILIES = {
    "Y": "Text and YAML",
    "S": "Structure of a spec",
    "E": "Expressions",
    "G": "Names and wiring",
    "D": "Sizes and types",
    "O": "Objectives",
    "F": "Data files",
    "X": "Export",
    "B": "Bundles",
    "R": "Runs",
    "P": "Plug-ins",
    "L": "Lints",
}


def explain(code: Code) -> str:
    """What a code means, why it is a problem, a wrong example and a right one, in Markdown."""
    return f"# {code.name}: {code.value}\n\n{page(code)}\n"


def page(code: Code) -> str:
    """The text below a code's heading."""
    return pages().get(code.name) or _lint_page(code)


@cache
def pages() -> dict[str, str]:
    """Every page of explanations.md by the name of its code."""
    text = _PAGES.read_text(encoding="utf-8")
    parts = re.split(r"^## (\w+)\n", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _lint_page(code: Code) -> str:
    from .lints.registry import LINTS  # lints stand above this module in the order of imports

    summary, _, body = inspect.cleandoc(LINTS[code].__doc__ or "").partition("\n\n")
    return _fenced(f"{summary}\n\n{body}".strip())


def _fenced(text: str) -> str:
    """Indented examples as fenced YAML."""
    indented = re.compile(r"((?:^    .*\n|^\n(?=    ))+)", re.MULTILINE)

    def fence(match: re.Match[str]) -> str:
        return f"\n```yaml\n{inspect.cleandoc(match.group())}\n```\n"

    return indented.sub(fence, f"{text}\n").replace("\n\n\n", "\n\n").strip()


def manual() -> str:
    """docs/diagnostics.md: a table of all codes, and the page of each."""
    lines = [
        "# Diagnostics",
        "",
        "Generated from `compiler/explanations.md` and the lints by `make docs`.",
        "",
        "`netwright explain CODE` prints one of these pages. Errors stop a compilation, warnings",
        "do not. Codes are never reused.",
    ]
    for letter, title in _FAMILIES.items():
        codes = [code for code in Code if code.name.startswith(letter)]
        if codes:
            lines += ["", f"## {title}", "", "| code | severity | when |", "|---|---|---|"]
            lines += [_row(code) for code in codes]
            for code in codes:
                lines += ["", f"### {code.name}", "", f"*{code.value}*", "", page(code)]
    return "\n".join(lines) + "\n"


def _row(code: Code) -> str:
    return f"| [{code.name}](#{code.name.lower()}) | {code.severity} | {code.value} |"
