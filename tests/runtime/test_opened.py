"""Mapped files that are written to, cut short or replaced while they are read."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import compile_spec
from netwright.runtime import checkpoint
from netwright.runtime.data.batches import Batches
from netwright.runtime.data.columns import Column, MappedColumn
from netwright.runtime.data.npz import read_npy
from netwright.runtime.data.opened import OpenedFile
from netwright.runtime.train import train

from .test_fingerprints import write_digits
from .test_loader import FIELDS
from .test_messages import NPZ
from .test_train import assert_same, weights_of

X = np.arange(3000 * 12, dtype=np.uint8).reshape(3000, 3, 2, 2)
ALL = np.arange(len(X))
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


def replace(path: Path, values: np.ndarray) -> None:
    """As programs do that write files whole: under another name, then renamed."""
    np.save(path.with_name("new.npy"), values)
    path.with_name("new.npy").replace(path)


def refused(column: Column) -> str:
    with pytest.raises(NetwrightError) as caught:
        column.take(ALL)
    [found] = caught.value.diagnostics
    assert found.code is Code.F602
    assert "goes on with `--resume`" in (found.help or "")
    return found.message


READ = """
import os, sys
from pathlib import Path
import numpy as np
from netwright.compiler.diagnostics import NetwrightError
from netwright.runtime.data.npz import read_npy

column = read_npy(Path(sys.argv[1]))
column.take(np.arange(3))
os.truncate(sys.argv[1], 5000)
for read in (lambda: column.take(np.array([2999])), lambda: list(column.chunks()),
             column.whole, column.fingerprint):
    try:
        read()
    except NetwrightError as error:
        print(error.diagnostics[0].message)
"""


def test_a_file_that_is_cut_short_ends_in_a_message_not_in_sigbus(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    wanted = f"expected `{path}` as it was when it was opened, found 5,000 bytes in place of 36,128"
    assert lines == [wanted] * 4


def test_a_file_that_is_written_to(path: Path) -> None:
    column = read_npy(path)
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"\x93")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert refused(column).endswith("found it written to since")


def test_a_file_that_grows(path: Path) -> None:
    column = read_npy(path)
    with path.open("ab") as file:
        file.write(b"more")
    assert "36,132 bytes in place of 36,128" in refused(column)


def test_a_file_that_is_replaced_or_deleted_stays_for_who_has_it_open(path: Path) -> None:
    column = read_npy(path)
    known = column.fingerprint()
    replace(path, X[:5] + 1)
    np.testing.assert_array_equal(column.take(ALL), X)
    path.unlink()
    np.testing.assert_array_equal(column.whole(), X)
    assert column.fingerprint() == known


def test_another_process_finds_what_happened_meanwhile(path: Path) -> None:
    column = read_npy(path)
    sent = pickle.dumps(column)
    np.testing.assert_array_equal(pickle.loads(sent).take(ALL), X)
    replace(path, X[:5])
    np.testing.assert_array_equal(column.take(ALL), X)
    received = pickle.loads(sent)
    assert "bytes in place of 36,128" in refused(received)
    path.unlink()
    with pytest.raises(NetwrightError, match="No such file") as caught:
        pickle.loads(sent).take(ALL)
    assert caught.value.diagnostics[0].code is Code.F602


def test_values_that_end_beyond_their_file(path: Path) -> None:
    column = MappedColumn(path, X.dtype, (4000, 3, 2, 2), 128)
    with pytest.raises(NetwrightError, match="it ends before its values do") as caught:
        column.take(ALL)
    assert caught.value.diagnostics[0].code is Code.F602


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="descriptors are counted in /proc")
def test_no_descriptor_outlives_its_column(path: Path) -> None:
    gc.collect()
    before = len(list(DESCRIPTORS.iterdir()))
    columns = [read_npy(path) for _ in range(20)]
    columns += [pickle.loads(pickle.dumps(column)) for column in columns]
    for column in columns:
        column.take(ALL[:3])
    assert len(list(DESCRIPTORS.iterdir())) >= before + 40
    del columns, column
    gc.collect()
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_a_file_that_is_cut_short_before_it_is_mapped_was_changed(path: Path) -> None:
    """As in a process that begins to read late."""
    file = OpenedFile(path)
    os.truncate(path, 200)
    with pytest.raises(NetwrightError, match="as it was when it was opened"):
        file.mapped(np.dtype(np.uint8), (4000,), 128, "C")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_tells_of_a_file_that_is_cut_short(workers: int, path: Path) -> None:
    np.save(path.with_name("labels.npy"), ALL % 100)
    columns = {"image": read_npy(path), "label": read_npy(path.with_name("labels.npy"))}
    source = Batches(
        columns, FIELDS, torch.device("cpu"), torch.channels_last, home="loader", workers=workers
    )
    found = source.in_order(10)
    next(found)
    os.truncate(path, 4200)
    with pytest.raises(NetwrightError, match="as it was when it was opened") as caught:
        list(found)
    source.close()
    assert caught.value.diagnostics[0].code is Code.F602


CUT_WHILE_TRAINING = """
import os
from pathlib import Path
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.driver import compile_spec
from netwright.runtime import trainer
from netwright.runtime.observer import Observer
from netwright.runtime.train import train

class Cut(Observer):
    def progress(self, progress):
        if progress.step == 4:
            os.truncate("digits.npz", 3000)

trainer.LOOK_STEPS = 1
try:
    train(compile_spec(Path("tiny.yaml")), output=Path("run"), device="cpu", observer=Cut())
except NetwrightError as error:
    print(error.diagnostics[0].code.name)
"""


def test_a_run_whose_file_is_cut_short_goes_on_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps make an epoch: it is cut after the second of three."""
    monkeypatch.chdir(tmp_path)
    write_digits(Path("digits.npz"))
    asked = "epochs: 3\n  plan: {data: loader, workers: 0}"
    Path("tiny.yaml").write_text(NPZ.replace("epochs: 4", asked))
    whole = train(compile_spec(Path("tiny.yaml")), output=Path("whole"), device="cpu")
    done = subprocess.run(
        [sys.executable, "-c", CUT_WHILE_TRAINING], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "F602"), done.stderr
    assert checkpoint.steps(Path("run"))[0] == 4
    write_digits(Path("digits.npz"))
    train(compile_spec(Path("tiny.yaml")), output=Path("run"), resume=True, device="cpu")
    assert_same(weights_of(whole.folder), weights_of(Path("run")))
