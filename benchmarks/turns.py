"""Sides of a training benchmark in processes of their own, which take turns.

A side's loop is never left: between two of its turns it waits inside the call that it makes after
each step, so that what is measured is the loop as it runs in a long training. No side's threads,
allocator or settings touch another's.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

Clock = Callable[[], float]

SETTLE = 0.05
"""Seconds before each turn: threads of the side before end their spinning, loaders fill up."""


class Turns:
    """What a side calls after each step: counts the steps of its turn, then waits for the next."""

    def __init__(self, pipe: Connection, synchronise: Callable[[], None], clock: Clock) -> None:
        self._pipe, self._synchronise, self._clock = pipe, synchronise, clock
        self._left, self._began = 1, clock()

    def __call__(self) -> bool:
        """Whether to take another step."""
        self._left -= 1
        if self._left > 0:
            return True
        if self._left < 0:  # a step more than was asked for, after the last turn
            return False
        self._synchronise()
        self._pipe.send(self._clock() - self._began)
        self._left = self._pipe.recv()
        self._began = self._clock()
        return self._left > 0


def serve(
    pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...], clock: Clock
) -> None:
    """The process of a side: turns, then the accuracy it has reached; a text if it fails."""
    try:
        side = make(*arguments)
        side.train(Turns(pipe, side.synchronise, clock))
        pipe.send(side.accuracy())
    except Exception:
        pipe.send(traceback.format_exc())


class Player:
    """A side as the one who calls the turns sees it.

    Args:
        make: makes the side of the arguments, in its process.
        clock: `time.process_time` counts what the process computes, its children left out: on a
            busy machine it tells more than the wall's.
    ready: seconds from the start of its process to the end of its first step.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        arguments: tuple[Any, ...],
        clock: Clock = time.perf_counter,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, make, arguments, clock))
        start = time.perf_counter()
        self._process.start()
        theirs.close()
        self._answer()
        self.ready = time.perf_counter() - start

    def turn(self, steps: int) -> float:
        """Seconds of so many steps."""
        time.sleep(SETTLE)
        self._pipe.send(steps)
        return self._answer()

    def finish(self) -> float:
        """End the process. Returns: the test accuracy that it reached."""
        self._pipe.send(0)
        accuracy = self._answer()
        self._process.join()
        return accuracy

    def _answer(self) -> float:
        found = self._pipe.recv()
        if isinstance(found, str):
            raise RuntimeError(f"a side failed:\n{found}")
        return found

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()


def take_turns(
    players: dict[str, Player], steps: int, rounds: int, warmup: int = 1
) -> dict[str, list[float]]:
    """Seconds of each turn, by side; every round has one of each, in alternating order."""
    seconds: dict[str, list[float]] = {name: [] for name in players}
    for index in range(-warmup, rounds):
        names = list(players) if index % 2 == 0 else list(players)[::-1]
        for name in names:
            found = players[name].turn(steps)
            if index >= 0:
                seconds[name].append(found)
    return seconds
