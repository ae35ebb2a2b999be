"""Starts the processes of a run on this machine, by torchrun's own launcher.

A group whose process was killed is started anew and goes on from its last checkpoint. One that has
told why it failed, or was asked to stop, is not.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.training import Training
from ..data.errors import too_few
from ..data.room import cores
from ..opening import check_trainable
from ..runs import is_run, newest_folder, next_folder
from .joining import EXIT_LOST, EXIT_TOLD, LAUNCHED, THREADS, Told, threads_of_each

if TYPE_CHECKING:
    from torch.distributed.launcher.api import LaunchConfig

RESUME = "--resume"
STOPS = (signal.SIGINT, signal.SIGTERM)

MOST_A_CORE = 4
"""More processes than these on each core bring a machine to a stand, and never make it faster."""

SHUTDOWN_SECONDS = 600
"""How long processes that are asked to stop may take to finish their step and to save."""


@dataclass(frozen=True)
class Launch:
    """What is started.

    arguments: of `netwright train`; the run's folder is among them. folder: the same.
    restarts: how often they are started anew at most.
    """

    arguments: Sequence[str]
    folder: Path
    processes: int
    restarts: int = 0


def choose_folder(compilation: Compilation, output: Path | None, *, resume: bool) -> Path:
    """The folder of the run, which the processes are told; a spec that can't be trained is refused.

    Raises: NetwrightError: S102: it lacks a section. R901: there is no run to go on with.
    """
    check_trainable(compilation)
    if output:
        return output
    name = compilation.spec.name
    return newest_folder(name) if resume else next_folder(name)


def check_processes(count: int, training: Training) -> None:
    """Raises: NetwrightError: R905: the machine has too few cores. F601: a batch is too small."""
    if training.batch < count * training.accumulate:
        raise too_few(training.batch, count, training.accumulate)
    found = cores()
    if count > MOST_A_CORE * found:
        raise failure(
            Code.R905,
            f"expected at most {MOST_A_CORE * found} processes on a machine of "
            f"{found} {'core' if found == 1 else 'cores'}, found `--nproc {count}`",
            help="use one process for each GPU; on a CPU, one is the fastest in most cases",
        )


def launch(job: Launch, warn: Callable[[str], None]) -> int:
    """Run the processes until they end.

    Returns: the exit code: 0, or 128 and the number of the signal that stopped them.
    Raises: Told: a process has told why the run failed. NetwrightError: R908: one was killed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException

    logging.disable(logging.ERROR)  # the processes and this one tell what users need to know
    try:
        return _launch(job, warn)
    except SignalException as stop:  # it has been passed on, and all have ended
        return 128 + int(stop.sigval)


def _launch(job: Launch, warn: Callable[[str], None]) -> int:
    for restart in range(job.restarts + 1):
        goes_on = restart > 0 and RESUME not in job.arguments and is_run(job.folder)
        codes = _run([*job.arguments, *([RESUME] if goes_on else [])], job.processes)
        stopped = _stopped_by(codes)
        if not codes or stopped is not None:
            return 0 if stopped is None else 128 + stopped
        if EXIT_TOLD in codes.values():
            raise Told(1)
        if restart < job.restarts:
            count = f"restart {restart + 1} of {job.restarts}"
            warn(f"{_ending(codes)}; starting all {job.processes} anew ({count})")
    raise _killed(job, codes)


def _run(arguments: Sequence[str], processes: int) -> dict[int, int]:
    """Start the processes and wait. Returns: rank -> exit code, of those that failed."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    _set_environment(processes)
    command = ["-u", "-m", "netwright", "train", *arguments]
    with tempfile.TemporaryDirectory(prefix="netwright-") as logs:
        try:
            elastic_launch(_config(processes, logs), sys.executable)(*command)
        except ChildFailedError as error:
            return {rank: found.exitcode for rank, found in error.failures.items()}
    return {}


def _set_environment(processes: int) -> None:
    """What the processes inherit; what the user has set stays."""
    os.environ[LAUNCHED] = "1"
    os.environ.setdefault(THREADS, str(threads_of_each(processes)))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SHUTDOWN_SECONDS))


def _config(processes: int, logs: str) -> LaunchConfig:
    """As `torchrun --standalone --nproc-per-node` makes it."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=logs),
    )


def _stopped_by(codes: Mapping[int, int]) -> int | None:
    """The signal that all processes stopped for, if they did.

    A process that is not yet, or no longer, ready to save ends by the signal itself; so do the
    others when the launcher ends them because one was killed.
    """
    found = set(codes.values())
    for number in STOPS:
        if 128 + number in found:
            return number
    return next((n for n in STOPS if found <= {-n, EXIT_LOST} and -n in found), None)


def _killed(job: Launch, codes: Mapping[int, int]) -> NetwrightError:
    arguments = [word for word in job.arguments if word != RESUME]
    again = shlex.join([*arguments, RESUME, "--nproc", str(job.processes)])
    return failure(
        Code.R908,
        f"expected all {job.processes} processes to train to the end, found that {_ending(codes)}",
        notes=["the system kills processes when memory is short"],
        help=f"go on with `netwright train {again}`; with `--max-restarts` that happens by itself",
    )


def _ending(codes: Mapping[int, int]) -> str:
    """Which process ended first, and how: others only lost it, or were ended for it."""
    followed = (EXIT_LOST, -signal.SIGTERM)
    causes = {rank: code for rank, code in codes.items() if code not in followed}
    rank, code = min((causes or codes).items())
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return f"the process of rank {rank} {how}"
