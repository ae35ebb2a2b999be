"""Sources of arrays: numpy's files, IDX files, and the digits that scikit-learn ships."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from .fields import Field
from .problem import Problem
from .source import Path, Source, override, same_place, strangers


class Digits(Source):
    """1,797 scanned digits of 8x8 pixels that scikit-learn ships; nothing is downloaded.

    Fields: `image` uint8 [B, 1, 8, 8] in [0, 16], scaled to [0, 1]; `label` int64 [B] below 10.
    """

    name: ClassVar[str] = "digits"
    title: ClassVar[str] = "the source `digits`"

    only: list[Annotated[int, Setting(ge=0, le=9)]] | None = Setting(
        default=None,
        min_length=1,
        description="The digits that are kept, such as `[0, 1]`; all by default.",
    )

    def known_fields(self) -> dict[str, Field]:
        image = Field(shape=["B", 1, 8, 8], dtype="uint8", range=[0, 16], scale=[0, 1])
        # Of classes by their names each must have samples; below 10 some may have none.
        known = {"below": 10} if self.only else {"classes": [str(digit) for digit in range(10)]}
        return {"image": image, "label": Field(shape=["B"], dtype="int64", **known)}


class Idx(Source):
    """Files in the IDX format of MNIST, gzipped or not: one per field, in the fields' order.

    A file that is not gzipped is read as needed, so that it may be larger than the memory.
    """

    name: ClassVar[str] = "idx"
    title: ClassVar[str] = "the source `idx`"

    train: list[Path] = Setting(
        min_length=1, description="One file for each field, in the order of `fields`."
    )
    test: list[Path] | None = Setting(
        default=None, min_length=1, description="The same for the test samples."
    )

    @property
    def has_test(self) -> bool:
        return self.test is not None

    def paths(self) -> list[str]:
        return [*self.train, *(self.test or [])]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        for part, files in (("train", self.train), ("test", self.test)):
            if files is not None and len(files) != len(fields):
                yield Problem(
                    Code.O501,
                    f"`{part}` expects one file for each of the {len(fields)} fields "
                    f"({', '.join(fields)}), found {len(files)}",
                    (part,),
                )


class Npy(Source):
    """Files of numpy's format .npy, one array each, read as needed. Pickles in them are refused."""

    name: ClassVar[str] = "npy"
    title: ClassVar[str] = "the source `npy`"

    files: dict[str, Path] = Setting(
        min_length=1, description="Field -> file: `{image: images.npy, label: labels.npy}`."
    )
    test_files: dict[str, Path] = Setting(default={}, description="The same for the test samples.")

    @property
    def has_test(self) -> bool:
        return bool(self.test_files)

    def paths(self) -> list[str]:
        return [*self.files.values(), *self.test_files.values()]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        for key, files in (("files", self.files), ("test_files", self.test_files)):
            yield from strangers(key, files, fields)
            lacking = [name for name in fields if name not in files]
            if files and lacking:
                yield Problem(
                    Code.O501,
                    f"`{key}` expects a file for each field, found none for "
                    f"{', '.join(f'`{name}`' for name in lacking)}",
                    (key,),
                    help=f"add `{lacking[0]}: {lacking[0]}.npy`",
                )
        yield from self._overlap()

    def _overlap(self) -> Iterator[Problem]:
        for name, file in self.test_files.items():
            if self.files.get(name) == file:
                yield Problem(
                    Code.O502,
                    f"the field `{name}` would train and test on the same file `{file}`",
                    ("test_files", name),
                    help="name the file with its test samples",
                )


class Npz(Source):
    """Arrays of a numpy .npz file. Objects and pickles in it are refused.

    Arrays that are stored uncompressed (`numpy.savez`) are read as needed, so that the file may be
    larger than the memory; compressed ones are read whole.

    Samples of different lengths lie one after the other in one array [total, ...], and a second one
    of N + 1 integers, the offsets, says where each begins and the last one ends:
    `ragged: {tokens: tokens_offsets}`. Such a field has `lengths: n`; the field `n` is made of the
    offsets and needs no array.
    """

    name: ClassVar[str] = "npz"
    title: ClassVar[str] = "the source `npz`"

    path: Path = Setting(description="The .npz file.")
    arrays: dict[str, str] = Setting(
        default={},
        description="Field -> array, where their names differ: `{image: x_train}`.",
    )
    test_path: Path | None = Setting(
        default=None, description="A second .npz file with test samples."
    )
    test_arrays: dict[str, str] = Setting(
        default={}, description="Field -> array of the test samples: `{image: x_test}`."
    )
    ragged: dict[str, str] = Setting(
        default={},
        description="Field of samples of different lengths -> the array of their offsets.",
    )
    test_ragged: dict[str, str] = Setting(
        default={},
        description="The same of the test samples, where these arrays have other names.",
    )

    @property
    def has_test(self) -> bool:
        return self.test_path is not None or bool(self.test_arrays)

    def merged(self, given: Mapping[str, Field]) -> dict[str, Field]:
        """The fields of the spec, and those that hold the lengths of samples."""
        known = Field(shape=["B"], dtype="int64")
        made = {n: override(known, given.get(n)) for n in sorted(self.derived(given))}
        return {**super().merged(given), **made}

    def derived(self, fields: Mapping[str, Field]) -> set[str]:
        lengths = (fields[name].lengths for name in self.ragged if name in fields)
        return {name for name in lengths if name}

    def field_problems(self, name: str, field: Field) -> Iterator[Problem]:
        if name in self.ragged and field.lengths is None:
            yield Problem(
                Code.O501,
                f"the field `{name}` has samples of different lengths, and needs `lengths`",
                help="add `lengths: n`; a field `n` [B] of the data then holds them",
            )
        if name in self.ragged and field.lengths in {*self.ragged, *self.arrays}:
            yield Problem(
                Code.O502,
                f"`{field.lengths}` holds the lengths of `{name}`, which its offsets tell, and "
                "can't have an array of its own",
                ("lengths",),
                help=f"take `{field.lengths}` out of `arrays` and `ragged`, or give `lengths` "
                "another name",
            )

    def paths(self) -> list[str]:
        return [self.path, *([self.test_path] if self.test_path else [])]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        yield from strangers("arrays", self.arrays, fields)
        yield from strangers("test_arrays", self.test_arrays, fields)
        yield from strangers("ragged", self.ragged, fields)
        yield from self._idle_ragged()
        if self.has_test and self.test_path in (None, self.path):
            yield from self._overlap(fields)

    def _idle_ragged(self) -> Iterator[Problem]:
        for name in self.test_ragged:
            if name not in self.ragged:
                yield Problem(
                    Code.O502,
                    f"`test_ragged` names `{name}`, whose training samples have one length",
                    ("test_ragged", name),
                    help=f"add it to `ragged`, or remove it: `ragged: {{{name}: ...}}`",
                )
        if self.test_ragged and not self.has_test:
            yield Problem(
                Code.O502,
                "`test_ragged` expects test samples, found neither `test_path` nor `test_arrays`",
                ("test_ragged",),
                help="remove `test_ragged`, and `split` sets test samples aside",
            )

    def _overlap(self, fields: list[str]) -> Iterator[Problem]:
        if self.test_path and not self.test_arrays:
            yield from same_place(self.path, self.test_path)
            return
        for name in self.ragged:
            if name not in self.test_ragged:
                yield Problem(
                    Code.O501,
                    f"`test_ragged` expects the offsets of the test samples of `{name}`, found "
                    "none",
                    help=f"name their array: `test_ragged: {{{name}: ...}}`",
                )
        for name in fields:
            train, test = self.arrays.get(name, name), self.test_arrays.get(name, name)
            if train == test:
                yield Problem(
                    Code.O502,
                    f"the field `{name}` would train and test on the same array `{train}`",
                    ("test_arrays",),
                    help=f"name its test array: `test_arrays: {{{name}: ...}}`",
                )
