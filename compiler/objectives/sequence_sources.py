"""Sources of sequences: tasks that are drawn, and images read as sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .array_sources import Digits, Idx, Npy, Npz
from .fields import Field, Steps
from .image_sources import ImageFolder
from .problem import Problem
from .section import OneKey
from .source import Source

COPIED, LETTERS = 10, 8
"""How many letters `copy_memory` repeats, and of how many there are."""

LARGEST_SEED = 2**63 - 1


class Drawn(Source):
    """A task whose samples are drawn from a seed: the same seed, the same samples.

    Training and test samples are drawn apart.
    """

    samples: int = Setting(default=50_000, ge=2, le=10**9, description="How many train.")
    test_samples: int = Setting(default=10_000, ge=1, le=10**9, description="How many test.")
    seed: int = Setting(default=0, ge=0, le=LARGEST_SEED, description="What they are drawn from.")

    @property
    def has_test(self) -> bool:
        return True


class Task(Drawn):
    """A task with samples of one length."""

    length: int = Setting(default=100, ge=2, le=1_000_000, description="T, the steps of a sample.")


class Adding(Task):
    """The adding problem: the sum of two numbers among `length`, both of which are marked.

    Each step holds a number from [0, 1] and a mark, 1 at one step of the first half and at one of
    the second, else 0. Whoever always answers 1 has a mean squared error of 1/6.

    Fields: `sequence` float32 [B, length, 2]; `total` float32 [B, 1], the sum of both numbers.
    Source: Hochreiter and Schmidhuber 1997, in the form of Arjovsky et al. 2016.
    """

    name: ClassVar[str] = "adding"
    title: ClassVar[str] = "the source `adding`"

    def known_fields(self) -> dict[str, Field]:
        return {
            "sequence": Steps(shape=["B", self.length, 2], dtype="float32"),
            "total": Field(shape=["B", 1], dtype="float32"),
        }


class CopyMemory(Task):
    """The copy task: repeat 10 letters after `length` steps of waiting.

    The letters, of 8, are the tokens 1 to 8; 0 is a blank and 9 asks for the answer: 10 letters,
    length - 1 blanks, a 9, 10 blanks. The target is blank but for its last 10 steps, the letters.
    Whoever remembers nothing has a cross-entropy of 10 ln 8 / (length + 20).

    Fields: `tokens` and `target`, int64 [B, length + 20], below 10.
    Source: Hochreiter and Schmidhuber 1997, in the form of Arjovsky et al. 2016.
    """

    name: ClassVar[str] = "copy_memory"
    title: ClassVar[str] = "the source `copy_memory`"

    def known_fields(self) -> dict[str, Field]:
        field = Field(shape=["B", self.length + 2 * COPIED], dtype="int64", below=LETTERS + 2)
        return {"tokens": field, "target": field}


TAGS = ["outside", "inside", "matched", "unmatched"]
"""Of letters without and within a pair of brackets, of brackets with a partner and without."""

OPEN, CLOSE, TOKENS = 0, 1, 10
"""The brackets among the tokens of `brackets`, and how many tokens there are."""


class Brackets(Task):
    """Brackets among letters: each step gets a tag, for which both sides of it must be read.

    A sequence has 2 to `length` steps, each number as often as any other. A step is an opening
    bracket (token 0) or a closing one (1) with probability 0.15 each, else one of 8 letters (2 to
    9). A closing bracket is the partner of the last opening one that has none yet. A letter is
    `inside` where a pair of partners encloses it, else `outside`; a bracket is `matched` where it
    has a partner, else `unmatched`. What tells of an opening bracket whether it has one stands
    behind it, and of a closing one before it.

    Fields: `tokens` int64 [B, length] below 10 and `tags` int64 [B, length], both with the lengths
    `n` int64 [B]. Give both `shape: [B, T]`, with `T` in `dims`, and a batch is no longer than its
    longest sequence.
    """

    name: ClassVar[str] = "brackets"
    title: ClassVar[str] = "the source `brackets`"

    def known_fields(self) -> dict[str, Field]:
        shape: list[str | int] = ["B", self.length]
        return {
            "tokens": Field(shape=shape, dtype="int64", below=TOKENS, lengths="n"),
            "n": Field(shape=["B"], dtype="int64"),
            "tags": Field(shape=shape, dtype="int64", classes=TAGS, lengths="n"),
        }


FIRST_SYMBOL = 3
"""The first token of `reverse` that is a symbol: 0 pads, 1 begins an answer and 2 ends it."""


class Reverse(Drawn):
    """Say a sequence backwards: a task for `seq2seq`, where nothing but the order is to be learnt.

    The tokens 3 to symbols + 2 are the symbols; a sample has from `shortest` to `longest` of them,
    any number equally often, each drawn evenly. 0 is padding, and 1 and 2 are left for the
    objective's `begin` and `end`, which no sample holds.

    Fields: `source` and `target`, int64 [B, longest], below symbols + 3, padded with 0;
    `source_lengths` and `target_lengths`, int64 [B].
    """

    name: ClassVar[str] = "reverse"
    title: ClassVar[str] = "the source `reverse`"

    symbols: int = Setting(default=10, ge=2, le=100_000, description="How many symbols there are.")
    shortest: int = Setting(default=1, ge=1, le=100_000, description="The fewest of a sample.")
    longest: int = Setting(default=10, ge=1, le=100_000, description="The most of a sample.")

    def known_fields(self) -> dict[str, Field]:
        tokens, lengths = ["B", self.longest], Field(shape=["B"], dtype="int64")
        below, fields = self.symbols + FIRST_SYMBOL, dict[str, Field]()
        for name in ("source", "target"):
            of = f"{name}_lengths"
            fields[name] = Field(shape=tokens, dtype="int64", below=below, lengths=of)
            fields[of] = lengths
        return fields

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        if self.shortest > self.longest:
            yield Problem(
                Code.O502,
                f"`shortest` expects at most the {self.longest} symbols of `longest`, found "
                f"{self.shortest}",
                ("shortest",),
                help="lower it, or raise `longest`",
            )


IMAGE_AXES = 4
"""[B, C, H, W]"""

IMAGE_SOURCES: dict[str, type[Source]] = {
    cls.name: cls for cls in (Digits, ImageFolder, Npy, Npz, Idx)
}


class SequentialImage(Source):
    """The images of another source as sequences, one pixel or one row after the other.

    An image [B, C, H, W] becomes [B, H * W, C] by pixels and [B, H, C * W] by rows; `fields` says
    what it is then. Other fields stay as they are.

    Source: Le et al. 2015, whose pixels may come in one fixed random order, too.
    """

    name: ClassVar[str] = "sequential_image"
    title: ClassVar[str] = "the source `sequential_image`"

    images: Annotated[Source, OneKey(IMAGE_SOURCES, "source of images")] = Setting(
        description="Where the images come from."
    )
    field: str = Setting(default="image", description="The field that holds them.")
    by: Literal["pixel", "row"] = Setting(default="pixel", description="What one step holds.")
    permutation: int | None = Setting(
        default=None,
        ge=0,
        le=LARGEST_SEED,
        description="Draws one order of the steps for all samples from this seed; as they lie in "
        "the image unless given.",
    )

    @property
    def has_test(self) -> bool:
        return self.images.has_test

    def known_fields(self) -> dict[str, Field]:
        known = self.images.known_fields()
        found = known.get(self.field)
        if found is None or found.shape is None or len(found.shape) != IMAGE_AXES:
            return known  # `problems` tells it
        _, channels, height, width = found.shape
        steps = [height * width, channels] if self.by == "pixel" else [height, channels * width]
        settings = {key: getattr(found, key) for key in found.model_fields_set}
        return {**known, self.field: Steps(**{**settings, "shape": ["B", *steps]})}

    def paths(self) -> list[str]:
        return self.images.paths()

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        place = ("images", self.images.name)
        for problem in self.images.problems(fields):
            also = problem.also and ((*place, *problem.also[0]), problem.also[1])
            yield replace(problem, path=(*place, *problem.path), also=also)
        if fields and self.field not in fields:
            yield Problem(
                Code.O501,
                f"`field` names `{self.field}`, which `fields` does not have",
                ("field",),
                help=f"the fields are {', '.join(f'`{f}`' for f in fields)}",
            )
            return
        if isinstance(self.images, Npz) and self.field in self.images.ragged:
            yield Problem(
                Code.O502,
                f"`sequential_image` expects images of one size, found `{self.field}` in `ragged`",
                (*place, "ragged", self.field),
                help="sequences of different lengths are read by the source `npz` alone",
            )
        known = self.images.known_fields().get(self.field)
        if known is not None and known.rank != IMAGE_AXES:
            yield Problem(
                Code.O501,
                f"`field` expects images, found `{self.field}` of shape "
                f"[{', '.join(map(str, known.shape or ()))}]",
                ("field",),
                help="name the field that holds images",
            )
