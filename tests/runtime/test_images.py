"""Image files as inputs: what is lost by taking their channels is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.bundle import Port
from netwright.runtime.image_inputs import read_image
from PIL import Image

RGBA = np.random.default_rng(0).integers(0, 256, (4, 6, 4), dtype=np.uint8)
OPAQUE = np.dstack([RGBA[..., :3], np.full((4, 6), 255, np.uint8)])
ALMOST = OPAQUE.copy()
ALMOST[1, 2, 3] = 254
GREY = np.dstack([RGBA[..., 0], ALMOST[..., 3]])


def port(channels: int) -> Port:
    return Port(dtype="uint8", shape=["B", channels, 4, 6])


def palette(transparent: int) -> Image.Image:
    """An image of 24 colours, one of which may be see-through."""
    image = Image.new("P", (6, 4))
    image.putdata(list(range(24)))
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    image.info["transparency"] = transparent
    return image


def keyed() -> Image.Image:
    image = Image.fromarray(OPAQUE[..., :3])
    image.info["transparency"] = tuple(int(v) for v in OPAQUE[3, 5, :3])
    return image


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        (Image.fromarray(RGBA), 3),
        (Image.fromarray(ALMOST), 3),
        (Image.fromarray(ALMOST), 1),
        (Image.fromarray(GREY, "LA"), 1),
        (Image.fromarray(GREY, "LA"), 3),
        (palette(5), 3),
        (keyed(), 3),
    ],
    ids=["RGBA", "almost", "to-grey", "LA", "LA-to-RGB", "palette", "keyed"],
)
def test_transparency_is_not_dropped(image: Image.Image, channels: int, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    image.save(path, **{k: v for k, v in image.info.items() if k == "transparency"})
    with pytest.raises(NetwrightError, match="expected an opaque image") as caught:
        read_image(path, "image", port(channels))
    assert caught.value.diagnostics[0].code is Code.B802


def test_opaque_images_lose_nothing(tmp_path: Path) -> None:
    Image.fromarray(OPAQUE).save(tmp_path / "rgba.png")
    Image.fromarray(OPAQUE[..., :3]).save(tmp_path / "rgb.png")
    planes = OPAQUE.transpose(2, 0, 1)[None]
    for name in ("rgba.png", "rgb.png"):
        np.testing.assert_array_equal(read_image(tmp_path / name, "image", port(3)), planes[:, :3])
        np.testing.assert_array_equal(read_image(tmp_path / name, "image", port(4)), planes)


def test_a_transparent_colour_that_no_pixel_has(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    palette(200).save(path, transparency=200)
    found = read_image(path, "image", port(3))
    np.testing.assert_array_equal(found[0, 0].ravel(), np.arange(24))


def test_four_channels_take_transparency(tmp_path: Path) -> None:
    Image.fromarray(RGBA).save(tmp_path / "image.png")
    found = read_image(tmp_path / "image.png", "image", port(4))
    np.testing.assert_array_equal(found, RGBA.transpose(2, 0, 1)[None])


def test_formats_that_run_other_programs_are_not_read(tmp_path: Path) -> None:
    """Pillow gives PostScript to Ghostscript."""
    Image.fromarray(RGBA[..., :3]).save(tmp_path / "image.eps")
    with pytest.raises(NetwrightError, match="something else") as caught:
        read_image(tmp_path / "image.eps", "image", port(3))
    assert caught.value.diagnostics[0].code is Code.R903
