"""`netwright data`: what the data of a spec holds, in words and as a picture. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ..compiler.driver import Compilation
from ..compiler.objectives.fields import Field
from ..compiler.objectives.series_source import Series
from ..compiler.objectives.source import Source
from ..compiler.objectives.table_sources import Table
from ..compiler.objectives.text_sources import TOKENS, Text
from ..compiler.source import Span
from ..compiler.summary import short_number
from .data.columns import Column, count
from .data.dataset import Dataset, Part
from .data.normalizing import fitting_normalize, split_axis, transformed
from .data.spelling import flow, word
from .data.statistics import Numbers, class_counts, is_looked_at_whole, looked_at, numbers, repeats
from .data.text import text_sha256
from .describe_text import text_lines
from .memory import enough_memory
from .opening import read_data

PARTS: tuple[Part, ...] = ("train", "validation", "test")
STORED = {"memory": "memory", "mapped": "the file, read as needed", "files": "image files"}

BAR = 32
"""The length of the longest bar, in letters."""

LISTED = 24
"""Up to this many classes or columns, each has a line."""

ENDS = 5
"""Of more classes, so many of the most and of the least frequent have one."""


@enough_memory("looking at the data")
def describe_data(
    compilation: Compilation, folder: Path | None = None, picture: Path | None = None
) -> Iterator[str]:
    """Open a spec's data and tell what it holds.

    Args:
        folder: what the data's paths are relative to; None for the spec's folder.
        picture: a PNG of samples to write.
    Returns: the lines to print.
    Raises: NetwrightError: S102: the spec has no data. F601, F602: the data. R903: the picture
        can't be written.
    """
    data = compilation.spec.data
    if compilation.has_errors and not _is_readable(compilation):
        raise NetwrightError(*compilation.diagnostics)
    if data is None:
        raise failure(
            Code.S102,
            "expected a section `data`, found a spec without it",
            span=compilation.located.span(()),
            help="add `data:`; `netwright init` writes an example",
        )
    folder = folder or compilation.folder
    dataset = read_data(compilation, folder)
    teller = _Teller(dataset, data.source)
    yield f"data of {compilation.spec.name}: {data.source.name}"
    yield from (f"note: {note}" for note in dataset.notes)
    if compilation.has_errors:
        yield "note: other sections of the spec have mistakes, which `netwright check` shows"
    yield from teller.lines()
    if isinstance(data.source, Text) and data.source.package is not None:
        yield ""
        yield f"for the spec's `package`: `sha256: {word(text_sha256(data.source, folder))}`"
    if picture is None:
        return
    from .data_sheet import draw_samples

    draw_samples(dataset, teller.columns_of, compilation.spec.name, picture)
    yield ""
    yield f"wrote {picture}"


def _is_readable(compilation: Compilation) -> bool:
    """Whether the section `data` itself has no mistakes: networks often come after a look at it."""
    section = compilation.located.spans.get(("data",))
    errors = [d for d in compilation.diagnostics if d.severity == "error"]
    return section is not None and all(_is_elsewhere(error, section) for error in errors)


def _is_elsewhere(error: Diagnostic, section: Span) -> bool:
    span = error.span
    if span is None:
        return False
    return span.file != section.file or not section.line <= span.line <= section.end_line


class _Teller:
    """Describes a dataset."""

    def __init__(self, dataset: Dataset, source: Source) -> None:
        self._dataset = dataset
        self._table = source if isinstance(source, Table | Series) else None
        self._text = source if isinstance(source, Text) else None
        self._train = looked_at(dataset.parts["train"])
        self._suggestions: list[str] = []

    def lines(self) -> Iterator[str]:
        yield ""
        yield from self._parts()
        looked, total = count(self._train), self._dataset.size("train")
        if looked < total:
            yield f"figures are those of {looked:,} training samples, taken at even distances"
        yield from self._fields()
        yield ""
        yield from self._repeats()
        if self._suggestions:
            yield ""
            yield f"for the spec's section `data`{self._about_normalize()}:"
            yield "  fields:"
            yield from (f"    {line}" for line in self._suggestions)

    def _about_normalize(self) -> str:
        if not any("normalize" in line for line in self._suggestions):
            return ""
        scaled = any(field.scale for field in self._dataset.fields.values())
        place = ", in place of `scale`," if scaled else ""
        return f"; `normalize`{place} gives mean 0 and deviation 1"

    def columns_of(self, name: str) -> list[str]:
        """The names of a field's columns, where it has several that have names."""
        if isinstance(self._table, Series):
            return self._table.columns_of(name)
        if self._table is None or not isinstance(self._table.columns.get(name), list):
            return []
        return self._table.named(name)

    def _parts(self) -> Iterator[str]:
        rows = [("part", "samples", "in memory", "kept in")]
        for part in PARTS:
            if self._dataset.has(part):
                facts = self._dataset.facts(part)
                size = f"{short_number(facts.nbytes)}B"
                rows.append((part, f"{facts.samples:,}", size, STORED[facts.storage]))
        yield from _table(rows, left=(0, 3))

    def _fields(self) -> Iterator[str]:
        if self._text is not None:
            yield ""
            yield from text_lines(self._text, self._dataset.fields[TOKENS], self._train)
            return
        for name, field in self._dataset.fields.items():
            yield ""
            yield from self._field(name, field)

    def _field(self, name: str, field: Field) -> Iterator[str]:
        assert field.shape is not None
        yield f"{name}: {field.dtype} [{', '.join(map(str, field.shape))}]"
        yield from _lengths_line(self._train[name])
        if field.class_total is not None:
            yield from self._labels(name, field, field.class_total)
            return
        column = self._train[name]
        axis = split_axis(column.shape, field)
        found = numbers(column, axis=axis)
        span = f"values from {_number(found.low)} to {_number(found.high)}"
        yield f"  {span}, {_moments(*found.whole())}"
        if axis is not None:
            yield from self._by_axis(name, found)
        if field.binarize is not None:
            yield f"  the network sees {_binarized(field, field.binarize)}"
            return  # `normalize`, which would be suggested, excludes `binarize`
        if field.is_transformed:
            yield f"  the network sees {_moments(*transformed(field, found).whole())}"
        is_measured = field.normalize is not None and field.normalize.measured
        if not is_measured and (column.dtype.kind == "f" or column.dtype == np.uint8):
            self._suggest(name, field, found)

    def _by_axis(self, name: str, found: Numbers) -> Iterator[str]:
        """A line for each channel or column."""
        names = self.columns_of(name) or [str(index) for index in range(found.mean.size)]
        rows = [
            (f"  {title}", f"mean {_number(mean)}", f"deviation {_number(std)}")
            for title, mean, std in zip(names, found.mean, found.std, strict=True)
        ]
        yield from _table(rows[:LISTED], left=(0, 1, 2))
        if len(rows) > LISTED:
            yield f"  and {len(rows) - LISTED:,} more"

    def _suggest(self, name: str, field: Field, found: Numbers) -> None:
        rule = fitting_normalize(field, found)
        if rule is not None:
            self._suggestions.append(f"{name}: {rule}")

    def _labels(self, name: str, field: Field, total: int) -> Iterator[str]:
        counts = class_counts(self._train[name], total)
        used = int((counts > 0).sum())
        yield f"  {total:,} classes, {used:,} of them occur in the training samples"
        names = field.classes or [str(index) for index in range(total)]
        if name in self._dataset.found:
            self._suggestions.append(f"{name}: {flow({'classes': names})}")
        yield from _bars(names, counts.tolist())

    def _repeats(self) -> Iterator[str]:
        parts = self._dataset.parts
        others = {str(part): parts[part] for part in PARTS if part != "train"}
        if not all(is_looked_at_whole(part) for part in parts.values()):
            yield "repeated samples are not looked for in so much data"
            return
        inputs, labels = self._roles()
        found = repeats(self._train, others, labels, inputs)
        other = f", {found.conflicting:,} of them with another `{labels}`"
        yield (
            f"repeated: {_samples(found.within, 'training')} with the values of an earlier one"
            + (other if found.conflicting else "")
        )
        for part, shared in found.shared.items():
            if shared:
                yield (
                    f"shared: {_samples(shared, part)} with the values of a training sample: "
                    "figures of that part will be better than those of new data"
                )

    def _roles(self) -> tuple[list[str], str | None]:
        """The fields that make a sample, and the one with its label."""
        fields = self._dataset.fields
        holders = {field.lengths for field in fields.values()}
        inputs = [n for n, f in fields.items() if f.class_total is None and n not in holders]
        inputs = inputs or list(fields)
        others = [name for name in fields if name not in inputs and name not in holders]
        single = (name for name in others if fields[name].rank == 1)
        return inputs, next(single, None)


def _lengths_line(column: Column) -> Iterator[str]:
    """How long the samples are, where they differ; padding counts in no other figure."""
    if column.extent is not None:
        lengths = column.extent.lengths
        told = f"{lengths.min()} to {lengths.max()}, median {np.median(lengths):g}"
        yield f"  lengths from {told}; figures leave padding out"


def _samples(number: int, part: str) -> str:
    return f"{number:,} {part} samples" if number != 1 else f"1 {part} sample"


def _moments(mean: float, std: float) -> str:
    return f"mean {_number(mean)}, deviation {_number(std)}"


def _binarized(field: Field, threshold: float) -> str:
    after = "after `scale`" if field.scale is not None else "as stored"
    return f"1 where a value {after} is above {threshold:g}, else 0"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _table(rows: Sequence[Sequence[str]], left: Sequence[int]) -> Iterator[str]:
    """Rows with their cells one below the other. left: the columns that begin at the left."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _bars(names: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """A line for each class with a bar; of many classes, the most and the least frequent."""
    order = list(range(len(names)))
    if len(names) > LISTED:
        order.sort(key=lambda index: -counts[index])
        order = order[:ENDS] + order[-ENDS:]
    longest, total = max(*counts, 1), max(sum(counts), 1)
    rows = [
        (
            f"  {names[index]}",
            f"{counts[index]:,}",
            f"{counts[index] / total:.1%}",
            "\u2588" * round(BAR * counts[index] / longest),
        )
        for index in order
    ]
    lines = list(_table(rows, left=(0, 3)))
    if len(names) > LISTED:
        lines.insert(ENDS, f"  ... {len(names) - 2 * ENDS:,} classes in between")
    yield from lines
