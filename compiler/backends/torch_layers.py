"""Turns the layers of a network into submodules and steps of `forward`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..ir.graph import Node
from ..source import Span
from .torch_forms import Borrowed, Item, below, last_id
from .torch_names import file_title, local_name
from .torch_parts import Copy, Frame, Layer, Make, Step, Tensor, hole, number_hole
from .torch_plan import Plan
from .torch_ties import has_function, tied_call


@dataclass
class Place:
    """Where items are being put: a frame, and what a value is called in it.

    borrowed: a module or tensor from outside -> the key of the input that brings it.
    prefix: sets the layers of a loop apart from those around it.
    """

    frame: Frame
    base: str
    keys: dict[str, str]
    borrowed: dict[Borrowed, str] = field(default_factory=dict)
    prefix: str = ""

    def relative(self, path: str) -> str:
        return path[len(self.base) + 1 :] if self.base else self.prefix + path


class LayerBuilder:
    """Puts layers into frames.

    plans: of every network, for tensors that are tied across networks.
    main: the file whose lines comments give without a file name.
    """

    def __init__(self, plan: Plan, plans: Mapping[str, Plan], main: str) -> None:
        self.plan, self.plans, self.main = plan, plans, main

    def put_node(self, place: Place, node: Node, copy: Copy | None) -> Make | None:
        """Append the step of a layer; returns what constructs its module, if it has one."""
        self.append(place, node, replace(self._step(place, node), copy=copy))
        if not self.plan.makes_field(node):
            return None
        return self.field(place, node)

    def append(self, place: Place, item: Item, step: Step) -> None:
        """Add a step and name what it makes."""
        made = self.plan.makes(item)
        outputs = tuple(f"{place.relative(item.path)}:{k}" for k in range(len(made)))
        place.keys.update({v.name: key for v, key in zip(made, outputs, strict=True)})
        if made:
            place.frame.steps.append(replace(step, outputs=outputs))

    def field(self, place: Place, node: Node) -> Make:
        """The module or bare tensor of a layer, with the statements behind its construction."""
        self._prepare(place, node)
        torch, where = self.plan.torch[node.path], place.relative(node.path)
        if torch.helper:
            place.frame.helpers.append(torch.helper)
        comment = self.line(place, node.span)
        bare = torch.parameter or torch.buffer
        if bare:
            return Tensor(where, bare, torch.parameter is not None, comment)
        assert torch.module, f"{node.path}: tensors without a module"
        return Layer(where, torch.module, comment)

    def _prepare(self, place: Place, node: Node) -> None:
        """Statements behind the construction: giving up what is tied, and initialisation."""
        access, where = self.plan.access(place.base, node.path), place.relative(node.path)
        for parameter in node.declared() if self.plan.is_tied(node) else ():
            if not node.owns(parameter):
                owner, _, key = f"{{self}}.{parameter.key}".rpartition(".")
                statement = f'{owner}.register_parameter("{key}", None)'
                place.frame.inits.append((where, access, statement))
        for statement in self.plan.torch[node.path].init:
            place.frame.inits.append((where, access, statement))

    # Steps

    def _step(self, place: Place, node: Node) -> Step:
        """The statement that applies a layer; its outputs are not named yet."""
        torch, identity = self.plan.torch[node.path], last_id(node.path)
        given = [value for value in node.inputs if value]
        inputs = [place.keys[v.name] for v in (*given, *self.plan.sized[node.path])]
        numbers, plain = dict(self.plan.numbers[node.path]), False
        if self._is_tied(node):
            text, numbers = self._tied(place, node, inputs)
        elif torch.expression is None:
            plain = not node.shares
            text = f"{self._module(place, node, inputs)}({', '.join(arguments(node))})"
        else:
            module = "{self}" in torch.expression and self._module(place, node, inputs)
            text = self._expression(node, torch.expression, module or "")
        if torch.helper and torch.helper.name in text:
            place.frame.helpers.append(torch.helper)
        return Step(
            identity,
            tuple(inputs),
            (),
            text,
            is_automatic(node.op.name, identity),
            node.op.output_ports(),
            numbers,
            "" if self.plan.makes_field(node) else self.line(place, node.span),
            plain,
        )

    def _is_tied(self, node: Node) -> bool:
        """Whether it, or the layer of a network that it stands for, uses another layer's tensor."""
        if not node.network:
            return self.plan.is_tied(node)
        plan = self.plans[node.network]
        layer = plan.items[node.shares or ""]
        assert isinstance(layer, Node)
        return plan.is_tied(layer)

    def _module(self, place: Place, node: Node, inputs: list[str]) -> str:
        path = node.shares if node.network else self.plan.owner(node).path
        assert path is not None
        return self.reach(place, Borrowed("module", path, node.network), inputs)

    def _tied(self, place: Place, node: Node, inputs: list[str]) -> tuple[str, dict[str, object]]:
        """A call with tensors that other layers keep."""
        module = self.plan.torch[node.path].module
        assert module, f"{node.path}: nothing to apply tied tensors with"
        weights = {p.key: self._tensor(place, node, p.key, inputs) for p in node.declared()}
        keeps_field = node.network and not has_function(module)
        access = (
            self._module(place, node, inputs)
            if keeps_field
            else self.plan.access(place.base, node.path)
        )
        return tied_call(module, arguments(node), weights, access)

    def _tensor(self, place: Place, node: Node, key: str, inputs: list[str]) -> str:
        ref = node.weights[key]
        text = self.reach(place, Borrowed("tensor", ref.name, ref.network), inputs)
        return f"{text}.t()" if ref.transpose else text

    def _expression(self, node: Node, expression: str, module: str) -> str:
        given = [*arguments(node), *["None"] * len(node.inputs)][: len(node.inputs)]
        ports = getattr(node.op, "ports", ())
        names = {port.name: text for port, text in zip(ports, given, strict=False)}
        joined = ", ".join(given)
        names |= {port.name: joined for port in ports if port.variadic}
        names |= {name: number_hole(name) for name in self.plan.numbers[node.path]}
        return expression.format(*given, **{**names, "inputs": joined, "self": module})

    # Modules and tensors of other layers

    def reach(self, place: Place, wanted: Borrowed, inputs: list[str]) -> str:
        """Text for a module or tensor; one from outside of the frame is an input of the step."""
        if not wanted.network and below(self.plan.home(wanted), place.base):
            return _text(self.plan, place.base, wanted)
        if wanted in place.borrowed:
            inputs.append(place.borrowed[wanted])
            return hole(len(inputs) - 1)
        assert wanted.network, f"{wanted.name} is not at hand"
        # A program holds its networks; another network must not count their tensors as its own.
        held = place.frame.calls if self.plan.is_program else place.frame.networks
        if wanted.network not in held:
            held.append(wanted.network)
        start = f"self.{local_name(wanted.network)}{'' if self.plan.is_program else '[0]'}"
        return _text(self.plans[wanted.network], "", wanted, start)

    def line(self, place: Place, span: Span | None) -> str:
        """`line 12`, with the file's name where it is not the one of the class."""
        if span is None:
            return ""
        here = span.file.name == place.frame.file
        return f"line {span.line}" if here else f"{file_title(span.file.name)}, line {span.line}"


def _text(plan: Plan, base: str, wanted: Borrowed, start: str = "self") -> str:
    if wanted.kind == "module":
        return plan.access(base, wanted.name, start)
    path, key = plan.owners[wanted.name]
    return plan.access(base, path, start) + (f".{key}" if key else "")


def arguments(node: Node) -> list[str]:
    """Holes for the inputs by port; trailing ports that are not given are left out."""
    index, texts = 0, []
    for value in node.inputs:
        texts.append(hole(index) if value else "None")
        index += value is not None
    while texts and texts[-1] == "None":
        texts.pop()
    return texts


def is_automatic(operation: str, identity: str) -> bool:
    """Whether a layer has the id that it gets without an `id`."""
    name, _, number = identity.rpartition("_")
    return identity.isdigit() or (number.isdigit() and name.lower() == operation.lower())
