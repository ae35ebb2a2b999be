"""How a layer is applied with tensors that it does not keep itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ops.base import Construct
from .torch_parts import number_hole

_CONVOLUTION = ("stride", "padding", "dilation", "groups")
_FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "nn.Linear": ("F.linear", ()),
    "nn.Embedding": ("F.embedding", ("padding_idx",)),
    **{f"nn.Conv{n}d": (f"F.conv{n}d", _CONVOLUTION) for n in (1, 2, 3)},
    **{
        f"nn.ConvTranspose{n}d": (f"F.conv_transpose{n}d", (*_CONVOLUTION, "output_padding"))
        for n in (1, 2, 3)
    },
}
"""Constructor -> the function that takes the weights, and the keywords that both take."""


def has_function(construct: Construct | None) -> bool:
    """Whether the layer can be applied without a module of its own."""
    return construct is not None and construct.function in _FUNCTIONS


def tied_call(
    construct: Construct, inputs: Sequence[str], weights: Mapping[str, str], module: str
) -> tuple[str, dict[str, Any]]:
    """The text of a call with given weights, and the literals in it.

    weights: parameter key -> text of the tensor. module: text of the layer's own module, which a
        layer needs where `has_function` does not hold.
    """
    known = _FUNCTIONS.get(construct.function)
    if known is None:
        given = ", ".join(f'"{key}": {text}' for key, text in weights.items())
        arguments = f"{', '.join(inputs)}," if len(inputs) == 1 else ", ".join(inputs)
        return f"functional_call({module}, {{{given}}}, ({arguments}))", {}
    function, keywords = known
    numbers = {name: construct.kwargs[name] for name in keywords if name in construct.kwargs}
    texts = [*inputs, weights["weight"]]
    texts += [weights["bias"]] if "bias" in weights else []
    texts += [f"{name}={number_hole(name)}" for name in numbers]
    return f"{function}({', '.join(texts)})", numbers
