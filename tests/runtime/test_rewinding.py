"""Going back after divergence: how far, what is left on the disk, and after a kill meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime import checkpoint, trainer
from netwright.runtime.checkpoint import Checkpoint
from netwright.runtime.gradient_log import read_gradients
from netwright.runtime.history import read_history
from netwright.runtime.train import TrainResult, train

from .processes import in_processes, values
from .test_distributed import trained
from .test_train import Recorder, assert_same, code_of, weights_of
from .test_trainer import WILD
from .tiny import compile_text

REWIND = "on_divergence: {action: rewind, lr_factor: 1e-16, most: 3}"
DOOMED = {**WILD, "epochs: 4": f"steps: 6\n  checkpoint: {{steps: 1}}\n  {REWIND}"}
"""The first step makes finite weights that every second step overflows with, whatever its rate."""


def run(folder: Path, changes: dict[str, str], **more: Any) -> TrainResult:
    return train(compile_text(changes), output=folder, device="cpu", **more)


def state_of(folder: Path, step: int) -> dict[str, Any]:
    state: dict[str, Any] = checkpoint.load(checkpoint.folder_of(folder, step)).data["state"]
    return state


def test_a_checkpoint_that_leads_to_divergence_again_is_left_behind(tmp_path: Path) -> None:
    observer = Recorder()
    result = run(tmp_path / "run", DOOMED, observer=observer)
    first, second = observer.warnings
    assert "at step 2" in first
    assert "going on from step 1 with the learning rate times 1e-16 (rewind 1 of 3)" in first
    assert (
        "the run went back to step 1 before, which led here again; going on from step 0 with the "
        "learning rate times 1e-16 (rewind 2 of 3)"
    ) in second
    assert result.step == 6
    assert checkpoint.steps(result.folder) == [6, 5]
    state = state_of(result.folder, 6)
    assert (state["rewinds"], state["rewound"]) == (2, 0)
    assert [record["step"] for record in read_gradients(result.folder)] == [1, 2, 3, 4, 5, 6]
    assert [record["step"] for record in read_history(result.folder)] == [6]


def test_the_oldest_checkpoint_is_tried_again(tmp_path: Path) -> None:
    """Each time with a smaller rate."""
    observer = Recorder()
    run(tmp_path / "run", {**DOOMED, "steps: 1}": "every: 9}"}, observer=observer)
    assert "; going on from step 0" in observer.warnings[0]
    assert (
        "the run went back to step 0 before, which led here again, and there is no checkpoint "
        "before it; going on from step 0"
    ) in observer.warnings[1]


def test_a_damaged_older_checkpoint_is_no_place_to_go_back_to(tmp_path: Path) -> None:
    class Damaging(Recorder):
        def warn(self, text: str) -> None:
            super().warn(text)
            (checkpoint.folder_of(tmp_path / "run", 0) / "training.json").write_text("{}")

    observer = Damaging()
    with pytest.raises(NetwrightError) as caught:
        run(tmp_path / "run", DOOMED, observer=observer)
    assert code_of(caught) is Code.R904
    assert any("step 0 is damaged" in text for text in observer.warnings)
    assert "no checkpoint before it; going on from step 1" in observer.warnings[-1]
    assert "the last good checkpoint is that of step 1" in caught.value.diagnostics[0].notes


RISING = {
    **DOOMED,
    "adamw: {lr: 1e-2}": "sgd: {lr: {start: 1e-2, end: 1e30, steps: 3, curve: exponential}}",
    "steps: 1}": "steps: 1, best: loss}\n  validation: {steps: 1}",
}
"""Good after a step, worse after two, and doomed after three."""


def test_the_best_checkpoint_is_one_that_is_there(tmp_path: Path) -> None:
    """Those that the run has left behind, and one that was lost, are forgotten."""

    class Losing(Recorder):
        def warn(self, text: str) -> None:
            super().warn(text)
            shutil.rmtree(checkpoint.folder_of(tmp_path / "run", 1), ignore_errors=True)

    observer = Losing()
    result = run(tmp_path / "run", RISING, observer=observer)
    again, lost, back = observer.warnings
    assert "going on from step 3" in again
    assert "going on from step 2" in back
    assert lost == (
        "the best checkpoint, that of step 1, can't be used (it is not there); that of step 2 "
        "takes its place"
    )
    history = {r["step"]: r["validation"]["loss"] for r in read_history(result.folder)}
    assert history[1] < history[2]
    state = state_of(result.folder, 6)
    best = state["best_step"]
    assert best in checkpoint.steps(result.folder)
    assert history[best] == min(value for step, value in history.items() if step > 1)
    assert state["best_value"] == pytest.approx(history[best], rel=1e-5)


def test_several_processes_go_back_alike(tmp_path: Path) -> None:
    ended = values(in_processes(2, trained(tmp_path / "run", DOOMED)))
    assert ended[0] == ended[1]
    assert "; going on from step 0" in ended[0][3][1]
    assert state_of(tmp_path / "run", 6)["rewound"] == 0


def was_killed(folder: Path, at: int) -> bool:
    """Train in a process that is killed before a change of the disk while it goes back to step 0.

    Args:
        at: which of these changes, counted from 1.
    Returns: whether there were so many; if not, the process has ended by itself.
    """
    process = os.fork()
    if not process:
        code = 1
        try:
            run(folder, DOOMED, observer=Killer(at))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


class Killer(Recorder):
    """Kills its own process, which must not be that of the tests."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._left, self._is_turning, self._turn_back = at, False, trainer.turn_back
        trainer.turn_back = self._turn
        sys.addaudithook(self._watch)

    def _turn(self, saved: Checkpoint, *more: Any) -> None:
        self._is_turning = saved.step == 0
        self._turn_back(saved, *more)

    def warn(self, text: str) -> None:
        """Told when it has gone back."""
        self._is_turning = False

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if self._is_turning and (writes or event in ("os.rename", "os.remove", "os.rmdir")):
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_goes_back_ends_as_if_it_was_not(
    tmp_path: Path,
) -> None:
    """At every single change of the disk; what was done twice gives the same again."""
    whole = run(tmp_path / "whole", DOOMED)
    weights = weights_of(whole.folder)
    state = {**state_of(whole.folder, 6), "seconds": pytest.approx(0, abs=60)}
    for at in range(1, 99):
        folder = tmp_path / f"run-{at}"
        if not was_killed(folder, at):
            break
        assert checkpoint.steps(folder) in ([1, 0], [0]), at
        observer = Recorder()
        result = run(folder, DOOMED, resume=True, observer=observer)
        assert result.metrics == whole.metrics
        assert_same(weights, weights_of(folder))
        assert state_of(folder, 6) == state
        assert [record["step"] for record in read_gradients(folder)] == [1, 2, 3, 4, 5, 6]
        assert not [text for text in observer.warnings if "damaged" in text]
        assert not list(folder.rglob(".netwright-*"))
        shutil.rmtree(folder)
    assert 20 < at < 98, "the files of a checkpoint are so many"
