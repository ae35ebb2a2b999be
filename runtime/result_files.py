"""What a program answered, as a file: a table in CSV, arrays in numpy's `.npz`, or a picture of
images. Torch-free."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, failure
from .answer_lines import class_names, shown_outputs
from .bundle import Manifest, Port
from .files import write_bytes
from .input_checks import Arrays, real_steps
from .input_files import Place
from .sheet import check_images, draw_sheet


@dataclass(frozen=True)
class Answers:
    """The results of some samples. places: [N]. results: output -> [N, ...].

    lengths: output -> [N], how long each answer is, where these differ.
    """

    places: Sequence[Place]
    results: Arrays
    lengths: Arrays = field(default_factory=dict)


def check_output(path: Path, ports: Mapping[str, Port]) -> None:
    """Raises: NetwrightError: R903: a file of this kind does not hold such outputs."""
    if path.suffix.lower() == ".png":
        check_images(ports)
    for name, port in ports.items():
        sizes = [size for size in port.shape[1:] if size != 1]
        if path.suffix.lower() == ".csv" and (len(sizes) > 1 or port.lengths is not None):
            raise failure(
                Code.R903,
                f"expected one number or a list of them for each sample, to write as a table, "
                f"found `{name}` {port}",
                help="write arrays: `-o results.npz`",
            )


def write_answers(
    path: Path, found: Sequence[Answers], manifest: Manifest, ports: Mapping[str, Port]
) -> None:
    """Write the results of all files, in their order.

    Answers that differ in length lie one after the other, and `<output>_offsets` says where each of
    them begins, as in the `.npz` files that training reads.

    Args:
        path: a name that ends with one of `ENDINGS`. ports: the outputs.
    Raises: NetwrightError: B802: outputs differ in size. R903: too many images for a picture, or
        the disk.
    """
    shapes = [_shapes(part) for part in found]
    if any(other != shapes[0] for other in shapes):
        raise failure(
            Code.B802,
            "expected results of one shape to join, found several; the inputs differ in size",
            help="run the files one by one, or without `-o`",
        )
    places = [place for part in found for place in part.places]
    results = {n: np.concatenate([_stored(part, n) for part in found]) for n in shapes[0]}
    for name in found[0].lengths:
        lengths = np.concatenate([part.lengths[name] for part in found])
        results[f"{name}_offsets"] = np.concatenate([[0], np.cumsum(lengths)])
    write_bytes(path, ENDINGS[path.suffix.lower()](places, results, manifest, ports))


def _shapes(part: Answers) -> dict[str, tuple[object, ...]]:
    """What must be the same in all parts: of answers that differ in length, the other sizes."""
    return {
        name: ("ragged", *array.shape[2:]) if name in part.lengths else array.shape[1:]
        for name, array in part.results.items()
    }


def _stored(part: Answers, name: str) -> NDArray[Any]:
    """An output as it is written: answers of different lengths one after the other."""
    values = part.results[name]
    if name not in part.lengths:
        return values
    real: NDArray[Any] = values[real_steps(values, part.lengths[name])]
    return real


def npz_bytes(arrays: Arrays) -> bytes:
    """The content of an `.npz` file."""
    content = io.BytesIO()
    named: dict[str, Any] = {**arrays}
    np.savez(content, **named)
    return content.getvalue()


def _arrays(
    places: Sequence[Place], results: Arrays, manifest: Manifest, ports: Mapping[str, Port]
) -> bytes:
    return npz_bytes(results)


def _picture(
    places: Sequence[Place], results: Arrays, manifest: Manifest, ports: Mapping[str, Port]
) -> bytes:
    ((name, images),) = results.items()
    return draw_sheet(images, ports[name].range)


def _table(
    places: Sequence[Place], results: Arrays, manifest: Manifest, ports: Mapping[str, Port]
) -> bytes:
    """A line for each sample: its file, series and row, then what each output says of it."""
    columns: list[tuple[str, Sequence[object]]] = [("file", [place.file for place in places])]
    if any(place.series for place in places):
        columns.append(("series", [place.series for place in places]))
    if any(place.row is not None for place in places):
        columns.append(("row", ["" if place.row is None else place.row for place in places]))
    shown = shown_outputs(results, manifest)
    for name, values in shown.items():
        columns += _columns(name, values, manifest, alone=len(shown) == 1)
    content = io.StringIO(newline="")
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(name for name, _ in columns)
    writer.writerows(zip(*(values for _, values in columns), strict=True))
    return content.getvalue().encode()


def _columns(
    name: str, values: NDArray[Any], manifest: Manifest, *, alone: bool
) -> Iterator[tuple[str, Sequence[object]]]:
    """One output [N] or [N, n], but for axes of size 1.

    Of classes the best one, and the probability of each.
    """
    values = values.reshape(len(values), -1)
    about = manifest.probabilities.get(name)
    if values.shape[1] == 1:
        yield name, list(values.reshape(-1))
        return
    if about is None or not about.exclusive:
        names: Sequence[str] = [str(index) for index in range(values.shape[1])]
    else:
        names = class_names(manifest.labels, name, values.shape[1])
        best = [names[index] for index in values.argmax(axis=1)]
        yield ("class" if alone else f"{about.scores} class"), best
    for index, column in enumerate(names):
        yield f"{name} {column}", list(values[:, index])


ENDINGS: dict[str, Callable[[Sequence[Place], Arrays, Manifest, Mapping[str, Port]], bytes]] = {
    ".csv": _table,
    ".npz": _arrays,
    ".png": _picture,
}
"""How the name of a file of results may end, and what writes it."""
