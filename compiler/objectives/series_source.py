"""Time series: windows of rows that follow each other in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .fields import Field, Steps
from .problem import FIRST, Problem, repeats
from .section import listed
from .source import Path, Source

PARQUET = (".parquet", ".pq")
"""How names of Parquet files end; others are CSV files."""

LONGEST = 1_000_000
"""The most steps of a window or a horizon."""

Column = Annotated[str, Setting(min_length=1)]


class Series(Source):
    """One or several time series: what was measured in the past, and what is to be forecast.

    The file has a row for each step of time, the earliest first. Each sample is a window of
    `window` rows and the `horizon` rows behind it. Samples of training, validation and testing
    follow each other in time: the last ones test. Windows with a row that a later part is to
    forecast are left out, so that no value is trained on and tested, too.

    Fields: `past` float32 [B, window, columns]; `future` float32 [B, horizon, forecast columns].
    """

    name: ClassVar[str] = "series"
    title: ClassVar[str] = "the source `series`"
    is_ordered: ClassVar[bool] = True

    path: list[Path] = Setting(
        default=[],
        description="The file, or a list of files: each is a series of its own. CSV, or Parquet "
        "where its name ends in `.parquet`.",
    )
    dataset: Literal["co2", "nile", "sunspots"] | None = Setting(
        default=None,
        description="A series that the package statsmodels ships, in place of `path`: weekly CO2 "
        "in the air, the yearly flow of the Nile, or yearly sunspots.",
    )
    columns: list[Column] = Setting(
        min_length=1, description="What is read of each row: one column, or a list."
    )
    forecast: list[Column] | None = Setting(
        default=None, min_length=1, description="The columns to forecast: `columns` unless given."
    )
    window: int = Setting(ge=1, le=LONGEST, description="How many steps of the past are read.")
    horizon: int = Setting(ge=1, le=LONGEST, description="How many steps ahead are forecast.")
    stride: int = Setting(
        default=1, ge=1, le=LONGEST, description="Steps from one window to the next."
    )
    season: int | None = Setting(
        default=None,
        ge=1,
        description="After how many steps the series is alike again: the naive forecast of "
        "`baseline` and of the report then repeats the last season, else the last value.",
    )
    time: Column | None = Setting(
        default=None,
        description="A column of ISO dates or numbers, which must ascend in even steps; it is not "
        "read for anything else.",
    )
    group: Column | None = Setting(
        default=None,
        description="A column that tells series in one file apart; no window has rows of two.",
    )
    missing: Literal["error", "previous"] = Setting(
        default="error",
        description="What happens where a value, or by `time` a row, is missing: `previous` "
        "repeats the last one before it. Nothing is taken from later rows, which test.",
    )
    delimiter: Annotated[str, Setting(min_length=1, max_length=1)] = Setting(
        default=",", description='What parts the columns of a CSV file: `","`, `";"` or `"\\t"`.'
    )
    decimal: Literal[".", ","] = Setting(
        default=".", description="What parts the decimals of a number in a CSV file."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return listed(data, "path", "columns", "forecast")

    @property
    def targets(self) -> list[str]:
        """The columns of `future`."""
        return self.columns if self.forecast is None else self.forecast

    @property
    def used(self) -> list[str]:
        """Every column of numbers, once."""
        return list(dict.fromkeys([*self.columns, *self.targets]))

    @property
    def span(self) -> int:
        """The rows of a sample."""
        return self.window + self.horizon

    def known_fields(self) -> dict[str, Field]:
        return {
            "past": Steps(shape=["B", self.window, len(self.columns)], dtype="float32"),
            "future": Steps(shape=["B", self.horizon, len(self.targets)], dtype="float32"),
        }

    def columns_of(self, field: str) -> list[str]:
        """The names of a field's channels."""
        return {"past": self.columns, "future": self.targets}.get(field, [])

    def paths(self) -> list[str]:
        return list(self.path)

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        yield from self._place()
        for key in ("path", "columns", "forecast"):
            names = getattr(self, key) or []
            for index, first in repeats(names):
                yield Problem(
                    Code.S102,
                    f"`{key}` expects different names, found `{names[index]}` twice",
                    (key, index),
                    also=((key, first), FIRST),
                )
        if self.group in self.used:
            yield Problem(
                Code.O502,
                f"`group` expects a column that tells series apart, found `{self.group}`, which is "
                "one of their values",
                ("group",),
            )
        if self.season is not None and self.season > self.window:
            yield Problem(
                Code.O502,
                f"`season` expects at most the {self.window} steps of `window`, where the last "
                f"season is read, found {self.season}",
                ("season",),
                help=f"write `window: {self.season}` or more",
            )
        yield from self._idle()

    def _place(self) -> Iterator[Problem]:
        if self.path and self.dataset:
            yield Problem(
                Code.O502,
                "`path` and `dataset` exclude each other, found both",
                ("dataset",),
                help="keep the one that the network shall learn from",
            )
        if not self.path and not self.dataset:
            yield Problem(
                Code.S102,
                f"{self.title} needs `path`",
                help="name the file, or a data set that is installed: `dataset: sunspots`",
            )

    def _idle(self) -> Iterator[Problem]:
        """Settings of CSV files, where no file is a user's CSV file."""
        if any(not path.endswith(PARQUET) for path in self.path):
            return
        for key in ("delimiter", "decimal"):
            if key in self.model_fields_set:
                found = "Parquet files" if self.path else "a data set"
                yield Problem(
                    Code.O502, f"`{key}` expects a CSV file, found {found}", (key,),
                    help=f"remove `{key}`",
                )  # fmt: skip
