"""Files of arrays that are damaged, or that somebody made to do harm."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.arrays import DamagedArrays, load_npy
from netwright.runtime.data.npz import read_npz


def npy() -> bytes:
    content = io.BytesIO()
    np.save(content, np.arange(1000))
    return content.getvalue()


def zipped(content: bytes, method: int = zipfile.ZIP_STORED, name: str = "x.npy") -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, content)
    return bytearray(file.getvalue())


def changed(content: bytearray, local: int, central: int, value: int) -> bytearray:
    """A byte of both headers of the zip's only member, by its offsets in them."""
    content[local] = content[content.find(b"PK\1\2") + central] = value
    return content


def flipped(content: bytearray, place: int) -> bytearray:
    content[place] ^= 0xFF
    return content


@pytest.mark.parametrize(
    "content",
    [
        zipped(b"no array"),
        zipped(b"no array", name="x"),
        flipped(zipped(npy(), zipfile.ZIP_LZMA), 80),
        flipped(zipped(npy(), zipfile.ZIP_DEFLATED), 80),
        changed(zipped(npy()), 6, 8, 1),
        changed(zipped(npy()), 8, 10, 99),
        zipped(npy().replace(b"{'descr'", b"((((((((")),
        npy(),
    ],
    ids=["bytes", "member", "lzma", "deflate", "encrypted", "method", "header", "npy"],
)
def test_a_damaged_npz_is_one_coded_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(NetwrightError) as caught:
        read_npz(path, {"x": "x"})
    assert caught.value.diagnostics[0].code is Code.F602


def test_a_zip_is_no_npy(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(zipped(npy()))
    with pytest.raises(DamagedArrays, match="magic"):
        load_npy(tmp_path / "a.npy")
