"""What the training benchmarks train: three jobs, and their data as arrays."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from hand_written import FashionCnn, ResNet18, TableMlp
from torch import nn

HERE = Path(__file__).resolve().parent
FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts its files."""

LR = 3e-3
COLUMNS = 20


@dataclass(frozen=True)
class Arrays:
    """Samples as stored: images u8[N, C, H, W] or rows f32[N, 20], and labels i64[N]."""

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Job:
    """One network and its data.

    batch, mean, std: what the spec says; mean and std of pixels in [0, 1], None for rows.
    samples: of the training part. chunk: steps that a side takes in its turn on a CPU. unit: what
    a sample is.
    module: the network by hand. write: makes the data in a folder. read: (folder, part) -> arrays.
    """

    name: str
    spec: Path
    unit: str
    samples: int
    batch: int
    chunk: int
    module: Callable[[], nn.Module]
    read: Callable[[Path, str], Arrays]
    write: Callable[[Path], None] | None = None
    mean: float | None = None
    std: float = 1.0

    @property
    def steps_per_epoch(self) -> int:
        return self.samples // self.batch

    def total_steps(self, taken: int) -> int:
        """The length of a run: five epochs, as the specs say, unless more steps are taken."""
        return max(5 * self.steps_per_epoch, taken)

    @property
    def has_images(self) -> bool:
        return self.mean is not None

    def normalised(self, inputs: np.ndarray) -> np.ndarray:
        """What the network sees, f32 of the same shape."""
        if self.mean is None:
            return inputs
        return (inputs.astype(np.float32) / 255 - self.mean) / self.std


def read_fashion(folder: Path, part: str) -> Arrays:
    prefix = {"train": "train", "test": "t10k"}[part]
    images = _idx(folder / f"{prefix}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = _idx(folder / f"{prefix}-labels-idx1-ubyte.gz", 8)
    return Arrays(images, labels.astype(np.int64))


def _idx(path: Path, header: int) -> np.ndarray:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def write_images(folder: Path) -> None:
    """Random patterns, one for each class, under three times as much noise."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 256, (10, 3, 32, 32))
    for part, count in (("train", RESNET18_32.samples), ("test", 1_024)):
        labels = generator.integers(0, 10, count)
        noise = generator.integers(0, 256, (count, 3, 32, 32))
        images = ((patterns[labels] + 3 * noise) // 4).astype(np.uint8)
        np.savez(folder / f"{part}.npz", image=images, label=labels)


def read_images(folder: Path, part: str) -> Arrays:
    with np.load(folder / f"{part}.npz") as arrays:
        return Arrays(arrays["image"], arrays["label"])


def write_table(folder: Path) -> None:
    """Normal columns; the label is the largest of four functions of them."""
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(COLUMNS, 32)), generator.normal(size=(32, 4))
    header = ",".join([*(f"x{index}" for index in range(COLUMNS)), "label"])
    for part, count in (("train", TABLE_MLP.samples), ("test", 4_000)):
        rows = generator.normal(size=(count, COLUMNS))
        labels = (np.tanh(rows @ first / 4) @ second).argmax(axis=1)
        table = np.column_stack([rows, labels])
        formats = [*["%.6g"] * COLUMNS, "%d"]
        path = folder / f"{part}.csv"
        np.savetxt(path, table, formats, delimiter=",", header=header, comments="")


def read_rows(folder: Path, part: str) -> Arrays:
    table = np.loadtxt(folder / f"{part}.csv", np.float32, delimiter=",", skiprows=1)
    rows, labels = np.ascontiguousarray(table[:, :COLUMNS]), table[:, COLUMNS]
    return Arrays(rows, labels.astype(np.int64))


FASHION_CNN = Job(
    name="fashion_cnn",
    spec=HERE.parent / "specs" / "fashion_cnn.yaml",
    unit="images",
    samples=60_000,
    batch=128,
    chunk=20,
    module=FashionCnn,
    read=read_fashion,
    mean=0.286,
    std=0.353,
)
RESNET18_32 = Job(
    name="resnet18_32",
    spec=HERE / "specs" / "resnet18_32.yaml",
    unit="images",
    samples=8_192,
    batch=64,
    chunk=6,
    module=partial(ResNet18, 10),
    read=read_images,
    write=write_images,
    mean=0.5,
    std=0.25,
)
TABLE_MLP = Job(
    name="table_mlp",
    spec=HERE / "specs" / "table_mlp.yaml",
    unit="rows",
    samples=100_000,
    batch=256,
    chunk=200,
    module=TableMlp,
    read=read_rows,
    write=write_table,
)
JOBS = {job.name: job for job in (FASHION_CNN, RESNET18_32, TABLE_MLP)}
