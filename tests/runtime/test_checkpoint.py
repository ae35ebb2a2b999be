"""Checkpoints as files: what may change in them, what a kill leaves, and other formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime import checkpoint
from netwright.runtime.checkpoint import Checkpoint, Damaged

WEIGHTS = {"n": {"weight": torch.arange(6.0).reshape(2, 3)}}


def saved(run: Path, step: int, **data: object) -> Checkpoint:
    """A checkpoint that was written and read."""
    made = Checkpoint(WEIGHTS, {"optimizer//n.weight/step": torch.tensor(3.0)}, data)
    return checkpoint.load(checkpoint.save(run, step, made))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_tensor_has_a_name(tmp_path: Path) -> None:
    made = Checkpoint(WEIGHTS, {"objective/x": torch.zeros(1)}, {}, WEIGHTS)
    assert made.tensor_names() == ["averages/n/weight", "objective/x", "weights/n/weight"]


def test_data_change_and_tensors_stay(tmp_path: Path) -> None:
    found = saved(tmp_path, 4, rewinds=0)
    before = (found.folder / "training.safetensors").stat()
    for rewinds, name in ((1, "training-again.json"), (2, "training.json")):
        checkpoint.amend(found, {"rewinds": rewinds})
        found = checkpoint.load(found.folder)
        assert found.data == {"rewinds": rewinds}
        assert torch.equal(found.weights["n"]["weight"], WEIGHTS["n"]["weight"])
        assert names(found.folder) == {
            "averages", "manifest.json", name, "training.safetensors", "weights"
        }  # fmt: skip
    assert (found.folder / "training.safetensors").stat().st_mtime_ns == before.st_mtime_ns


def test_data_that_the_manifest_does_not_name_are_not_read(tmp_path: Path) -> None:
    """As a process that was killed before or after it wrote the manifest leaves them."""
    found = saved(tmp_path, 4, rewinds=0)
    (found.folder / "training-again.json").write_text('{"rewinds": 7}')
    assert checkpoint.load(found.folder).data == {"rewinds": 0}
    checkpoint.amend(found, {"rewinds": 1})
    (found.folder / "training.json").write_text('{"rewinds": 7}')
    assert checkpoint.load(found.folder).data == {"rewinds": 1}


@pytest.mark.parametrize("listed", [[], ["training.json", "training-again.json"]])
def test_a_manifest_names_data_once(listed: list[str], tmp_path: Path) -> None:
    found = saved(tmp_path, 4)
    manifest = json.loads((found.folder / "manifest.json").read_text())
    digest = manifest["sha256"].pop("training.json")
    (found.folder / "training-again.json").write_bytes(
        (found.folder / "training.json").read_bytes()
    )
    manifest["sha256"] |= dict.fromkeys(listed, digest)
    (found.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Damaged, match="does not list every file"):
        checkpoint.load(found.folder)


def test_data_that_cannot_be_written_stay_as_they_were(tmp_path: Path) -> None:
    found = saved(tmp_path, 4, rewinds=0)
    (found.folder / "training-again.json").mkdir()
    with pytest.raises(NetwrightError) as caught:
        checkpoint.amend(found, {"rewinds": 1})
    assert caught.value.diagnostics[0].code is Code.R903
    assert checkpoint.load(found.folder).data == {"rewinds": 0}


def test_later_checkpoints_are_deleted(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        saved(tmp_path, step)
    (checkpoint.folder_of(tmp_path, 3) / "manifest.json").unlink()
    checkpoint.drop_after(tmp_path, 1)
    assert names(tmp_path / "checkpoints") == {"00000001"}


def test_a_later_checkpoint_that_stays_is_told(tmp_path: Path) -> None:
    """Something in the way keeps its name from being taken, as a system without rights would."""
    saved(tmp_path, 1), saved(tmp_path, 2)
    (tmp_path / "checkpoints" / ".netwright-00000002").write_text("")
    with pytest.raises(NetwrightError) as caught:
        checkpoint.drop_after(tmp_path, 1)
    assert caught.value.diagnostics[0].code is Code.R903
    checkpoint.prune(tmp_path, [1])  # which may fail: the next one tries again
    assert checkpoint.steps(tmp_path) == [2, 1]


def test_the_newest_before_a_step(tmp_path: Path) -> None:
    warnings: list[str] = []
    for step in (1, 2, 3):
        saved(tmp_path, step)
    assert (found := checkpoint.newest(tmp_path, warnings.append, before=3))
    assert found.step == 2
    assert checkpoint.newest(tmp_path, warnings.append, before=1) is None
    assert warnings == []
    (checkpoint.folder_of(tmp_path, 1) / "manifest.json").unlink()
    assert checkpoint.newest(tmp_path, warnings.append, before=2) is None
    assert "the checkpoint of step 1 is damaged" in warnings[0]


def with_format(run: Path, step: int, number: int) -> None:
    path = checkpoint.folder_of(run, step) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": number}))


def test_checkpoints_of_another_version_are_told_as_such(tmp_path: Path) -> None:
    saved(tmp_path, 1), saved(tmp_path, 2)
    with_format(tmp_path, 2, 2)
    warnings: list[str] = []
    assert (found := checkpoint.newest(tmp_path, warnings.append))
    assert found.step == 1
    assert "it is of format 2, and this version of Netwright reads 3" in warnings[0]
    with_format(tmp_path, 1, 2)
    with pytest.raises(NetwrightError) as caught:
        checkpoint.newest(tmp_path, warnings.append)
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code is Code.R901
    assert "expected checkpoints of format 3" in diagnostic.message
    with pytest.raises(NetwrightError) as caught:
        checkpoint.load_weights(tmp_path, 1)
    assert "use the version of Netwright" in str(caught.value.diagnostics[0].help)
