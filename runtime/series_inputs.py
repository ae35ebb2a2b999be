"""The end of a time series in a CSV or Parquet file as an input: what comes next is forecast.

Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.objectives.series_source import PARQUET, Series
from ..compiler.suggest import listing
from .bundle import SeriesForm
from .data.series import One, read_file
from .input_checks import Arrays

PAST = "past"
"""The input that takes it."""

CORRECT = "correct the file: it must be as those of training; `netwright inspect` names the columns"


@dataclass(frozen=True)
class Ends:
    """The last window of each series of a file.

    names: of the series; one empty name where there is one alone. notes: what was left out, in
    sentences.
    """

    arrays: Arrays
    names: Sequence[str]
    notes: tuple[str, ...] = ()


def read_ends(path: Path, form: SeriesForm) -> Ends:
    """The last `window` rows of each series in a file.

    Raises: NetwrightError: F601, F602: as in training.
    """
    try:
        found = read_file(_settings(path, form), path)
    except NetwrightError as error:
        raise NetwrightError(*(replace(d, help=CORRECT) for d in error.diagnostics)) from error
    long = [one for one in found if len(one.values) >= form.window]
    if not long:
        longest = max((len(one.values) for one in found), default=0)
        raise failure(
            Code.F601,
            f"expected at least the {form.window:,} rows that the program reads in `{path}`, found "
            f"{longest:,}",
            help="add the rows before them",
        )
    past = np.stack([one.values[-form.window :] for one in long])
    return Ends({PAST: past}, [one.name if form.group else "" for one in long], _notes(form, found))


def _notes(form: SeriesForm, found: Sequence[One]) -> tuple[str, ...]:
    short = [one.name for one in found if len(one.values) < form.window]
    text = f"left out series with fewer than {form.window:,} rows: {listing(short, 5)}"
    return (text,) if short else ()


def _settings(path: Path, form: SeriesForm) -> Series:
    """The settings with which training would have read the columns of the past."""
    given = form.model_dump(exclude={"delimiter", "decimal"})
    if not path.name.endswith(PARQUET):
        given |= {"delimiter": form.delimiter, "decimal": form.decimal}
    return Series(path=[path.name], horizon=1, **given)
