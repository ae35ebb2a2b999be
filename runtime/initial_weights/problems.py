"""Why stored weights do not fit the networks that shall begin with them: F603, and what to add."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ...compiler.diagnostics import Code, Diagnostic
from ...compiler.objectives.patterns import matches, nearest
from ...compiler.suggest import listing
from .matching import Match, Misfit

SHOWN = 6
"""How many names a line lists."""


def problems_of(match: Match) -> Iterator[Diagnostic]:
    """What keeps a source from being used; nothing where it fits."""
    unknown = list(_unknown_patterns(match))
    yield from unknown
    if unknown:
        return  # what they were to name would be reported again as a misfit
    if not match.taken and not match.misfits:
        yield _nothing(match)
        return
    if match.misfits:
        yield _misfits(match)
    if match.settings.strict and match.missing:
        yield _missing(match)
    if match.settings.strict and match.extra:
        yield _extra(match)


def _problem(match: Match, message: str, help_: str, notes: Iterable[str] = ()) -> Diagnostic:
    networks = listing(match.graphs)
    text = message.replace("<networks>", networks).replace("<source>", f"`{match.source.path}`")
    return Diagnostic(Code.F603, text, notes=tuple(notes), help=help_)


def _unknown_patterns(match: Match) -> Iterator[Diagnostic]:
    own = [tensor for _, tensor, _ in match.wanted]
    there = [name for name in map(match.own_name, match.rest) if name is not None]
    for pattern in match.patterns:
        if not any(matches(pattern, name) for name in (*own, *there)):
            yield _problem(
                match,
                f"expected `reinitialise` to name tensors of <networks> or of <source>, found "
                f"`{pattern}`, which matches none",
                nearest(pattern, own),
            )


def _nothing(match: Match) -> Diagnostic:
    names = listing(match.source.tensors, SHOWN)
    return _problem(
        match,
        "expected tensors of <networks> in <source>, found none of their names",
        _better_prefix(match),
        [f"it has {names}" if names else "it holds no tensors"],
    )


def _better_prefix(match: Match) -> str:
    """What stands before most of the networks' names in the source, as a next step."""
    found: Counter[str] = Counter()
    for _, tensor, _ in match.wanted:
        end = match.below(tensor)
        for name in match.source.tensors:
            if name == end or name.endswith(f".{end}"):
                found[name.removesuffix(f"{end}").removesuffix(".")] += 1
    if not found:
        return "choose a source with the names of the network's state dict"
    ((prefix, _),) = found.most_common(1)
    return f"add `prefix: {prefix}` to `init_from`" if prefix else "remove `prefix`"


def _missing(match: Match) -> Diagnostic:
    missing = match.missing
    return _problem(
        match,
        f"expected {len(match.wanted)} tensors of <networks> in <source>, found {len(missing)} of "
        f"them missing: {listing(missing, SHOWN)}",
        f"add `{_line(name.partition('.')[2] for name in missing)}` or `strict: false` to "
        "`init_from`; they start anew then",
    )


def _extra(match: Match) -> Diagnostic:
    extra = match.extra
    return _problem(
        match,
        f"expected tensors of <networks> alone in <source>, found {len(extra)} more: "
        f"{listing(extra, SHOWN)}",
        "add `strict: false` to `init_from`; they are left out then",
    )


def _misfits(match: Match) -> Diagnostic:
    first, *others = match.misfits
    notes = [f"`{one.tensor}`: expected {_own(one)}, found {_stored(one)}" for one in others]
    if len(notes) > SHOWN:
        notes = [*notes[:SHOWN], f"and {len(notes) - SHOWN} more"]
    return _problem(
        match,
        f"expected `{first.tensor}` of `{first.network}` as {_own(first)}, found "
        f"{_stored(first)} in <source>",
        f"add `{_line(one.tensor for one in match.misfits)}` to `init_from`; what it names starts "
        "anew then",
        notes,
    )


def _own(misfit: Misfit) -> str:
    return f"{misfit.declared.dtype.value}{list(misfit.declared.shape)}"


def _stored(misfit: Misfit) -> str:
    return f"{misfit.stored.dtype.lower()}{list(misfit.stored.shape)}"


def _line(tensors: Iterable[str]) -> str:
    """The setting that lets tensors start anew, by the layers that keep them."""
    layers = dict.fromkeys(tensor.rpartition(".")[0] for tensor in tensors)
    patterns = [f'"{layer}.**"' if layer else '"*"' for layer in layers]
    shown = [*patterns[:SHOWN], "..."] if len(patterns) > SHOWN else patterns
    return f"reinitialise: [{', '.join(shown)}]"
