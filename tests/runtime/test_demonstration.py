"""What `netwright run` shows of a bundle at work: few words, and the truth beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from netwright.runtime.deployed.registry import deployed
from netwright.runtime.export import export_run
from netwright.runtime.opening import open_run, read_data
from netwright.runtime.session import load
from netwright.runtime.train import train

from .tiny import compile_text

SPEC = """\
spec: v1
name: shown
dims: {T: {min: 1}}
data:
  source: {npz: {path: all.npz}}
  fields:
    x: {shape: [B, T, 2], dtype: float32, lengths: n}
    n: {shape: [B], dtype: int64}
    tag: {shape: [B, T], dtype: int64, classes: [low, high], lengths: n}
    one: {shape: [B], dtype: int64, classes: [left, right]}
    size: {shape: [B, 3], dtype: float32, normalize: {mean: 100, std: 10}}
networks:
  net:
    inputs: {x: {shape: [B, T, 2]}, n: {shape: [B], dtype: int64}}
    layers:
      - {id: memory, from: {x: x, lengths: n}, gru: 4}
      - {id: tags, from: memory.sequence, linear: 2}
      - {id: side, from: memory.last, linear: 2}
      - {id: sizes, from: memory.last, linear: 3}
    outputs: {out: OUT}
objective:
  supervised: {network: net, losses: [LOSS]}
training: {batch: 4, steps: 1}
"""

CASES = {
    "steps": ("tags", "cross_entropy: {output: out, target: tag}", r"(low|high)(, (low|high)){4}"),
    "samples": ("side", "cross_entropy: {output: out, target: one}", r"\w+, \w+, \w+"),
    "numbers": ("sizes", "mse: {output: out, target: size}", r"[\d.]+, [\d.]+, [\d.]+"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("output", "loss", "words"), CASES.values(), ids=CASES)
def test_answers_and_the_truth(output: str, loss: str, words: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "all.npz",
        x=rng.normal(size=(20, 5, 2)).astype(np.float32),
        n=np.full(20, 5),
        tag=rng.integers(0, 2, (20, 5)),
        one=np.arange(20) % 2,
        size=rng.normal(100, 10, (20, 3)).astype(np.float32),
    )
    text = SPEC.replace("OUT", output).replace("LOSS", loss)
    run = train(compile_text(text=text, folder=tmp_path), output=tmp_path / "run", device="cpu")
    compilation = open_run(run.folder)
    bundle, dataset = load(export_run(run.folder).folder, "cpu"), read_data(compilation, tmp_path)
    (line,) = deployed(compilation).demonstrate(compilation, bundle, dataset)
    pattern = rf"predicted from the ONNX file: {words} \(true: {words}\)"
    assert re.fullmatch(pattern, line), line
