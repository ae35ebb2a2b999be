"""From the settings of a source to its raw columns: one reader for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...compiler.objectives.fields import Field
from ...compiler.objectives.sources import (
    Adding,
    Brackets,
    CopyMemory,
    Csv,
    Digits,
    Idx,
    ImageFolder,
    Npy,
    Npz,
    Parquet,
    Reverse,
    Ring,
    SequentialImage,
    Series,
    Source,
    Text,
)
from .columns import Column, Columns, as_columns
from .digits import read_digits
from .errors import gathered
from .idx import read_idx
from .image_folder import class_names, read_image_folder
from .npz import read_npy, read_ragged_npz
from .ragged import lengths_of
from .raw import RawData
from .sequences import read_sequential_image
from .series import read_series
from .tables import read_table
from .tasks import adding, brackets, copy_memory, draw_task, reverse, ring
from .text import read_text

Fields = Mapping[str, Field]


def read_source(source: Source, fields: Fields, folder: Path) -> RawData:
    """Open what holds the declared fields; what is large stays in its files.

    Args:
        fields: resolved, in the order of the spec. folder: what the source's paths are relative to.
    Raises: NetwrightError: F602: a file is missing or damaged. F601: an array or a column is
        missing, or a table holds something else; each mistake is a diagnostic.
    """
    return _READERS[type(source)](source, fields, folder)


def found_classes(source: Source, folder: Path) -> dict[str, list[str]]:
    """Field -> the names of its classes, where the data itself gives them; no sample is read.

    Raises: NetwrightError: F601, F602.
    """
    if isinstance(source, SequentialImage):
        return found_classes(source.images, folder)
    if isinstance(source, ImageFolder) and source.labels == "folders":
        return {"label": class_names(folder / source.path)}
    return {}


def _digits(source: Any, fields: Fields, folder: Path) -> RawData:
    return RawData(as_columns(read_digits(source.only)))


def _adding(source: Any, fields: Fields, folder: Path) -> RawData:
    return draw_task(source, lambda rng, count: adding(rng, count, source.length))


def _copy_memory(source: Any, fields: Fields, folder: Path) -> RawData:
    return draw_task(source, lambda rng, count: copy_memory(rng, count, source.length))


def _reverse(source: Any, fields: Fields, folder: Path) -> RawData:
    return draw_task(source, lambda rng, count: reverse(rng, count, source))


def _ring(source: Any, fields: Fields, folder: Path) -> RawData:
    return draw_task(source, lambda rng, count: ring(rng, count, source))


def _brackets(source: Any, fields: Fields, folder: Path) -> RawData:
    return draw_task(source, lambda rng, count: brackets(rng, count, source.length))


def _sequential_image(source: Any, fields: Fields, folder: Path) -> RawData:
    return read_sequential_image(source, fields, folder, read_source)


def _idx(source: Any, fields: Fields, folder: Path) -> RawData:
    parts = [source.train, *([source.test] if source.test is not None else [])]
    named = [dict(zip(fields, files, strict=True)) for files in parts]
    return _by_file(named, read_idx, folder)


def _npy(source: Any, fields: Fields, folder: Path) -> RawData:
    parts = [source.files, *([source.test_files] if source.test_files else [])]
    return _by_file([{name: part[name] for name in fields} for part in parts], read_npy, folder)


def _by_file(
    parts: Sequence[Mapping[str, str]], read: Callable[[Path], Column], folder: Path
) -> RawData:
    """Sources with a file for each field: `parts` gives its name for training and for testing."""
    calls = {
        f"{index} {name}": partial(read, folder / file)
        for index, part in enumerate(parts)
        for name, file in part.items()
    }
    found = gathered(calls)
    train, *test = (
        {name: found[f"{index} {name}"] for name in part} for index, part in enumerate(parts)
    )
    return RawData(train, test[0] if test else None)


def _npz(source: Any, fields: Fields, folder: Path) -> RawData:
    path = folder / source.path
    calls = {"train": partial(_pick, path, source.arrays, source.ragged, fields, "")}
    if source.has_test:
        test_path = folder / source.test_path if source.test_path else path
        offsets = source.ragged | source.test_ragged
        calls["test"] = partial(_pick, test_path, source.test_arrays, offsets, fields, "test_")
    found = gathered(calls)
    return RawData(found["train"], found.get("test"))


def _pick(
    path: Path, names: Mapping[str, str], offsets: Mapping[str, str], fields: Fields, part: str
) -> Columns:
    """The fields of one part. part: what the settings begin with that name its arrays."""
    counted = {fields[name].lengths for name in offsets}
    arrays = {field: names.get(field, field) for field in fields if field not in counted}
    columns = read_ragged_npz(path, arrays, offsets, (f"{part}arrays", f"{part}ragged"))
    holders = {name: field.lengths for name, field in fields.items()}
    return {**columns, **lengths_of(columns, holders, path.name)}


_READERS: dict[type[Source], Callable[[Any, Fields, Path], RawData]] = {
    Digits: _digits,
    ImageFolder: read_image_folder,
    Csv: read_table,
    Parquet: read_table,
    Npy: _npy,
    Npz: _npz,
    Idx: _idx,
    Text: read_text,
    SequentialImage: _sequential_image,
    Series: read_series,
    Adding: _adding,
    CopyMemory: _copy_memory,
    Brackets: _brackets,
    Reverse: _reverse,
    Ring: _ring,
}
