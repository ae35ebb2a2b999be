"""Rows of a CSV or Parquet file as inputs, by the rules that training read its table with.

Torch-free. Only the columns of inputs are read: a table to predict has no answers in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..compiler.diagnostics import Code, Diagnostic, NetwrightError
from ..compiler.ir.dims import Symbol
from ..compiler.objectives.fields import Field
from ..compiler.objectives.table_sources import Csv, Drop, Fill, Missing, Parquet, Refuse, Table
from ..compiler.suggest import listing
from .bundle import Bounds, Port, TableForm
from .data.check import Checker
from .data.tables import TableColumn, read_table
from .input_checks import Arrays

KINDS: dict[str, type[Table]] = {
    ".csv": Csv,
    ".tsv": Csv,
    ".txt": Csv,
    ".parquet": Parquet,
    ".pq": Parquet,
}
"""How names of tables end; one with another ending is of the kind that training read."""

CORRECT = "correct the file: its columns must be as in training; `netwright inspect` names them"


@dataclass(frozen=True)
class Rows:
    """Inputs from a table.

    numbers: [N] the row of each sample, the first below the header being row 1.
    notes: what was left out or filled in, in sentences.
    """

    arrays: Arrays
    numbers: list[int]
    notes: tuple[str, ...]


def read_rows(
    path: Path,
    ports: Mapping[str, Port],
    symbols: Mapping[str, Bounds],
    form: TableForm,
    source: str,
) -> Rows:
    """The rows of a table.

    Args:
        ports: the inputs. symbols: the sizes that they name. source: the kind of training's table.
    Raises: NetwrightError: F601, F602: as in training.
    """
    fields = {name: _field(port) for name, port in ports.items()}
    dims = {name: Symbol(name, b.min, b.max, b.multiple_of) for name, b in symbols.items()}
    with _told_for_predictions(ports, form):
        raw = read_table(_settings(path, form, source), fields, path.parent)
        checker = Checker(fields, dims, {})
        columns = checker.conform(raw.train, "the rows to predict")
        if checker.problems:
            raise NetwrightError(*checker.problems)
    first = next(iter(raw.train.values()))
    assert isinstance(first, TableColumn)
    arrays = {name: column.whole() for name, column in columns.items()}
    return Rows(arrays, first.rows.tolist(), raw.notes)


def _field(port: Port) -> Field:
    """What the field of an input declares about its cells."""
    labels = {"classes": port.classes} if port.classes else {"below": port.below}
    return Field.model_validate(
        {
            "shape": port.shape,
            "dtype": port.dtype,
            "lengths": port.lengths,
            **{name: value for name, value in labels.items() if value is not None},
        }
    )


def _settings(path: Path, form: TableForm, source: str) -> Table:
    """The settings with which training would have read this file."""
    kind = KINDS.get(path.suffix.lower(), Parquet if source == "parquet" else Csv)
    given: dict[str, Any] = {
        "path": path.name,
        "columns": form.columns,
        "missing": _missing(form),
    }
    if kind is Csv:
        given |= {"delimiter": form.delimiter, "decimal": form.decimal}
    return kind(**given)


def _missing(form: TableForm) -> Missing:
    if isinstance(form.missing, float):
        return Fill(value=form.missing)
    return Drop() if form.missing == "drop" else Refuse()


@contextmanager
def _told_for_predictions(ports: Mapping[str, Port], form: TableForm) -> Iterator[None]:
    """Mistakes in a table with help for someone who has the bundle and not the spec."""
    try:
        yield
    except NetwrightError as error:
        raise NetwrightError(*(_helped(p, ports, form) for p in error.diagnostics)) from error


def _helped(problem: Diagnostic, ports: Mapping[str, Port], form: TableForm) -> Diagnostic:
    """A mistake without help that changes the spec, which would need another training."""
    similar = problem.help is not None and "with a similar name exists" in problem.help
    if problem.code is not Code.F601 or similar:
        return problem
    notes = (
        f"`{name}` learnt the classes {listing(port.classes)}"
        for name, port in ports.items()
        if port.classes and f"column `{form.columns.get(name, name)}`" in problem.message
    )
    return replace(problem, notes=(*problem.notes, *notes), help=CORRECT)
