"""One use of a block: its parameters and the dims that its inputs bind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..diagnostics import Code, Label
from ..ir.dims import Dim, Poly
from ..ir.graph import Value
from ..ir.proofs import equal
from ..ir.shapes import shape_text
from ..source import Key
from ..suggest import did_you_mean, suggest
from .block_params import expected, fits
from .blocks import Block
from .describe import describe, plain
from .evaluate import FAILED, Scope
from .layers import NAME, Layer


def block_arguments(block: Block, layer: Layer, scope: Scope) -> dict[str, Any] | None:
    """The values of a block's parameters at one use; None where mistakes were reported."""
    path = layer.arguments_path
    if not check_keys(block, layer, scope):
        return None
    given = scope.evaluate(layer.value or {}, path)
    if given is FAILED:
        return None
    result: dict[str, Any] = {}
    good = True
    for name, param in block.params.items():
        value = given.get(name, param.default)
        if not fits(value, param):
            good = False
            scope.wrong(
                f"`{name}` of block `{block.name}` expects {expected(param)}, "
                f"found {describe(value)}",
                (*path, name),
            )
        result[name] = float(value) if param.type == "float" and good else value
    return result if good else None


def choice_words(block: Block) -> dict[str, str]:
    """The words of a block's choices, so that expressions can compare: `$(act == relu)`."""
    words = (word for param in block.params.values() for word in param.choices or ())
    return {word: word for word in words}


def check_keys(block: Block, layer: Layer, scope: Scope) -> bool:
    """Check which parameters a use gives, without evaluating them."""
    path = layer.arguments_path
    value = layer.value
    if value is not None and not isinstance(value, Mapping):
        scope.report(
            Code.S102,
            f"block `{block.name}` expects a map of parameters, found {describe(value)}",
            path,
            help=did_you_mean("", block.params, "parameter") if block.params else None,
        )
        return False
    unknown = [key for key in value or {} if key not in block.params]
    for key in unknown:
        scope.report(
            Code.S101,
            f"unknown parameter `{key}` of block `{block.name}`",
            (*path, key),
            key=True,
            help=did_you_mean(str(key), block.params, "parameter")
            if block.params
            else f"`{block.name}` takes no parameters",
        )
    missing = [
        name
        for name, param in block.params.items()
        if param.default is None and name not in (value or {})
    ]
    meant = {suggest(str(key), block.params) for key in unknown}
    for name in missing:
        if name in meant:
            continue  # the misspelt key is reported
        scope.report(
            Code.S102,
            f"block `{block.name}` needs `{name}`",
            path,
            key=True,
            help=f"add `{name}`, {expected(block.params[name])}",
        )
    return not unknown and not missing


def block_dims(
    block: Block, values: list[Value], layer: Layer, outer: Scope, inner: Scope
) -> dict[str, Dim] | None:
    """What the names in the shapes of a block's inputs stand for; None after a report.

    outer: where the block is used; inner: sees the block's parameters.
    """
    dims: dict[str, Dim] = {}
    for (port, pattern), value in zip(block.inputs.items(), values, strict=True):
        if pattern is None:
            continue
        place = (*block.path, "inputs", port, "shape")
        problem = _match(pattern, place, value.type.shape, dims, inner)
        if problem is FAILED:
            return None
        if problem:
            outer.report(
                Code.D401,
                f"block `{block.name}` needs `{port}` of shape {shape_text(pattern)}, "
                f"found {value.type}",
                layer.arguments_path,
                problem,
                key=True,
                also=[Label(block.located.span(place), "declared here")],
            )
            return None
    return dims


def _match(
    pattern: list[Any], place: Key, shape: tuple[Dim, ...], dims: dict[str, Dim], scope: Scope
) -> Any:
    """Bind the names of a pattern, whose expressions see what is bound before them.

    Returns: a few words on what does not fit, or nothing; FAILED after a report.
    """
    if len(pattern) != len(shape):
        return f"{len(shape)} axes, expected {len(pattern)}"
    for axis, (written, size) in enumerate(zip(pattern, shape, strict=True)):
        bound = replace(scope, env={**scope.env, **dims})
        wanted = bound.evaluate(written, (*place, axis))
        if wanted is FAILED:
            return FAILED
        if isinstance(wanted, str):
            if not NAME.match(wanted) or not wanted[0].isupper():
                return f"`{wanted}` is not the name of a dimension"
            wanted = dims.setdefault(wanted, size)
        if isinstance(wanted, bool) or not isinstance(wanted, int | Poly):
            return f"axis {axis}: `{plain(wanted)}` is not a size"
        if equal(wanted, size) is not True:
            return f"axis {axis} is {size}, expected {wanted}"
    return ""
