"""Batches, preprocessing and augmentation on the device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from netwright.compiler.objectives.augmentations import Flip, Noise, Shift
from netwright.compiler.objectives.fields import Field, Normalize
from netwright.runtime.data.augment import augment
from netwright.runtime.data.batches import Batches, derive
from netwright.runtime.data.columns import as_columns
from netwright.runtime.data.preprocess import Preprocess

CPU = torch.device("cpu")
FIELDS = {
    "image": Field(shape=["B", 1, 2, 2], dtype="uint8", scale=[-1, 1]),
    "label": Field(shape=["B"], dtype="int64", below=100),
}


def batches(count: int, fields: dict[str, Field] = FIELDS) -> Batches:
    arrays = {
        "image": np.arange(count * 4, dtype=np.uint8).reshape(count, 1, 2, 2),
        "label": np.arange(count),
    }
    return Batches(as_columns(arrays), fields, CPU, torch.channels_last)


def labels(source: Batches, epoch: int, start: int = 0, seed: int = 0) -> list[list[int]]:
    return [b.raw["label"].tolist() for [b] in source.training(seed, epoch, 4, start, 0)]


def test_an_epoch_visits_each_sample_at_most_once_in_an_order_of_its_own() -> None:
    source = batches(10)
    first, second = labels(source, 0), labels(source, 1)
    for epoch in (first, second):
        assert [len(batch) for batch in epoch] == [4, 4]
        assert len({label for batch in epoch for label in batch}) == 8
    assert first != second
    assert first == labels(source, 0)
    assert first != labels(source, 0, seed=1)
    assert labels(source, 1, start=1) == second[1:]


def test_fields_stay_together() -> None:
    for [batch] in batches(20).training(0, 0, 5, 0, 0):
        assert torch.equal(batch.raw["image"][:, 0, 0, 0], batch.raw["label"] * 4)
        assert torch.allclose(batch.values["image"], batch.raw["image"].float() / 127.5 - 1)
        assert batch.values["label"] is batch.raw["label"]


def test_evaluation_sees_every_sample_in_order() -> None:
    found = [batch.raw["label"] for batch in batches(10).in_order(4)]
    assert [len(batch) for batch in found] == [4, 4, 2]
    assert torch.cat(found).tolist() == list(range(10))


def test_augmentation_depends_on_the_step_alone() -> None:
    fields = {**FIELDS, "image": FIELDS["image"].model_copy(update={"augment": [Noise(std=0.1)]})}
    source = batches(12, fields)

    def images(start: int, step: int) -> list[torch.Tensor]:
        return [b.values["image"] for [b] in source.training(0, 0, 4, start, step)]

    whole, rest = images(0, 100), images(2, 102)
    assert torch.equal(whole[2], rest[0])
    assert not torch.equal(whole[2], images(2, 103)[0])
    assert whole[0].std() > 0


def test_seeds_differ_by_stream_and_index() -> None:
    seeds = {
        derive(seed, stream, index) for seed in (0, 1) for stream in (0, 1) for index in (0, 1)
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    "field",
    [
        Field(shape=["B", 3, 2, 2], dtype="uint8", scale=[-1, 1], range=[0, 16]),
        Field(
            shape=["B", 3, 2, 2],
            dtype="uint8",
            normalize=Normalize(mean=[0.1, 0.2, 0.3], std=[0.5, 0.6, 0.7]),
        ),
        Field(shape=["B", 4], dtype="float32", normalize=Normalize(mean=[2.0], std=[4.0])),
        Field(shape=["B", 4], dtype="float64"),
        Field(shape=["B"], dtype="int64"),
    ],
)
def test_preprocessing_is_the_rule_of_the_field(field: Field) -> None:
    shape = [5 if size == "B" else int(size) for size in field.shape or []]
    x = torch.randint(0, 16, shape).to(getattr(torch, str(field.dtype)))
    result = Preprocess(field, CPU)(x)
    shift, factor = field.affine()
    if not field.is_converted:
        assert result is x
        return
    per_channel = (1, -1, 1, 1) if len(shift) > 1 else (1,)
    expected = (x.double().numpy() - np.reshape(shift, per_channel)) * np.reshape(
        factor, per_channel
    )
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-6)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("axis", ["W", "H"])
def test_flip_mirrors_about_half_of_the_images(axis: str) -> None:
    x = torch.rand(400, 1, 3, 4)
    result = augment(Flip(axis=axis), x, generator())
    mirrored = x.flip(3 if axis == "W" else 2)
    same = (result == x).flatten(1).all(1)
    turned = (result == mirrored).flatten(1).all(1)
    assert (same | turned).all()
    assert 140 < same.sum() < 260


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shift_moves_each_image_and_repeats_its_edge(layout: torch.memory_format) -> None:
    one = torch.arange(60.0).reshape(1, 3, 4, 5)
    x = one.repeat(300, 1, 1, 1).contiguous(memory_format=layout)
    result = augment(Shift(pixels=1), x, generator())
    seen = set()
    for image in result:
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                rows = (torch.arange(4) + down).clamp(0, 3)
                columns = (torch.arange(5) + right).clamp(0, 4)
                if torch.equal(image, one[0][:, rows][:, :, columns]):
                    seen.add((down, right))
    assert len(seen) == 9


def test_noise_has_its_deviation() -> None:
    result = augment(Noise(std=0.25), torch.zeros(64, 100), generator())
    assert result.std().item() == pytest.approx(0.25, rel=0.05)
