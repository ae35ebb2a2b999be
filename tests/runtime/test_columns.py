"""Columns: choices and views of arrays that may stay in their files."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.data.columns import (
    ArrayColumn,
    Column,
    ConvertedColumn,
    MappedColumn,
    SubsetColumn,
)
from netwright.runtime.data.npz import read_npy, read_npz
from numpy.typing import NDArray

X = np.arange(60, dtype=np.int32).reshape(10, 3, 2)


def stored(folder: Path, kind: str, x: NDArray[Any] = X) -> Column:
    """The array as each kind of column."""
    if kind == "memory":
        return ArrayColumn(x)
    if kind == "npy":
        np.save(folder / "x.npy", x)
        return read_npy(folder / "x.npy")
    if kind == "fortran":
        np.save(folder / "x.npy", np.asfortranarray(x))
        return read_npy(folder / "x.npy")
    if kind == "big endian":
        np.save(folder / "x.npy", x.astype(x.dtype.newbyteorder(">")))
        return ConvertedColumn(read_npy(folder / "x.npy"), x.dtype, x.shape[1:])
    save = np.savez if kind == "npz" else np.savez_compressed
    save(folder / "x.npz", first=np.ones(7), x=x)
    return read_npz(folder / "x.npz", {"x": "x"})["x"]


KINDS = ["memory", "npy", "fortran", "big endian", "npz", "compressed"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_values(kind: str, tmp_path: Path) -> None:
    column = stored(tmp_path, kind)
    assert (column.dtype, column.shape, column.nbytes) == (X.dtype, X.shape, X.nbytes)
    np.testing.assert_array_equal(column.whole(), X)
    np.testing.assert_array_equal(column.take(np.array([7, 0, 7])), X[[7, 0, 7]])
    chunks = list(column.chunks(4))
    assert [start for start, _ in chunks] == [0, 4, 8]
    np.testing.assert_array_equal(np.concatenate([values for _, values in chunks]), X)


@pytest.mark.parametrize("kind", KINDS)
def test_a_choice_of_samples_and_a_view_of_them(kind: str, tmp_path: Path) -> None:
    chosen = SubsetColumn(stored(tmp_path, kind), np.array([9, 3, 5]))
    twice = SubsetColumn(chosen, np.array([2, 0]))
    view = ConvertedColumn(twice, np.dtype(np.float64), (1, 6))
    assert view.shape == (2, 1, 6)
    np.testing.assert_array_equal(view.whole(), X[[5, 9]].reshape(2, 1, 6))
    assert view.where(0).startswith("sample 5")


@pytest.mark.parametrize("kind", ["npy", "fortran", "npz"])
def test_a_mapped_file_is_pickled_by_its_place(kind: str, tmp_path: Path) -> None:
    column = stored(tmp_path, kind)
    assert column.storage == "mapped"
    content = pickle.dumps(column)
    assert len(content) < 1000
    np.testing.assert_array_equal(pickle.loads(content).whole(), X)


READ_A_LITTLE = """
import resource, sys
from pathlib import Path
import numpy as np
from netwright.runtime.data.npz import read_npz

column = read_npz(Path(sys.argv[1]), {"x": "x"})["x"]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = int(column.take(np.array([0, 5000, 9999])).sum())
print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_mapped_npz_is_not_read_whole(tmp_path: Path) -> None:
    """Three samples of 200 MB cost less than a tenth of them in a process of its own."""
    path = tmp_path / "x.npz"
    np.savez(path, x=np.ones((10_000, 20_000), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", READ_A_LITTLE, str(path)], capture_output=True, text=True, check=True
    )
    total, grown = map(int, done.stdout.split())
    assert total == 3 * 20_000
    unit = 1 if sys.platform == "darwin" else 1024
    assert grown * unit < 20_000_000


def failing(path: Path, read: Any) -> str:
    with pytest.raises(NetwrightError) as caught:
        read(path)
    assert {d.code for d in caught.value.diagnostics} == {Code.F602}
    return caught.value.diagnostics[0].message


def test_damaged_npy_files(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, X)
    path.write_bytes(path.read_bytes()[:-1])
    assert "240 bytes; it holds 239" in failing(path, read_npy)
    np.save(path, np.array([{}, []], dtype=object))
    assert "dtype `object`" in failing(path, read_npy)
    np.savez_compressed(tmp_path / "x.npz", x=np.array([{}, []], dtype=object))
    message = failing(tmp_path / "x.npz", lambda path: read_npz(path, {"x": "x"}))
    assert "dtype `object`" in message
    path.write_bytes(b"\x93NUMPY\x03\x00")
    assert "version (3, 0)" in failing(path, read_npy)
    assert "no such file" in failing(tmp_path / "y.npy", read_npy)


def test_an_empty_array_is_mapped_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((0, 3)))
    column = read_npy(tmp_path / "x.npy")
    assert column.shape == (0, 3)
    assert list(column.chunks()) == []


def test_bytes_after_the_promised_ones_are_no_part_of_a_mapped_column(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"head" + X.tobytes() + b"tail")
    column = MappedColumn(path, X.dtype, X.shape, 4)
    np.testing.assert_array_equal(column.whole(), X)
