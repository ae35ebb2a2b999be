"""What a user reads for each mistake that only running finds; goldens in messages/.

`pytest --update-goldens` writes them; read their diff as carefully as code.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.objectives.watching import Gate
from netwright.compiler.render import render
from netwright.runtime import checkpoint
from netwright.runtime.data.idx import read_idx
from netwright.runtime.export import export_run
from netwright.runtime.gates import gate_error
from netwright.runtime.observer import Observer
from netwright.runtime.session import load
from netwright.runtime.train import TrainResult, train
from netwright.runtime.trainer import Trainer

from .test_trainer import stepper_of
from .tiny import SPEC, compile_text

GOLDENS = Path(__file__).parent / "messages"
NPZ = SPEC.replace("  source: digits\n", "  source: {npz: {path: digits.npz}}\n").replace(
    "  fields: {image: {augment: [{shift: 1}, {noise: 0.05}]}}\n",
    "  fields:\n    image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}\n"
    "    label: {shape: [B], dtype: int64, below: 10}\n",
)

Golden = Callable[[Path, str], None]


def f601() -> None:
    np.savez("digits.npz", image=np.zeros((9, 7, 8), np.uint8), label=np.full(9, 10))
    train(compile_text(text=NPZ))


def f602_missing() -> None:
    train(compile_text(text=NPZ), data_dir=Path("elsewhere"))


def f602_damaged() -> None:
    Path("images.gz").write_bytes(gzip.compress(b"\0\0\x08\1\0\0\0\5abcde")[:-9])
    read_idx(Path("images.gz"))


def b801() -> None:
    path = Path("bundle/predict.onnx")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    path.write_bytes(content[:1000] + b"?" + content[1001:])
    load("bundle")


def b802() -> None:
    load("bundle").predict(image=np.zeros((8, 8)))


def r901() -> None:
    train(compile_text(), resume=True)


def r901_damaged() -> None:
    for step in checkpoint.steps(Path("run")):
        (checkpoint.folder_of(Path("run"), step) / "training.json").write_text("{}")
    train(compile_text(), output=Path("run"), resume=True)


def r901_format() -> None:
    for step in checkpoint.steps(Path("run")):
        manifest = checkpoint.folder_of(Path("run"), step) / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"format": 3', '"format": 2'))
    train(compile_text(), output=Path("run"), resume=True)


def r902() -> None:
    train(compile_text({"epochs: 4": "epochs: 9"}), output=Path("run"), resume=True)


def r902_data() -> None:
    compilation = compile_text({"epochs: 4": "steps: 2"}, text=NPZ)
    for label in (np.arange(60) % 10, np.arange(60) % 9):
        np.savez("digits.npz", image=np.zeros((60, 8, 8), np.uint8), label=label)
        train(compilation, output=Path("new"), device="cpu", resume=Path("new").exists())


def r903() -> None:
    train(compile_text(), output=Path("run"))


def r903_other_content() -> None:
    export_run(Path("run"), output=Path("run"))


def r903_foreign() -> None:
    for name in ("a.txt", "notes/1.txt", "notes/2.txt", "z.png"):
        Path("bundle", name).parent.mkdir(exist_ok=True)
        Path("bundle", name).write_text("mine")
    export_run(Path("run"), output=Path("bundle"))


def r904() -> None:
    changes = {"adamw: {lr: 1e-2}": "sgd: {lr: 1e38}", "  clip_norm: 1.0\n": ""}
    train(compile_text(changes), output=Path("new"), device="cpu")


def r904_start() -> None:
    job = stepper_of({}, Path("new")).job
    with torch.no_grad():
        job.objective.networks["classifier"].get_parameter("linear_0.bias").fill_(torch.nan)
    Trainer(job, Observer()).train()


def r906() -> None:
    changes = {"width: 8": "width: 2000000000", "kernel: 3": "kernel: 9999"}  # no machine has this
    train(compile_text(changes), output=Path("new"), device="cpu")


def r909() -> None:
    gates = {"coverage": Gate(below=0.2, after=5000)}
    error = gate_error(gates, {"coverage": 0.0566}, 5000, 30_000)
    assert error is not None
    raise error


CASES = (
    f601,
    f602_missing,
    f602_damaged,
    b801,
    b802,
    r901,
    r901_damaged,
    r901_format,
    r902,
    r902_data,
    r903,
    r903_other_content,
    r903_foreign,
    r904,
    r904_start,
    r906,
    r909,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_message(
    case: Callable[[], None],
    golden: Golden,
    finished: TrainResult,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle, "bundle")
    shutil.copytree(finished.folder, "run")
    with pytest.raises(NetwrightError) as caught:
        case()
    code = case.__name__.partition("_")[0].upper()
    assert {d.code.name for d in caught.value.diagnostics} == {code}
    text = render(list(caught.value.diagnostics), "text").replace(str(tmp_path), "<here>")
    text = re.sub(r"[0-9a-f]{12}\.\.\.", "<sha256>", text)
    golden(GOLDENS / f"{case.__name__}.txt", text)
