"""Files as inputs of a program: whatever kind of file training read, and numpy's. Torch-free.

An image, a table, and an array become inputs as they became samples in training, which is what a
bundle's manifest records of it (`Reading`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, NetwrightError, failure
from .arrays import DamagedArrays, array_names, load_npy, load_npz
from .bundle import Reading, SeriesForm
from .image_inputs import no_image, read_image, takes_images
from .images import SUFFIXES
from .input_checks import Arrays, quoted
from .memory import enough_memory
from .noise import given_ports
from .ragged_inputs import offsets_in, read_ragged
from .session import Session

Warn = Callable[[str], None]

ARRAYS = (".npy", ".npz")

ARRAYS_HELP = "arrays are saved with `numpy.save` or `numpy.savez`"
TEXT_HELP = "`netwright generate` goes on from a text; tokens are saved with `numpy.save`"


@dataclass(frozen=True)
class Place:
    """Where a sample stands.

    row: in tables counted from 1, below the header; in arrays from 0; None where a file is one
        sample. text: what a line about it begins with. series: its name where a file holds several.
    """

    file: Path
    row: int | None
    text: str
    series: str = ""


@dataclass(frozen=True)
class Samples:
    """Inputs of a program from one file, or from several images.

    file: what messages name. places: [N]. is_ragged: whether they differ in length in the file, and
    are padded here.
    """

    file: Path
    arrays: Arrays
    places: Sequence[Place]
    is_ragged: bool = False


class Reader:
    """Reads files for a program.

    Args:
        session: the program; its noise is not read. reading: how files became samples in training.
        batch: how many images of a folder are read at a time.
        warn: told what was left out of a file.
    """

    def __init__(self, session: Session, reading: Reading, batch: int, warn: Warn) -> None:
        self._ports, self._symbols = given_ports(session.inputs), session.symbols
        self._reading, self._batch, self._warn = reading, batch, warn

    def read(self, path: Path) -> Iterator[Samples]:
        """The samples of a file, or of the images below a folder.

        Raises: NetwrightError: B802: it does not fit. F601, F602: a table, as in training. R903:
            there is no such file, or it is of another kind.
        """
        if not path.exists():
            raise failure(
                Code.R903,
                f"expected a file of inputs, found no such file: `{path}`",
                help="check its name; paths are relative to the folder that you are in",
            )
        suffix = path.suffix.lower()
        if path.is_dir():
            yield from self._folder(path)
        elif suffix == ".npz" and (offsets := self._offsets(path)):
            yield from self._ragged(path, offsets)
        else:
            yield self._file(path, suffix)

    def _file(self, path: Path, suffix: str) -> Samples:
        """The samples of a file, whose kind its name tells, or else the training's."""
        if suffix in ARRAYS:
            return self._arrays(path, suffix)
        if suffix in SUFFIXES:
            return self._images([path])
        if self._reading.table is not None:
            return self._table(path)
        if self._reading.series is not None:
            return self._series(path, self._reading.series)
        if self._reading.source == "idx":
            return self._idx(path)
        if self._takes_images():
            return self._images([path])
        raise failure(
            Code.R903,
            f"expected {self._kinds()}, found `{path}`",
            help=TEXT_HELP if self._reading.source == "text" else ARRAYS_HELP,
        )

    def _folder(self, folder: Path) -> Iterator[Samples]:
        """The images below a folder, some at a time; one by one where their sizes may differ."""
        names = self._image_names(folder)
        step = self._batch if self._one_size() else 1
        for start in range(0, len(names), step):
            yield self._images([folder / name for name in names[start : start + step]])

    def _image_names(self, folder: Path) -> list[str]:
        from ..compiler.suggest import listing
        from .data.image_folder import images_below

        if not self._takes_images():
            raise failure(
                Code.R903,
                f"expected {self._kinds()}, found the folder `{folder}`",
                help="name the files in it",
            )
        names, others = images_below(folder)
        if not names:
            raise failure(
                Code.R903,
                f"expected images in the folder `{folder}`, found none",
                help=f"images are files whose names end with {', '.join(sorted(SUFFIXES))}",
            )
        if others:
            self._warn(f"left out in `{folder}`, as no images by their names: {listing(others, 5)}")
        return names

    def _one_size(self) -> bool:
        sizes = [size for port in self._ports.values() for size in port.shape[2:]]
        return bool(self._reading.images) or all(isinstance(size, int) for size in sizes)

    def _takes_images(self) -> bool:
        return any(map(takes_images, self._ports.values()))

    def _kinds(self) -> str:
        """The files that a program without images takes."""
        in_rows = self._reading.table or self._reading.series
        table = "a CSV or Parquet table, " if in_rows is not None else "an "
        return f"{table}`.npy` or `.npz` file"

    def _images(self, paths: Sequence[Path]) -> Samples:
        name = self._only(paths[0])
        port, form = self._ports[name], self._reading.images.get(name)
        images = [read_image(path, name, port, form) for path in paths]
        places = [Place(path, None, str(path)) for path in paths]
        file = paths[0] if len(paths) == 1 else paths[0].parent
        return Samples(file, {name: np.concatenate(images)}, places)

    def _table(self, path: Path) -> Samples:
        from .table_inputs import read_rows

        form, ports = self._reading.table, self._ports
        assert form is not None
        with enough_memory("the prediction"):
            rows = read_rows(path, ports, self._symbols, form, self._reading.source)
        for note in rows.notes:
            self._warn(note)
        return Samples(path, rows.arrays, [Place(path, n, f"{path} row {n}") for n in rows.numbers])

    def _series(self, path: Path, form: SeriesForm) -> Samples:
        """What comes last in each series of a file."""
        from .series_inputs import read_ends

        self._only(path)
        with enough_memory("the prediction"):
            ends = read_ends(path, form)
        for note in ends.notes:
            self._warn(note)
        places = [Place(path, None, f"{path} {name}".rstrip(), name) for name in ends.names]
        return Samples(path, ends.arrays, places)

    def _idx(self, path: Path) -> Samples:
        from .data.idx import read_idx

        name = self._only(path)
        with enough_memory("the prediction"):
            return self._of_arrays(path, {name: read_idx(path).whole()})

    def _arrays(self, path: Path, suffix: str) -> Samples:
        with _undamaged(path):
            if suffix == ".npy":
                return self._of_arrays(path, {self._only(path): load_npy(path)})
            names = self._array_names(path, self._ports)
            arrays = load_npz(path, names.values())
            return self._of_arrays(path, {name: arrays[array] for name, array in names.items()})

    def _offsets(self, path: Path) -> dict[str, str]:
        """The inputs that an `.npz` file has offsets of."""
        with _undamaged(path):
            return offsets_in(array_names(path), self._ports, self._reading)

    def _ragged(self, path: Path, offsets: Mapping[str, str]) -> Iterator[Samples]:
        """Samples of different lengths, some at a time, padded to the longest of these."""
        ports, start = self._ports, 0
        counted = {ports[name].lengths for name in offsets}
        with _undamaged(path):
            names = self._array_names(path, [name for name in ports if name not in counted])
            parts = list(read_ragged(path, names, offsets, ports, self._symbols, self._batch))
        for arrays in parts:
            count = max(map(len, arrays.values()))
            rows = range(start, start + count)
            places = [Place(path, row, f"{path}[{row}]") for row in rows]
            yield Samples(path, arrays, places, is_ragged=True)
            start += count

    def _array_names(self, path: Path, inputs: Iterable[str]) -> dict[str, str]:
        """Inputs -> their arrays in an `.npz` file, by their own names or those of training.

        Other arrays are left alone: a file of samples often holds the answers too.
        """
        found, other = array_names(path), self._reading.arrays
        names = {n: n if n in found else other.get(n, n) for n in inputs}
        if not set(names.values()) <= set(found):
            raise failure(
                Code.B802,
                f"expected the inputs {quoted(names)} in `{path}`, found {quoted(found) or 'none'}",
                notes=[f"`{name}` is {port}" for name, port in self._ports.items()],
            )
        return names

    def _of_arrays(self, path: Path, arrays: Arrays) -> Samples:
        fitted = {name: self._fitted(name, array) for name, array in arrays.items()}
        count = max((len(array) for array in fitted.values() if array.ndim), default=0)
        numbered = [Place(path, row, f"{path}[{row}]") for row in range(count)]
        return Samples(path, fitted, [Place(path, 0, str(path))] if count == 1 else numbered)

    def _fitted(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """An array with the axes of size 1 that training would have added or dropped."""
        shape = self._ports[name].shape
        if array.ndim == len(shape):
            return array
        from .data.check import with_rank

        return array.reshape(with_rank(array.shape, shape))

    def _only(self, path: Path) -> str:
        """The name of the sole input of a program."""
        inputs = self._ports
        if len(inputs) == 1:
            return next(iter(inputs))
        raise _several(path, inputs)


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Within, what is wrong with a file of arrays is told: R903, R906."""
    try:
        with enough_memory("the prediction"):
            yield
    except (OSError, DamagedArrays) as error:
        raise no_image(path, f"a damaged `{path.suffix.lower()}` file ({error})") from error


def _several(path: Path, inputs: Iterable[str]) -> NetwrightError:
    return failure(
        Code.B802,
        f"expected the inputs {quoted(inputs)}, found the single array of `{path}`",
        help="save them by name with `numpy.savez`",
    )
