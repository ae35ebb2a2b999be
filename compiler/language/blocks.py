"""Block definitions: those of a spec and those of the libraries it imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Code, Sink
from ..source import Key, Located, Span
from .block_liveness import report_unused_in_block
from .block_params import declaration_problem
from .describe import describe
from .evaluate import Origins, Scope
from .layers import BLOCK, NAME, Layer, Reader
from .schema import BlockModel, BlockParamModel
from .validate import Validator


@dataclass(frozen=True)
class Block:
    """A template: what it takes, what it binds, its parsed layers, and the blocks it may use.

    inputs: port -> shape pattern; None matches any shape.
    visible: the blocks defined before it in its own file, by the name it calls them.
    """

    name: str
    params: Mapping[str, BlockParamModel]
    inputs: Mapping[str, list[Any] | None]
    layers: tuple[Layer, ...]
    outputs: Any
    path: Key
    span: Span
    located: Located
    visible: Mapping[str, Block]


@dataclass
class BlockReader:
    """Reads the `blocks` of one document."""

    located: Located
    sink: Sink
    imported: Mapping[str, Block] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()

    def read(self, data: Any) -> dict[str, Block]:
        """Every block that could be read, by name, in the order of their definitions."""
        if not isinstance(data, dict):
            self._report(Code.S102, f"`blocks` expects a map, found {describe(data)}", ("blocks",))
            return {}
        names = frozenset({*self.imported, *(name for name in data if isinstance(name, str))})
        found: dict[str, Block] = {}
        failed = set(self.failed)
        for name, body in data.items():
            path: Key = ("blocks", name)
            if not BLOCK.match(str(name)) or "." in str(name):
                self._report(
                    Code.S102,
                    f"a block's name expects CamelCase, found `{name}`",
                    path,
                    help="start with an upper-case letter, such as `Residual`",
                )
                failed.add(str(name))
                continue
            visible = {**self.imported, **found}
            block = self._block(name, body, path, names, visible, frozenset(failed))
            if block:
                found[name] = block
            else:
                failed.add(name)
        return found

    def _block(
        self,
        name: str,
        body: Any,
        path: Key,
        names: frozenset[str],
        visible: Mapping[str, Block],
        failed: frozenset[str],
    ) -> Block | None:
        model = Validator(self.located, self.sink, Origins()).read(BlockModel, body, path)
        if model is None:
            return None
        before = self.sink.errors
        self._check_names(model, path)
        self._check_params(model, path)
        if self.sink.errors > before:
            return None
        scope = Scope({}, self.located, self.sink, (f"in block `{name}`",))
        layers = Reader(scope, names, failed).read(body["layers"], (*path, "layers"))
        report_unused_in_block(name, model, layers, path, self.located, self.sink)
        inputs: dict[str, list[Any] | None] = {"x": None}
        if model.inputs:
            inputs = {port: shape.shape for port, shape in model.inputs.items()}
        return Block(
            name,
            model.params,
            inputs,
            layers,
            model.outputs,
            path,
            self.located.key(path),
            self.located,
            visible,
        )

    def _check_names(self, model: BlockModel, path: Key) -> None:
        for section in ("params", "inputs"):
            for name in getattr(model, section) or {}:
                if not NAME.match(name) or not name[0].islower():
                    self._report(
                        Code.S102,
                        f"a name in `{section}` expects lower case, found `{name}`",
                        (*path, section, name),
                        help="upper case names are dimensions, lower case names are parameters",
                    )

    def _check_params(self, model: BlockModel, path: Key) -> None:
        for name, param in model.params.items():
            problem = declaration_problem(name, param)
            if problem:
                message, key = problem
                place: Key = (*path, "params", name, key) if key else (*path, "params", name)
                self._report(Code.S102, message, place)

    def _report(
        self,
        code: Code,
        message: str,
        path: Key,
        help: str | None = None,  # noqa: A002 - the word of the diagnostic's field
    ) -> None:
        self.sink.add(code, message, self.located.key(path), help=help)
