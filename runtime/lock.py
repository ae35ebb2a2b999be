"""One process at a time trains in a run's folder: a lock that the system drops with its holder.

The file `run.lock` lies in the folder while a process trains there, and says which one. What counts
is the system's lock on it, never the file's being there, so that a killed process leaves nothing
that has to be cleared away.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from platform import node

from ..compiler.diagnostics import Code, NetwrightError, failure
from .files import read_json, writing

LOCK = "run.lock"

ATTEMPTS, PAUSE = 5, 0.02
"""How often a taken lock is tried, in all 0.1 s: another process may only be asking who has it, and
one that has just taken it has not yet written who it is."""

BUSY = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
"""What systems answer where another process has a lock; all else says that there are no locks."""

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30
    """The byte that is locked: on Windows nobody else could read what is locked."""

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _Taken(Exception):  # noqa: N818 - an answer, which the caller words
    """Another process has the lock."""


@dataclass(frozen=True)
class Holder:
    """Who trains in a run's folder. process: its id, 0 where it did not say. host: its machine."""

    process: int = 0
    host: str = ""

    def __str__(self) -> str:
        if not self.process:
            return "another process"
        return f"process {self.process}" + (f" on {self.host}" if self.host != node() else "")


@contextmanager
def run_lock(folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Keep other processes from training in a run's folder.

    The lock ends with the block or with the process, however it ends; its children don't keep it.

    Args:
        folder: of a run; it exists.
        warn: told where the folder's file system keeps no locks; the run is then not protected.
    Raises: NetwrightError: R903: another process has it, or the folder can't be written.
    """
    path = folder / LOCK
    descriptor = _acquire(path, warn)
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)
        _release(path, descriptor)


def holder(folder: Path) -> Holder | None:
    """Who trains in a run's folder; None where nobody does."""
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:  # there is none, or it is not ours to ask for
        return None
    try:
        _lock_patiently(descriptor)
    except _Taken:
        return _recorded(path)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _acquire(path: Path, warn: Callable[[str], None]) -> int:
    """A descriptor of the lock's file that has the lock, with this process's id written down."""
    while True:
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _is_locked(path, descriptor, warn):
                with writing(path):
                    _record(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_locked(path: Path, descriptor: int, warn: Callable[[str], None]) -> bool:
    """Take the lock; False where the file was deleted meanwhile, by the one who had it."""
    try:
        _lock_patiently(descriptor)
    except _Taken:
        raise _in_use(path) from None
    except OSError as error:
        warn(
            f"`{path.parent}` is on a file system without locks ({error.strerror}); make sure that "
            "no second process trains there"
        )
        return True
    return _is_file_of(path, descriptor)


def _is_file_of(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock_patiently(descriptor: int) -> None:
    """Raises: _Taken: another process has the lock. OSError: the file system keeps no locks."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno not in BUSY:
                raise
        else:
            return
    raise _Taken


def _in_use(path: Path) -> NetwrightError:
    return failure(
        Code.R903,
        f"expected a run that nobody trains, found {_recorded(path)} at work in `{path.parent}`",
        help="wait until it ends, or stop it; or train in another folder with `-o`",
    )


def _record(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps({"process": os.getpid(), "host": node()}).encode())


def _recorded(path: Path) -> Holder:
    """Whom the lock's file names."""
    try:
        record = read_json(path)
        return Holder(int(record["process"]), str(record["host"]))
    except (OSError, ValueError, TypeError, KeyError):
        return Holder()


def _release(path: Path, descriptor: int) -> None:
    """Delete the file while its lock is held: who waits for it then sees that it is another one."""
    with suppress(OSError):  # Windows deletes no open files
        if _is_file_of(path, descriptor):
            path.unlink()
    os.close(descriptor)


_held: set[int] = set()


def _forget_in_child() -> None:
    """A forked child shares the lock: a data loader's would keep it after its parent was killed."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
