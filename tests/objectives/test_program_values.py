"""The program computes the same as its parts: in torch, in ONNX Runtime and by hand."""

import numpy as np
import torch
from netwright.compiler.objectives.fields import Field
from netwright.compiler.passes.pipeline import run_passes
from netwright.runtime.generated import build_networks, build_program

from ..onnx_tools import run

PER_CHANNEL = ("scale: [0, 1]}", "normalize: {mean: [0.1, 0.5, 0.4], std: [0.2, 0.3, 0.25]}}")


def by_hand(field: Field, raw: np.ndarray) -> np.ndarray:
    mean, std = (
        np.array(v).reshape(1, 3, 1, 1) for v in (field.normalize.mean, field.normalize.std)
    )
    return ((raw / 255 - mean) / std).astype(np.float32)


def test_torch_and_onnx_agree_with_the_rule(compiled):
    result = compiled(PER_CHANNEL)
    networks = build_networks(result.source, ["net"])
    program = build_program(result.source, "predict", networks).eval()
    raw = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)
    with torch.no_grad():
        ours = program(torch.from_numpy(raw))
        net = networks["net"].eval()
        expected = net(torch.from_numpy(by_hand(result.fields["image"], raw)))
    names = list(result.programs["predict"].outputs)
    torch.testing.assert_close(ours[names.index("logits")], expected[0])
    torch.testing.assert_close(ours[names.index("logits_probabilities")], expected[0].softmax(1))
    torch.testing.assert_close(ours[names.index("flags_probabilities")], expected[3].sigmoid())
    weights = {f"net.{k}": v.numpy() for k, v in net.state_dict().items()}
    served = run(*run_passes(result.programs["predict"], weights), {"image": raw})
    for name, tensor in zip(names, ours, strict=True):
        np.testing.assert_allclose(served[name], tensor.numpy(), rtol=1e-4, atol=1e-5)
