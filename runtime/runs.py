"""A run's folder: what is in it, and finding it again. Torch-free.

runs/<name>-<n>/
  run.json        what began the run: spec hash, data folder, device, versions; what its data gave,
                  `classes` and `statistics` (field -> mean and deviation to normalize by); and what
                  tells whether data and source are still the same: `data_fingerprints` (part of
                  the source -> field -> see data/fingerprint.py) and `texts_sha256`
  spec.yaml       the spec as compiled, and the libraries it imports
  model.py        the source that was trained
  plan.json       how its steps are executed, and why
  metrics.jsonl   one line for each measurement or epoch
  gradients.jsonl the sizes of gradients, at even distances
  samples.jsonl   what the network made while it was trained, such as text
  pictures/       the same as images, a folder for each step at which they were made
  checkpoints/    see checkpoint.py
  stages/         of a run that grows, a folder for each stage but the last: its source, and the
                  checkpoint of its end; see stages.py
  outcome.json    how it came to its end; see outcome.py
  run.lock        while a process trains there; see lock.py
  curves.png  confusion.png  nearest.png  samples.gif  summary.json   when the run is done
"""

from __future__ import annotations

import difflib
import hashlib
import platform
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from .. import __version__
from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.driver import Compilation
from ..compiler.objectives.fields import Normalize
from .files import (
    TEMPORARY,
    make_folder,
    new_folder,
    read_json,
    sha256,
    write_json,
    write_text,
    writing,
)

RUNS = Path("runs")
RUN = "run.json"
SPEC = "spec.yaml"
SOURCE = "model.py"
METRICS = "metrics.jsonl"
GRADIENTS = "gradients.jsonl"
SAMPLES = "samples.jsonl"
PICTURES = "pictures"
PLAN = "plan.json"
STAGES = "stages"
SUMMARY = "summary.json"
CURVES = "curves.png"
CONFUSION = "confusion.png"
NEAREST = "nearest.png"

FINGERPRINTS = "data_fingerprints"
"""What `run.json` calls those of its data."""

TEXTS = "texts_sha256"
"""What `run.json` calls those of the texts beside it, by their names."""

CLASSES = "classes"
"""What `run.json` calls the names that its data gave to classes, by their fields."""

STATISTICS = "statistics"
"""What `run.json` calls the means and deviations of its training samples, by their fields."""

JUDGE = "judge"
"""What `run.json` calls the classifier that judges generated samples: path, sha256, classes."""

FORMAT = 1

Entry = TypeVar("Entry")


def versions(*packages: str) -> dict[str, str]:
    """What is at work: netwright, Python and the named packages, by their versions."""
    found = {"netwright": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def is_run(folder: Path) -> bool:
    return (folder / RUN).is_file()


def create_run(compilation: Compilation, output: Path | None, about: dict[str, Any]) -> Path:
    """Make the folder of a new run.

    Args:
        output: where; None for the next free `runs/<name>-<n>`.
        about: what to record in `run.json` beside the spec's name and hash.
    Raises: NetwrightError: R903: the folder is taken or can't be written.
    """
    folder = output or next_folder(compilation.spec.name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise _taken(folder)
    record = {
        "format": FORMAT,
        "name": compilation.spec.name,
        "spec": compilation.file.name,
        "spec_sha256": compilation.spec_hash,
        TEXTS: {name: _sha256(text) for name, text in _texts(compilation).items()},
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "versions": versions("torch", "numpy", "torchmetrics", "safetensors"),
    }
    with new_folder(folder, replace=False) as draft:
        for name, text in _texts(compilation).items():
            make_folder((draft / name).parent)
            write_text(draft / name, text)
        write_json(draft / RUN, record)
    return folder


def _texts(compilation: Compilation) -> dict[str, str]:
    """The files of a run that say what is trained."""
    earlier = compilation.stages[:-1]
    sources = {f"{STAGES}/{number}/{SOURCE}": s.source for number, s in enumerate(earlier)}
    texts = {SPEC: compilation.resolved, **compilation.libraries, SOURCE: compilation.source}
    return {**texts, **sources}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _taken(folder: Path) -> NetwrightError:
    if is_run(folder):
        step = "go on with it with `--resume`, or choose another folder with `-o`"
        return failure(Code.R903, f"expected a new folder, found a run in `{folder}`", help=step)
    return failure(
        Code.R903,
        f"expected a new or empty folder, found `{folder}` with other content",
        help="choose another folder with `-o`",
    )


def next_folder(name: str, parent: Path = RUNS) -> Path:
    """`runs/<name>-<n>` with the smallest n above all that exist."""
    return parent / f"{name}-{max(_numbers(name, parent), default=0) + 1}"


def newest_folder(name: str, parent: Path = RUNS) -> Path:
    """The last run of a spec.

    Raises: NetwrightError: R901: there is none.
    """
    numbers = _numbers(name, parent)
    if not numbers:
        raise failure(
            Code.R901,
            f"expected a run to go on with, found none of `{name}` in `{parent}`",
            help="start without `--resume`, or name the run's folder with `-o`",
        )
    return parent / f"{name}-{max(numbers)}"


def run_folders(name: str, parent: Path = RUNS) -> list[Path]:
    """The folders of a spec's runs, the newest first."""
    numbers = sorted(_numbers(name, parent), reverse=True)
    return [parent / f"{name}-{number}" for number in numbers]


def _numbers(name: str, parent: Path) -> list[int]:
    if not parent.is_dir():
        return []
    pattern = re.compile(rf"{re.escape(name)}-(\d{{1,9}})")
    matches = (pattern.fullmatch(path.name) for path in parent.iterdir())
    return [int(match[1]) for match in matches if match]


def check_is_run(folder: Path) -> None:
    """Raises: NetwrightError: R901."""
    if not is_run(folder):
        raise failure(
            Code.R901,
            f"expected a run's folder, found no `{RUN}` in `{folder}`",
            help="name the folder that `netwright train` made",
        )


def read_run(folder: Path) -> dict[str, Any]:
    """What `run.json` says.

    Raises: NetwrightError: R901: the folder is no run, or its record is damaged.
    """
    check_is_run(folder)
    try:
        record = read_json(folder / RUN)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError(f"it is no record of format {FORMAT}")
    except (OSError, ValueError) as error:
        raise failure(
            Code.R901, f"the record `{folder / RUN}` is damaged: {error}", help="train again"
        ) from error
    return record


def recorded_classes(folder: Path) -> dict[str, list[str]]:
    """Field -> the names of its classes, which the run found in its data and not in its spec.

    Raises: NetwrightError: R901.
    """
    return _recorded(folder, CLASSES, dict[str, list[str]]) or {}


def recorded_statistics(folder: Path) -> dict[str, Normalize]:
    """Field -> its `normalize` with the numbers that the run measured on its training samples.

    Raises: NetwrightError: R901.
    """
    return _recorded(folder, STATISTICS, dict[str, Normalize]) or {}


def recorded_fingerprints(folder: Path) -> dict[str, dict[str, str]] | None:
    """What the run's data was known by when it began; see `Dataset.fingerprints`.

    Returns: None where an older version began it. Raises: NetwrightError: R901.
    """
    return _recorded(folder, FINGERPRINTS, dict[str, dict[str, str]])


def _recorded(folder: Path, key: str, kind: type[Entry]) -> Entry | None:
    record = read_run(folder)
    if key not in record:
        return None
    try:
        return TypeAdapter(kind).validate_python(record[key], strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (key, *first["loc"])))
        raise failure(
            Code.R901,
            f"the record `{folder / RUN}` is damaged: {place}: {first['msg']}",
            help="train again",
        ) from error


def check_same_spec(folder: Path, compilation: Compilation) -> None:
    """Refuse to go on with a run of another spec.

    Raises: NetwrightError: R902, with the lines that differ.
    """
    record = read_run(folder)
    if record.get("spec_sha256") == compilation.spec_hash:
        return
    raise failure(
        Code.R902,
        f"expected the spec that the run `{folder}` began with, found another one",
        notes=_differences(folder, compilation),
        help="put the spec back, or start a new run without `--resume`",
    )


def _differences(folder: Path, compilation: Compilation) -> list[str]:
    try:
        old = (folder / SPEC).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    new = compilation.resolved.splitlines()
    lines = list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]
    changed = [line for line in lines if not line.startswith("@@")]
    return [f"`{line[0]}` {line[1:].strip()}" for line in changed[:6]]


def restore_texts(folder: Path, compilation: Compilation, warn: Callable[[str], None]) -> None:
    """Write the spec, its libraries and the source again where they are not as the run wrote them.

    The run trains what `compilation` says in any case. What stood there is kept beside it.

    Requires: `check_same_spec`, so that these texts are the run's own.
    Raises: NetwrightError: R901: the record is damaged. R903: the disk.
    """
    recorded = _recorded(folder, TEXTS, dict[str, str]) or {}
    for name, text in _texts(compilation).items():
        path = folder / name
        # Comments may have changed since, and the source changes with our version.
        known = {recorded.get(name, ""), _sha256(text)}
        if _digest_of(path) not in known:
            kept = _set_aside(path)
            make_folder(path.parent)
            write_text(path, text)
            warn(f"`{path}` {kept}; it is written again")


def _set_aside(path: Path) -> str:
    """Make room for a file. Returns: what became of the one that stood there."""
    if not path.exists():
        return "was missing"
    aside = path.with_name(f"{path.name}.changed")
    with writing(path):
        path.replace(aside)
    return f"was not as the run wrote it, and is now `{aside.name}`"


def _digest_of(path: Path) -> str | None:
    try:
        return sha256(path)
    except OSError:
        return None


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left unfinished."""
    import shutil

    places = ("", "*/", f"{STAGES}/*/", f"{STAGES}/*/*/")
    for path in (found for place in places for found in [*folder.glob(f"{place}{TEMPORARY}*")]):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
