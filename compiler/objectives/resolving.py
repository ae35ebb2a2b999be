"""Checks the section `data` and settles what each field is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from ..diagnostics import Code, Sink
from ..ir.dims import Symbol
from ..source import Key, Span
from ..suggest import did_you_mean, size_help
from .data import Data
from .field_checks import field_problems
from .fields import Field
from .problem import Problem
from .source import Source

DATA: Key = ("data",)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def resolve_fields(
    data: Data, dims: Mapping[str, Symbol], span: Callable[[Key], Span | None], sink: Sink
) -> tuple[dict[str, Field], frozenset[str]]:
    """The fields of a batch: what the source knows, overridden by what the spec says.

    Args:
        dims: every symbolic size by name, `B` included.
        span: the place of a value by its path from the root of the spec.
    Returns: the good fields by name, and the names of those with mistakes, which are reported.
    """
    merged = data.merged_fields()
    good: dict[str, Field] = {}
    for name, field in merged.items():
        problems = _problems(field, name, data, merged, dims)
        for problem in problems:
            problem.report((*DATA, "fields", name), span, sink)
        if not problems:
            good[name] = field
    stored = [name for name in merged if name not in data.source.derived(merged)]
    _check_source(data, stored, span, sink)
    return good, frozenset(merged) - good.keys()


def _problems(
    field: Field,
    name: str,
    data: Data,
    fields: Mapping[str, Field],
    dims: Mapping[str, Symbol],
) -> list[Problem]:
    """What is wrong with a field; what is wrong with its name or presence silences the rest."""
    return (
        list(_name(name))
        or list(_incomplete(field, name, data))
        or list(_field(field, name, data.source, fields, dims))
    )


def _name(name: str) -> Iterator[Problem]:
    if not NAME.match(name):
        yield Problem(
            Code.S102,
            f"a field expects a name of letters, digits and underscores, found `{name}`",
            help="programs have inputs of the same names",
        )


def _incomplete(field: Field, name: str, data: Data) -> Iterator[Problem]:
    known = data.source.known_fields()
    if known and name not in known:
        yield Problem(
            Code.O501,
            f"the source `{data.source.name}` has no field `{name}`",
            help=did_you_mean(name, known, "field"),
        )
        return
    for key in ("shape", "dtype"):
        if getattr(field, key) is None:
            yield Problem(
                Code.S102,
                f"the field `{name}` needs `{key}`: the source `{data.source.name}` does not tell",
                help=f"add `{key}:` as the data is stored",
            )


def _field(
    field: Field,
    name: str,
    source: Source,
    fields: Mapping[str, Field],
    dims: Mapping[str, Symbol],
) -> Iterator[Problem]:
    assert field.shape is not None
    unknown = [
        i for i, size in enumerate(field.shape) if isinstance(size, str) and size not in dims
    ]
    if field.shape[0] != "B" and 0 not in unknown:
        yield Problem(
            Code.D401,
            f"the first axis of a field is the batch `B`, found `{field.shape[0]}`",
            ("shape", 0),
            help="write `shape: [B, ...]`",
        )
    for index in unknown:
        size = str(field.shape[index])
        yield Problem(
            Code.G301,
            f"unknown size `{size}`",
            ("shape", index),
            help=size_help(size, index),
        )
    yield from field_problems(field)
    yield from source.field_problems(name, field)
    if field.lengths is not None:
        yield from _lengths(field, field.lengths, name, fields)


def _lengths(
    field: Field, lengths: str, name: str, fields: Mapping[str, Field]
) -> Iterator[Problem]:
    other = fields.get(lengths)
    if other is None or lengths == name:
        others = [f for f in fields if f != name]
        yield Problem(
            Code.O501,
            f"`lengths` expects another data field, found `{lengths}`",
            ("lengths",),
            help=did_you_mean(lengths, others, "field"),
        )
    elif other.shape != ["B"] or other.dtype not in ("int32", "int64"):
        yield Problem(
            Code.O501,
            f"`lengths` expects a field of integers [B], found `{lengths}` of shape "
            f"{other.shape} and dtype {other.dtype}",
            ("lengths",),
        )
    elif field.rank < 2:
        yield Problem(
            Code.O502,
            "`lengths` needs a field with an axis 1, found one of shape [B]",
            ("lengths",),
        )


def _check_source(
    data: Data, fields: list[str], span: Callable[[Key], Span | None], sink: Sink
) -> None:
    source, place = data.source, (*DATA, "source", data.source.name)
    if not fields:
        problem = Problem(
            Code.S102,
            f"`data` needs `fields`: the source `{source.name}` does not tell what it holds",
            help="describe each: `image: {shape: [B, 1, 28, 28], dtype: uint8, scale: [0, 1]}`",
        )
        problem.report(DATA, span, sink)
        return
    for problem in source.problems(fields):
        problem.report(place, span, sink)
    for problem in data.problems():
        problem.report(DATA, span, sink)
