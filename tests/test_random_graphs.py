"""Whatever the operators can be put together to: both backends agree, passes change no values."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from netwright.compiler.backends.torch_source import generate
from netwright.compiler.ir.graph import Graph
from netwright.compiler.ir.printer import print_graph
from netwright.compiler.ir.verifier import verify
from netwright.compiler.passes.pipeline import run_passes
from netwright.compiler.summary import summary_table
from netwright.runtime.generated import build_networks

from tests.onnx_tools import random_weights, run
from tests.strategies import networks

SLOW = settings(max_examples=40, suppress_health_check=list(HealthCheck))
BATCH = 3


def image_of(graph: Graph) -> np.ndarray:
    shape = (BATCH, *graph.inputs[0].type.shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def in_torch(
    graph: Graph, weights: dict[str, np.ndarray], image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the generated module gives, and what it gives of an image that is rounded otherwise."""
    source = generate({"net": graph}, title="A random network.", origin="test.yaml")
    module = build_networks(source, ["net"])["net"].eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    with torch.no_grad():
        given = module(torch.from_numpy(image)).numpy()
        return given, module(torch.from_numpy(np.nextafter(image, np.float32(-np.inf)))).numpy()


def near(a: np.ndarray, b: np.ndarray, shaken: np.ndarray) -> bool:
    """Whether a is as good as b; a network that magnifies rounding leaves few digits in either."""
    scale = max(1e-3, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
    rounding = float(np.nan_to_num(np.abs(b - shaken)).max(initial=0.0))
    allowed = 2e-4 * scale + 20 * rounding
    return a.shape == b.shape and bool(np.allclose(a, b, atol=allowed, equal_nan=True, rtol=0))


@SLOW
@given(networks())
def test_torch_and_onnx_runtime_agree(graph: Graph) -> None:
    verify(graph)
    weights, image = random_weights(graph), image_of(graph)
    expected, shaken = in_torch(graph, weights, image)
    prepared, used = run_passes(graph, weights)
    assert near(run(prepared, used, {"image": image})["y"], expected, shaken)


@SLOW
@given(networks())
def test_passes_are_idempotent(graph: Graph) -> None:
    once, weights = run_passes(graph, random_weights(graph))
    twice, again = run_passes(once, weights)
    assert print_graph(once) == print_graph(twice)
    assert weights.keys() == again.keys()


@SLOW
@given(networks())
def test_every_network_prints_and_is_summed_up(graph: Graph) -> None:
    printed, summed = print_graph(graph), summary_table(graph)
    for node in graph.nodes:
        made = ", ".join(f"%{value.name}" for value in node.outputs)
        assert f"{made} = " in printed
        assert node.path in summed
