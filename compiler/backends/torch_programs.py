"""Programs: graphs that call networks and loop, written as a class that holds the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir.graph import Node, Value
from ..ir.proofs import bounds
from ..ir.structure import Call
from ..ir.structure import Loop as LoopOp
from ..ops.sizes import size_text
from .torch_frames import Builder
from .torch_layers import Place, arguments, is_automatic
from .torch_names import DTYPES, field_name, local_name
from .torch_parts import Copy, Frame, Loop, Make, Port, Step, hole
from .torch_plan import Plan


class ProgramBuilder(Builder):
    """Builds the frame of a program.

    outputs: network -> its outputs; a program may call a pruned one that has fewer.
    others: name of another graph that programs call -> its attribute and frame.
    """

    def __init__(
        self,
        plan: Plan,
        plans: Mapping[str, Plan],
        main: str,
        outputs: Mapping[str, tuple[str, ...]],
        others: Mapping[str, tuple[str, Frame]] | None = None,
    ) -> None:
        super().__init__(plan, plans, main)
        self.outputs, self.others = outputs, others or {}

    def put_node(self, place: Place, node: Node, copy: Copy | None) -> Make | None:
        if not isinstance(node.op, Call | LoopOp):
            return super().put_node(place, node, copy)
        if isinstance(node.op, Call):
            self._put_call(place, node, node.op)
        else:
            self.append(place, node, self._loop(place, node, node.op))
        return None

    def _put_call(self, place: Place, node: Node, op: Call) -> None:
        """Call a network, which returns all its outputs though the program may read fewer."""
        attribute, full = self._called(place.frame, op.graph.name)
        inputs = tuple(place.keys[value.name] for value in node.inputs if value)
        text = f"self.{attribute}({', '.join(arguments(node))})"
        results = dict(zip(op.graph.outputs, node.outputs, strict=True))
        ports = full
        if len(full) > 1 and len(results) == 1:
            ports = tuple(results)
            text = f"{text}.{field_name(ports[0])}"
        keys = tuple(f"{self.plan.prefix}/{node.path}:{k}" for k in range(len(ports)))
        for port, key in zip(ports, keys, strict=True):
            if port in results:
                place.keys[results[port].name] = key
        automatic = is_automatic("call", node.path)
        place.frame.steps.append(Step(node.path, inputs, keys, text, automatic, ports))

    def _called(self, frame: Frame, name: str) -> tuple[str, tuple[str, ...]]:
        """The attribute that a called graph has in the program, and all its outputs."""
        if name in self.others:
            attribute, part = self.others[name]
            frame.parts[attribute] = part
            return attribute, tuple(part.results)
        if name not in frame.calls:
            frame.calls.append(name)
        return local_name(name), self.outputs[name]

    def _loop(self, place: Place, node: Node, op: LoopOp) -> Step:
        prefix = f"{self.plan.prefix}.{node.path}" if self.plan.prefix else node.path
        inner = ProgramBuilder(
            Plan(op.body, prefix), self.plans, self.main, self.outputs, self.others
        )
        body = Place(replace(place.frame, ports=[], steps=[]), "", {}, prefix=f"{prefix}/")
        ports = tuple(self._body_port(prefix, k, v) for k, v in enumerate(op.body.inputs))
        body.keys = {v.name: p.key for v, p in zip(op.body.inputs, ports, strict=True)}
        for item in op.body.nodes:
            make = inner.put(body, item)
            if make:
                place.frame.fields.append((inner.plan.field_name(item.path), make))
        results = list(op.body.outputs.values())[op.carried + op.condition :]
        loop = Loop(
            ports,
            tuple(body.frame.steps),
            tuple(body.keys[value.name] for value in op.body.outputs.values()),
            op.carried,
            op.condition,
            tuple(_no_steps(node, op, value) for value in results),
        )
        inputs = tuple(place.keys[value.name] for value in node.inputs if value)
        text = f"loop({', '.join(hole(k) for k in range(len(inputs)))})"
        return Step(node.path, inputs, (), text, ports=node.op.output_ports(), loop=loop)

    def _body_port(self, prefix: str, place: int, value: Value) -> Port:
        return Port(local_name(value.name), f"{prefix}@{place}", value.type)


def _no_steps(node: Node, op: LoopOp, stacked: Value) -> str:
    """A tensor like those that a loop stacks, for a loop that may run no step."""
    if bounds(op.count)[0] >= 1:
        return ""
    given = [value for value in node.inputs if value]
    sources = {f"v{place}": value.type for place, value in enumerate(given)}
    sizes = [size_text(size, sources) for size in stacked.type.shape]
    assert None not in sizes, f"{node.path}: no input has the sizes of {stacked}"
    shape = ", ".join(["0", *map(str, sizes)])
    text = f"torch.empty({shape}, dtype={DTYPES[stacked.type.dtype]}, device={{v0}}.device)"
    holes = {f"v{place}": hole(place) for place in range(len(given))}
    return text.format(**holes)
