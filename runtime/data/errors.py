"""The messages for data files that can't be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ...compiler.suggest import suggest

T = TypeVar("T")


def too_few(size: int, processes: int, pieces: int) -> NetwrightError:
    """A batch of `size` samples is too small to be cut."""
    parts = [f"{processes} processes"] if processes > 1 else []
    parts += [f"{pieces} pieces"] if pieces > 1 else []
    return failure(
        Code.F601,
        f"expected at least {processes * pieces} samples in a batch, one for each of "
        f"{' times '.join(parts)}; found {size}",
        help="use fewer processes, lower `accumulate`, or raise `batch`",
    )


def few_to_split(count: int) -> NetwrightError:
    """There are no samples to set aside and to train on."""
    return failure(Code.F601, f"expected at least 2 samples to split into parts, found {count}")


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


def pickled(path: Path) -> NetwrightError:
    """A file of numpy with an array of Python objects, which only a pickle can hold."""
    return failure(
        Code.F602,
        f"expected numbers in `{path}`, found an array of Python objects (dtype `object`)",
        notes=["numpy pickles such arrays, and a pickle can run any code when it is read: none is"],
        help="save it as numbers: `numpy.save(path, numpy.array(rows, dtype=numpy.float32))`, with "
        "rows of one length",
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


def lacking(path: Path, field: str, name: str, found: Iterable[str], key: str) -> Diagnostic:
    """A field whose array is not there. key: the setting that names arrays by their fields."""
    known = list(found)
    names = ", ".join(f"`{other}`" for other in known) or "none"
    array = suggest(name, known) or "..."
    return Diagnostic(
        Code.F601,
        f"expected an array `{name}` in `{path}`, found {names}",
        help=f"name the array that holds the field: `{key}: {{{field}: {array}}}`",
    )


def gathered(calls: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """The results of all calls by name.

    Raises: NetwrightError: what any of them found wrong, together; each mistake once.
    """
    results: dict[str, T] = {}
    problems: list[Diagnostic] = []
    for name, call in calls.items():
        try:
            results[name] = call()
        except NetwrightError as error:
            problems += [found for found in error.diagnostics if found not in problems]
    if problems:
        raise NetwrightError(*problems)
    return results
