"""Joining the processes that torchrun started, leaving them, and telling a failure once.

torchrun gives each process its place by environment variables. Torch-free where there is only one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ..data.room import cores
from .world import ALONE, Agreed, Elsewhere, World

if TYPE_CHECKING:
    import torch

RANK, SIZE, LOCAL_RANK, LOCAL_SIZE = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
NODES = "GROUP_WORLD_SIZE"
RESTARTS = "TORCHELASTIC_RESTART_COUNT"
LAUNCH = "TORCHELASTIC_RUN_ID"
THREADS = "OMP_NUM_THREADS"

LAUNCHED = "NETWRIGHT_LAUNCHED"
"""Set in the processes that `netwright train --nproc` started; it tells which one was killed."""

EXIT_TOLD, EXIT_LOST = 3, 4
"""How such processes end: why was told; another one ended. They are no codes of Python's own."""

Tell = Callable[[Iterable[Diagnostic]], None]


class Told(Exception):  # noqa: N818 - there is nothing more to say
    """The run failed, and one of its processes has told why.

    code: with which this process is to exit.
    """

    def __init__(self, code: int) -> None:
        super().__init__("another process has told why")
        self.code = code


def is_joined() -> bool:
    """Whether this process is one of several that torchrun started."""
    return RANK in os.environ and os.environ.get(SIZE, "1") != "1"


def is_main() -> bool:
    """Whether this process is the only one, or the one that shows what all have to say."""
    return not is_joined() or os.environ[RANK] == "0"


def is_launched() -> bool:
    """Whether `netwright train --nproc` started this process."""
    return LAUNCHED in os.environ


def train_command() -> list[str]:
    """The words that start as many processes as this is one of."""
    if is_launched():
        return ["netwright", "train", "--nproc", os.environ[SIZE]]
    if not is_joined():
        return ["netwright", "train"]
    sizes = {"--nnodes": NODES, "--nproc-per-node": LOCAL_SIZE}
    options = [
        word for option, name in sizes.items() for word in (option, os.environ.get(name, "1"))
    ]
    return ["torchrun", *options, "-m", "netwright", "train"]


def restarts() -> int:
    """How often torchrun has started the processes anew, after one of them was killed."""
    return _number(RESTARTS, 0)


def launch_name() -> str | None:
    """torchrun's name for this launch, which restarts keep; None where it has no name."""
    name = os.environ.get(LAUNCH)
    return None if name in (None, "", "none") else name


@contextmanager
def joined(tell: Tell) -> Iterator[World]:
    """Within, this process belongs to a process group, if torchrun started it with others.

    Args:
        tell: shows diagnostics to the user. One process calls it when the run fails.
    Raises: Told: the run failed. NetwrightError: the same, where there is one process.
    """
    world = _place()
    if world.is_alone and not is_launched():
        yield world
        return
    try:
        world = world if world.is_alone else _join(world)
    except NetwrightError as error:
        tell(error.diagnostics)
        raise Told(_exit_code(EXIT_TOLD)) from error
    failed = True
    try:
        yield world
        failed = False
    except (NetwrightError, Elsewhere) as error:
        _tell_once(world, error, tell)
        raise Told(_exit_code(EXIT_TOLD)) from error
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        _tell_lost(world, error, tell)
        raise Told(_exit_code(EXIT_LOST)) from error
    finally:
        _leave(failed=failed)


def _place() -> World:
    if not is_joined():
        return ALONE
    return World(_number(RANK, 0), _number(SIZE, 1), _number(LOCAL_RANK, 0))


def _number(name: str, default: int) -> int:
    """Raises: NetwrightError: R908: the variable is no number."""
    text = os.environ.get(name, str(default))
    if text.isdecimal():
        return int(text)
    raise failure(
        Code.R908,
        f"expected a number in the environment variable `{name}`, found {text!r}",
        help="start the processes with torchrun or `--nproc`, which set it; else unset it",
    )


def _join(world: World) -> World:
    """Raises: NetwrightError: R908: the others were not found."""
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    _use_cores()
    has_cuda = torch.cuda.is_available()
    if has_cuda and world.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(world.local_rank)
    # The CPU's part carries decisions, so that these never wait for a GPU.
    backend = "cpu:gloo,cuda:nccl" if has_cuda and dist.is_nccl_available() else "gloo"
    try:
        store, rank, size = next(rendezvous("env://"))
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    except (RuntimeError, ValueError, OSError) as error:
        raise failure(
            Code.R908,
            f"expected to join a group of {world.size} processes, found: {_first_line(error)}",
            help="start them with torchrun, or on one machine with `netwright train --nproc`",
        ) from error
    return replace(world, store=store)


def _leave(*, failed: bool) -> None:
    import torch
    import torch.distributed as dist

    if not dist.is_initialized() or (failed and torch.cuda.is_available()):
        return  # NCCL would wait for processes that are gone; the end of this one closes all
    with suppress(RuntimeError):
        dist.destroy_process_group()


def _tell_once(world: World, error: Exception, tell: Tell) -> None:
    """The process that tells an agreed failure does so before others end, which ends it too."""
    if not isinstance(error, Agreed | Elsewhere):
        assert isinstance(error, NetwrightError)
        if world.is_alone:
            tell(error.diagnostics)
        elif _claims(world):
            tell(world.located(error, [world.rank]))
        return
    if isinstance(error, Agreed):
        tell(error.diagnostics)
    with suppress(RuntimeError):
        world.wait()


def _claims(world: World) -> bool:
    """Whether no other process has told a failure that it found alone."""
    try:
        return bool(world.store.add(f"netwright/told/{restarts()}", 1) == 1)
    except RuntimeError:  # who keeps the store is gone
        return True


def _tell_lost(world: World, error: RuntimeError, tell: Tell) -> None:
    if is_launched() or not _claims(world):
        return  # the launcher knows which one it was and how it ended, or the one itself has told
    tell(
        failure(
            Code.R908,
            f"expected all {world.size} processes to go on, found that another one has ended",
            notes=[f"seen by the process of rank {world.rank}: {_first_line(error)}"],
            help="look for its own message; then go on with `--resume`",
        ).diagnostics
    )


def _is_lost(error: RuntimeError) -> bool:
    """Whether an error says that the connection to another process broke or was too slow."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip() or type(error).__name__


def _exit_code(code: int) -> int:
    return code if is_launched() else 1


def own_device(device: torch.device, world: World) -> torch.device:
    """The device of this process: each has a GPU of its own.

    Raises: NetwrightError: R905: the machine has fewer GPUs than processes.
    """
    import torch

    if device.type != "cuda" or world.is_alone:
        return device
    if world.local_rank >= torch.cuda.device_count():
        raise failure(
            Code.R905,
            f"expected a GPU for each of the {processes_here()} processes on this machine, found "
            f"{torch.cuda.device_count()}",
            help="start fewer processes, or use `--device cpu`",
        )
    return torch.device("cuda", world.local_rank)


def processes_here() -> int:
    """How many of the processes are on this machine; 1 where there is only this one."""
    return _number(LOCAL_SIZE, 1) if is_joined() else 1


def threads_of_each(processes: int) -> int:
    """The cores of this machine that each of its processes may use, at least 1."""
    return max(1, cores() // processes)


def _use_cores() -> None:
    """torchrun gives each process one thread unless the user says how many; give it its share."""
    if os.environ.get(THREADS) != "1" or _user_set_threads():
        return
    import torch

    torch.set_num_threads(threads_of_each(processes_here()))


def _user_set_threads() -> bool:
    """Whether torchrun itself was started with the variable; if that can't be seen, it was."""
    try:
        started_with = Path(f"/proc/{os.getppid()}/environ").read_bytes()
    except OSError:
        return True
    names = {entry.partition(b"=")[0] for entry in started_with.split(b"\0")}
    return THREADS.encode() in names


def device_text(device: torch.device, world: World) -> str:
    """What the heading of a run says of where it runs."""
    return str(device) if world.is_alone else f"{world.size} processes on {device.type}"
