"""Image files, whoever made them: only common formats, and never more than 8 bits. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is read. Pillow knows more, and runs another program for some of them."""

SUFFIXES = frozenset(
    ".bmp .gif .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()  # noqa: SIM905
)

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels -> Pillow's name of the colours."""

OPAQUE = 255
"""What the channel of transparency says of a pixel without any."""

WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
"""Pillow's names of colours with a channel that tells how opaque a pixel is."""


class BadImage(Exception):  # noqa: N818 - a finding; the caller decides how to tell it
    """What a file is in place of a usable image: `something else`, `a damaged image (...)`."""


class Gone(BadImage):
    """There is no such file."""

    def __init__(self) -> None:
        super().__init__("a name without a file")


class Transparent(BadImage):
    """An image with transparent pixels, where none can be. pixels: how many there are."""

    def __init__(self, pixels: int) -> None:
        super().__init__("an image with transparent pixels, whose colours nobody sees")
        self.pixels = pixels


def open_image(path: Path, channels: int, enough: tuple[int, int] | None = None) -> Image:
    """Decode an image file and convert its colours.

    Args:
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        enough: the width and height that will do; a JPEG is then decoded at a half, a quarter or
            an eighth where that is no smaller, which is much faster.
    Raises: Transparent: the colours have no place for that. BadImage.
    """
    with _opened(path) as image:
        if enough is not None:
            image.draft(MODES[channels], enough)
        if channels < 4 and (hidden := _transparent_pixels(image)):
            raise Transparent(hidden)
        return image.convert(MODES[channels])


def check_image(path: Path) -> None:
    """Read the header of an image file alone. Raises: BadImage."""
    with _opened(path):
        pass


def _transparent_pixels(image: Image) -> int:
    """How many pixels are not opaque; their colours are whatever the file's writer left there."""
    if image.mode not in WITH_ALPHA and "transparency" not in image.info:
        return 0
    return sum(image.convert("RGBA").getchannel("A").histogram()[:OPAQUE])


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would cut its values off at 255
                raise BadImage(f"an image of more than 8 bits a channel ({image.mode})")
            yield image
    except UnidentifiedImageError as error:
        raise BadImage("something else") from error
    except FileNotFoundError as error:
        raise Gone from error
    except (OSError, ValueError, SyntaxError) as error:
        raise BadImage(_reason(error)) from error
    except Image.DecompressionBombError as error:
        raise BadImage("an image of too many pixels") from error


def _reason(error: Exception) -> str:
    """What went wrong in one line, without the path, which the message around it names."""
    if isinstance(error, OSError) and error.strerror:
        return f"a file that the system keeps closed ({error.strerror})"
    return f"a damaged image ({str(error).partition(chr(10))[0] or type(error).__name__})"
