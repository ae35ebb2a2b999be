"""What `train` warns of before the first step, once it has seen the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from netwright.runtime.advice import advice
from netwright.runtime.opening import read_data

from .tiny import SPEC, compile_text

TABLE = """\
spec: v1
name: table
data:
  source: {csv: {path: cells.csv, columns: {x: [radius, area]}}}
  fields: {y: {}}
networks:
  net:
    inputs: {x: {shape: [B, 2]}}
    layers: [{linear: 1}, {squeeze: 1}]
    outputs: y
objective: {supervised: {network: net, losses: [{mse: {output: y, target: y}}]}}
"""


def advised(text: str, folder: Path = Path()) -> list[str]:
    compilation = compile_text(text=text)
    return list(advice(compilation, read_data(compilation, folder)))


def digits(training: str) -> list[str]:
    """Warnings for 1,151 digits to train on, in batches of 64: 17 steps an epoch."""
    return advised(SPEC.replace("  schedule: one_cycle\n", training))


def cells(folder: Path, area: float) -> list[str]:
    random = np.random.default_rng(0)
    rows = random.normal([14, area, 5000], [3, area / 2, 900], (40, 3))
    lines = ["radius,area,y", *(",".join(map(str, row)) for row in rows)]
    (folder / "cells.csv").write_text("\n".join(lines) + "\n")
    return advised(TABLE, folder)


def test_what_fits_is_not_mentioned() -> None:
    assert digits("  schedule: {cosine: {warmup: 10}}\n") == []


def test_settings_beyond_the_end_of_a_run_of_epochs() -> None:
    found = digits(
        "  schedule: {cosine: {warmup: 100}}\n"
        "  validation: {steps: 1000}\n"
        '  parameters: [{match: "**.bias", freeze: {until: 500}}]\n'
    )
    assert found == [
        "`warmup` expects less than the 68 steps of the run, found 100",
        "`steps` of `validation` expects at most the 68 steps of the run, found 1000; lower or "
        "remove it; the end of a run measures in any case",
        "`until` expects less than the 68 steps of the run, found 500; `freeze: true` holds for "
        "the whole run",
    ]


def test_a_batch_of_more_than_all_samples() -> None:
    [found] = advised(SPEC.replace("batch: 64", "batch: 5000"))
    assert found == (
        "`batch` expects at most the 1,151 training samples, found 5,000: each epoch is one step; "
        "lower it to take more"
    )


def test_inputs_far_from_zero(tmp_path: Path) -> None:
    """Those of the network alone: a target of thousands is another matter."""
    [found] = cells(tmp_path, 660)
    line = found.partition("write `")[2].partition("` in `fields`")[0]
    assert line.startswith("x: {normalize: {mean: [")
    assert cells(tmp_path, 20) == []
    repaired = TABLE.replace("{y: {}}", f"{{y: {{}}, {line}}}")
    cells(tmp_path, 660)
    assert advised(repaired, tmp_path) == []
