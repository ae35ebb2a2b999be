"""How samples make up batches: shuffled, or as one sequence that rows of batches read on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.objectives.fields import Field
from netwright.runtime.data.batches import Batches
from netwright.runtime.data.columns import as_columns
from netwright.runtime.data.orders import SHUFFLED, Streams
from netwright.runtime.data.splits import split_in_order

sizes = st.integers(1, 40)


def test_shuffled_epochs_differ_and_repeat() -> None:
    first, again, other = (SHUFFLED.epoch(10, 3, 7, epoch) for epoch in (0, 0, 1))
    assert first.shape == (3, 3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(sizes, sizes)
def test_rows_of_training_go_on_where_they_ended(samples: int, batch: int) -> None:
    batch = min(batch, samples)
    steps = Streams().epoch(samples, batch, 0, 0)
    assert steps.shape == (samples // batch, batch)
    assert torch.equal(steps[1:], steps[:-1] + 1)
    assert len(steps.unique()) == steps.numel()


@given(st.integers(0, 9), sizes, sizes)
def test_whole_parts_are_read_once_and_rows_go_on(start: int, count: int, size: int) -> None:
    seen, rows = [], None
    for indices, width, begins in Streams().whole(start, start + count, size):
        assert width <= size
        for batch in indices.split(width):
            assert len(batch) == width, "every batch of a run is full"
            if rows is not None and not begins:
                assert torch.equal(batch, rows[:width] + 1)
            rows, begins = batch, False
            seen += batch.tolist()
    assert sorted(seen) == list(range(start, start + count))


@pytest.mark.parametrize("home", ["device", "loader"])
def test_batches_tell_where_rows_begin(home: str) -> None:
    column = as_columns({"x": np.arange(7, dtype=np.float32)})
    fields = {"x": Field(shape=["B"], dtype="float32")}
    batches = Batches(
        column, fields, torch.device("cpu"), torch.contiguous_format, home=home, order=Streams()
    )
    whole = [(b.raw["x"].tolist(), b.begins) for b in batches.in_order(2)]
    assert whole == [([0, 4], True), ([1, 5], False), ([2, 6], False), ([3], False)]
    epoch = [(b.raw["x"].tolist(), b.begins) for [b] in batches.training(0, 0, 2, 1, 1)]
    assert epoch == [([1, 4], False), ([2, 5], False)], "the first step was done before"


def test_what_follows_in_time_is_cut_at_the_end() -> None:
    first, last = split_in_order(10, 0.25)
    assert (first.tolist(), last.tolist()) == (list(range(8)), [8, 9])
