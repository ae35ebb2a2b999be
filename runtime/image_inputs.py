"""Image files as inputs, brought to the form that training brought its own to. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, NetwrightError, failure
from .bundle import ImageForm, Port
from .images import MODES, BadImage, Transparent, open_image


def takes_images(port: Port) -> bool:
    """Whether an input is a batch of images: uint8[B, C, H, W] with channels that files have."""
    return port.dtype == "uint8" and len(port.shape) == 4 and port.shape[1] in MODES


def read_image(path: Path, name: str, port: Port, form: ImageForm | None = None) -> NDArray[Any]:
    """An image file as a batch of one.

    Args:
        name: of the input. form: what training made of its files; None where it read none, and an
            image then has the declared size already.
    Returns: u8[1, C, H, W]. Raises: NetwrightError: B802: the program takes no images or ones of
        another size, or the image has transparent pixels and the program no channel for them.
        R903: the file is no image.
    """
    if not takes_images(port):
        raise failure(
            Code.B802,
            f"expected `{name}` as {port}, found the image `{path}`",
            help="image files fit inputs uint8[B, C, H, W] with 1, 3 or 4 channels; save an "
            "array with `numpy.save`",
        )
    with _told(path, name, port):
        return _formed(path, form)[None] if form else _plain(path, port)[None]


def _formed(path: Path, form: ImageForm) -> NDArray[np.uint8]:
    from ..compiler.objectives.image_sources import CHANNELS
    from .data.images import Form

    height, width = form.size
    return Form(CHANNELS[form.mode], height, width, form.fit).read(path)


def _plain(path: Path, port: Port) -> NDArray[np.uint8]:
    """The pixels as they are: u8[C, H, W]."""
    array = np.asarray(open_image(path, int(port.shape[1])))
    _check_size(path, port, array.shape[1], array.shape[0])
    planes = array[:, :, None] if array.ndim == 2 else array
    return np.ascontiguousarray(planes.transpose(2, 0, 1))


@contextmanager
def _told(path: Path, name: str, port: Port) -> Iterator[None]:
    try:
        yield
    except Transparent as error:
        raise failure(
            Code.B802,
            f"expected an opaque image for `{name}` {port}, found {error.pixels:,} transparent "
            f"pixels: `{path}`",
            help="paint it onto the background that the training images have, and save it without "
            "transparency",
        ) from error
    except BadImage as error:
        raise no_image(path, str(error)) from error


def no_image(path: Path, found: str) -> NetwrightError:
    return failure(
        Code.R903,
        f"expected an image, `.npy` or `.npz` file, found {found}: `{path}`",
        help="arrays are saved with `numpy.save` or `numpy.savez`",
    )


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
