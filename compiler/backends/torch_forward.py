"""Writes the statements of `forward`: short local names, one layer a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .torch_layout import INDENT, WIDTH, fit
from .torch_names import TAKEN, local_name
from .torch_parts import Step, fill

RUNNING = ("x", "y", "z")
"""Names for values that only the next layers read."""

_SOON = 7
"""How many steps a value without a name of its own may live in a running variable."""

END = 10**9
"""The time of the return statement."""


@dataclass
class Body:
    """The statements of one block of code.

    names: value key -> local variable. reserved: variables of the code around that live on.
    wanted: value key -> the variable it should be kept in, if that is free.
    literal: (key of the step, name) -> text of a literal.
    optional: path of a step -> (flag, which input it passes on).
    """

    steps: Sequence[Step]
    results: Sequence[str]
    names: dict[str, str]
    texts: Mapping[tuple[str, str], str]
    optional: Mapping[str, tuple[str, int]]
    reserved: frozenset[str] = frozenset()
    wanted: Mapping[str, str] = field(default_factory=dict)
    depth: int = 2

    def __post_init__(self) -> None:
        self.uses: dict[str, list[int]] = {}
        for time, step in enumerate(self.steps):
            for key in dict.fromkeys(step.inputs):
                self.uses.setdefault(key, []).append(time)
        for key in self.results:
            self.uses.setdefault(key, []).append(END)

    def lines(self, *, returning: bool = False) -> Iterator[str]:
        """The statements; with `returning`, the last one returns the only result."""
        time = 0
        while time < len(self.steps):
            run = self._run(time)
            if run > 1:
                yield from self._for_each(time, run)
            elif self.steps[time].loop:
                from .torch_loops import loop_lines  # which writes bodies with this class

                yield from loop_lines(self, time)
            else:
                yield from self._statement(time, returning)
            time += run

    def returns_last(self) -> bool:
        """Whether the last statement makes the only result, and nothing else."""
        if not self.steps or len(self.results) != 1 or self.steps[-1].loop:
            return False
        last = len(self.steps) - 1
        starts = {time for time in range(len(self.steps)) if self._run(time) > 1}
        in_run = any(start <= last < start + self._run(start) for start in starts)
        return self.steps[-1].outputs == tuple(self.results) and not in_run

    def text(self, step: Step) -> str:
        """The right side of a step's statement."""
        key = step.outputs[0]
        written = fill(
            step.text,
            lambda place: self.names[step.inputs[place]],
            lambda name: self.texts[key, name],
        )
        flag = self.optional.get(key.rpartition(":")[0])
        if not flag:
            return written
        return f"{written} if {flag[0]} else {self.names[step.inputs[flag[1]]]}"

    # Single statements

    def _statement(self, time: int, returning: bool) -> Iterator[str]:
        step = self.steps[time]
        if not any(self.uses.get(key) for key in step.outputs):
            return  # nothing reads it
        text = self.text(step)
        prefix = "return "
        if not (returning and time == len(self.steps) - 1 and self.returns_last()):
            names = self._name_outputs(time)
            prefix = ", ".join(names) + " = "
            if len(INDENT * self.depth + prefix) >= WIDTH - 1:  # no room for the right side
                yield from (f"{INDENT * self.depth}(",)
                yield from (f"{INDENT * (self.depth + 1)}{name}," for name in names)
                prefix = ") = "
        yield from fit(text, self.depth, prefix=prefix, comment=step.comment)

    def _name_outputs(self, time: int) -> list[str]:
        step = self.steps[time]
        given: list[str] = []
        for place, key in enumerate(step.outputs):
            name = self.choose(step, place, time, given) if self.uses.get(key) else "_"
            given.append(name)
            self.names[key] = name
        return given

    def live(self, time: int) -> set[str]:
        """The variables that a statement at this time must not overwrite."""
        return set(self.reserved) | {
            name for key, name in self.names.items() if max(self.uses.get(key, [-1])) > time
        }

    def choose(self, step: Step, place: int, time: int, given: Iterable[str]) -> str:
        """A variable for an output: a running one for what is soon forgotten, or a telling one."""
        key = step.outputs[place]
        taken = self.live(time) | set(given)
        several = len(step.outputs) > 1
        own, *others = _telling_names(step, place)
        last = self.uses[key][-1]
        if several:
            brief = len(step.ports[place]) == 1  # a port such as `y` says no more than `x`
        else:
            nameless = step.automatic or step.id[-1:].isdigit()  # `bn2` does not name a value
            brief = self.uses[key] in ([time + 1], [END]) or (nameless and last - time <= _SOON)
        wanted = [self.wanted[key]] if key in self.wanted else []
        candidates = [*wanted, *(RUNNING if brief else ()), own, *others]
        free = (name for name in candidates if name not in taken)
        return next(free, None) or numbered(own, taken)

    # A list of modules, one after the other

    def _run(self, time: int) -> int:
        """How many steps from here on call the modules of one list in turn; 1 for none."""
        first = self.steps[time]
        if not first.copy or first.copy.index or first.copy.count < 2 or not first.plain:
            return 1
        run = self.steps[time : time + first.copy.count]
        pairs = pairwise(run)
        if len(run) < first.copy.count or not all(self._follows(a, b) for a, b in pairs):
            return 1
        return len(run)

    def _follows(self, a: Step, b: Step) -> bool:
        assert a.copy
        return (
            b.copy is not None
            and b.copy.list == a.copy.list
            and b.copy.index == a.copy.index + 1
            and len(a.outputs) == len(b.outputs) == 1
            and len(self.uses.get(a.outputs[0], ())) == 1
            and b.inputs[:1] == a.outputs
            and b.inputs[1:] == a.inputs[1:]
            and a.outputs[0] not in a.inputs[1:]
            and b.text == a.text.replace(_item(a), _item(b), 1)
            and a.outputs[0].rpartition(":")[0] not in self.optional
        )

    def _for_each(self, time: int, count: int) -> Iterator[str]:
        first, last = self.steps[time], self.steps[time + count - 1]
        assert first.copy
        end = time + count - 1
        others = {self.names[key] for key in first.inputs[1:]}
        item = _singular(first.copy.list, self.live(time) | set(self.names.values()))
        name = self.choose(last, 0, end, (*others, item))
        start = self.names[first.inputs[0]]
        indent = INDENT * self.depth
        if start != name:
            yield f"{indent}{name} = {start}"
        yield f"{indent}for {item} in {first.copy.list}:"
        self.names[first.inputs[0]] = name
        text = self.text(first).replace(_item(first), item, 1)
        yield from fit(text, self.depth + 1, prefix=f"{name} = ")
        self.names[first.inputs[0]] = start
        self.names[last.outputs[0]] = name


def _telling_names(step: Step, place: int) -> list[str]:
    """Names for an output, the best one first."""
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", step.id).lower()
    if len(step.outputs) == 1:
        return [local_name(stem), local_name(f"{stem}_output")]
    port = step.ports[place]
    if step.id.isdigit():
        return [local_name(f"{port}_{stem}")]
    return [local_name(port), local_name(f"{stem}_{port}")]


def _item(step: Step) -> str:
    assert step.copy
    return f"{step.copy.list}[{step.copy.index}]"


def _singular(text: str, taken: set[str]) -> str:
    """`self.blocks` -> `block`."""
    word = text.rpartition(".")[2]
    name = word[:-1] if word.endswith("s") and word[:-1].isidentifier() else "layer"
    return numbered(local_name(name), taken)


def numbered(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken or name in TAKEN:
        name, number = f"{wanted}_{number}", number + 1
    return name
