"""From typed graphs to a Python file that depends on PyTorch alone and reads as if hand-written.

One nn.Module class for each network and for each structure of a block. The state-dict names are
those of `Graph.tensors()`: a tensor that is tied or shared is stored once, under its owner. A
network with several outputs returns a NamedTuple. `NETWORKS` and `PROGRAMS` at the end of the file
map the names of the spec to the classes; the arguments of their constructors are the networks that
they use, by name. In the order of the work:

    torch_forms       which part becomes a class, an nn.Sequential or a list; whose weights it uses
    torch_plan        how code reaches a module or tensor of another part
    torch_layers      layers -> submodules and steps of `forward`; torch_ties, torch_sizes help
    torch_frames      scopes -> frames, what a class is made of (torch_parts)
    torch_programs    the same for programs, with calls and loops
    torch_structure   whether two frames can share a class
    torch_classes     frames -> classes; torch_arguments decides on the constructors' arguments
    torch_forward     the statements of `forward`; torch_loops writes those of loops
    torch_render      a class as text, with torch_constructor and torch_expressions
    torch_names       identifiers and literals: the only way from a spec to the text
    torch_layout      fits code into lines
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from textwrap import wrap

from ..ir.graph import Graph
from ..ir.structure import Call
from ..ops.base import Helper
from ..passes.rewriting import every_node
from ..reserved import MODULE_ATTRIBUTES
from .torch_classes import ClassDef, Classes
from .torch_frames import Builder
from .torch_layout import INDENT
from .torch_names import (
    IMPORTS,
    TAKEN,
    Names,
    class_name,
    field_name,
    file_title,
    literal,
    local_name,
    prose,
)
from .torch_parts import Frame
from .torch_plan import Plan
from .torch_programs import ProgramBuilder
from .torch_render import Writer

WIDTH = 99  # of the docstrings' prose


def generate(
    graphs: Mapping[str, Graph],
    programs: Mapping[str, Graph] | None = None,
    *,
    title: str,
    origin: str,
    note: str = "",
) -> str:
    """Write the Python source of networks and programs.

    Args:
        graphs: name -> network, each with its tree of scopes.
        programs: name -> program; it may call the networks.
        title: one line for people, for the module's docstring.
        origin: the spec's name as its spans give it.
        note: a sentence for the module's docstring about what its numbers are.
    Returns: the text of a file in the layout of `ruff format` with lines of 100 columns.
    Raises: NetwrightError: G304: an id is the name of a method of nn.Module.
    """
    return File(graphs, programs or {}, title, origin, note).text()


class File:
    """One generated file under construction."""

    def __init__(
        self,
        graphs: Mapping[str, Graph],
        programs: Mapping[str, Graph],
        title: str,
        origin: str,
        note: str = "",
    ) -> None:
        self.title, self.origin, self.note = title, origin, note
        self.plans = {name: Plan(graph) for name, graph in graphs.items()}
        self.networks = {
            name: Builder(plan, self.plans, origin).network() for name, plan in self.plans.items()
        }
        outputs = {name: tuple(graph.outputs) for name, graph in graphs.items()}
        self.others = self._others(programs, outputs)
        self.programs = {
            name: ProgramBuilder(Plan(graph), self.plans, origin, outputs, self.others).network()
            for name, graph in programs.items()
        }
        parts = {name: frame for name, (_, frame) in self.others.items()}
        self.names = Names({*TAKEN, *(helper.name for helper in self._helpers())})
        self.classes = Classes(self.names)
        self.outputs: dict[Frame, str] = {}
        for root in (self.networks, parts, self.programs):
            self._name_outputs(root.values())
            self.classes.add(root.values())

    def _others(
        self, programs: Mapping[str, Graph], outputs: Mapping[str, tuple[str, ...]]
    ) -> dict[str, tuple[str, Frame]]:
        """The graphs that programs call and that are no networks: attribute and frame of each."""
        attributes = Names({*TAKEN, *MODULE_ATTRIBUTES, *map(local_name, self.plans)})
        found: dict[str, tuple[str, Frame]] = {}
        for name, graph in _called(programs.values(), self.plans.keys()).items():
            frame = ProgramBuilder(Plan(graph), self.plans, self.origin, outputs).network()
            found[name] = attributes.fresh(local_name(name)), frame
        return found

    def _name_outputs(self, roots: Iterable[Frame]) -> None:
        for frame in roots:
            if len(frame.results) != 1:
                self.outputs[frame] = self.names.fresh(f"{frame.name}Output")

    def text(self) -> str:
        """The whole file."""
        body = list(self._definitions())
        code = "\n".join(body)
        return "\n".join([*self._head(), "", *_imports(code), *body]) + "\n"

    def _head(self) -> Iterator[str]:
        yield f'"""{prose(self.title, 80)}'
        yield ""
        made = f"Generated by Netwright from {prose(self.origin)}. It needs PyTorch alone."
        yield from wrap(made, WIDTH, break_on_hyphens=False)  # a path may be as long as a line
        yield from ["", *wrap(self.note, WIDTH)] if self.note else []
        yield '"""'

    def _definitions(self) -> Iterator[str]:
        for helper in self._helpers():
            yield from ("", "", *helper.source.strip("\n").split("\n"))
        for defined in self.classes.ordered:
            output = self.outputs.get(defined.model)
            if output:
                yield from ("", "", *_output_class(output, defined.model))
            title = self._class_title(defined)
            writer = Writer(defined, self.classes.of, title=title, output=output)
            yield from ("", "", *writer.lines())
        yield from self._index("NETWORKS", self.networks)
        if self.programs:
            yield from self._index("PROGRAMS", self.programs)

    def _class_title(self, defined: ClassDef) -> str:
        scope = defined.model.scope
        if any(defined.model is frame for _, frame in self.others.values()):
            network, _, part = defined.model.family[-1].rpartition(".")
            return f"The {part} of network `{network}`."
        if scope.kind == "network":
            kind = "Program" if defined.model in self.programs.values() else "Network"
            return f"{kind} `{defined.model.family[-1]}`."
        file = defined.model.file
        where = f" of {file_title(file)}" if file and file != self.origin else ""
        if scope.kind == "block":
            return f"Block `{scope.block.rpartition('.')[2]}`{where}."
        return f"Group `{scope.path.rpartition('.')[2]}`{where}."

    def _index(self, title: str, frames: Mapping[str, Frame]) -> Iterator[str]:
        yield from ("", "") if title == "NETWORKS" else ()
        if not frames:
            yield f"{title} = {{}}"
            return
        pairs = [f"{literal(n)}: {self.classes.of[f].name}" for n, f in frames.items()]
        line = f"{title} = {{{', '.join(pairs)}}}"
        if len(line) <= 100:
            yield line
        else:
            yield from (f"{title} = {{", *(f"{INDENT}{pair}," for pair in pairs), "}")

    def _helpers(self) -> list[Helper]:
        """Each once, behind those that it needs."""
        found: dict[str, Helper] = {}

        def add(helper: Helper) -> None:
            for needed in helper.needs:
                add(needed)
            found.setdefault(helper.name, helper)

        parts = (frame for _, frame in self.others.values())
        for root in (*self.networks.values(), *parts, *self.programs.values()):
            for frame in _all(root):
                for helper in frame.helpers:
                    add(helper)
        return list(found.values())


def _called(programs: Iterable[Graph], networks: Collection[str]) -> dict[str, Graph]:
    """The graphs that are called and are no networks, by name: the form with the most outputs."""
    found: dict[str, Graph] = {}
    for program in programs:
        for node in every_node(program):
            graph = node.op.graph if isinstance(node.op, Call) else None
            if graph is None or graph.name in networks:
                continue
            known = found.get(graph.name, graph)
            found[graph.name] = max(known, graph, key=lambda g: len(g.outputs))
    return found


def _all(frame: Frame) -> Iterator[Frame]:
    yield frame
    for inner in frame.inner():
        yield from _all(inner)


def _output_class(name: str, frame: Frame) -> Iterator[str]:
    yield f"class {name}(NamedTuple):"
    yield f'{INDENT}"""What `{frame.name}` returns."""'
    yield ""
    for port, kind in frame.result_types.items():
        yield f"{INDENT}{field_name(port)}: Tensor  # {kind}"


def _imports(code: str) -> Iterator[str]:
    """The imports that the code needs, sorted as ruff sorts them."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    wanted = [name for name in IMPORTS if name in used]
    standard = [name for name in wanted if "torch" not in IMPORTS[name]]
    if standard:
        yield from (IMPORTS[name] for name in standard)
        yield ""
    plain = [IMPORTS[n] for n in ("torch", "F") if n in wanted]
    members = [name for name in ("Tensor", "nn") if name in wanted]
    yield from plain
    if members:
        yield f"from torch import {', '.join(members)}"
    if "functional_call" in wanted:
        yield IMPORTS["functional_call"]


__all__ = ["class_name", "generate"]
