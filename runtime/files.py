"""Writing so that nothing is ever half there, and reading files that nobody vouches for.

A folder is filled under another name beside its target, flushed to the disk and renamed. Every
failure of the disk becomes R903, with the path and the system's own words.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from ..compiler.diagnostics import Code, NetwrightError, failure

CHUNK = 1 << 20
TEMPORARY = ".netwright-"
"""What the names of unfinished files and folders begin with."""


def sha256(path: Path) -> str:
    """The hexadecimal sha256 of a file, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cannot_write(path: Path, error: Exception) -> NetwrightError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return failure(
        Code.R903,
        f"expected to write `{path}`, found: {reason}",
        help="free space or rights there, or choose another folder with `-o`",
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says while `path` is written into R903.

    safetensors reports a full disk as an error of its own, which is no OSError.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise cannot_write(path, error) from error


def make_folder(path: Path) -> Path:
    """Create a folder and its parents; one that exists is left as it is.

    Raises: NetwrightError: R903.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or leave the one that was there.

    Raises: NetwrightError: R903.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                flush(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Like `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Like `write_bytes`; refuses numbers that JSON lacks (NaN, infinity)."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON that may hold anything.

    Raises: ValueError: it is not JSON, or nested too deep. OSError: it can't be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _open_rights(folder: Path) -> None:
    """The rights that new files normally get: temporary ones are for their owner alone."""
    allowed = ~_umask()
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & allowed)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def flush(descriptor: int) -> None:
    os.fsync(descriptor)


def flush_folder(path: Path) -> None:
    """Flush every file below a folder, and the folder's own list of names."""
    for file in sorted(path.rglob("*")):
        if file.is_file():
            _flush_path(file)
    _flush_path(path)


def _flush_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(target: Path, *, replace: bool = True) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete.

    What stood at `target` is replaced at the end, or kept where anything fails; the caller checks
    before whether it may be replaced. Without `replace` only an empty folder is, even where another
    process fills it meanwhile.

    Raises: NetwrightError: R903 where the disk fails.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
        try:
            yield temporary
            _open_rights(temporary)
            flush_folder(temporary)
            _put_in_place(temporary, target, replace=replace)
            _flush_path(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(finished: Path, target: Path, *, replace: bool) -> None:
    if not replace or not target.exists():
        finished.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent)) / target.name
    target.rename(aside)
    try:
        finished.rename(target)
    finally:  # whatever interrupts it, a second Ctrl-C included
        if not target.exists():
            aside.rename(target)
        shutil.rmtree(aside.parent, ignore_errors=True)


def inner_path(folder: Path, name: object) -> Path:
    """The file that a manifest names, if it is a plain file inside its folder.

    Raises: ValueError: the path leaves the folder, is absolute, or passes a symbolic link.
    """
    if not isinstance(name, str) or not name or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is not the name of a file")
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
        raise ValueError(f"`{name}` leads out of the folder")
    path = folder
    for part in pure.parts:
        path = path / part
        if path.is_symlink():
            raise ValueError(f"`{name}` is a symbolic link")
    return path
