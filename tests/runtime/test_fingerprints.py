"""What tells whether data is still the same, and runs that go on with other data or are refused."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.baseline import models
from netwright.runtime.baseline.baselines import measure_baselines
from netwright.runtime.data.columns import ArrayColumn, ConvertedColumn, MappedColumn, SubsetColumn
from netwright.runtime.data.fingerprint import BLOCKS, WHOLE_BYTES, blocks
from netwright.runtime.data.images import Form, ImageColumn
from netwright.runtime.distributed.world import World
from netwright.runtime.runs import FINGERPRINTS, read_run
from netwright.runtime.train import train
from PIL import Image

from .processes import in_processes, values
from .test_columns import KINDS, X, stored
from .test_messages import NPZ
from .test_train import Recorder, assert_same, stop_at, weights_of
from .tiny import compile_text

U8 = np.dtype(np.uint8)
FORM = Form(3, 2, 2)
SHORT = {"epochs: 4": "epochs: 2"}


# Columns


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_is_known_by_type_shape_and_every_value(kind: str, tmp_path: Path) -> None:
    known = stored(tmp_path, kind).fingerprint()
    assert known == stored(tmp_path, kind).fingerprint()
    others = [X.astype(np.int64), X[:9], X.reshape(10, 2, 3)]
    for index in np.ndindex(X.shape):
        others.append(X.copy())
        others[-1][index] += 1
    found = {stored(tmp_path, kind, other).fingerprint() for other in others}
    assert len(found) == len(others)
    assert known not in found


def test_where_and_when_values_were_written_does_not_count(tmp_path: Path) -> None:
    kinds = ("memory", "npy", "npz", "compressed")
    first = {stored(tmp_path, kind).fingerprint() for kind in kinds}
    assert len(first) == 1
    for path in [tmp_path / "x.npy", tmp_path / "x.npz"]:
        os.utime(path, (1, 1))
        path.rename(path.with_stem("y"))
    again = MappedColumn(tmp_path / "y.npy", X.dtype, X.shape, 128).fingerprint()
    assert first == {again}


def test_a_choice_and_a_view_are_known_by_what_they_change() -> None:
    column = ArrayColumn(X)
    picked = SubsetColumn(column, np.array([1, 2]))
    found = [
        column,
        picked,
        SubsetColumn(column, np.array([2, 1])),
        SubsetColumn(ArrayColumn(X + 1), np.array([1, 2])),
        ConvertedColumn(column, np.dtype(np.int64), (3, 2)),
        ConvertedColumn(column, X.dtype, (1, 6)),
        ConvertedColumn(ArrayColumn(X + 1), X.dtype, (1, 6)),
    ]
    assert len({one.fingerprint() for one in found}) == len(found)
    same = SubsetColumn(ArrayColumn(X.copy()), np.array([1, 2], np.int32))
    assert same.fingerprint() == picked.fingerprint()


@pytest.mark.parametrize("nbytes", [0, 1, WHOLE_BYTES - 1, WHOLE_BYTES])
def test_up_to_a_limit_every_byte_is_looked_at(nbytes: int) -> None:
    found = list(blocks(nbytes))
    assert [one.start for one in found[1:]] == [one.stop for one in found[:-1]]
    assert found[-1].stop >= nbytes if nbytes else not found


@pytest.mark.parametrize("nbytes", [WHOLE_BYTES + 1, 10**9 + 7, 10**14])
def test_above_it_blocks_are_evenly_spaced_from_first_to_last(nbytes: int) -> None:
    found = list(blocks(nbytes))
    assert len(found) == BLOCKS
    assert (found[0].start, found[-1].stop) == (0, nbytes)
    assert sum(one.stop - one.start for one in found) <= WHOLE_BYTES
    steps = np.diff([one.start for one in found])
    assert steps.max() - steps.min() <= 1


def test_a_huge_file_is_known_by_its_ends_in_no_more_time(tmp_path: Path) -> None:
    """400 GB with nothing in them, which take no room on the disk."""
    path, size = tmp_path / "x", 400 << 30
    with path.open("wb") as file:
        file.truncate(size)
    column = MappedColumn(path, U8, (size // 1024, 1024), 0)
    began = time.monotonic()
    known = column.fingerprint()
    assert time.monotonic() - began < 30
    found = {known}
    for place in (0, size - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"!")
        found.add(MappedColumn(path, U8, column.shape, 0).fingerprint())
    assert len(found) == 3


# Image files


def images(folder: Path) -> Path:
    (folder / "cats").mkdir(parents=True)
    for index in range(5):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(folder / "cats" / f"{index}.png")
    return folder


def column_of(folder: Path, form: Form = FORM) -> ImageColumn:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    return ImageColumn(folder, names, form)


def test_images_are_known_by_names_and_sizes_wherever_they_are(tmp_path: Path) -> None:
    here = images(tmp_path / "here")
    known = column_of(here).fingerprint()
    assert column_of(here).decoded()[0].fingerprint() == known
    there = shutil.copytree(here, tmp_path / "there", copy_function=shutil.copyfile)
    assert column_of(there).fingerprint() == known
    found = {known}
    found |= {column_of(here, form).fingerprint() for form in (Form(3, 2, 4), Form(1, 2, 2))}
    found |= {column_of(here, Form(3, 2, 2, fit)).fingerprint() for fit in ("crop", "pad")}
    (there / "cats" / "4.png").rename(there / "cats" / "5.png")
    found.add(column_of(there).fingerprint())
    (there / "cats" / "5.png").rename(there / "cats" / "4.png")
    with (there / "cats" / "2.png").open("ab") as file:
        file.write(b"!")
    found.add(column_of(there).fingerprint())
    assert len(found) == 7


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    column = column_of(images(tmp_path / "here"))
    (tmp_path / "here" / "cats" / "3.png").unlink()
    with pytest.raises(NetwrightError, match=r"cats/3.png`, which was there when") as caught:
        column.fingerprint()
    assert caught.value.diagnostics[0].code is Code.F602


# Runs


def write_digits(path: Path, change: Callable[[np.ndarray], None] | None = None) -> None:
    numbers = np.random.default_rng(0)
    pixels = numbers.integers(0, 17, (200, 1, 8, 8)).astype(np.uint8)
    if change:
        change(pixels)
    np.savez(path, image=pixels, label=np.arange(200) % 10)


def one_pixel(pixels: np.ndarray) -> None:
    pixels[150, 0, 3, 3] ^= 1


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on `digits.npz`, in whose folder the test goes on, with nothing but its beginning."""
    monkeypatch.chdir(tmp_path)
    write_digits(Path("digits.npz"))
    compilation = compile_text(SHORT, text=NPZ, folder=tmp_path)
    observer = stop_at(1)
    train(compilation, output=Path("run"), device="cpu", observer=observer)
    return tmp_path


def go_on(folder: Path, **options: Path) -> Recorder:
    observer = Recorder()
    compilation = compile_text(SHORT, text=NPZ, folder=folder)
    train(
        compilation, output=Path("run"), resume=True, device="cpu", observer=observer, **options
    )  # fmt: skip
    return observer


def refused(folder: Path) -> tuple[Code, str]:
    with pytest.raises(NetwrightError) as caught:
        go_on(folder)
    [found] = caught.value.diagnostics
    return found.code, found.message


def test_a_run_records_its_data_before_it_is_split(stopped: Path) -> None:
    recorded = read_run(Path("run"))[FINGERPRINTS]
    assert set(recorded) == {"train"}
    assert set(recorded["train"]) == {"image", "label"}
    assert all(len(digest) == 64 for digest in recorded["train"].values())


def test_a_run_refuses_data_that_changed_and_goes_on_once_it_is_back(stopped: Path) -> None:
    """One pixel, in a file of the same size and date."""
    path = Path("digits.npz")
    before = path.stat()
    write_digits(path, one_pixel)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    kept = weights_of(Path("run"))
    code, message = refused(stopped)
    assert code is Code.R902
    assert "`image` of the training samples in `digits.npz` changed" in message
    assert_same(kept, weights_of(Path("run")))
    write_digits(path)
    assert go_on(stopped).warnings == []
    whole = train(compile_text(SHORT, text=NPZ, folder=stopped), output=Path("whole"), device="cpu")
    assert_same(weights_of(whole.folder), weights_of(Path("run")))


def test_a_copy_of_the_data_will_do(stopped: Path) -> None:
    Path("elsewhere").mkdir()
    with np.load("digits.npz") as held:
        np.savez_compressed("elsewhere/digits.npz", **held)
    Path("digits.npz").unlink()
    assert go_on(stopped, data_dir=Path("elsewhere")).warnings == []


def rewrite(**changes: object) -> None:
    record = read_run(Path("run"))
    record |= changes
    kept = {key: value for key, value in record.items() if value is not None}
    Path("run/run.json").write_text(json.dumps(kept))


def test_a_run_of_an_older_version_goes_on_with_a_warning(stopped: Path) -> None:
    rewrite(data_fingerprints=None)
    [warning] = go_on(stopped).warnings
    assert "did not record fingerprints" in warning


@pytest.mark.parametrize("damage", [5, "x", [], {"train": 5}, {"train": {"image": 5}}])
def test_a_damaged_record(damage: object, stopped: Path) -> None:
    rewrite(data_fingerprints=damage)
    code, message = refused(stopped)
    assert code is Code.R901
    assert "run.json` is damaged" in message


def test_baselines_tell_that_the_network_was_trained_on_other_data(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MODELS", ("constant", "linear"))
    go_on(stopped)
    compilation = compile_text(SHORT, text=NPZ, folder=stopped)
    before = measure_baselines(compilation, run=Path("run")).notes
    write_digits(Path("digits.npz"), one_pixel)
    told = "the data is not what the network was trained on: `image` of the training samples in "
    after = measure_baselines(compilation, run=Path("run")).notes
    assert [note for note in after if note not in before] == [f"{told}`digits.npz` changed"]


def test_only_rank_0_compares(stopped: Path) -> None:
    Path("other").mkdir()
    write_digits(Path("other/digits.npz"), one_pixel)

    def work(changed: int) -> Callable[[World], list[str]]:
        def resume(world: World) -> list[str]:
            compilation = compile_text(SHORT, text=NPZ, folder=stopped)
            folder = Path("other") if world.rank == changed else Path()
            train(
                compilation, output=Path("run"), resume=True, device="cpu", world=world,
                data_dir=folder,
            )  # fmt: skip
            return []

        return resume

    ended = in_processes(2, work(0))
    assert [one.code for one in ended] == [1, 1]
    assert [len(one.told) for one in ended] == [1, 0]
    assert ended[0].told[0].startswith("R902 expected the data that the run `run` began with")
    values(in_processes(2, work(1)))
