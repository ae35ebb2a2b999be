"""The source `image_folder`, with real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, Diagnostic, NetwrightError
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.objectives.data import Data, Split
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.sources import ImageFolder
from netwright.runtime.data import image_folder
from netwright.runtime.data.check import Labels
from netwright.runtime.data.dataset import Dataset, open_data
from netwright.runtime.data.images import Form
from netwright.runtime.data.spelling import natural
from PIL import Image

DIMS = {"B": Symbol("B")}


@pytest.fixture(params=["memory", "files"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of keeping images: in memory, and in their files where memory is short."""
    if request.param == "files":
        monkeypatch.setattr(image_folder, "MEMORY_SHARE", 0.0)
    return str(request.param)


def write(path: Path, colour: Any = (0, 0, 0), size: tuple[int, int] = (4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[np.size(colour)]
    Image.new(mode, size, colour).save(path)


def pets(root: Path, count: int = 5) -> Path:
    """Cats are red, dogs are blue, birds are green; the number of an image is its brightness."""
    for index, name in enumerate(("cat", "dog", "bird")):
        for number in range(count):
            colour = [0, 0, 0]
            colour[(0, 2, 1)[index]] = 100 + number
            write(root / name / f"{number}.png", tuple(colour))
    return root


def opened(
    folder: Path,
    fields: dict[str, Field] | None = None,
    labels: dict[str, Labels] | None = None,
    **settings: Any,
) -> Dataset:
    source = ImageFolder(**{"path": "pets", "size": [4, 4], **settings})
    data = Data(source=source, fields=fields or {}, split=Split(test=0.2))
    if source.has_test:
        data = data.model_copy(update={"split": Split()})
    return open_data(data, data.merged_fields(), DIMS, folder, labels)


def wrong(read: Callable[[], Any], code: Code) -> list[Diagnostic]:
    with pytest.raises(NetwrightError) as caught:
        read()
    assert {d.code for d in caught.value.diagnostics} == {code}
    return caught.value.diagnostics


def test_each_subfolder_is_a_class(place: str, tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    dataset = opened(tmp_path)
    assert dataset.fields["label"].classes == ["bird", "cat", "dog"]
    assert dataset.facts("train").storage == place
    assert [dataset.size(part) for part in ("train", "validation", "test")] == [12, 0, 3]
    for part in ("train", "test"):
        images, labels = (dataset.parts[part][name].whole() for name in ("image", "label"))
        assert images.shape[1:] == (3, 4, 4)
        assert (images.max(axis=(0, 2, 3)) > 0).all()
        brightest = images[:, :, 0, 0].argmax(axis=1)
        assert [("cat", "bird", "dog")[i] for i in brightest] == [
            ["bird", "cat", "dog"][label] for label in labels
        ]
        assert sorted(np.bincount(labels)) == [len(labels) // 3] * 3
    assert dataset.parts["train"]["image"].where(0).startswith("`bird/")


def test_declared_classes_give_the_order(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    dataset = opened(tmp_path, {"label": Field(classes=["dog", "cat", "bird"])})
    red = dataset.parts["train"]["image"].whole()[:, 0, 0, 0] > 0
    assert (dataset.parts["train"]["label"].whole()[red] == 1).all()


def test_folders_that_are_not_the_declared_classes(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    (tmp_path / "pets" / "mouse").mkdir()
    fields = {"label": Field(classes=["dog", "cats", "mouse"])}
    found = wrong(lambda: opened(tmp_path, fields), Code.F601)
    assert ["`bird`" in found[0].message, "`cat`" in found[1].message] == [True, True]
    assert "`cats`" in (found[1].help or "")
    assert "no such folder for `cats`" in found[2].message
    assert "a folder without any for `mouse`" in found[3].message
    assert len(found) == 4


def test_the_network_has_as_many_scores_as_there_are_folders(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    opened(tmp_path, labels={"label": Labels(3)})
    [found] = wrong(lambda: opened(tmp_path, labels={"label": Labels(10)}), Code.F601)
    assert "10 classes" in found.message
    assert "found 3: `bird`, `cat`, `dog`" in found.message


def test_the_layer_that_looks_labels_up_has_room_for_every_folder(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    opened(tmp_path, labels={"label": Labels(room=3)})
    [found] = wrong(lambda: opened(tmp_path, labels={"label": Labels(room=2)}), Code.F601)
    assert "at most 2 classes in `label`" in found.message
    assert found.help == "make room for 3 in the layer"


def test_names_are_sorted_by_the_numbers_in_them() -> None:
    names = ["class10", "class2", "10", "9", "b", "a1b2", "a1b10"]
    assert sorted(names, key=natural) == ["9", "10", "a1b2", "a1b10", "b", "class2", "class10"]


def test_images_without_labels(place: str, tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    write(tmp_path / "pets" / "alone.jpg")
    source = ImageFolder(path="pets", size=[6, 4], mode="grey", labels="none")
    data = Data(source=source)
    dataset = open_data(data, data.merged_fields(), DIMS, tmp_path)
    assert list(dataset.fields) == ["image"]
    assert dataset.parts["train"]["image"].shape == (13, 1, 6, 4)


def test_a_test_folder_of_its_own(place: str, tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    write(tmp_path / "more" / "dog" / "7.png", (0, 0, 200))
    dataset = opened(tmp_path, test_path="more")
    assert [dataset.size(part) for part in ("train", "test")] == [15, 1]
    assert dataset.parts["test"]["label"].whole().tolist() == [2]
    write(tmp_path / "more" / "cow" / "7.png")
    [found] = wrong(lambda: opened(tmp_path, test_path="more"), Code.F601)
    assert "`cow`" in found.message


def test_unreadable_images_are_named(place: str, tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    for number in range(5):
        (tmp_path / "pets" / "cat" / f"{number}.png").write_bytes(b"no image")
    Image.new("I;16", (4, 4)).save(tmp_path / "pets" / "dog" / "deep.png")
    [found] = wrong(lambda: opened(tmp_path), Code.F602)
    assert "found 6 files that can't be read" in found.message
    assert "`cat/0.png`, something else" in found.message
    assert "and 1 more" in found.message
    assert "unreadable: skip" in (found.help or "")


def test_unreadable_images_may_be_left_out(place: str, tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    broken = tmp_path / "pets" / "dog" / "3.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:45])
    (tmp_path / "pets" / "readme.txt").write_text("pets")
    dataset = opened(tmp_path, unreadable="skip")
    assert dataset.size("train") + dataset.size("test") == 14
    assert "left out of the 15 images" in dataset.notes[0]
    assert "`dog/3.png`, a damaged image" in dataset.notes[0]
    assert "`readme.txt`" in dataset.notes[1]
    for part in ("train", "test"):
        assert (dataset.parts[part]["image"].whole().max(axis=(1, 2, 3)) >= 100).all()
        names = [dataset.parts[part]["image"].where(i) for i in range(dataset.size(part))]
        assert "`dog/3.png`" not in names


def test_a_class_whose_images_are_all_left_out(place: str, tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    for path in (tmp_path / "pets" / "dog").iterdir():
        path.write_bytes(b"no image")
    [found] = wrong(lambda: opened(tmp_path, unreadable="skip"), Code.F601)
    assert "found none of `dog`" in found.message


def test_transparent_pixels_are_no_colours(tmp_path: Path) -> None:
    pets(tmp_path / "pets")
    write(tmp_path / "pets" / "dog" / "opaque.png", (0, 0, 9, 255))
    opened(tmp_path)
    write(tmp_path / "pets" / "dog" / "glass.png", (0, 0, 9, 254))
    [found] = wrong(lambda: opened(tmp_path), Code.F602)
    assert "`dog/glass.png`, an image with transparent pixels" in found.message


def test_missing_folders(tmp_path: Path) -> None:
    [found] = wrong(lambda: opened(tmp_path), Code.F602)
    assert str(tmp_path / "pets") in found.message
    (tmp_path / "pets").mkdir()
    [found] = wrong(lambda: opened(tmp_path), Code.F601)
    assert "labels: none" in (found.help or "")
    data = Data(source=ImageFolder(path="pets", size=[4, 4], labels="none"))
    [found] = wrong(lambda: open_data(data, data.merged_fields(), DIMS, tmp_path), Code.F601)
    assert ".png" in (found.help or "")


def striped(path: Path) -> None:
    """8 wide, 4 high: red, then green in the middle, then blue."""
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :2, 0] = pixels[:, 2:6, 1] = pixels[:, 6:, 2] = 255
    Image.fromarray(pixels).save(path)


def test_how_images_get_their_size(tmp_path: Path) -> None:
    path = tmp_path / "striped.png"
    striped(path)
    cropped = Form(3, 4, 4, "crop").read(path)
    assert cropped.shape == (3, 4, 4)
    assert (cropped[1] == 255).all()
    assert (cropped[0] == 0).all()
    padded = Form(3, 8, 8, "pad").read(path)
    assert (padded[:, :2] == 0).all()
    assert (padded[:, -2:] == 0).all()
    np.testing.assert_array_equal(padded[:, 2:6], np.asarray(Image.open(path)).transpose(2, 0, 1))
    resized = Form(3, 4, 4, "resize").read(path)
    assert resized[0, 0, 0] > 200 > 50 > resized[0, 0, 2]
    assert resized[2, 0, 3] > 200
    grey = Form(1, 4, 8, "resize").read(path)
    assert grey.shape == (1, 4, 8)
    np.testing.assert_array_equal(grey[0], np.asarray(Image.open(path).convert("L")))


def test_a_large_jpeg_becomes_what_it_would_without_the_short_cut(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 640).astype(np.uint8)
    photo = Image.fromarray(np.stack([np.tile(ramp, (480, 1))] * 3, axis=2))
    photo.save(tmp_path / "photo.jpg", quality=95)
    small = Form(3, 24, 32).read(tmp_path / "photo.jpg")
    whole = photo.resize((32, 24), Image.Resampling.BILINEAR)
    assert np.abs(small.astype(int) - np.asarray(whole).transpose(2, 0, 1)).max() <= 3
