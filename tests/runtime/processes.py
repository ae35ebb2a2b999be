"""Runs a function in several real processes that form a process group over gloo."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from netwright.compiler.diagnostics import Diagnostic
from netwright.runtime.distributed.joining import Told, joined
from netwright.runtime.distributed.world import World

SECONDS = 120
"""After this a group is taken to wait for itself."""


@dataclass
class Ended:
    """What one process left.

    value: what its function gave. told: the diagnostics that it told, as text. code: of `Told`.
    crash: the traceback of anything else.
    """

    value: Any = None
    told: list[str] = field(default_factory=list)
    code: int | None = None
    crash: str = ""


def in_processes(
    size: int, work: Callable[[World], Any], environment: Mapping[str, str] | None = None
) -> list[Ended]:
    """Run `work` in forked processes, which need no second to begin; what each left, by rank."""
    port = _free_port()
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(size)]
    processes = [
        context.Process(
            target=_run, args=(rank, size, port, dict(environment or {}), work, pipes[rank][1])
        )
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    for _, writer in pipes:
        writer.close()
    try:
        return [_received(reader) for reader, _ in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def values(ended: Iterable[Ended]) -> list[Any]:
    """What functions gave that must not have failed."""
    found = list(ended)
    for one in found:
        assert not one.crash, one.crash
        assert one.code is None, one.told
    return [one.value for one in found]


def _received(reader: Connection) -> Ended:
    if not reader.poll(SECONDS):
        raise AssertionError("a process neither ended nor failed")
    try:
        ended: Ended = reader.recv()
    except EOFError:
        return Ended(crash="the process was killed")
    return ended


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _run(
    rank: int,
    size: int,
    port: int,
    environment: Mapping[str, str],
    work: Callable[[World], Any],
    writer: Connection,
) -> None:
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    os.environ |= {name: str(number) for name, number in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **environment}
    os.environ.pop("OMP_NUM_THREADS", None)  # or joining would choose by the machine's cores
    ended = Ended()

    def tell(diagnostics: Iterable[Diagnostic]) -> None:
        ended.told += ["\n".join([d.code.name + " " + d.message, *d.notes]) for d in diagnostics]

    try:
        with joined(tell) as world:
            ended.value = work(world)
    except Told as told:
        ended.code = told.code
    except BaseException:
        ended.crash = traceback.format_exc()
    writer.send(ended)
