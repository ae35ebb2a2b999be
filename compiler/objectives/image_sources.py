"""Sources of image files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Setting

from .fields import Field
from .problem import Problem
from .source import Path, Source, same_place

CHANNELS = {"rgb": 3, "grey": 1}


class ImageFolder(Source):
    """Image files in a folder with a subfolder for each class.

    Fields: `image` uint8 [B, C, H, W], scaled to [0, 1]; `label` int64 [B], unless `labels: none`.
    The classes are the subfolders in their natural order (`2` before `10`), or in that of
    `fields: {label: {classes: [...]}}`; programs name their answers by them. Images are kept in
    memory where they are small, else decoded as needed.
    """

    name: ClassVar[str] = "image_folder"
    title: ClassVar[str] = "the source `image_folder`"

    path: Path = Setting(description="The folder.")
    test_path: Path | None = Setting(
        default=None, description="A second folder of the same form with test images."
    )
    size: list[Annotated[int, Setting(ge=1)]] = Setting(
        min_length=2,
        max_length=2,
        description="Height and width that every image is brought to: `[64, 48]`; `64` for both.",
    )
    fit: Literal["resize", "crop", "pad"] = Setting(
        default="resize",
        description="How an image of another shape gets there. resize: stretch it. crop: scale it "
        "to cover the size and cut the rest off around the centre. pad: scale it to lie within, "
        "and fill up with black.",
    )
    mode: Literal["rgb", "grey"] = Setting(
        default="rgb", description="Three channels, or one; files of the other kind are converted."
    )
    labels: Literal["folders", "none"] = Setting(
        default="folders",
        description="folders: each subfolder is a class. none: images without labels, however the "
        "folder is arranged.",
    )
    unreadable: Literal["error", "skip"] = Setting(
        default="error",
        description="What to do with files that can't be read as images. skip: leave them out, and "
        "say which.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("size"), int):
            return super().desugar(data)
        return {**data, "size": [data["size"], data["size"]]}

    @property
    def has_test(self) -> bool:
        return self.test_path is not None

    def known_fields(self) -> dict[str, Field]:
        shape = ["B", CHANNELS[self.mode], *self.size]
        image = Field(shape=shape, dtype="uint8", scale=[0, 1])
        if self.labels == "none":
            return {"image": image}
        return {"image": image, "label": Field(shape=["B"], dtype="int64")}

    def paths(self) -> list[str]:
        return [self.path, *([self.test_path] if self.test_path else [])]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        yield from same_place(self.path, self.test_path)
