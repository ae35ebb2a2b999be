"""What differs between specs: their settings as trees, and the paths where these trees differ.

Torch-free. A tree is made of maps, lists and plain values, as a spec's YAML is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...compiler.driver import Compilation
from ...compiler.ir.printer import print_graph
from ...compiler.language.describe import plain
from ...compiler.objectives.fields import Normalize
from ...compiler.objectives.schedules import Schedule
from ...compiler.objectives.section import OneKey, Section

Tree = Any
Path = tuple[str | int, ...]

WIRING = ("dims", "imports", "blocks", "networks")
"""The sections that make networks: compared as they are written, since their arguments may hold
expressions that have another value at each place a block is used."""


class Absent:
    """Stands where a spec has nothing."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


@dataclass(frozen=True)
class Settings:
    """The settings of one spec, each as a tree.

    full: with the defaults in their places and expressions evaluated. given: what the spec says
    of these. written: the text's own tree. graphs: the networks' printed graphs, without lines.
    """

    full: Tree
    given: Tree
    written: Tree
    graphs: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all specs.

    path: `training.optimizer.adamw.lr`. values: one for each spec, `ABSENT` where it has none.
    """

    path: str
    values: tuple[Tree, ...]


def settings_of(compilation: Compilation) -> Settings:
    """The settings of a compiled spec."""
    spec, written = compilation.spec, compilation.located.data
    wiring = {key: written[key] for key in WIRING if key in written}
    if spec.imported:
        wiring["imports"] = {"files": wiring["imports"], "contents": _digest(spec.imported)}
    sections = {
        "data": spec.data,
        "objective": spec.objective,
        "training": spec.training,
        "export": spec.export,
    }
    top = {"name": spec.name, "params": dict(spec.params)}
    full = {key: _tree(section, given=False) for key, section in sections.items()}
    given = {key: _tree(section, given=True) for key, section in sections.items()}
    if spec.data:
        full["data"]["fields"] = _tree(compilation.fields, given=False)
    graphs = {name: _without_lines(graph) for name, graph in compilation.graphs.items()}
    return Settings(top | wiring | full, top | wiring | given, written, graphs)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]


def _without_lines(graph: Any) -> str:
    return re.sub(r"  # line \d+$", "", print_graph(graph), flags=re.MULTILINE)


def _tree(value: Any, *, given: bool) -> Tree:
    """A value of a section's model as a spec writes it; `given` leaves defaults out."""
    if isinstance(value, Schedule) and value.is_constant:
        return value.start
    if isinstance(value, Normalize) and value.measured:  # the numbers are of data, not settings
        value = value.model_copy(update={"mean": None, "std": None})
    if isinstance(value, Section):
        return _named(value, _section(value, given=given))
    if isinstance(value, Mapping):
        return {str(key): _tree(item, given=given) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item, given=given) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _section(section: Section, *, given: bool) -> dict[str, Tree]:
    found: dict[str, Tree] = {}
    for name, info in type(section).model_fields.items():
        if given and name not in section.model_fields_set:
            continue
        item = _tree(getattr(section, name), given=given)
        if any(isinstance(entry, OneKey) and entry.inline for entry in info.metadata):
            found |= item
        else:
            found[info.alias or name] = item
    return found


def _named(section: Section, tree: dict[str, Tree]) -> Tree:
    """One that was chosen by its name stands under it: `{adamw: {lr: 0.001}}`."""
    name = getattr(type(section), "name", None)
    return {name: tree} if isinstance(name, str) else tree


# Differences


def differences(specs: Sequence[Settings]) -> list[Difference]:
    """Every setting that is not the same in all specs, in the order of their sections.

    A setting written as the same expression everywhere is left out: the parameters that it is made
    of are listed. So are layers that are written in another way and make the same networks.
    """
    same_networks = all(spec.graphs == specs[0].graphs for spec in specs)
    found = []
    for path in _differing((), [spec.full for spec in specs]):
        if same_networks and path[0] in WIRING:
            continue
        if not _is_one_expression([_reached(spec.written, path) for spec in specs]):
            found.append(Difference(_text(path), _values(specs, path)))
    return found


def _differing(path: Path, nodes: Sequence[Tree]) -> Iterator[Path]:
    """The paths below `path` where trees differ, each as deep as they can be compared."""
    if all(node == nodes[0] for node in nodes):
        return
    for key in _common_keys(nodes):
        yield from _differing((*path, key), [_child(node, key) for node in nodes])
    if not _common_keys(nodes):
        yield path


def _common_keys(nodes: Sequence[Tree]) -> list[str | int]:
    """Where to look further: maps that share a key, and lists of maps of one length."""
    if all(isinstance(node, Mapping) for node in nodes):
        shared = set(nodes[0]).intersection(*nodes[1:])
        return list(dict.fromkeys(key for node in nodes for key in node)) if shared else []
    if not all(isinstance(node, list) and len(node) == len(nodes[0]) for node in nodes):
        return []
    nested = any(isinstance(item, Mapping) for node in nodes for item in node)
    return list(range(len(nodes[0]))) if nested else []


def _child(node: Tree, key: str | int) -> Tree:
    if isinstance(node, Mapping):
        return node.get(key, ABSENT)
    return node[key] if isinstance(node, list) and isinstance(key, int) else ABSENT


def _values(specs: Sequence[Settings], path: Path) -> tuple[Tree, ...]:
    """What stands at a path: as given, so that a chosen optimizer is shown without its defaults.

    Of layers that can't be compared one by one, those that not all networks have; other lists are
    short, and shown as they are.
    """
    full = [_at(spec.full, path) for spec in specs]
    given = [_at(spec.given, path) for spec in specs]
    values = [f if g is ABSENT else g for f, g in zip(full, given, strict=True)]
    if path[0] in WIRING and all(isinstance(value, list) for value in values):
        return _without_shared(values)
    return tuple(values)


def _without_shared(values: Sequence[list[Tree]]) -> tuple[Tree, ...]:
    """What not all of the lists have; `ABSENT` for one that has nothing besides."""
    shared = [item for item in values[0] if all(item in value for value in values)]
    rests = [[item for item in value if item not in shared] for value in values]
    return tuple(rest or ABSENT for rest in rests) if any(rests) else tuple(values)


def _nested(items: Sequence[Tree]) -> bool:
    return any(isinstance(item, Mapping) for item in items)


def _at(tree: Tree, path: Path) -> Tree:
    for key in path:
        tree = _child(tree, key)
    return tree


def _reached(tree: Tree, path: Path) -> Tree:
    """What stands at a path, or at the last place on the way that is there."""
    for key in path:
        deeper = _child(tree, key)
        if deeper is ABSENT:
            return tree
        tree = deeper
    return tree


def _is_one_expression(written: Sequence[Tree]) -> bool:
    first = written[0]
    return isinstance(first, str) and "$" in first and all(text == first for text in written)


# Text


def _text(path: Path) -> str:
    """`objective.supervised.losses[0].cross_entropy.smoothing`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return "".join(parts).removeprefix(".")


def value_text(value: Tree) -> str:
    """A value as a spec writes it in one line; a map with one key without its braces."""
    if value is ABSENT:
        return "-"
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, inner),) = value.items()
        return str(key) if inner in (None, {}) else f"{key}: {plain(inner)}"
    if isinstance(value, list) and _nested(value):
        return ", ".join(value_text(item) for item in value)
    return "none" if value is None else plain(value)
