"""Vector quantization follows its equations, and its codes begin, move and die as it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import INTERNAL
from torch import Tensor, nn

from tests.ops.conftest import Layer, as_list

Lower = Callable[..., Any]
each_update = pytest.mark.parametrize("update", ["ema", "gradient"])


@pytest.fixture
def quantizer(lower: Lower) -> Callable[..., nn.Module]:
    """`quantizer(codes, dim, **arguments)`: the module of the operator, in training mode."""

    def made(codes: int, dim: int, **arguments: Any) -> nn.Module:
        layer = lower("vector_quantize", {"codes": codes, **arguments}, f"f32[B, {dim}, T]")
        module: nn.Module = layer.fresh().layer.train()
        return module

    return made


def begun(module: Any, codebook: Tensor, counts: Tensor | None = None) -> Any:
    """The module as if it had been trained already; each code has that count."""
    counts = torch.ones(len(codebook)) if counts is None else counts
    with torch.no_grad():
        module.codebook.copy_(codebook)
        module.initialised.fill_(1)
        if hasattr(module, "counts"):
            module.counts.copy_(counts)
            module.sums.copy_(counts[:, None] * codebook)
    return module


def rows(x: Tensor) -> Tensor:
    """[B, D, T] -> [B T, D]."""
    return x.movedim(1, -1).flatten(0, -2)


def stands_at(vectors: Tensor, table: Tensor) -> Tensor:
    """bool[N, M]: which rows of a table each vector began at, up to the noise of a hundredth."""
    near = (vectors[:, None] - table).abs() < 0.06 * table.std(0, correction=0)
    return near.all(-1)


def is_row_of(vectors: Tensor, table: Tensor) -> bool:
    """Whether each vector began at a row of a table."""
    return bool(stands_at(vectors, table).any(-1).all())


# The outputs


@each_update
def test_the_gradient_goes_straight_through(update: str, quantizer: Lower) -> None:
    module = quantizer(6, 4, update=update)
    x, gradient = torch.randn(3, 4, 5, requires_grad=True), torch.randn(3, 4, 5)
    quantized, _, _ = module(x)
    quantized.backward(gradient)
    torch.testing.assert_close(x.grad, gradient, rtol=0, atol=0)
    assert not any(p.grad is not None and p.grad.any() for p in module.parameters())


@each_update
def test_the_outputs_are_those_of_the_nearest_codes(update: str, quantizer: Lower) -> None:
    module = quantizer(9, 4, update=update).eval()
    x = torch.randn(3, 4, 5)
    quantized, indices, _ = module(x)
    distances = (rows(x)[:, None] - module.codebook).square().sum(-1)
    torch.testing.assert_close(indices.flatten(), distances.argmin(1), rtol=0, atol=0)
    # To the last bit, so that a decoder gets from the indices what it gets from x.
    torch.testing.assert_close(rows(quantized), module.codebook[indices.flatten()], rtol=0, atol=0)


@each_update
def test_commitment_is_equation_3(update: str, quantizer: Lower) -> None:
    module = quantizer(6, 4, update=update, commitment=0.7).eval()
    x = torch.randn(3, 4, 5, requires_grad=True)
    quantized, _, commitment = module(x)
    difference = (x - quantized).detach().numpy().astype(np.float64)
    weight = 0.7 if update == "ema" else 1.7
    by_hand = [weight * (of_sample**2).mean() for of_sample in difference]
    np.testing.assert_allclose(commitment.detach().numpy(), by_hand, rtol=1e-5)
    commitment.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 0.7 * 2 * difference / 20, rtol=1e-4, atol=1e-7)


def test_the_gradient_of_a_code_is_that_of_its_own_term(quantizer: Lower) -> None:
    module, x = quantizer(3, 4, update="gradient", commitment=0.7).eval(), torch.randn(2, 4, 5)
    _, indices, commitment = module(x)
    commitment.sum().backward()
    expected = torch.zeros(3, 4)
    for row, code in zip(rows(x), indices.flatten(), strict=True):
        expected[code] += 2 * (module.codebook[code].detach() - row) / 20
    torch.testing.assert_close(module.codebook.grad, expected)


@each_update
def test_autocast_leaves_it_in_full_precision(update: str, quantizer: Lower) -> None:
    module = quantizer(64, 16, update=update).eval()
    x = torch.randn(4, 16, 50).bfloat16()
    _, expected, loss = module(x.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantized, indices, commitment = module(x)
        module.train()(x)
    torch.testing.assert_close(indices, expected, rtol=0, atol=0)
    torch.testing.assert_close(commitment, loss, rtol=0, atol=0)
    assert quantized.dtype is torch.bfloat16
    assert all(t.dtype in (torch.float32, torch.int64) for t in module.state_dict().values())


# Learning


def test_moving_averages_are_those_of_the_appendix(quantizer: Lower) -> None:
    """van den Oord et al. 2017, equations 6 to 8, one vector after the other."""
    module = begun(quantizer(5, 3, decay=0.8, restart=0), torch.randn(5, 3))
    codebook = module.codebook.double().numpy().copy()
    counts, sums = np.ones(5), codebook.copy()
    for _ in range(4):
        x = torch.randn(2, 3, 7)
        given = rows(x).double().numpy()
        nearest = ((given[:, None] - codebook) ** 2).sum(-1).argmin(1)
        module(x)
        for code in range(5):
            own = given[nearest == code]
            counts[code] = 0.8 * counts[code] + 0.2 * len(own)
            sums[code] = 0.8 * sums[code] + 0.2 * own.sum(0)
            codebook[code] = sums[code] / counts[code]
        np.testing.assert_allclose(module.counts.numpy(), counts, rtol=1e-5)
        np.testing.assert_allclose(module.sums.numpy(), sums, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(module.codebook.numpy(), codebook, rtol=1e-4, atol=1e-5)


def test_gradients_move_the_codebook_towards_its_vectors(quantizer: Lower) -> None:
    module, x = quantizer(4, 3, update="gradient"), torch.randn(8, 3, 6)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    losses = []
    for _ in range(20):
        _, _, commitment = module(x)
        losses.append(commitment.mean().item())
        optimizer.zero_grad()
        commitment.mean().backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]


@each_update
def test_the_first_batch_gives_the_codes(update: str, quantizer: Lower) -> None:
    """Each code takes a vector of its own, which then is the nearest to itself."""
    module, x, later = quantizer(16, 4, update=update), torch.randn(5, 4, 9), torch.randn(5, 4, 9)
    quantized, indices, _ = module(x)
    assert is_row_of(rows(quantized), rows(x))
    assert len(indices.unique()) == 16
    quantized, _, _ = module(later)
    assert not is_row_of(rows(quantized), rows(later))


def test_a_first_batch_smaller_than_the_codebook_is_used_evenly(quantizer: Lower) -> None:
    module, x = quantizer(8, 4, update="gradient"), torch.randn(1, 4, 3)
    module(x)
    copies = stands_at(module.codebook, rows(x)).sum(0)
    assert sorted(copies.tolist()) == [2, 3, 3]
    assert len(module.codebook.unique(dim=0)) == 8, "equal codes are one code"


def test_a_dead_code_begins_anew_and_a_used_one_does_not(quantizer: Lower) -> None:
    """16 vectors for 2 codes are 8 for each on average, of which 0.2 are the limit."""
    codebook = torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    x = 0.1 * torch.randn(2, 2, 8)
    alive = begun(quantizer(2, 2), codebook, torch.tensor([8.0, 1.65]))
    alive(x)
    torch.testing.assert_close(alive.codebook[1], codebook[1])
    dead = begun(quantizer(2, 2), codebook, torch.tensor([8.0, 1.61]))
    dead(x)
    assert is_row_of(dead.codebook[1:], rows(x))
    assert dead.counts[1].item() == pytest.approx(1.6)
    torch.testing.assert_close(dead.sums[1], 1.6 * dead.codebook[1])
    torch.testing.assert_close(dead.codebook[0], 0.01 * rows(x).sum(0) / (0.99 * 8 + 0.01 * 16))


def test_a_code_that_is_never_used_stays_where_it_is(quantizer: Lower) -> None:
    """Its count falls below what float32 can divide by."""
    codebook = torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    module = begun(quantizer(2, 2, decay=0.1, restart=0), codebook)
    for _ in range(60):
        module(torch.randn(2, 2, 8))
    assert module.counts[1] == 0
    torch.testing.assert_close(module.codebook[1], codebook[1])


def clusters(batches: int) -> Iterator[Tensor]:
    """[8, 8, 64] each: vectors of 64 clusters far from each other."""
    generator = torch.Generator().manual_seed(1)
    centres = 10 * torch.randn(64, 8, generator=generator)
    for _ in range(batches):
        drawn = torch.randint(64, (8, 64), generator=generator)
        noise = 0.1 * torch.randn(8, 64, 8, generator=generator)
        yield (centres[drawn] + noise).movedim(-1, 1)


def used(module: nn.Module, batches: int = 100) -> float:
    """The share of codes that a last batch uses after others from a bad codebook."""
    begun(module, 100 + torch.randn(64, 8))
    for x in clusters(batches):
        _, indices, _ = module(x)
    return len(indices.unique()) / 64


def test_restarts_bring_a_bad_codebook_into_use(quantizer: Lower) -> None:
    assert used(quantizer(64, 8)) > 0.9
    assert used(quantizer(64, 8, restart=0)) < 0.2


@each_update
def test_evaluation_changes_nothing(update: str, quantizer: Lower) -> None:
    module = quantizer(6, 4, update=update)
    module(torch.randn(3, 4, 5))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    random = torch.get_rng_state()
    module.eval()(torch.randn(3, 4, 5, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), random)
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)


@each_update
def test_runs_from_one_seed_are_the_same(update: str, quantizer: Lower) -> None:
    first, second = (trained(quantizer(32, 8, update=update)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def trained(module: nn.Module) -> dict[str, Tensor]:
    torch.manual_seed(5)
    network = nn.Sequential(nn.Conv1d(3, 8, 3), module)
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(10):
        quantized, _, commitment = network(torch.randn(4, 3, 20))
        optimizer.zero_grad()
        (quantized.square().mean() + commitment.mean()).backward()
        optimizer.step()
    return network.state_dict()


@each_update
def test_it_is_one_graph_for_a_compiler(update: str, quantizer: Lower) -> None:
    """Nothing is asked of the numbers: a step can be compiled, and recorded as a CUDA graph."""
    module, x = quantizer(6, 4, update=update), torch.randn(3, 4, 5)
    graphs = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compile(module, backend=backend, fullgraph=True)(x)
    assert len(graphs) == 1


# The way back


@each_update
def test_a_lookup_gives_the_quantized_vectors(update: str, quantizer: Lower) -> None:
    module = quantizer(6, 4, update=update).eval()
    arguments = {"codes": 6, "dim": 4, "trainable": update == "gradient"}
    op = build(INTERNAL["codebook_lookup"], arguments)
    lookup: Any = Layer(op, (parse_type("i64[B, T]"),)).fresh()
    (key,) = lookup.state_dict()
    lookup.load_state_dict({key: module.codebook})
    quantized, indices, _ = module(torch.randn(3, 4, 5))
    (found,) = as_list(lookup(indices))
    torch.testing.assert_close(found, quantized, rtol=0, atol=0)
