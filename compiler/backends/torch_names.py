"""Names and literals of generated Python: the only way from a spec to the text of a source.

An identifier passes a check, a literal is the `repr` of a checked number, and a comment has lost
whatever could end it.
"""

from __future__ import annotations

import builtins
import keyword
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..ir.dims import Poly
from ..ir.shapes import DType

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_ .-]*\Z")

IMPORTS = {
    "math": "import math",
    "OrderedDict": "from collections import OrderedDict",
    "NamedTuple": "from typing import NamedTuple",
    "Any": "from typing import Any",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "Tensor": "from torch import Tensor",
    "nn": "from torch import nn",
    "functional_call": "from torch.func import functional_call",
}
"""The names that a generated file may import, in the order of its import block."""

TAKEN = frozenset({*IMPORTS, *dir(builtins), *keyword.kwlist, *keyword.softkwlist, "self"})
"""Names that nothing of a spec may hide in a generated file."""

DTYPES = {
    DType.F64: "torch.float64",
    DType.F32: "torch.float32",
    DType.F16: "torch.float16",
    DType.BF16: "torch.bfloat16",
    DType.I64: "torch.int64",
    DType.I32: "torch.int32",
    DType.U8: "torch.uint8",
    DType.BOOL: "torch.bool",
}


@dataclass(frozen=True)
class Verbatim:
    """Python text among literals: a size that is read off a tensor's shape."""

    text: str

    def __str__(self) -> str:
        return self.text


def identifier(name: str) -> str:
    """The name itself, checked.

    Raises: ValueError: it is not an ASCII identifier; the language lets no such name through.
    """
    if not _IDENTIFIER.match(name):
        raise ValueError(f"not an identifier: {name!r}")
    return name


def is_attribute(name: str) -> bool:
    """Whether `self.<name>` is valid Python."""
    return bool(_IDENTIFIER.match(name)) and not keyword.iskeyword(name)


def local_name(text: str) -> str:
    """A name for a variable: dots become underscores, and nothing else is hidden by it."""
    name = re.sub(r"\W", "_", text)
    if name[:1].isdigit():
        name = f"layer_{name}"
    return identifier(f"{name}_" if name in TAKEN else name)


def field_name(text: str) -> str:
    """The field of a NamedTuple for an output: its own name wherever Python takes it."""
    name = f"output{text}" if text.startswith("_") else text
    return identifier(f"{name}_" if keyword.iskeyword(name) else name)


def class_name(text: str) -> str:
    """`residual_cnn` -> `ResidualCnn`; a block's `resnet.Bottleneck` -> `Bottleneck`."""
    parts = re.split(r"[^A-Za-z0-9]+", text.rpartition(".")[2])
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    return identifier(f"Net{name}" if name[:1].isdigit() else name)


class Names:
    """Hands out each name once."""

    def __init__(self, taken: Iterable[str] = TAKEN) -> None:
        self._taken = set(taken)

    def fresh(self, wanted: str, *others: str) -> str:
        """The first of the wanted names that is free, otherwise the first with a number."""
        free = (name for name in (wanted, *others) if name not in self._taken)
        name = next(free, None) or self._numbered(wanted)
        self._taken.add(name)
        return name

    def _numbered(self, wanted: str) -> str:
        stem = wanted if wanted[:1].isupper() else f"{wanted}_"
        number = 2
        while f"{stem}{number}" in self._taken:
            number += 1
        return f"{stem}{number}"


def literal(value: Any) -> str:
    """The Python text of a checked literal.

    Raises: TypeError, ValueError: the value is none, or holds a text that is not a plain word.
    """
    if isinstance(value, Verbatim):
        return value.text
    if isinstance(value, DType):
        return DTYPES[value]
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return _sequence(value)
    if isinstance(value, Poly):
        raise TypeError(f"a symbolic size cannot be written down: {value}")
    raise TypeError(f"not a literal: {value!r}")


def _quoted(word: str) -> str:
    if not _WORD.match(word):
        raise ValueError(f"not a plain word: {word!r}")
    return f'"{word}"'


def _sequence(values: list[Any] | tuple[Any, ...]) -> str:
    inner = ", ".join(literal(value) for value in values)
    if isinstance(values, list):
        return f"[{inner}]"
    return f"({inner},)" if len(values) == 1 else f"({inner})"


def prose(text: str, limit: int = 90) -> str:
    """A user's text as one line of a docstring or comment: nothing in it can end either."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    line = line.replace("\\", "/").replace('"', "'")
    return line if len(line) <= limit else f"{line[: limit - 3].rstrip()}..."


def file_title(name: str, limit: int = 40) -> str:
    """A file's name for a comment; of a long path the end, which tells most."""
    line = prose(name, len(name))
    return line if len(line) <= limit else f"...{line[3 - limit :].lstrip()}"
