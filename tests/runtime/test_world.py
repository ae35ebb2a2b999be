"""What processes decide together, and how often a failure is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError, failure
from netwright.runtime.distributed.joining import threads_of_each
from netwright.runtime.distributed.world import ALONE, World

from .processes import in_processes, values


def fail(words: str) -> None:
    raise failure(Code.F602, f"expected a file, found {words}")


def test_decisions_are_the_same_in_all_processes() -> None:
    def work(world: World) -> Any:
        rank = world.rank
        state = [
            torch.full((2, 3), float(rank)),
            torch.tensor([rank]),
            torch.full((2,), rank + 0.5),
        ]
        world.match(state)
        world.wait()
        return {
            "nobody stops": world.agree(None, looks=rank == 1),
            "one stops": world.agree(signal.SIGTERM if rank == 1 else None, looks=rank == 0),
            "any": (world.any(rank == 2), world.any(False)),
            "mean": float(world.mean(torch.tensor(float(rank)))),
            "total": float(world.total(torch.tensor(rank + 1.0))),
            "first": world.first([rank, "ä"] if rank else None),
            "none": world.first(None),
            "led": world.lead(lambda: {"rank": rank}),
            "together": world.together(lambda: rank),
            "matched": [float(tensor.sum()) for tensor in state],
        }

    found = values(in_processes(3, work))
    assert [one.pop("together") for one in found] == [0, 1, 2]
    assert found[0] == {
        "nobody stops": (None, False),
        "one stops": (signal.SIGTERM, True),
        "any": (True, False),
        "mean": 1.0,
        "total": 6.0,
        "first": [1, "ä"],
        "none": None,
        "led": {"rank": 0},
        "matched": [0.0, 0.0, 1.0],
    }
    assert found[1] == found[2] == found[0]


def test_one_process_decides_alone() -> None:
    assert ALONE.agree(2, True) == (2, True)
    assert ALONE.first(None) is None
    assert ALONE.lead(lambda: 3) == ALONE.together(lambda: 3) == 3
    with pytest.raises(NetwrightError, match="found nothing"):
        ALONE.together(lambda: fail("nothing"))


def test_a_failure_of_all_is_told_once() -> None:
    ended = in_processes(2, lambda world: world.together(lambda: fail("nothing")))
    assert [one.code for one in ended] == [1, 1]
    assert ended[0].told == ["F602 expected a file, found nothing"]
    assert ended[1].told == []


def test_a_failure_of_one_is_told_with_its_rank() -> None:
    def work(world: World) -> None:
        world.together(lambda: fail("nothing") if world.rank == 1 else None)

    ended = in_processes(3, work)
    assert [one.code for one in ended] == [1, 1, 1]
    note = "found in the process of rank 1, of 3 in all"
    assert [one.told for one in ended] == [[], [f"F602 expected a file, found nothing\n{note}"], []]


def test_different_failures_are_all_told() -> None:
    def work(world: World) -> None:
        world.together(lambda: fail(f"rank {world.rank // 2}"))

    ended = in_processes(3, work)
    notes = [one.told[0].splitlines()[1] for one in (ended[0], ended[2])]
    assert [len(one.told) for one in ended] == [1, 0, 1]
    assert "of rank 0, 1, of 3" in notes[0]
    assert "of rank 2, of 3" in notes[1]


def test_what_rank_0_fails_at_ends_all() -> None:
    ended = in_processes(2, lambda world: world.lead(lambda: fail("a full disk")))
    assert [one.code for one in ended] == [1, 1]
    assert [one.told for one in ended] == [["F602 expected a file, found a full disk"], []]


def test_a_failure_that_nobody_expects_ends_all_and_is_told_once() -> None:
    """Rank 1 fails while the others wait for it: they lose it, and keep silent."""

    def work(world: World) -> None:
        if world.rank == 1:
            fail("a torn page")
        world.wait()

    ended = in_processes(3, work)
    assert [one.crash for one in ended] == ["", "", ""]
    assert [one.code for one in ended] == [1, 1, 1]
    note = "found in the process of rank 1, of 3 in all"
    assert [one.told for one in ended] == [
        [],
        [f"F602 expected a file, found a torn page\n{note}"],
        [],
    ]


@pytest.mark.parametrize(("launched", "messages"), [("", 1), ("1", 0)])
def test_a_process_that_is_killed_ends_all(launched: str, messages: int) -> None:
    """The launcher knows which one it was; without it the others tell, once."""

    def work(world: World) -> None:
        if world.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        world.wait()

    ended = in_processes(3, work, {"NETWRIGHT_LAUNCHED": launched} if launched else {})
    told = ended[0].told + ended[2].told
    assert ended[1].crash
    assert len(told) == messages
    assert all(text.startswith("R908 expected all 3 processes to go on") for text in told)
    assert {ended[0].code, ended[2].code} == {4 if launched else 1}


def test_a_group_that_does_not_come_together(tmp_path: Path) -> None:
    ended = in_processes(2, lambda world: None, {"MASTER_PORT": "99999"})
    assert [one.code for one in ended] == [1, 1]
    assert "R908 expected to join a group of 2 processes" in ended[0].told[0]


THREADS = """
import os, subprocess, sys
from netwright.runtime.distributed.joining import _user_set_threads
if len(sys.argv) == 1:
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(subprocess.run([sys.executable, *sys.orig_argv[1:], "child"]).returncode)
print(_user_set_threads())
"""


@pytest.mark.parametrize("given", [True, False])
def test_threads_that_torchrun_chose_are_told_from_the_users(given: bool) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment |= {"OMP_NUM_THREADS": "1"} if given else {}
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(given)


def test_processes_share_the_cores() -> None:
    cores = threads_of_each(1)
    assert threads_of_each(2) == max(1, cores // 2)
    assert threads_of_each(10_000) == 1
