"""The lock of a run's folder, between real processes."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.lock import LOCK, holder, run_lock

HOLD = """
import sys
from pathlib import Path
from netwright.runtime.lock import run_lock
with run_lock(Path(sys.argv[1]), print):
    print("held", flush=True)
    sys.stdin.read()
"""

FORK = """
import os, sys, time
from pathlib import Path
from netwright.runtime.lock import run_lock
with run_lock(Path(sys.argv[1]), print):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    time.sleep(60)
"""

CONTEND = """
import os, sys, time
from pathlib import Path
from netwright.compiler.diagnostics import NetwrightError
from netwright.runtime.lock import run_lock
folder, taken = Path(sys.argv[1]), 0
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        with run_lock(folder, print):
            inside = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)
            os.close(inside)
            (folder / "inside").unlink()
            taken += 1
    except NetwrightError:
        pass
print(taken)
"""


def silent(text: str) -> None:
    raise AssertionError(text)


@contextmanager
def another_process(folder: Path, script: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says a line once it has the lock, and ends when its input does."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with another_process(tmp_path, HOLD) as other:
        assert line_of(other) == "held"
        found = holder(tmp_path)
        assert found
        assert found.process == other.pid
        with pytest.raises(NetwrightError) as error, run_lock(tmp_path, silent):
            pytest.fail("the lock was taken twice")
        assert error.value.diagnostics[0].code is Code.R903
        assert f"process {other.pid} at work in" in error.value.diagnostics[0].message
        other.communicate("")
        assert not (tmp_path / LOCK).exists()
        with run_lock(tmp_path, silent):
            assert (tmp_path / LOCK).exists()


def test_a_killed_process_keeps_no_lock(tmp_path: Path) -> None:
    with another_process(tmp_path, HOLD) as other:
        assert line_of(other) == "held"
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert (tmp_path / LOCK).exists()
        assert holder(tmp_path) is None
        with run_lock(tmp_path, silent):
            pass
    assert not (tmp_path / LOCK).exists()


def test_a_forked_child_keeps_no_lock(tmp_path: Path) -> None:
    """Workers of a data loader outlive a killed parent for some seconds."""
    with another_process(tmp_path, FORK) as other:
        child = int(line_of(other))
        try:
            other.send_signal(signal.SIGKILL)
            other.wait()
            os.kill(child, 0)
            with run_lock(tmp_path, silent):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_child_that_ends_leaves_the_lock_alone(tmp_path: Path) -> None:
    with run_lock(tmp_path, silent):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        found = holder(tmp_path)
        assert found
        assert found.process == os.getpid()


def test_the_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run_lock(tmp_path, silent):
        raise KeyError
    assert holder(tmp_path) is None
    assert not (tmp_path / LOCK).exists()


def test_a_lock_is_not_taken_twice_in_one_process(tmp_path: Path) -> None:
    with run_lock(tmp_path, silent):
        with pytest.raises(NetwrightError) as error, run_lock(tmp_path, silent):
            pytest.fail("the lock was taken twice")
        assert f"process {os.getpid()} at work" in str(error.value)
        assert holder(tmp_path)


def test_the_holder_of_another_machine_is_named_with_it(tmp_path: Path) -> None:
    with run_lock(tmp_path, silent):
        (tmp_path / LOCK).write_text('{"process": 12, "host": "far-away"}')
        assert str(holder(tmp_path)) == "process 12 on far-away"
        (tmp_path / LOCK).write_text("{")
        assert str(holder(tmp_path)) == "another process"


def test_no_two_of_many_processes_are_inside_at_once(tmp_path: Path) -> None:
    """The file is deleted and made anew all the time, which must not let two of them in."""
    command = [sys.executable, "-c", CONTEND, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(counts) > 10


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError) as error, run_lock(tmp_path / "missing", silent):
        pytest.fail("there is no such folder")
    assert error.value.diagnostics[0].code is Code.R903


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    told: list[str] = []
    with run_lock(tmp_path, told.append):
        assert holder(tmp_path) is None
    assert len(told) == 1
    assert "without locks" in told[0]
    assert not (tmp_path / LOCK).exists()
