"""The report's picture of how far back in time a network learns from."""

from __future__ import annotations

from pathlib import Path

import pytest
from netwright.runtime.report.reach import TITLE
from netwright.runtime.report.write import write_report
from netwright.runtime.train import train

from .test_time_gradients import SPEC
from .tiny import compile_text

PLAIN = {
    "      - {id: memory, rnn: {hidden: 2, nonlinearity: relu, recurrent_init: identity, "
    "bias: false}}\n": "      - {id: memory, last_step: {}}\n",
    "from: memory.last": "from: memory",
}


@pytest.mark.parametrize("recurrent", [True, False])
def test_networks_with_a_memory_show_how_far_it_reaches(recurrent: bool, tmp_path: Path) -> None:
    changes = {} if recurrent else PLAIN
    run = train(compile_text(changes, text=SPEC), output=tmp_path / "run", device="cpu").folder
    write_report(run)
    text = (run / "report.html").read_text(encoding="utf-8")
    assert (f"<h2>{TITLE}</h2>" in text) is recurrent
    assert ("steps before the end" in text) is recurrent
