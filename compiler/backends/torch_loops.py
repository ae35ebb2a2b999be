"""Writes the loop of a program as a for-loop: carried values are variables, lists are stacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .torch_forward import Body, numbered
from .torch_layout import INDENT, WIDTH, fit
from .torch_names import local_name
from .torch_parts import Loop, Step, fill


def loop_lines(outer: Body, time: int) -> Iterator[str]:
    """The statements for the loop that is the outer code's step at `time`."""
    step = outer.steps[time]
    assert step.loop
    return _Writer(outer, time, step, step.loop).lines()


class _Writer:
    """One loop. `names` maps the body's ports (and `index`) to variables."""

    def __init__(self, outer: Body, time: int, step: Step, loop: Loop) -> None:
        self.outer, self.time, self.step, self.loop = outer, time, step, loop
        self.indent = INDENT * outer.depth
        first = 1 if loop.condition else 0
        self.carried_ports = loop.ports[1 : 1 + loop.carried]
        self.carried_results = loop.results[first : first + loop.carried]
        self.stacked_results = loop.results[first + loop.carried :]
        self.carried_inputs = step.inputs[1 : 1 + loop.carried]
        self.sliced_inputs = step.inputs[1 + loop.carried :]
        read = {outer.names[key] for key in (step.inputs[0], *self.sliced_inputs)}
        self.taken = outer.live(time) | read
        self.names: dict[str, str] = {}
        index = self.names["index"] = self._fresh("i")
        for place, port in enumerate(loop.ports):
            stepped = place == 0 or place > loop.carried
            self.names[port.key] = self._fresh(port.name, f"{port.name}_{index}" if stepped else "")
        self.lists = [self._fresh(f"all_{p}") for p in step.ports[loop.carried :]]

    def _fresh(self, wanted: str, otherwise: str = "") -> str:
        name = local_name(wanted)
        if name in self.taken:
            name = numbered(otherwise or name, self.taken)
        self.taken.add(name)
        return name

    def lines(self) -> Iterator[str]:
        outer, names = self.outer.names, self.names
        starts = [
            (names[port.key], outer[key])
            for port, key in zip(self.carried_ports, self.carried_inputs, strict=True)
        ]
        yield from _assign(starts, self.outer.depth)
        for name in self.lists:
            yield f"{self.indent}{name} = []"
        yield f"{self.indent}for {names['index']} in range(int({outer[self.step.inputs[0]]})):"
        body = self._body()
        yield from self._slices(body)
        yield from body.lines()
        yield from self._hand_over(body)
        yield from self._results()

    def _body(self) -> Body:
        carried = [self.names[port.key] for port in self.carried_ports]
        return Body(
            self.loop.steps,
            self.loop.results,
            dict(self.names),
            self.outer.texts,
            {},
            frozenset(self.taken - set(carried)),
            dict(zip(self.carried_results, carried, strict=True)),
            self.outer.depth + 1,
        )

    def _slices(self, body: Body) -> Iterator[str]:
        """The step as a tensor and this step's part of each tensor, where the body reads them."""
        indent, index = INDENT * body.depth, self.names["index"]
        counter = self.loop.ports[0]
        if body.uses.get(counter.key):
            at_hand = (*self.carried_ports, None)[0]
            source = self.names[at_hand.key] if at_hand else self.outer.names[self.step.inputs[0]]
            made = f"torch.tensor({index}, device={source}.device)"
            yield f"{indent}{self.names[counter.key]} = {made}"
        ports = self.loop.ports[1 + self.loop.carried :]
        for port, key in zip(ports, self.sliced_inputs, strict=True):
            if body.uses.get(port.key):
                yield f"{indent}{self.names[port.key]} = {self.outer.names[key]}[{index}]"

    def _hand_over(self, body: Body) -> Iterator[str]:
        """At the end of a step: what is stacked, and the carried values for the next one."""
        indent = INDENT * body.depth
        for name, key in zip(self.lists, self.stacked_results, strict=True):
            yield f"{indent}{name}.append({body.names[key]})"
        go_on = self._fresh("go_on")
        if self.loop.condition:
            yield f"{indent}{go_on} = bool({body.names[self.loop.results[0]]})"
        pairs = [
            (self.names[port.key], body.names[key])
            for port, key in zip(self.carried_ports, self.carried_results, strict=True)
        ]
        yield from _assign(pairs, body.depth)
        if self.loop.condition:
            yield f"{indent}if not {go_on}:"
            yield f"{indent}{INDENT}break"

    def _results(self) -> Iterator[str]:
        """Behind the loop: the carried values keep their variables, lists become tensors."""
        outer = self.outer
        carried = [self.names[port.key] for port in self.carried_ports]
        for name, key in zip(carried, self.step.outputs, strict=False):
            outer.names[key] = name
        for place, name in enumerate(self.lists, start=self.loop.carried):
            key = self.step.outputs[place]
            if outer.uses.get(key):
                outer.names[key] = outer.choose(self.step, place, self.time, carried + self.lists)
                text = f"torch.stack({name})"
                empty = self.loop.empty[place - self.loop.carried]
                if empty:
                    text += f" if {name} else {self._filled(empty)}"
                yield from fit(text, outer.depth, prefix=f"{outer.names[key]} = ")

    def _filled(self, text: str) -> str:
        inputs = self.step.inputs
        return fill(text, lambda place: self.outer.names[inputs[place]], str)


def _assign(pairs: Sequence[tuple[str, str]], depth: int) -> Iterator[str]:
    """One assignment of all values at once, since they may change places."""
    changed = [(left, right) for left, right in pairs if left != right]
    if not changed:
        return
    left, right = zip(*changed, strict=True)
    pad, names = INDENT * depth, ", ".join(left)
    line = f"{pad}{names} = {', '.join(right)}"
    if len(line) <= WIDTH or len(changed) == 1:
        yield line
    elif len(f"{pad}{names} = (") <= WIDTH:
        yield f"{pad}{names} = ("
        yield from _each(right, depth)
    else:
        yield f"{pad}("
        yield from (f"{pad}{INDENT}{name}," for name in left)
        yield f"{pad}) = ("
        yield from _each(right, depth)


def _each(texts: Sequence[str], depth: int) -> Iterator[str]:
    """The items of a tuple in lines of their own, and its end."""
    yield from (f"{INDENT * (depth + 1)}{text}," for text in texts)
    yield f"{INDENT * depth})"
