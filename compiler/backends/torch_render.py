"""Writes a class: docstring with shapes, constructor and `forward`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..ir.dims import Dim
from ..ir.shapes import TensorType
from ..reserved import MODULE_ATTRIBUTES
from .torch_arguments import expand
from .torch_constructor import Constructor
from .torch_forward import Body
from .torch_layout import INDENT, Entry, call, fit
from .torch_names import Names, field_name, local_name, prose
from .torch_parts import Frame, Port


@dataclass
class Writer(Constructor):
    """Writes one class.

    output: the name of the tuple that a network with several outputs returns.
    title: the first line of the docstring.
    """

    title: str = ""
    output: str | None = None

    def __post_init__(self) -> None:
        self.frame = self.defined.model
        ids = {identity for identity, _ in self.frame.fields}
        networks = {local_name(name) for name in self.frame.needs()}
        self._attributes = Names(ids | networks | self.frame.parts.keys() | MODULE_ATTRIBUTES)

    def lines(self) -> Iterator[str]:
        """The whole class."""
        # `forward` first, since it decides which arguments the constructor stores.
        forward = [] if self.frame.is_chain else list(self._forward())
        parts = [list(self.constructor()), forward]
        yield f"class {self.defined.name}({self.frame.base}):"
        yield from self._docstring()
        for part in filter(None, parts):
            yield ""
            yield from part

    # Docstring

    def _docstring(self) -> Iterator[str]:
        frame = self.frame
        yield f'{INDENT}"""{self.title}'
        yield ""
        if self.defined.is_variant:
            yield f"{INDENT}The variant that stands at `{prose(frame.scope.path)}`."
            yield ""
        inputs = [(port.name, self._input(place, port)) for place, port in enumerate(frame.ports)]
        outputs = [
            (name, self._shape(kind, _result(name))) for name, kind in frame.result_types.items()
        ]
        yield from _listing("Inputs: ", inputs)
        yield from _listing("Outputs:", outputs)
        yield f'{INDENT}"""'

    def _input(self, place: int, port: Port) -> str:
        if port.type:
            return self._shape(port.type, lambda frame: frame.ports[place].type)
        return "a tensor that another layer keeps" if port.annotation == "Tensor" else "a layer"

    def _shape(self, kind: TensorType, of: Callable[[Frame], TensorType | None]) -> str:
        """A type whose sizes are those of every instance, or the names of what they depend on."""
        kinds = [of(frame) for frame in self.defined.frames]
        sizes = [
            self._size([k.shape[axis] if k and axis < k.rank else None for k in kinds])
            for axis in range(kind.rank)
        ]
        return f"{kind.dtype}[{', '.join(sizes)}]"

    def _size(self, row: list[Dim | None]) -> str:
        if all(size == row[0] for size in row):
            return str(row[0])
        multiple = self.defined.arguments.multiple(row)
        if multiple:
            return multiple
        scopes = [frame.scope for frame in self.defined.frames]
        letters = (
            letter
            for letter in scopes[0].dims
            if [scope.dims.get(letter) for scope in scopes] == row
        )
        return next(letters, "*")

    # Forward

    def _forward(self) -> Iterator[str]:
        body = self._body()
        last = body.returns_last() and self.output is None
        lines = list(body.lines(returning=last))
        entries = [Entry("self"), *(Entry(f"{p.name}: {p.annotation}") for p in self.frame.ports)]
        yield from fit(call("forward", entries), 1, prefix="def ", suffix=f" -> {self._returns()}:")
        yield from lines
        if not last:
            yield from self._return(body)

    def _returns(self) -> str:
        if self.output:
            return self.output
        count = len(self.frame.results)
        return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"

    def _return(self, body: Body) -> Iterator[str]:
        names = [(field_name(port), body.names[key]) for port, key in self.frame.results.items()]
        if self.output:
            entries = [Entry(name, f"{port}=") for port, name in names]
            yield from fit(call(self.output, entries), 2, prefix="return ")
        else:
            yield f"{INDENT * 2}return {', '.join(name for _, name in names)}"

    def _body(self) -> Body:
        frame, defined = self.frame, self.defined
        texts = {
            key: expand(text, self._stored) for key, text in defined.texts.items() if ":" in key[0]
        }
        optional = {
            path: (expand(flag, self._stored), defined.passed[path])
            for path, flag in defined.optional.items()
            if path in defined.passed and not self.may_be_identity(path)
        }
        ports = {key: local_name(port) for port, key in frame.results.items()}
        names = {port.key: port.name for port in frame.ports}
        results = list(frame.results.values())
        wanted = ports if self.output else {}
        return Body(frame.steps, results, names, texts, optional, wanted=wanted)

    def _stored(self, name: str) -> str:
        """An argument of the constructor in `forward`: an attribute that keeps it."""
        if name not in self.stored:
            self.stored[name] = self._attributes.fresh(name, f"{name}_")
        return f"self.{self.stored[name]}"


def _listing(head: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    for place, (name, shape) in enumerate(rows):
        yield f"{INDENT}{head if not place else ' ' * len(head)} {name}: {shape}"


def _result(name: str) -> Callable[[Frame], TensorType | None]:
    return lambda frame: frame.result_types.get(name)
