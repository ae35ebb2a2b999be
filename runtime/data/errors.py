"""The messages for data files that can't be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure

T = TypeVar("T")


def missing(path: Path) -> NetwrightError:
    kind = "a folder" if path.is_dir() else "no such file"
    return failure(
        Code.F602,
        f"expected the data file `{path}`, found {kind}",
        help="paths are relative to the spec's folder; name another one with `--data-dir`",
    )


def no_folder(path: Path) -> NetwrightError:
    kind = "a file" if path.is_file() else "none"
    return failure(
        Code.F602,
        f"expected the folder `{path}` with data, found {kind}",
        help="paths are relative to the spec's folder; name another one with `--data-dir`",
    )


def damaged(path: Path, what: str) -> NetwrightError:
    return failure(
        Code.F602,
        f"the data file `{path}` is damaged: {what}",
        help="fetch or make the file again",
    )


def unreadable(path: Path, error: OSError) -> NetwrightError:
    return failure(
        Code.F602, f"expected to read the data file `{path}`, found: {error.strerror or error}"
    )


def changed(path: Path, before: int, now: int) -> NetwrightError:
    """A file that is not what it was while it is read. before, now: its size in bytes."""
    found = "it written to since" if before == now else f"{now:,} bytes in place of {before:,}"
    return failure(
        Code.F602,
        f"expected `{path}` as it was when it was opened, found {found}",
        help="put the file back as it was; a run that this ended then goes on with `--resume`",
    )


def gone(path: Path) -> NetwrightError:
    """A file that was there when the data was opened."""
    return failure(
        Code.F602,
        f"expected `{path}`, which was there when the data was opened, found no such file",
        help="put the file back; a run that this ended then goes on with `--resume`",
    )


def lacking(path: Path, name: str, found: Iterable[str]) -> NetwrightError:
    names = ", ".join(f"`{other}`" for other in found) or "none"
    return failure(
        Code.F601,
        f"expected an array `{name}` in `{path}`, found {names}",
        help=f"name the array that holds the field: `arrays: {{{name}: ...}}`",
    )


def gathered(calls: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """The results of all calls by name.

    Raises: NetwrightError: what any of them found wrong, together.
    """
    results: dict[str, T] = {}
    problems: list[Diagnostic] = []
    for name, call in calls.items():
        try:
            results[name] = call()
        except NetwrightError as error:
            problems += error.diagnostics
    if problems:
        raise NetwrightError(*problems)
    return results
