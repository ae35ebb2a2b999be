"""A source of text: bytes or characters, each to be told from those before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .fields import Field
from .problem import Problem
from .section import Section, listed
from .source import Path, Source

TOKENS, NEXT = "tokens", "next"
"""The fields of a text."""

BYTES = 256
UNKNOWN = "<unknown>"
"""What the id of unknown characters is called: longer than any character."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Package(Section):
    """The files of an installed Python package. Nothing of it is imported."""

    title: ClassVar[str] = "`package`"

    name: Path = Setting(description="What pip calls it.")
    version: Path = Setting(description="The version that must be installed.")
    sha256: str | None = Setting(
        default=None,
        description="The checksum of the text: of the training files and then the test files, one "
        "behind the other. `netwright data` tells it.",
    )

    def problems(self) -> Iterator[Problem]:
        if not _NAME.match(self.name):
            yield Problem(
                Code.S102, f"`name` expects the name of a package, found `{self.name}`", ("name",)
            )
        if self.sha256 is not None and not _SHA256.match(self.sha256):
            yield Problem(
                Code.S102,
                f"`sha256` expects 64 hexadecimal digits in lower case, found `{self.sha256}`",
                ("sha256",),
                help="leave it out, and `netwright data` tells it",
            )


class Text(Source):
    """Text files, read as one long sequence that is cut into windows.

    Fields: `tokens` and `next`, int64 [B, window]: the tokens of a window, and the one after each
    of them. Windows lie one behind the other, so that the token after the last one of a window is
    the first of the next window; what is too short for a window at the end is left out.

    The files of a part are joined with nothing between them: in the order of the patterns, and
    those of one pattern in natural order (`2` before `10`). A character's number is its place among
    the sorted characters of the training files, which a run and its bundle store.
    """

    name: ClassVar[str] = "text"
    title: ClassVar[str] = "the source `text`"
    is_ordered: ClassVar[bool] = True

    train: list[Path] = Setting(
        min_length=1,
        description="Files or patterns of files: `[books/*.txt]`; `**` stands for any folders. "
        "Those that `test` names are left out.",
    )
    test: list[Path] = Setting(
        default=[],
        description="Files or patterns of files that test. Without any, `split` sets the end of "
        "the text aside.",
    )
    package: Package | None = Setting(
        default=None,
        description="Take the files from an installed package: `{name: sphinx, version: 8.1.3}`. "
        "`train` and `test` are patterns of its files then.",
    )
    unit: Literal["byte", "character"] = Setting(
        default="character",
        description="What a token is. byte: one of 256. character: of text in UTF-8.",
    )
    window: int = Setting(default=128, ge=1, description="The tokens of a sample.")
    unknown: Literal["error", "id"] = Setting(
        default="error",
        description="What becomes of characters that the training files do not have. error: they "
        "are refused. id: each becomes 0, and those that are known are numbered from 1.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return listed(data, "train", "test")

    @property
    def has_test(self) -> bool:
        return bool(self.test)

    def known_fields(self) -> dict[str, Field]:
        below = BYTES if self.unit == "byte" else None
        field = Field(shape=["B", self.window], dtype="int64", below=below)
        return {TOKENS: field, NEXT: field}

    def paths(self) -> list[str]:
        return [] if self.package else [*self.train, *self.test]

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        for index, path in enumerate(self.test):
            if path in self.train:
                yield Problem(
                    Code.O502,
                    f"`train` and `test` both name `{path}`: the network would be tested on what "
                    "it was trained on",
                    ("test", index),
                    help="name other files, or remove `test`, and `split` sets the end aside",
                    also=(("train", self.train.index(path)), "here, too"),
                )
        if self.unit == "byte" and self.unknown == "id":
            yield Problem(
                Code.O502,
                "`unknown: id` expects `unit: character`, found `unit: byte`: all 256 bytes are "
                "known",
                ("unknown",),
                help="remove `unknown`",
            )
        if self.package is not None:
            yield from self._package_problems(self.package)

    def _package_problems(self, package: Package) -> Iterator[Problem]:
        for problem in package.problems():
            yield Problem(
                problem.code, problem.message, ("package", *problem.path), help=problem.help
            )
        for key, paths in (("train", self.train), ("test", self.test)):
            for index, path in enumerate(paths):
                if leaves(path):
                    yield Problem(
                        Code.S102,
                        f"`{key}` expects files of the package `{package.name}`, found the path "
                        f"`{path}`, which leads out of it",
                        (key, index),
                        help="write it as `pip show --files` lists it",
                    )


def leaves(path: str) -> bool:
    """Whether a path may lead out of the folder that it is relative to."""
    windows = PureWindowsPath(path)
    anchored = PurePosixPath(path).is_absolute() or windows.drive or windows.root
    return bool(anchored) or ".." in windows.parts
