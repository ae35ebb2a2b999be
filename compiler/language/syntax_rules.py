"""Rules that word a syntax error for people, one kind of mistake each."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..diagnostics import Code, Label
from .flow_rules import flow, flow_end
from .malformed import Malformed, Worded, content
from .scalars import clip


def _tab(e: Malformed) -> Worded | None:
    for line in (e.line, e.line + 1, e.line - 1):
        indent = re.match(r" *(\t+)", e.lines[line]) if 0 <= line < len(e.lines) else None
        if indent:
            return Worded(
                "a spec is indented with spaces, found a tab",
                e.span(line, *indent.span(1)),
                "tab",
                "replace each tab with two spaces",
            )
    return None


def _shell_variable(e: Malformed) -> Worded | None:
    found = re.search(r"\$\{([^{}]*)\}?", e.text)
    if not found:
        return None
    inner = found.group(1).strip() or "name"
    return Worded(
        f"an expression is written `$name` or `$( ... )`, found `{clip(found.group())}`",
        e.span(e.line, *found.span()),
        "braces start a map here",
        f"write `$({clip(inner)})`",
    )


def _directive(e: Malformed) -> Worded | None:
    if "directive" not in e.context and "incompatible YAML" not in e.problem:
        return None
    line = e.opened[0] if e.opened else e.line
    return Worded(
        f"a spec takes no YAML directives, found `{clip(e.lines[line].strip())}`",
        e.span(line, 0, len(e.lines[line])),
        help="remove the line that starts with `%`",
        code=Code.Y003,
    )


def _open_quote(e: Malformed) -> Worded | None:
    if "quoted scalar" not in e.context or "end of stream" not in e.problem or not e.opened:
        return None
    line, column = e.opened
    quote = e.lines[line][column]
    return Worded(
        f"a quoted text ends with {quote} as it began, found the end of the file",
        e.span(line, column),
        "the quote opens here",
        f"close the text with {quote}",
    )


def _escape(e: Malformed) -> Worded | None:
    if "quoted scalar" not in e.context or not re.search("escape|hex", e.problem):
        return None
    start = e.text.rfind("\\", 0, e.column + 1)
    return Worded(
        f"a backslash in double quotes starts an escape such as `\\n`, found "
        f"`{clip(e.text[start : start + 2])}`",
        e.span(e.line, start, start + 2),
        help="put the text in single quotes, where a backslash is a backslash",
    )


def _missing_space(e: Malformed) -> Worded | None:
    """`width:64`, which is a text, where a key was meant."""
    if not re.search(r"mapping values are not allowed|could not find expected ':'", e.problem):
        return None
    candidates = (e.line, e.above(), e.opened[0] if e.opened else None)
    for line in candidates:
        found = line is not None and re.match(r"\s*(?:- )?([\w.]+):([^\s/][^:]*)$", e.lines[line])
        if found and line is not None:
            name, value = found.groups()
            return Worded(
                f"a colon is followed by a space, found `{clip(found.group().strip())}`",
                e.span(line, found.start(1), found.end()),
                help=f"write `{clip(name)}: {clip(value.strip())}`",
            )
    return None


def _missing_colon(e: Malformed) -> Worded | None:
    """A line of a map without a colon."""
    if "could not find expected ':'" in e.problem and e.opened:
        line = e.opened[0]
    elif "mapping values are not allowed" in e.problem:
        above = e.above()
        if above is None or ":" in content(e.lines[above]):
            return None
        line = above
    else:
        return None
    text = content(e.lines[line]).removeprefix("- ")
    start = max(0, e.lines[line].find(text))
    return Worded(
        f"a key is followed by a colon and a space, found `{clip(text)}`",
        e.span(line, start, start + len(text)),
        "no colon",
        f"write `{clip(text)}:`, or a dash before it if it is an item of a list",
    )


def _second_colon(e: Malformed) -> Worded | None:
    if "mapping values are not allowed" not in e.problem:
        return None
    before = e.text[: e.column]
    if re.search(r":\s", before):
        return Worded(
            "a line has one key with one value, found a second colon",
            e.span(e.line, e.column),
            help="write an inner map in braces, `{kernel: 3}`, or put the text in quotes",
        )
    above = e.above()
    also = () if above is None else (line_label(e, above, "this line already has a value"),)
    return Worded(
        "keys of one map stand in one column, found a line that is indented more than the one "
        "above, which already has a value",
        e.span(e.line, len(e.text) - len(e.text.lstrip()), e.column),
        help="indent the line like the one above, or move the value above onto lines of its own",
        also=also,
    )


def line_label(e: Malformed, line: int, text: str) -> Label:
    said = content(e.lines[line])
    start = max(0, e.lines[line].find(said))
    return Label(e.span(line, start, start + len(said)), text)


_BLOCK = re.compile("expected key|expected '-' indicator|expected <block end>")


def _stray_bracket(e: Malformed) -> Worded | None:
    if not _BLOCK.search(e.problem) or e.text[e.column : e.column + 1] not in ("]", "}", ","):
        return None
    return Worded(
        f"the value ends before this, found {e.found} that belongs to no open bracket",
        e.here(),
        help="remove it, or open the bracket that it closes; commas stand only between brackets",
    )


def _no_key(e: Malformed) -> Worded | None:
    if not _BLOCK.search(e.problem) or e.text[e.column : e.column + 1] != ":":
        return None
    return Worded("a colon stands behind a key, found none before it", e.here(), help="write a key")


def _text_after_value(e: Malformed) -> Worded | None:
    if not _BLOCK.search(e.problem) or e.first_on_line:
        return None
    quote = next((q for q in ("'", '"') if q in e.text[: e.column]), None)
    if quote:
        return Worded(
            f"a quoted text ends at its closing {quote}, found {e.found} behind it",
            e.here(),
            help="put the whole text in double quotes" if quote == "'" else "quote the whole text",
        )
    return Worded(f"a value ends with its line, found {e.found} behind it", e.here())


def _item_among_keys(e: Malformed) -> Worded | None:
    if not re.search("expected key|expected <block end>", e.problem) or "mapping" not in e.context:
        return None
    if not re.match(r"\s*-(\s|$)", e.text) or not e.opened or e.opened[1] != e.column:
        return None
    return Worded(
        "a map holds keys with values, found an item of a list",
        e.span(e.line, e.column),
        "a list item among keys",
        "give the list a key of its own and indent its items below it",
        (line_label(e, e.opened[0], "the map begins here"),),
    )


def _key_among_items(e: Malformed) -> Worded | None:
    in_list = re.search("block (collection|sequence)", e.context)
    if not in_list or not e.opened or e.opened[1] != e.column:
        return None
    return Worded(
        f"each item of a list starts with `- `, found {e.found}",
        e.here(),
        "no dash",
        "put `- ` before it, or indent it so that it belongs to another part",
        (line_label(e, e.opened[0], "the list begins here"),),
    )


def _indentation(e: Malformed) -> Worded | None:
    if not _BLOCK.search(e.problem):
        return None
    count = len(e.text) - len(e.text.lstrip())
    return Worded(
        f"parts of one map or list stand in one column, found a line indented by {_spaces(count)} "
        "that fits no part above",
        e.here(),
        help=_indents(e, count),
    )


def _indents(e: Malformed, found: int) -> str:
    """The columns where parts begin that are still open, each with its line."""
    choices, least = [], None
    for number in range(e.line - 1, -1, -1):
        line = e.lines[number]
        indent = len(line) - len(line.lstrip())
        if content(line) and (least is None or indent < least):
            least = indent
            choices += [] if indent == found else [f"by {_spaces(indent)} as line {number + 1} is"]
    return f"indent it {', or '.join(choices[:3])}" if choices else "start the line at column 1"


def _spaces(count: int) -> str:
    return "1 space" if count == 1 else f"{count} spaces"


def _bad_start(e: Malformed) -> Worded | None:
    """A sign that no text without quotes can start with."""
    starts = "cannot start any token" in e.problem
    names = re.search("alias|anchor", e.context)
    if not starts and not names and "keys are not allowed" not in e.problem:
        return None
    column = e.opened[1] if names and e.opened else e.column
    line = e.opened[0] if names and e.opened else e.line
    sign = e.lines[line][column : column + 1]
    return Worded(
        f"a text without quotes cannot start with `{sign}`",
        e.span(line, column),
        help="put the text in quotes",
    )


def _block_text(e: Malformed) -> Worded | None:
    if "block scalar" not in e.context or not e.opened:
        return None
    line, column = e.opened
    sign = e.lines[line][column : column + 1]
    return Worded(
        f"`{sign}` starts a text that stands on the lines below, found {e.found}",
        e.here(),
        help=f"move the text to the next line, or put it in quotes if `{sign}` is part of it",
    )


def _list_on_key_line(e: Malformed) -> Worded | None:
    if "sequence entries are not allowed" not in e.problem:
        return None
    return Worded(
        "the items of a list stand on lines below their key, found one on the key's line",
        e.span(e.line, e.column),
        help="start a new line before the dash, or write the list in brackets: `[a, b]`",
    )


def _no_value(e: Malformed) -> Worded | None:
    if "node content" not in e.problem:
        return None
    return Worded(
        f"a value is expected here, found {e.found}",
        e.here(),
        help="give a value, or put the text in quotes",
    )


def _after_document(e: Malformed) -> Worded | None:
    if "document start" not in e.problem:
        return None
    return Worded(
        f"nothing follows the end of a document, found {e.found}",
        e.here(),
        help="remove the line `...` above",
        code=Code.Y003,
    )


def _anything(e: Malformed) -> Worded:
    return Worded(
        f"a spec is YAML, found {e.found}, which does not fit here",
        e.here(),
        help="check quotes, brackets and indentation of this line and the one above",
    )


RULES: tuple[Callable[[Malformed], Worded | None], ...] = (
    _open_quote,  # first: everything behind an open quote looks odd
    _escape,
    _tab,
    _shell_variable,
    _directive,
    flow,
    flow_end,
    _missing_space,
    _missing_colon,
    _second_colon,
    _stray_bracket,
    _no_key,
    _text_after_value,
    _item_among_keys,
    _key_among_items,
    _indentation,
    _bad_start,
    _block_text,
    _list_on_key_line,
    _no_value,
    _after_document,
    _anything,
)
