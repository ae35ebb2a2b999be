"""Opening runs, and the data of a compiled spec. Torch-free: mistakes in it are told at once.

A spec may leave the names of classes to its data, as with images in folders, and the mean and
deviation to normalize by. A run records what it found, and a compilation of its spec gets it by
`named` and `measured`, so that programs, figures and pictures are as if the spec had declared it,
and data with other classes is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..compiler.diagnostics import Code, NetwrightError, Sink, failure
from ..compiler.driver import Compilation, compile_spec
from ..compiler.objectives.base import Context, Objective
from ..compiler.objectives.field_checks import unmeasured
from ..compiler.objectives.fields import Field, Normalize, with_classes, with_statistics
from ..compiler.objectives.pairs import Pairs
from ..compiler.objectives.supervised import Supervised
from ..compiler.suggest import listing
from .data.dataset import Dataset, open_data, open_source
from .data.sources import found_classes
from .runs import RUN, SPEC, check_same_spec, read_run, recorded_classes, recorded_statistics
from .stages import used_stage


def open_run(folder: Path) -> Compilation:
    """The spec that a run trains, with what it found in its data.

    Of a run that grows it is the stage that the run is measured and exported with.

    Raises: NetwrightError: R901: the folder is no run, or its record is damaged. R902: its spec was
        changed since; or what the compiler finds in it.
    """
    return used_stage(open_stages(folder), folder)


def open_stages(folder: Path) -> Compilation:
    """The same with all stages, of a run that grows."""
    read_run(folder)
    compilation = compile_spec(folder / SPEC)
    check_same_spec(folder, compilation)
    return as_recorded(compilation, folder)


def as_recorded(compilation: Compilation, folder: Path) -> Compilation:
    """The spec of a run with the classes and statistics that `run.json` has of its data.

    Raises: NetwrightError: R901: the record is damaged, or lacks statistics that the spec asks for.
    """
    statistics = recorded_statistics(folder)
    if lost := unmeasured(with_statistics(compilation.fields, statistics)):
        raise failure(
            Code.R901,
            f"the record `{folder / RUN}` is damaged: it lacks the mean and deviation of `{lost}` "
            "in the training samples",
            help="train again",
        )
    return measured(named(compilation, recorded_classes(folder)), statistics)


def completed(compilation: Compilation, dataset: Dataset) -> Compilation:
    """A compilation with what its opened data gives: names of classes, means and deviations."""
    return measured(named(compilation, dataset.found), dataset.measured)


def measured(compilation: Compilation, statistics: Mapping[str, Normalize]) -> Compilation:
    """A compilation as if its spec had these means and deviations; its programs contain them."""
    if not statistics:
        return compilation
    stages = tuple(measured(stage, statistics) for stage in compilation.stages)
    fields = with_statistics(compilation.fields, statistics)
    told = replace(compilation, fields=fields, stages=stages)
    objective = compilation.spec.objective if compilation.programs else None
    return replace(told, programs=objective.programs(context_of(told)) if objective else {})


def named(compilation: Compilation, classes: Mapping[str, Sequence[str]]) -> Compilation:
    """A compilation as if its spec had declared these names of classes, by their fields."""
    if not classes:
        return compilation
    stages = tuple(named(stage, classes) for stage in compilation.stages)
    told = replace(compilation, fields=with_classes(compilation.fields, classes), stages=stages)
    objective = compilation.spec.objective
    return replace(told, labels=objective.labels(context_of(told)) if objective else {})


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
    _check_classes(compilation, folder)
    bound = spec.objective and not compilation.has_errors
    rules = objective_of(compilation).label_rules(context_of(compilation)) if bound else {}
    return open_data(spec.data, compilation.fields, spec.dims, folder, rules)


def check_other_sources(compilation: Compilation, dataset: Dataset) -> None:
    """Open what is measured beside the spec's own data, so that no run ends with a missing file.

    Raises: NetwrightError: F601, F602, with what asks for the data.
    """
    for asks, source in objective_of(compilation).other_sources().items():
        try:
            open_source(source, dataset.fields, compilation.spec.dims, dataset.folder)
        except NetwrightError as error:
            note = f"it is the other source that `{asks}` of the objective's metrics asks for"
            told = (replace(d, notes=(*d.notes, note)) for d in error.diagnostics)
            raise NetwrightError(*told) from error


def _check_classes(compilation: Compilation, folder: Path) -> None:
    """Refuse data with other classes than those that `named` has given."""
    data = compilation.spec.data
    assert data
    known = {name: field.classes for name, field in compilation.fields.items() if field.classes}
    given = {name for name, field in data.fields.items() if field.classes}
    if known.keys() <= given:
        return
    for name, found in found_classes(data.source, folder).items():
        if name in known and name not in given and found != known[name]:
            raise failure(
                Code.F601,
                f"expected the {len(known[name])} classes of `{name}` that the network learnt, "
                f"found {', and '.join(_differences(known[name], found))}",
                notes=[f"it learnt {listing(known[name])}"],
                help="name the folder of the data that it learnt from with `--data-dir`, or train "
                "a new run",
            )


def _differences(known: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    lost = [name for name in known if name not in found]
    new = [name for name in found if name not in known]
    if lost:
        yield f"none of {listing(lost)}"
    if new:
        yield f"{listing(new)} besides"
    if not lost and not new:
        yield "them in another order"


def objective_of(compilation: Compilation) -> Objective:
    """The settings of the objective, of a spec that `check_trainable` has passed."""
    objective = compilation.spec.objective
    assert objective
    return objective


def context_of(compilation: Compilation) -> Context:
    """What the objective of a spec without mistakes refers to."""
    spec = compilation.spec
    return Context(
        compilation.graphs, compilation.fields, spec.dims, compilation.located.span, Sink()
    )


def input_fields(compilation: Compilation) -> dict[str, Field]:
    """What the inputs of programs hold, by name.

    Where a field does not say how many ids it has, there are as many as the layer has room for that
    looks them up: a lookup of others would crash, or take some for others.
    """
    objective, fields = objective_of(compilation), dict(compilation.fields)
    for name, rules in objective.label_rules(context_of(compilation)).items():
        if rules.room is not None and fields[name].class_total is None:
            fields[name] = fields[name].model_copy(update={"below": rules.room})
    return {**fields, **objective.other_inputs(fields, compilation.graphs)}


def settings_of(compilation: Compilation) -> Supervised:
    """The settings of `supervised`, for what only that objective has."""
    objective = compilation.spec.objective
    assert isinstance(objective, Supervised)
    return objective


def pairs_of(compilation: Compilation) -> Pairs:
    """How the outputs of `supervised` meet their targets."""
    return settings_of(compilation).pairs(context_of(compilation))


def class_names(compilation: Compilation, count: int) -> list[str]:
    """The names of a classifier's classes; their numbers where the data has no names."""
    return objective_of(compilation).class_names(compilation.fields, count)
