"""Batches by way of a loader, with and without processes of its own, and the shares of a batch."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.objectives.augmentations import Noise
from netwright.compiler.objectives.fields import Field
from netwright.runtime.data.batches import Batch, Batches, Share
from netwright.runtime.data.columns import ArrayColumn, Columns, MappedColumn, as_columns
from netwright.runtime.data.homes import Home, choose_home, choose_workers
from netwright.runtime.data.images import Form, ImageColumn
from PIL import Image

CPU = torch.device("cpu")
FIELDS = {
    "image": Field(shape=["B", 3, 2, 2], dtype="uint8", scale=[-1, 1], augment=[Noise(std=0.1)]),
    "label": Field(shape=["B"], dtype="int64", below=100),
}
COUNT = 21
ARRAYS = {
    "image": np.arange(COUNT * 12, dtype=np.uint8).reshape(COUNT, 3, 2, 2),
    "label": np.arange(COUNT),
}
HOMES: list[tuple[Home, int]] = [("device", 0), ("loader", 0), ("loader", 2)]


def batches(home: Home, workers: int, columns: Columns | None = None) -> Batches:
    columns = columns or as_columns(ARRAYS)
    return Batches(columns, FIELDS, CPU, torch.channels_last, home=home, workers=workers)


def same(a: Batch, b: Batch) -> bool:
    return all(
        torch.equal(x[name], y[name]) and x[name].stride() == y[name].stride()
        for x, y in ((a.raw, b.raw), (a.values, b.values))
        for name in FIELDS
    )


@pytest.mark.parametrize(("home", "workers"), HOMES)
def test_every_home_gives_the_same_batches(home: Home, workers: int) -> None:
    reference, found = batches("device", 0), batches(home, workers)
    for epoch, start in ((0, 0), (1, 2), (2, 0)):
        ours = list(found.training(5, epoch, 4, start, 10))
        theirs = list(reference.training(5, epoch, 4, start, 10))
        assert len(ours) == len(theirs) == 5 - start
        assert all(same(a, b) for [a], [b] in zip(ours, theirs, strict=True))
    ours_in_order = list(found.in_order(8))
    assert [batch.size for batch in ours_in_order] == [8, 8, 5]
    theirs_in_order = reference.in_order(8)
    assert all(same(a, b) for a, b in zip(ours_in_order, theirs_in_order, strict=True))
    for batch in ours_in_order:
        assert batch.values["image"].is_contiguous(memory_format=torch.channels_last)
    found.close()


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    own = os.getpid()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == own and fields[0] != "Z":
            found.add(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are counted in /proc")
def test_processes_stay_for_the_next_epoch_and_end_with_the_batches() -> None:
    before = children()
    source = batches("loader", 2)
    list(source.training(0, 0, 4, 0, 0))
    first = children() - before
    next(source.training(0, 1, 4, 0, 5))  # left in the middle
    list(source.in_order(4))
    assert len(first) >= 2
    assert children() - before == first
    source.close()
    assert children() == before


def test_samples_that_are_done_are_not_read(tmp_path: Path) -> None:
    """Resuming reads the batches to come only: those done lie in files that are gone."""
    for index in range(6):
        Image.new("RGB", (2, 2), (index, 0, 0)).save(tmp_path / f"{index}.png")
    files = ImageColumn(tmp_path, [f"{index}.png" for index in range(6)], Form(3, 2, 2))
    columns: Columns = {"image": files, "label": ArrayColumn(np.arange(6))}
    source = batches("loader", 0, columns)
    order = [int(batch.raw["label"]) for [batch] in source.training(0, 0, 1, 0, 0)]
    for done in order[:4]:
        (tmp_path / f"{done}.png").unlink()
    rest = [int(batch.raw["label"]) for [batch] in source.training(0, 0, 1, 4, 4)]
    assert rest == order[4:]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_can_not_be_read_is_named(workers: int, tmp_path: Path) -> None:
    for index in range(4):
        Image.new("RGB", (2, 2)).save(tmp_path / f"{index}.png")
    names = [f"{index}.png" for index in range(4)]
    columns: Columns = {
        "image": ImageColumn(tmp_path, names, Form(3, 2, 2)),
        "label": ArrayColumn(np.arange(4)),
    }
    source = batches("loader", workers, columns)
    (tmp_path / "2.png").write_bytes(b"no image")
    with pytest.raises(NetwrightError) as caught:
        list(source.training(0, 0, 2, 0, 0))
    source.close()
    [found] = caught.value.diagnostics
    assert found.code is Code.F602
    assert "`2.png`, something else" in found.message
    assert str(tmp_path) in found.message


class Killed(ArrayColumn):
    """Ends the process that reads it, as the system does when memory is short."""

    def take(self, indices: np.ndarray) -> np.ndarray:
        if 7 in indices:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().take(indices)


def test_a_process_that_the_system_ends_is_r906() -> None:
    columns = {"image": ArrayColumn(ARRAYS["image"]), "label": Killed(ARRAYS["label"])}
    source = batches("loader", 1, columns)
    with pytest.raises(NetwrightError) as caught:
        list(source.in_order(4))
    source.close()
    assert caught.value.diagnostics[0].code is Code.R906
    assert "/dev/shm" in (caught.value.diagnostics[0].help or "")


def test_torch_draws_the_same_numbers_with_and_without_a_loader() -> None:
    """Dropout draws from torch's generator; a loader must not."""
    drawn = []
    for home, workers in HOMES:
        torch.manual_seed(3)
        source = batches(home, workers)
        list(source.training(0, 0, 4, 0, 0))
        drawn.append(torch.rand(1).item())
        source.close()
    assert len(set(drawn)) == 1


@pytest.mark.parametrize("home", ["device", "loader"])
@pytest.mark.parametrize(("world", "pieces"), [(1, 1), (1, 3), (2, 1), (2, 2), (3, 2)])
def test_shares_make_up_the_batch(home: Home, world: int, pieces: int) -> None:
    whole = [batch.raw["label"].tolist() for [batch] in batches(home, 0).training(1, 0, 7, 1, 1)]
    steps: list[list[int]] = [[] for _ in whole]
    for rank in range(world):
        share = Share(rank, world, pieces)
        for step, found in enumerate(batches(home, 0).training(1, 0, 7, 1, 1, share)):
            assert len(found) == pieces
            sizes = [batch.size for batch in found]
            assert max(sizes) - min(sizes) <= 1
            steps[step] += [label for b in found for label in b.raw["label"].tolist()]
            for batch in found:
                assert torch.equal(batch.raw["image"][:, 0, 0, 0] // 12, batch.raw["label"])
    assert steps == whole


def test_each_piece_of_each_process_is_augmented_by_numbers_of_its_own() -> None:
    columns = as_columns({"image": np.zeros((8, 3, 2, 2), np.uint8), "label": np.arange(8)})
    seen = []
    for rank in range(2):
        source = Batches(columns, FIELDS, CPU, torch.channels_last)
        [found] = source.training(0, 0, 8, 0, 0, Share(rank, 2, 2))
        seen += [batch.values["image"] for batch in found]
    assert len(seen) == 4
    assert len({tuple(values.flatten().tolist()) for values in seen}) == 4


def test_evaluation_shares_every_sample_once() -> None:
    seen = []
    for rank in range(3):
        for batch in batches("device", 0).in_order(5, Share(rank, 3)):
            seen += batch.raw["label"].tolist()
    assert seen == list(range(COUNT))


def test_more_pieces_than_samples_is_told() -> None:
    with pytest.raises(NetwrightError, match="at least 24 samples") as caught:
        next(batches("device", 0).training(0, 0, 100, 0, 0, Share(0, 8, 3)))
    assert caught.value.diagnostics[0].code is Code.F601


def test_where_data_lives(tmp_path: Path) -> None:
    small, huge = as_columns(ARRAYS), np.lib.stride_tricks.as_strided
    assert choose_home(small, CPU) == "device"
    assert choose_workers(small) == 0
    too_large = {"x": ArrayColumn(huge(np.zeros(1), (10**13,), (0,)))}
    assert choose_home(too_large, CPU) == "loader"
    (tmp_path / "x").write_bytes(bytes(100))
    mapped = {"x": MappedColumn(tmp_path / "x", np.dtype("u1"), (100,), 0)}
    assert choose_home(mapped, CPU) == "device"
    assert choose_workers(mapped) >= 1
    files: Columns = {"image": ImageColumn(tmp_path, ["a.png"], Form(3, 2, 2))}
    assert choose_home(files, CPU) == "loader"
