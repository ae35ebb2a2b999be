"""`torch.onnx.export` as an independent judge: its file and ours compute the same."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.driver import check
from netwright.compiler.passes.pipeline import run_passes
from netwright.runtime.generated import build_networks

from tests.onnx_tools import close, run, run_proto

SPECS = Path(__file__).resolve().parents[2] / "specs"


@pytest.mark.parametrize(
    ("name", "shape"), [("digits_cnn", (2, 1, 8, 8)), ("resnet18", (2, 3, 64, 64))]
)
def test_the_judge_agrees(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    compilation = check(SPECS / f"{name}.yaml")
    torch.manual_seed(0)
    module = build_networks(compilation.source, ["classifier"])["classifier"].eval()
    weights = {key: value.numpy() for key, value in module.state_dict().items()}
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the judge's own deprecations
        torch.onnx.export(
            module,
            (torch.from_numpy(image),),
            tmp_path / "judge.onnx",
            dynamo=True,
            opset_version=20,
            verbose=False,
        )
    (theirs,) = run_proto(str(tmp_path / "judge.onnx"), {"image": image}).values()
    graph, used = run_passes(compilation.graphs["classifier"], weights)
    (ours,) = run(graph, used, {"image": image}).values()
    assert close(ours, theirs)
