"""The data sources by name. runtime/data reads them."""

from __future__ import annotations

from .array_sources import Digits, Idx, Npy, Npz
from .image_sources import ImageFolder
from .mixture_sources import Ring
from .sequence_sources import Adding, Brackets, CopyMemory, Reverse, SequentialImage
from .series_source import Series
from .source import Source
from .table_sources import Csv, Parquet
from .text_sources import Text

__all__ = [
    "SOURCES",
    "Adding",
    "Brackets",
    "CopyMemory",
    "Csv",
    "Digits",
    "Idx",
    "ImageFolder",
    "Npy",
    "Npz",
    "Parquet",
    "Reverse",
    "Ring",
    "SequentialImage",
    "Series",
    "Source",
    "Text",
]

SOURCES: dict[str, type[Source]] = {
    cls.name: cls
    for cls in (
        Digits,
        ImageFolder,
        Csv,
        Parquet,
        Npy,
        Npz,
        Idx,
        Text,
        Series,
        SequentialImage,
        Adding,
        CopyMemory,
        Brackets,
        Reverse,
        Ring,
    )
}
