"""Opening the data of a compiled spec. Torch-free, so that mistakes in it are told at once."""

from __future__ import annotations

from pathlib import Path

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.driver import Compilation
from ..compiler.objectives.losses import CrossEntropy, class_count
from ..compiler.objectives.supervised import Supervised
from .data.check import Labels
from .data.dataset import Dataset, open_data


def check_trainable(compilation: Compilation) -> None:
    """Raises: NetwrightError: the spec has errors; S102: it lacks a section that is needed."""
    if compilation.has_errors:
        raise NetwrightError(*compilation.diagnostics)
    for section in ("data", "objective"):
        if getattr(compilation.spec, section) is None:
            raise failure(
                Code.S102,
                f"expected a section `{section}`, found a spec without it",
                span=compilation.located.span(()),
                notes=["networks alone can be checked and compiled, but not trained or exported"],
                help=f"add `{section}:`; `netwright init` writes an example",
            )


def read_data(compilation: Compilation, folder: Path) -> Dataset:
    """A spec's data, read, checked and split. Its networks may have mistakes.

    Args:
        folder: what the data's paths are relative to.
    Raises: NetwrightError: F602: a file is missing or damaged. F601: it holds something else.
    """
    spec = compilation.spec
    assert spec.data
    bound = spec.objective and not compilation.has_errors
    rules = _label_rules(compilation) if bound else {}
    return open_data(spec.data, compilation.fields, spec.dims, folder, rules)


def _label_rules(compilation: Compilation) -> dict[str, Labels]:
    """What each loss of classes needs of its labels: torch would crash on others."""
    objective = settings_of(compilation)
    outputs = compilation.graphs[objective.network.network].outputs
    rules: dict[str, Labels] = {}
    for loss in (item.loss for item in objective.losses):
        if isinstance(loss, CrossEntropy):
            ignored = frozenset() if loss.ignore is None else frozenset({loss.ignore})
            rules[loss.target] = Labels(class_count(outputs[loss.output].type), ignored)
    return rules


def settings_of(compilation: Compilation) -> Supervised:
    """The settings of the objective; `supervised` is the only one so far."""
    objective = compilation.spec.objective
    assert isinstance(objective, Supervised)
    return objective


def class_names(compilation: Compilation, count: int) -> list[str]:
    """The names of a classifier's classes; their numbers where the data has no names."""
    for loss in (item.loss for item in settings_of(compilation).losses):
        names = compilation.fields[loss.target].classes
        if names and len(names) == count:
            return names
    return [str(index) for index in range(count)]
