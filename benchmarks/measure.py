"""Interleaved timing: A B A B ..., so that a drift of the machine's speed hits both sides."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version

import numpy as np

RESAMPLES = 2_000
PACKAGES = (
    *("torch", "onnx", "onnxruntime-gpu", "onnxruntime", "onnx-ir"),
    *("lightning", "keras", "jax"),
)
"""Those whose versions a table names, where they are installed."""


def interleaved(
    sides: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 2
) -> dict[str, np.ndarray]:
    """Seconds of each call, by side; every round calls each side once, in alternating order."""
    for _ in range(warmup):
        for call in sides.values():
            call()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for index in range(rounds):
        names = list(sides) if index % 2 == 0 else list(sides)[::-1]
        for name in names:
            start = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in seconds.items()}


def twice(
    first: Callable[[], Callable[[], object]], second: Callable[[], Callable[[], object]]
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Two instances of each side, made in the order A B B A.

    Where the memory of an instance happens to lie makes it a percent faster or slower; that must
    not be one side's luck.
    """
    a, b = first(), second()
    d, c = second(), first()

    def left() -> None:
        a()
        c()

    def right() -> None:
        b()
        d()

    return left, right


@dataclass(frozen=True)
class Estimate:
    """A median with its 95% bootstrap interval; a format such as `,.0f` holds for all three."""

    median: float
    low: float
    high: float

    def __format__(self, how: str) -> str:
        median, low, high = (format(x, how or ".3f") for x in (self.median, self.low, self.high))
        return f"{median} [{low}, {high}]"

    def __str__(self) -> str:
        return format(self)


def estimate(values: np.ndarray) -> Estimate:
    """The median of measured values."""
    generator = np.random.default_rng(0)
    draws = generator.choice(values, (RESAMPLES, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return Estimate(float(np.median(values)), float(low), float(high))


def speed_ratio(base: np.ndarray, side: np.ndarray) -> Estimate:
    """How many times as long the base takes as the side, by rounds; above 1, the side is faster."""
    return estimate(base / side)


def machine() -> str:
    """One line that says where and with what a table was measured."""
    parts = [f"{date.today()}", f"{os.cpu_count()} CPU cores ({_processor()})"]
    parts.append(f"Python {platform.python_version()}")
    for package in PACKAGES:
        try:
            parts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(parts)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
            return next(names, platform.machine())
    except OSError:
        return platform.machine()
