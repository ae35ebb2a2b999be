"""`predict`: a bundle on images, npy or npz files. Torch-free.

An image becomes what the program's input says: its channels decide the colour mode (1: grey, 3:
RGB, 4: RGBA), and its size must be the declared one. Nothing is resized or painted onto a
background, since a network answers for what it was trained on; prepare images beforehand, and as
its training data was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, NetwrightError, failure
from .answer_lines import answer_lines
from .arrays import DamagedArrays, array_names, load_npy, load_npz
from .bundle import Port
from .files import write_bytes
from .images import MODES, BadImage, Transparent, open_image
from .memory import enough_memory
from .session import Arrays, Device, Session, load, quoted

BATCH = 64
"""How many samples run at once, which bounds the memory."""

Warn = Callable[[str], None]


def predict_files(
    bundle: Path,
    inputs: Sequence[Path],
    *,
    program: str = "predict",
    output: Path | None = None,
    device: Device = "auto",
    warn: Warn = lambda text: None,
) -> Iterator[str]:
    """Run a program on files, each on its own.

    Args:
        inputs: images, `.npy` for a program with one input, `.npz` with its inputs by name.
        output: an `.npz` file for all results, joined; None to show them as lines.
        warn: told of the first value of each input that its field does not allow.
    Returns: the lines to print: a line per sample, or where the results were written.
    Raises: NetwrightError: B801: the bundle. B802: an input does not fit. R903: it can't be read,
        or the results not be written. R905: the device.
    """
    opened = load(bundle, device)
    session = opened.program(program)
    ranges = _Ranges(session.inputs, warn)
    found: list[Arrays] = []
    for path in inputs:
        arrays = read_inputs(path, session)
        results = session.in_batches(arrays, BATCH)
        ranges.look(path, arrays)
        if output is None:
            yield from _lines(path, list(answer_lines(results, opened.manifest)))
        else:
            found.append(results)
    if output is not None:
        _write(output, found)
        yield f"wrote {output}"


def read_inputs(path: Path, session: Session) -> Arrays:
    """The inputs of a program from a file.

    Raises: NetwrightError: B802, R903.
    """
    if not path.exists():
        raise failure(
            Code.R903,
            f"expected a file of inputs, found no such file: `{path}`",
            help="check its name; paths are relative to the folder that you are in",
        )
    if path.is_dir():
        raise failure(
            Code.R903,
            f"expected a file of inputs, found the folder `{path}`",
            help="name the files in it: images, `.npy` or `.npz`",
        )
    try:
        with enough_memory("the prediction"):
            if path.suffix == ".npz":
                return load_npz(path, array_names(path))
            if path.suffix == ".npy":
                return {_only(session, path): load_npy(path)}
    except (OSError, DamagedArrays) as error:
        raise _unreadable(path, f"a damaged `{path.suffix}` file ({error})") from error
    name = _only(session, path)
    return {name: read_image(path, name, session.inputs[name])}


def _unreadable(path: Path, found: str) -> NetwrightError:
    return failure(
        Code.R903,
        f"expected an image, `.npy` or `.npz` file, found {found}: `{path}`",
        help="arrays are saved with `numpy.save` or `numpy.savez`",
    )


def _only(session: Session, path: Path) -> str:
    """The name of the sole input of a program."""
    if len(session.inputs) > 1:
        raise failure(
            Code.B802,
            f"expected the inputs {quoted(session.inputs)}, found the single array of `{path}`",
            help="save them by name with `numpy.savez`",
        )
    return next(iter(session.inputs))


def read_image(path: Path, name: str, port: Port) -> NDArray[Any]:
    """An image file as a batch of one.

    Returns: u8[1, C, H, W]. Raises: NetwrightError: B802: the program takes no images or ones of
        another size, or the image has transparent pixels and the program no channel for them.
        R903: the file is no image.
    """
    channels = port.shape[1] if len(port.shape) == 4 else None
    if port.dtype != "uint8" or channels not in MODES:
        raise failure(
            Code.B802,
            f"expected `{name}` as {port}, found the image `{path}`",
            help="image files fit inputs uint8[B, C, H, W] with 1, 3 or 4 channels; save an "
            "array with `numpy.save`",
        )
    try:
        array = np.asarray(open_image(path, int(channels)))
    except Transparent as error:
        raise failure(
            Code.B802,
            f"expected an opaque image for `{name}` {port}, found {error.pixels:,} transparent "
            f"pixels: `{path}`",
            help="paint it onto the background that the training images have, and save it without "
            "transparency",
        ) from error
    except BadImage as error:
        raise _unreadable(path, str(error)) from error
    _check_size(path, port, array.shape[1], array.shape[0])
    planes = array[:, :, None] if array.ndim == 2 else array
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None])


def _check_size(path: Path, port: Port, width: int, height: int) -> None:
    wanted = port.shape[2:]
    fits = all(
        not isinstance(size, int) or size == found
        for size, found in zip(wanted, (height, width), strict=True)
    )
    if not fits:
        raise failure(
            Code.B802,
            f"expected an image {wanted[1]} wide and {wanted[0]} high, found {width} x {height}: "
            f"`{path}`",
            help="resize it as the training images were",
        )


class _Ranges:
    """Looks for values that the network was not trained on, and tells the first of each input."""

    def __init__(self, ports: Mapping[str, Port], warn: Warn) -> None:
        self._limits = {name: port.range for name, port in ports.items() if port.range}
        self._warn = warn

    def look(self, path: Path, arrays: Arrays) -> None:
        """arrays: inputs that fit the ports."""
        for name, (low, high) in list(self._limits.items()):
            values = np.asarray(arrays[name])
            wrong = values[~((low <= values) & (values <= high))]  # NaN is in no interval
            if wrong.size:
                del self._limits[name]
                self._warn(
                    f"expected values of `{name}` from {low:g} to {high:g}, as in training, found "
                    f"{wrong[0]:g} in `{path}`; what the network answers to others means little"
                )


def _lines(path: Path, answers: Sequence[str]) -> Iterator[str]:
    for index, answer in enumerate(answers):
        place = str(path) if len(answers) == 1 else f"{path}[{index}]"
        yield f"{place}: {answer}"


def _write(path: Path, found: Sequence[Arrays]) -> None:
    import io

    shapes = [{name: array.shape[1:] for name, array in results.items()} for results in found]
    if any(other != shapes[0] for other in shapes):
        raise failure(
            Code.B802,
            "expected results of one shape to join, found several; the inputs differ in size",
            help="run the files one by one, or without `-o`",
        )
    content = io.BytesIO()
    joined: dict[str, Any] = {n: np.concatenate([r[n] for r in found]) for n in found[0]}
    np.savez(content, **joined)
    write_bytes(path, content.getvalue())
