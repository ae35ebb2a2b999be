"""Reads the items of `layers`: one operation each, and the modifiers around it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..diagnostics import Code
from ..foreign_words import translated
from ..ops.base import REGISTRY
from ..reserved import MODULE_ATTRIBUTES
from ..source import Key, Span
from ..suggest import did_you_mean, word_help, word_meant
from .arguments import static_check
from .describe import describe
from .evaluate import Scope
from .expressions import is_expression

MODIFIERS = ("id", "from", "when", "else", "repeat", "tie")
RESERVED = frozenset({"prev", "none", "index", "count", "self"})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
BROKEN = ""
ALIAS = re.compile(r"[a-z_][a-z0-9_]*\Z")
BLOCK = re.compile(r"([a-z_][a-z0-9_]*\.)?[A-Z][A-Za-z0-9]*\Z")


@dataclass(frozen=True)
class Layer:
    """One item of `layers`, its keys checked, nothing evaluated.

    operation: an operator, a block (`Residual`, `resnet.Bottleneck`), `layers` or `share`; BROKEN
        for an item with mistakes, whose result is unknown.
    value: what stands behind the operation's key. layers: the parsed items of a group.
    path: where the item stands in the document.
    """

    operation: str
    value: Any
    path: Key
    span: Span
    id: str | None = None
    modifiers: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()

    @property
    def is_block(self) -> bool:
        return bool(BLOCK.match(self.operation))

    @property
    def once(self) -> Layer:
        """The layer without its `repeat`: what each copy is."""
        modifiers = {key: value for key, value in self.modifiers.items() if key != "repeat"}
        return replace(self, modifiers=modifiers)

    @property
    def arguments_path(self) -> Key:
        """Where the operation's arguments stand; the item itself when it is a bare word."""
        return (*self.path, self.operation)


def has_broken(layers: tuple[Layer, ...]) -> bool:
    """Whether a layer among these, or in their groups, has mistakes."""
    return any(layer.operation == BROKEN or has_broken(layer.layers) for layer in layers)


@dataclass(frozen=True)
class Reader:
    """Parses the layers of one document.

    blocks: every block that may be named here, for the checks of operations.
    failed: imports and blocks with mistakes; a layer of theirs is silently BROKEN.
    """

    scope: Scope
    blocks: frozenset[str]
    failed: frozenset[str] = frozenset()

    def read(self, items: Any, path: Key) -> tuple[Layer, ...]:
        """Every item; those that cannot be understood are reported and BROKEN."""
        if not isinstance(items, list) or not items:
            self.scope.report(
                Code.S102, f"`layers` expects a list of layers, found {describe(items)}", path
            )
            return ()
        return tuple(self._item(item, (*path, i)) for i, item in enumerate(items))

    def _item(self, item: Any, path: Key) -> Layer:
        if isinstance(item, str) and not is_expression(item):
            item = {item: None}
        if not isinstance(item, dict):
            self.scope.report(
                Code.S102,
                f"a layer expects an operation, found {describe(item)}",
                path,
                help="write the operation's name, such as `- relu` or `- linear: 10`",
            )
            return Layer(BROKEN, None, path, self.scope.located.span(path))
        operation = self._operation(item, path)
        identity = self._id(item, path)
        if operation is None:
            return Layer(BROKEN, None, path, self.scope.located.span(path), identity)
        layers = self.read(item["layers"], (*path, "layers")) if operation == "layers" else ()
        good = self._arguments(operation, item[operation], path)
        if operation == "layers" and not layers:
            good = False
        good = self._modifiers(operation, item, path) and good
        return Layer(
            operation if good else BROKEN,
            item[operation],
            path,
            self.scope.located.span(path),
            identity,
            {key: item[key] for key in MODIFIERS if key in item and key != "id"},
            layers,
        )

    def _modifiers(self, operation: str, item: dict[str, Any], path: Key) -> bool:
        """Whether the modifiers of a layer mean something where they stand."""
        if "tie" in item and operation not in REGISTRY:
            what = {"layers": "a group", "share": "`share`"}.get(operation, "a block")
            self.scope.report(
                Code.S101,
                f"`tie` names the weights of one operator, found it on {what}",
                (*path, "tie"),
                key=True,
                help="move it to the layer whose weight is tied",
            )
            return False
        if "else" in item and "when" not in item:
            self.scope.report(
                Code.S101,
                "`else` stands only beside `when`",
                (*path, "else"),
                key=True,
                help="add `when` with the condition, or remove `else`",
            )
            return False
        if item.get("else", "none") in (None, {}):
            self.scope.report(
                Code.S102,
                f"`else` expects what stands for the layer, found {describe(item['else'])}",
                (*path, "else"),
                help="write `else: <layer>`, `else: {port: <layer>}` or `else: none`",
            )
            return False
        return True

    def _operation(self, item: dict[str, Any], path: Key) -> str | None:
        operations = [key for key in item if key not in MODIFIERS]
        known = [key for key in operations if self._known(key)]
        if any(str(key).partition(".")[0] in self.failed for key in operations):
            return None
        if len(operations) == 1 and known:
            return known[0]
        if not operations:
            self.scope.report(
                Code.S103,
                "a layer needs an operation, found only modifiers",
                path,
                help="add the operator's name with its arguments, such as `linear: 10`",
            )
        elif len(known) > 1:
            names = " and ".join(f"`{key}`" for key in known)
            self.scope.report(
                Code.S103,
                f"a layer expects exactly one operation, found {names}",
                (*path, known[1]),
                key=True,
                help="write each operation as a layer of its own",
            )
        else:
            for key in operations:
                if key not in known:
                    self._unknown(str(key), path, alone=not known)
        return None

    def _known(self, key: Any) -> bool:
        return key in REGISTRY or key in ("layers", "share") or key in self.blocks

    def _unknown(self, key: str, path: Key, *, alone: bool) -> None:
        modifier = word_meant(key, MODIFIERS)
        if not alone or modifier:
            self.scope.report(
                Code.S101,
                f"unknown key `{key}` in a layer",
                (*path, key),
                key=True,
                help=word_help(key, MODIFIERS),
            )
            return
        what = "block" if BLOCK.match(key) else "operation"
        choices = self.blocks if what == "block" else [*REGISTRY, "layers", "share"]
        operator = _as_operator(key)
        near = operator or word_meant(key, choices) or word_meant(key, [*REGISTRY, *self.blocks])
        if near or what == "operation":
            help = _step(key, near)  # noqa: A001
        elif self.blocks:
            help = did_you_mean(key, self.blocks, "block")  # noqa: A001
        else:
            help = "define it under `blocks`, or import a library that has it"  # noqa: A001
        self.scope.report(Code.S103, f"unknown {what} `{key}`", (*path, key), key=True, help=help)

    def _arguments(self, operation: str, value: Any, path: Key) -> bool:
        if operation in REGISTRY:
            return static_check(REGISTRY[operation], value, (*path, operation), self.scope)
        if operation == "share" and not isinstance(value, str):
            self.scope.report(
                Code.S102,
                f"`share` expects the id of a layer, found {describe(value)}",
                (*path, operation),
            )
            return False
        return True

    def _id(self, item: dict[str, Any], path: Key) -> str | None:
        if "id" not in item:
            return None
        value, place = item["id"], (*path, "id")
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return str(value)
        if not isinstance(value, str) or not NAME.match(value):
            self.scope.report(
                Code.S102,
                f"`id` expects an identifier or a whole number, found {describe(value)}",
                place,
                help="use letters, digits and underscores, not starting with a digit",
            )
            return None
        if value in RESERVED or value in MODULE_ATTRIBUTES:
            why = "reserved" if value in RESERVED else "a method of PyTorch's modules"
            self.scope.report(
                Code.G304,
                f"`{value}` is {why} and cannot be an id",
                place,
                help="choose another name",
            )
        return value  # a refused one too, so that references to it are no further mistakes


def _as_operator(key: str) -> str | None:
    """The operator that a name spells otherwise: PyTorch's `ReLU`, `MaxPool2d`."""
    plain = key.casefold().replace("_", "")
    return next((name for name in REGISTRY if name.replace("_", "") == plain), None)


def _step(name: str, near: str | None) -> str:
    """What to do about an operation that does not exist; `near` is one with a similar name."""
    word, space, rest = name.partition(" ")
    if space and word in REGISTRY:
        return f"write a colon after the operation: `{word}: {rest}`"
    if near is None:
        return "`netwright ops` lists them all"
    what = "an operator" if near in REGISTRY else "one"
    alike = "of this meaning" if translated(name, [near]) else "with a similar name"
    return f"{what} {alike} exists: `{near}`"
