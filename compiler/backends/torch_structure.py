"""The structure of a frame, by which instances share a class.

Two instances have the same structure if their operators and wiring are the same; numbers may
differ. An instance also fits a class that has more layers than it, if each of these passes one of
its inputs on where it is left out: a shortcut's projection, or the addition of the shortcut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

from .torch_parts import Container, Frame, Instance, Layer, Make, Step, Tensor, skeleton

DEFAULTS: Mapping[str, Any] = {
    "stride": 1,
    "padding": 0,
    "output_padding": 0,
    "dilation": 1,
    "groups": 1,
    "bias": True,
}
"""What the keyword arguments of convolutions and linear layers are where they are left out."""

_COMBINATIONS = 64


def has_defaults(function: str) -> bool:
    """Whether a left-out keyword of the layer's constructor may be written as its default."""
    return function.startswith("nn.") and ("Conv" in function or function == "nn.Linear")


@dataclass(frozen=True)
class StepShape:
    """A step without its literals; `path` names the layer."""

    path: str
    text: str
    numbers: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    loop: Any = None


@dataclass(frozen=True)
class Structure:
    """What must be equal for one class to serve two frames."""

    ports: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, Any], ...]
    steps: tuple[StepShape, ...]
    results: tuple[tuple[str, str], ...]
    inits: tuple[tuple[str, str, str], ...]

    def items(self) -> set[str]:
        """The layers and submodules that the frame is made of."""
        return {identity for identity, _ in self.fields} | {step.path for step in self.steps}


def step_path(step: Step) -> str:
    """The path of a step's layer within its frame."""
    return step.outputs[0].rpartition(":")[0]


def structure(frame: Frame, classes: Mapping[Frame, Any]) -> Structure:
    """The structure of a frame whose inner frames have got their classes."""
    return Structure(
        tuple((port.name, port.annotation) for port in frame.ports),
        tuple((identity, _make(make, classes)) for identity, make in frame.fields),
        tuple(_step(step) for step in frame.steps),
        tuple(frame.results.items()),
        tuple(frame.inits),
    )


def _step(step: Step) -> StepShape:
    numbers = tuple((name, skeleton(value)) for name, value in step.numbers.items())
    # Only programs have loops, and each program has a class of its own.
    return StepShape(
        step_path(step), step.text, numbers, step.inputs, step.outputs, id(step.loop or None)
    )


def _make(make: Make, classes: Mapping[Frame, Any]) -> Any:
    match make:
        case Layer():
            construct = make.construct
            keywords = tuple(
                name
                for name in construct.kwargs
                if not (has_defaults(construct.function) and name in DEFAULTS)
            )
            return "layer", construct.function, len(construct.args), keywords
        case Tensor():
            construct = make.construct
            return make.trainable, construct.function, len(construct.args), tuple(construct.kwargs)
        case Container():
            return make.kind, tuple((name, _make(child, classes)) for name, child in make.children)
        case Instance():
            return "instance", id(classes[make.frame])


@dataclass(frozen=True)
class Fit:
    """How a smaller structure fits a larger one: left-out step -> the input that it passes on."""

    passed: Mapping[str, int]
    missing: frozenset[str]


def fits(small: Structure, large: Structure) -> Fit | None:
    """How `small` is `large` with some layers left out, if it is."""
    missing = large.items() - small.items()
    if not missing or small.items() - large.items():
        return None
    dropped = [step for step in large.steps if step.path in missing]
    if any(len(step.outputs) != 1 or not step.inputs for step in dropped):
        return None
    choices = product(*(range(len(step.inputs)) for step in dropped))
    for choice in islice(choices, _COMBINATIONS):
        passed = {step.path: place for step, place in zip(dropped, choice, strict=True)}
        if _without(large, missing, passed) == small:
            return Fit(passed, frozenset(missing))
    return None


def _without(whole: Structure, missing: set[str], passed: Mapping[str, int]) -> Structure:
    stands_for: dict[str, str] = {}
    steps = list(_kept(whole.steps, missing, passed, stands_for))
    return replace(
        whole,
        fields=tuple(field for field in whole.fields if field[0] not in missing),
        steps=tuple(steps),
        results=tuple((port, stands_for.get(key, key)) for port, key in whole.results),
        inits=tuple(init for init in whole.inits if init[0].partition(".")[0] not in missing),
    )


def _kept(
    steps: tuple[StepShape, ...],
    missing: set[str],
    passed: Mapping[str, int],
    stands_for: dict[str, str],
) -> Iterator[StepShape]:
    for step in steps:
        inputs = tuple(stands_for.get(key, key) for key in step.inputs)
        if step.path in missing:
            stands_for[step.outputs[0]] = inputs[passed[step.path]]
        else:
            yield replace(step, inputs=inputs)
