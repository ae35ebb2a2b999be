"""Reads a whole spec: sections, parameters, blocks and networks, in the order of the language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..diagnostics import Code, Sink
from ..ir.dims import Symbol
from ..ir.graph import Graph
from ..objectives.base import Objective
from ..objectives.data import Data
from ..objectives.export import Export
from ..objectives.registry import OBJECTIVES
from ..objectives.section import OneKey, Section
from ..objectives.training import Training
from ..source import Located
from .blocks import Block, BlockReader
from .describe import describe
from .elaborate import Elaborator
from .evaluate import FAILED, Origins, Scope
from .expect import check_expectations
from .header import check_spec_header
from .imports import Importer
from .layers import NAME, has_broken
from .liveness import (
    report_dead_layers,
    report_unused_blocks,
    report_unused_dims,
    report_unused_imports,
    report_unused_params,
)
from .params import Choices, ParamReader
from .schema import ExpectModel, LintModel, NetworkModel
from .validate import Validator

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Spec:
    """A spec as read: what each section says, with expressions evaluated.

    params: the value of every parameter; chosen: the names of those that were set from outside.
    graphs: None for a network with mistakes.
    broken: sections with mistakes, which are None or empty here.
    libraries: texts of imported files that are not of the packaged zoo, by path.
    imported: texts of all imported files.
    """

    name: str
    summary: str
    variant: str | None
    params: Mapping[str, Any]
    chosen: frozenset[str]
    dims: Mapping[str, Symbol]
    data: Data | None
    objective: Objective | None
    training: Training
    export: Export
    lint: Mapping[str, str]
    graphs: Mapping[str, Graph | None]
    broken: frozenset[str]
    libraries: Mapping[Path, str]
    imported: tuple[str, ...]


@dataclass
class SpecReader:
    """Reads one located document into a `Spec`.

    networks_only: leave out the sections that tie the networks to data and training.
    """

    located: Located
    sink: Sink
    choices: Choices
    networks_only: bool = False
    broken: set[str] = field(default_factory=set)

    def read(self, folder: Path) -> Spec:
        """The spec; every mistake is in the sink."""
        validator = Validator(self.located, self.sink, Origins())
        check_spec_header(self.located, self.sink)
        self._check_summary()
        params = ParamReader(self.located, self.sink, validator)
        env = params.params(self.choices)
        if len(env) < len(self._declared("params")):
            self.broken.add("params")
        dims = params.dims()
        importer = Importer(self.sink)
        imported = importer.blocks(self.located, folder)
        failed = frozenset(importer.failed)
        own = self._own_blocks(imported, failed)
        blocks = {**imported, **own}
        failed |= {str(name) for name in self._declared("blocks") if name not in own}
        elaborator = Elaborator(self.located, self.sink, env, dims, blocks, failed)
        graphs = self._networks(validator, elaborator, own)
        report_unused_params(params.sound_params, self.located, self.sink)
        report_unused_dims(params.sound_dims, self.located, self.sink)
        expect = self._section(ExpectModel, "expect", validator, env)
        of_stage = self.choices.stage is not None  # expectations are of the spec as it stands
        if expect and not of_stage and not self.broken & {"params", "networks"}:
            check_expectations(expect, graphs, dims, self.located, self.sink)
        lint = self._section(LintModel, "lint", validator, env)
        training = self._sound(Training, "training", validator, env)
        objective = self._objective(validator, env)
        return Spec(
            name=str(self.located.data.get("name")),
            summary=str(self.located.data.get("summary") or ""),
            variant=self.choices.variant,
            params=env,
            chosen=self._chosen(),
            dims=dims,
            data=self._bound(Data, "data", validator, env),
            objective=objective.grown_by(training) if objective else None,
            training=training,
            export=self._sound(Export, "export", validator, env),
            lint=lint.reasons if lint else {},
            graphs=graphs,
            broken=frozenset(self.broken),
            libraries=importer.texts(),
            imported=tuple(importer.sources[path].text for path in sorted(importer.sources)),
        )

    def _declared(self, section: str) -> Mapping[str, Any]:
        data = self.located.data.get(section)
        return data if isinstance(data, Mapping) else {}

    def _chosen(self) -> frozenset[str]:
        """The parameters that are set from outside."""
        variant = self._declared("variants").get(self.choices.variant or "")
        return frozenset({*self.choices.values, *(variant if isinstance(variant, Mapping) else ())})

    def _check_summary(self) -> None:
        summary = self.located.data.get("summary")
        if summary is not None and (not isinstance(summary, str) or "\n" in summary):
            self.sink.add(
                Code.S102,
                f"`summary` expects one line of text, found {describe(summary)}",
                self.located.span(("summary",)),
            )

    # Blocks and networks

    def _own_blocks(
        self, imported: Mapping[str, Block], failed: frozenset[str]
    ) -> dict[str, Block]:
        data = self.located.data.get("blocks")
        if data is None:
            return {}
        return BlockReader(self.located, self.sink, imported, failed).read(data)

    def _networks(
        self, validator: Validator, elaborator: Elaborator, own: Mapping[str, Block]
    ) -> dict[str, Graph | None]:
        data = self.located.data.get("networks")
        if not isinstance(data, dict) or not data:
            self._networks_missing(data)
            return {}
        for name, body in data.items():
            with self.sink.stage(f"network `{name}`"):
                graph = self._network(name, body, validator, elaborator)
            if graph is None:
                self.broken.add("networks")
            elaborator.graphs[name] = graph
        self._unused(elaborator, own)
        return elaborator.graphs

    def _network(
        self, name: str, body: Any, validator: Validator, elaborator: Elaborator
    ) -> Graph | None:
        model = validator.read(NetworkModel, body, ("networks", name))
        good = self._network_name(name) and "params" not in self.broken
        graph = elaborator.network(name, body, model if good else None)
        if graph:
            report_dead_layers(graph, self.located, self.sink)
        return graph

    def _unused(self, elaborator: Elaborator, own: Mapping[str, Block]) -> None:
        layers = {name: read for name, read in elaborator.layers.items() if read is not None}
        parts = [*layers.values(), *(block.layers for block in own.values())]
        if len(layers) < len(elaborator.layers) or any(has_broken(part) for part in parts):
            return  # a layer with a mistake may be the one that uses a block
        imported = {
            name: block
            for name, block in elaborator.blocks.items()
            if name not in own and name.partition(".")[0] not in elaborator.failed_imports
        }
        report_unused_blocks(own, layers, self.sink)
        report_unused_imports(self.located, imported, own, layers, self.sink)

    def _networks_missing(self, data: Any) -> None:
        self.broken.add("networks")
        found = "" if data is None else f", found {describe(data)}"
        self.sink.add(
            Code.S102,
            f"a spec needs `networks`, a map with at least one{found}",
            self.located.key(("networks",)),
            help="add `networks: {classifier: {inputs: ..., layers: ..., outputs: ...}}`",
        )

    def _network_name(self, name: Any) -> bool:
        good = isinstance(name, str) and bool(NAME.match(name)) and name == name.lower()
        if not good:
            self.sink.add(
                Code.S102,
                f"a network expects a snake_case name, found `{name}`",
                self.located.key(("networks", name)),
            )
        return good

    # Sections that bind networks to data

    def _bound(
        self, model: type[S], key: str, validator: Validator, env: Mapping[str, Any]
    ) -> S | None:
        return None if self.networks_only else self._section(model, key, validator, env)

    def _sound(self, model: type[S], key: str, validator: Validator, env: Mapping[str, Any]) -> S:
        """The section, or of one with mistakes the settings without: they are checked further.

        model: one whose settings all have defaults.
        """
        section = self._bound(model, key, validator, env)
        if section is not None or key not in self.broken:
            return section or model()
        quiet, good = Validator(self.located, Sink(), Origins()), {}
        scope = Scope(env, self.located, quiet.sink)
        for name, given in self._declared(key).items():
            value = scope.evaluate(given, (key, name))
            if value is not FAILED and quiet.read(model, {name: value}, (key,)):
                good[name] = value
        return quiet.read(model, good, (key,)) or model()

    def _section(
        self, model: type[S], key: str, validator: Validator, env: Mapping[str, Any]
    ) -> S | None:
        if key not in self.located.data:
            return None
        value = self._evaluated(key, validator, env)
        section = None if value is FAILED else validator.read(model, value, (key,))
        if section is None:
            self.broken.add(key)
        return section

    def _evaluated(self, key: str, validator: Validator, env: Mapping[str, Any]) -> Any:
        if "params" in self.broken:
            return FAILED
        scope = Scope(env, self.located, self.sink, origins=validator.origins)
        return scope.evaluate(self.located.data[key], (key,))

    def _objective(self, validator: Validator, env: Mapping[str, Any]) -> Objective | None:
        if self.networks_only or "objective" not in self.located.data:
            return None
        value = self._evaluated("objective", validator, env)
        choice = OneKey(OBJECTIVES, "objective")
        section = FAILED if value is FAILED else validator.choose(choice, value, ("objective",))
        if section is FAILED:
            self.broken.add("objective")
            return None
        assert isinstance(section, Objective)
        return section
