"""Every operator keeps what its class says, in PyTorch and in ONNX Runtime.

The cases come from the registry: an operator is tested by the examples and rejects that its class
states. Each example runs at two sizes of every symbol, the smallest allowed one among them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import netwright.compiler.ops
import numpy as np
import pytest
import torch
import yaml
from netwright.compiler.backends.onnx_model import IR_VERSIONS
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.ir.dims import Poly, Symbol, evaluate
from netwright.compiler.ir.shapes import DType, TensorType, parse_type, substitute_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import INTERNAL, REGISTRY, Example, Op, Refusal, Reject

assert netwright.compiler.ops  # importing it fills the registry

TORCH = {
    DType.F64: torch.float64,
    DType.F32: torch.float32,
    DType.F16: torch.float16,
    DType.I64: torch.int64,
    DType.I32: torch.int32,
    DType.U8: torch.uint8,
    DType.BOOL: torch.bool,
}
NUMPY = {t: torch.empty(0, dtype=known).numpy().dtype for t, known in TORCH.items()}

BATCH = Poly.of(Symbol("B"))

Sizes = dict[str, int]
Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Case:
    """One example of one operator."""

    id: str
    op: Op
    example: Example

    @property
    def variadic(self) -> bool:
        return any(port.variadic for port in self.op.ports)

    def typed(self, port: str) -> list[TensorType] | TensorType:
        """The type that the example states for an input, or the list of a variadic one."""
        return self._parsed(self.example.types[port])

    def _parsed(self, stated: str | list[str]) -> list[TensorType] | TensorType:
        symbols = tuple(self.example.symbols.values())
        if isinstance(stated, list):
            return [parsed(text, symbols) for text in stated]
        return parsed(stated, symbols)

    def inputs(self) -> tuple[TensorType | None, ...]:
        """By position; None for an optional port that is not wired."""
        if self.variadic:
            return tuple(self.typed(self.op.ports[0].name))
        return tuple(
            self.typed(port.name) if port.name in self.example.types else None
            for port in self.op.ports
        )

    def outputs(self) -> tuple[TensorType, ...]:
        return tuple(self._parsed(self.example.outputs[port]) for port in self.op.output_ports())

    def symbols(self) -> list[Symbol]:
        found = set().union(*(t.symbols() for t in (*self.inputs(), *self.outputs()) if t))
        return sorted(found, key=str)

    def sizes(self) -> tuple[Sizes, Sizes]:
        """The smallest size of every symbol, and another one for each."""
        least = {s.name: -(-s.min // s.multiple_of) * s.multiple_of for s in self.symbols()}
        more = {
            s.name: min(least[s.name] + (index + 2) * s.multiple_of, s.max or 1000)
            for index, s in enumerate(self.symbols())
        }
        return least, more


@cache
def parsed(text: str, symbols: tuple[Symbol, ...]) -> TensorType:
    return parse_type(text, {symbol.name: symbol for symbol in symbols})


OPERATORS = {**REGISTRY, **INTERNAL}
"""Those of the language, and those that only programs are built of."""


def cases() -> Iterator[Case]:
    for name, cls in OPERATORS.items():
        for index, example in enumerate(cls.examples):
            op = build(cls, yaml.safe_load(example.arguments))
            yield Case(f"{name}-{index}", op, example)


CASES = list(cases())
REJECTS = [
    pytest.param(cls, reject, id=f"{name}-{index}")
    for name, cls in OPERATORS.items()
    for index, reject in enumerate(cls.rejects)
]
each_operator = pytest.mark.parametrize("cls", OPERATORS.values(), ids=OPERATORS)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


# What the classes say


@each_operator
def test_class_is_complete(cls: type[Op]) -> None:
    assert cls.examples, "an operator needs an example"
    for rule in ("infer", "torch", "onnx"):
        assert callable(getattr(cls, rule, None)), f"an operator needs a method `{rule}`"
    for attribute in cls.attributes.values():
        assert attribute.doc.endswith("."), f"the doc of {attribute.name} is no sentence"
    assert sum(attribute.main for attribute in cls.attributes.values()) <= 1
    assert not any(port.variadic for port in cls.ports) or len(cls.ports) == 1


@each_operator
def test_docstring_has_four_sections(cls: type[Op]) -> None:
    text = cls.__doc__ or ""
    sections = re.findall(r"^ {4}(\w+): +\S", text, re.MULTILINE)
    assert sections == ["Inputs", "Outputs", "Errors", "Source"]
    summary = text.split("\n\n")[0]
    assert summary.endswith(".")


@each_operator
def test_optional_and_variadic_ports_are_exercised(cls: type[Op]) -> None:
    for port in cls.ports:
        wired = [example.types.get(port.name) for example in cls.examples]
        if port.optional:
            assert any(wired), f"no example wires `{port.name}`"
            assert not all(wired), f"no example leaves out `{port.name}`"
        elif port.variadic:
            counts = {len(types) for types in wired if isinstance(types, list)}
            assert len(counts) > 1, f"every example gives `{port.name}` the same number of values"
            assert min(counts) >= port.least
        else:
            assert all(wired), f"an example lacks `{port.name}`"


@each_case
def test_arguments_rebuild_the_operator(case: Case) -> None:
    assert build(type(case.op), case.op.arguments()) == case.op


@pytest.mark.parametrize(("cls", "reject"), REJECTS)
def test_reject_gives_its_code(cls: type[Op], reject: Reject) -> None:
    refusal = refusal_of(cls, reject)
    assert refusal.code is reject.code
    assert f"`{cls.name}`" in refusal.message
    assert "?" not in refusal.help + refusal.label


def refusal_of(cls: type[Op], reject: Reject) -> Refusal:
    try:
        op = build(cls, yaml.safe_load(reject.arguments))
    except NetwrightError as error:
        found = error.diagnostics[0]
        return Refusal(found.code, found.message, help=found.help or "")
    types = Case("", op, Example(reject.arguments, **reject.types)).inputs()
    with pytest.raises(Refusal) as refused:
        op.inferred(types)
    return refused.value


# Types


@each_case
def test_inferred_types_are_those_of_the_example(case: Case) -> None:
    assert [str(t) for t in case.op.inferred(case.inputs())] == [str(t) for t in case.outputs()]


@each_case
def test_inference_commutes_with_sizes(case: Case) -> None:
    """Inferring and then fixing the sizes gives what fixing and then inferring gives."""
    for sizes in case.sizes():
        known = tuple(t and substitute_type(t, lambda s, z=sizes: z[s.name]) for t in case.inputs())
        try:
            fixed = case.op.inferred(known)
        except Refusal as refusal:
            pytest.fail(f"at {sizes}: {refusal}")
        assert [t.shape for t in fixed] == [shape_at(t, sizes) for t in case.outputs()]


def shape_at(t: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(evaluate(size, sizes) for size in t.shape)


@each_case
def test_costs_can_be_evaluated(case: Case) -> None:
    flops = case.op.flops(*case.inputs())
    window = case.op.window(*case.inputs())
    for sizes in case.sizes():
        assert evaluate(flops, sizes) >= 0
    for extent, step in window or ():
        assert extent >= 1
        assert step > 0


# PyTorch


@pytest.fixture
def layer(case: Case, lower: Callable[..., Any]) -> Any:
    """The case's operator as a network of its own: a `Layer` of conftest.py."""
    return lower(case.op, None, *case.inputs())


def random_inputs(case: Case, sizes: Sizes) -> Arrays:
    """An array for every input that is wired, in the example's ranges."""
    rng = np.random.default_rng(len(case.id))
    if case.variadic:
        limits = [case.example.ranges.get(case.op.ports[0].name)] * len(case.inputs())
    else:
        limits = [case.example.ranges.get(port.name) for port in case.op.ports]
    return [
        random_array(rng, t, shape_at(t, sizes), limit)
        for t, limit in zip(case.inputs(), limits, strict=True)
        if t
    ]


def random_array(
    rng: np.random.Generator,
    t: TensorType,
    shape: tuple[int, ...],
    limits: tuple[float, float] | None,
) -> np.ndarray:
    if t.dtype.is_float:
        drawn = rng.uniform(*limits, shape) if limits else rng.standard_normal(shape)
    else:
        low, high = limits or (0, 2 if t.dtype is DType.BOOL else 100)
        drawn = rng.integers(low, high, shape)
    return np.asarray(drawn).astype(NUMPY[t.dtype])


@each_case
def test_declared_tensors_are_the_state_dict(case: Case, layer: Any) -> None:
    module = layer.fresh()
    trained = dict(module.named_parameters())
    found = [
        (name, tuple(t.shape), t.dtype, name in trained) for name, t in module.state_dict().items()
    ]
    declared = [
        (name, p.shape, TORCH[p.dtype], p.trainable) for name, p in layer.graph.tensors().items()
    ]
    assert found == declared


@each_case
def test_torch_gives_the_inferred_types(case: Case, layer: Any) -> None:
    meta = copy.deepcopy(layer.module).to("meta")
    for sizes in case.sizes():
        given = [torch.from_numpy(array) for array in random_inputs(case, sizes)]
        expected = [(shape_at(t, sizes), TORCH[t.dtype]) for t in case.outputs()]
        eager = results(layer.module(*given))
        assert [(tuple(y.shape), y.dtype) for y in eager] == expected
        if case.op.reads_values(*case.inputs()):
            continue
        traced = results(meta(*(x.to("meta") for x in given)))
        assert [(tuple(y.shape), y.dtype) for y in traced] == expected


def results(returned: Any) -> list[torch.Tensor]:
    if isinstance(returned, dict):
        return list(returned.values())
    return list(returned) if isinstance(returned, tuple) else [returned]


@each_case
def test_every_trained_tensor_gets_a_gradient(case: Case, layer: Any) -> None:
    module = copy.deepcopy(layer.module).train()
    given = [torch.from_numpy(array) for array in random_inputs(case, case.sizes()[1])]
    losses = [y.double().square().sum() for y in results(module(*given)) if y.requires_grad]
    if losses:
        sum(losses).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"


@each_case
def test_gradients_are_taken_twice_where_the_operator_says_so(case: Case, layer: Any) -> None:
    """As penalties of a discriminator do: the gradient by the input has one by the weights."""
    module = copy.deepcopy(layer.module).train()
    given = [torch.from_numpy(array) for array in random_inputs(case, case.sizes()[1])]
    floats = [x.requires_grad_() for x in given if x.dtype.is_floating_point]
    made = [y.double().square().sum() for y in results(module(*given)) if y.requires_grad]
    if not floats or not made:
        return
    slopes = torch.autograd.grad(sum(made), floats, create_graph=True, allow_unused=True)
    lengths = [x.square().sum() for x in slopes if x is not None and x.requires_grad]
    if case.op.twice_differentiable and lengths:
        sum(lengths).backward()


@each_case
def test_samples_see_each_other_only_where_the_operator_says_so(case: Case, layer: Any) -> None:
    """In evaluation a sample alone gives what it gives within a batch."""
    wired = [t for t in case.inputs() if t]
    if not wired or any(t.shape[:1] != (BATCH,) for t in (*wired, *case.outputs())):
        return  # it has no batch axis, or another one
    given = random_inputs(case, case.sizes()[1])
    whole = [y[:1] for y in layer.torch(*given)]
    alone = layer.torch(*(array[:1] for array in given))
    same = all(
        a.shape == w.shape and np.allclose(a, w, rtol=1e-4, atol=1e-5)
        for a, w in zip(alone, whole, strict=True)
    )
    assert same is not case.op.mixes_batch


# ONNX


@pytest.mark.parametrize("opset", IR_VERSIONS)
@each_case
def test_onnx_runtime_agrees_with_torch(case: Case, layer: Any, opset: int) -> None:
    session = layer.session(opset)
    for sizes in case.sizes():
        served = layer.agree(*random_inputs(case, sizes), session=session)
        assert [y.shape for y in served] == [shape_at(t, sizes) for t in case.outputs()]
