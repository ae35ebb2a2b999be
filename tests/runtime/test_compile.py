"""Steps through torch.compile: the same training, the same names, and clear refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from netwright.runtime import trainer
from netwright.runtime.distributed.world import ALONE
from netwright.runtime.history import read_history
from netwright.runtime.planning.situation import machine_of
from netwright.runtime.train import train

from .test_train import assert_same, stop_at, weights_of
from .tiny import SPEC, compile_text

NO_COMPILER = machine_of(torch.device("cpu"), ALONE).no_compiler
SHORT = {"epochs: 4": "epochs: 2"}
COMPILED = {"epochs: 4": "epochs: 2\n  plan: {compile: true}"}


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Kernels are made anew in each session, and shared by its tests."""
    folder = tmp_path_factory.getbasetemp() / "inductor"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))


@pytest.mark.slow
@pytest.mark.skipif(NO_COMPILER is not None, reason=str(NO_COMPILER))
def test_a_compiled_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It learns what the other one does, dropout and augmentation included, and stops and resumes
    bit for bit. Evaluation is not compiled: that would make a second graph."""
    plain = train(compile_text(SHORT), output=tmp_path / "plain", device="cpu")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    whole = train(compile_text(COMPILED), output=tmp_path / "whole", device="cpu")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    left, right = weights_of(plain.folder), weights_of(whole.folder)
    assert left.keys() == right.keys()
    losses = [[r["train"]["loss"] for r in read_history(x.folder)] for x in (plain, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)

    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)
    run = tmp_path / "run"
    train(compile_text(COMPILED), output=run, device="cpu", observer=stop_at(11))
    resumed = train(compile_text(COMPILED), output=run, resume=True, device="cpu")
    assert resumed.metrics == whole.metrics
    assert_same(weights_of(whole.folder), weights_of(run))


SENTENCES = """\
spec: v1
name: sentences
dims: {T: {min: 2}}
data:
  source: {brackets: {length: 30, samples: 400, test_samples: 10}}
  fields: {tokens: {shape: [B, T]}, tags: {shape: [B, T]}}
networks:
  net:
    inputs: {tokens: {shape: [B, T], dtype: int64}, n: {shape: [B], dtype: int64}}
    layers:
      - {from: tokens, embedding: {size: 10, dim: 8}}
      - {from: {lengths: n}, self_attention: 2}
      - linear: 4
    outputs: scores
objective:
  supervised: {network: net, losses: [{cross_entropy: {output: scores, target: tags}}]}
training: {batch: 8, epochs: 1, optimizer: {adam: {lr: 1e-2}}}
"""


@pytest.mark.slow
@pytest.mark.skipif(NO_COMPILER is not None, reason=str(NO_COMPILER))
def test_batches_of_different_lengths_are_compiled_twice(tmp_path: Path) -> None:
    """For the first length, and for any."""
    plain = train(compile_text(text=SENTENCES), output=tmp_path / "plain", device="cpu")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    text = SENTENCES.replace("training: {", "training: {plan: {compile: true}, ")
    whole = train(compile_text(text=text), output=tmp_path / "whole", device="cpu")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
    losses = [read_history(x.folder)[0]["train"]["loss"] for x in (plain, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize(
    ("compiler", "words"),
    [
        ("no-such-compiler", "there is no C++ compiler `no-such-compiler`"),
        pytest.param(
            "false", "expected torch.compile to translate the step", marks=pytest.mark.slow
        ),
    ],
    ids=["missing", "broken"],
)
def test_a_compiler_that_does_not_work(compiler: str, words: str, tmp_path: Path) -> None:
    text = SPEC.replace("epochs: 4", "steps: 2\n  plan: {compile: true}")
    (tmp_path / "tiny.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "netwright", "train", "tiny.yaml", "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "CXX": compiler},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "error[R905]" in done.stderr
    assert words in done.stderr
    assert "plan: {compile: false}" in done.stderr
    assert "Traceback" not in done.stderr
