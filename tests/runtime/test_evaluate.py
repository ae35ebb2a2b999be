"""Measuring again what was trained, and what is told where that can't be done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.train import train

from .test_report import NUMBERS
from .tiny import compile_text

OWN_TEST = {
    "{npz: {path: data.npz}}": "{npz: {path: data.npz, test_arrays: {x: u, y: v}}}",
    "  split: {test: 0.3}\n": "",
}


@pytest.mark.parametrize("changes", [{}, OWN_TEST], ids=["split", "own test samples"])
def test_a_bundle_of_data_that_is_elsewhere(changes: dict[str, str], tmp_path: Path) -> None:
    """One file that is missing is one mistake, also where training and test samples share it."""
    x = np.zeros((60, 3), np.float32)
    y = np.linspace(0, 200, 60, dtype=np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=y, u=x, v=y)
    compilation = compile_text(changes, text=NUMBERS, folder=tmp_path)
    run = train(compilation, output=tmp_path / "run", device="cpu").folder
    bundle = export_run(run).folder
    with pytest.raises(NetwrightError) as caught:
        evaluate(bundle)
    (found,) = caught.value.diagnostics
    assert found.code is Code.F602
    assert found.message == f"expected the data file `{bundle / 'data.npz'}`, found no such file"
    assert found.help == (
        "a bundle does not know where its data is: name the folder with `--data-dir`"
    )
    with pytest.raises(NetwrightError) as caught:
        evaluate(bundle, data_dir=tmp_path / "nowhere")
    assert "name another one with `--data-dir`" in str(caught.value.diagnostics[0].help)
    measured = evaluate(bundle, data_dir=tmp_path)
    assert measured == pytest.approx(evaluate(run), rel=1e-4)
