"""The stages of a spec with `training.grow`: each is compiled, and must begin where one ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .diagnostics import Code, Diagnostic, Label, Severity, Sink
from .ir.graph import Graph, Parameter
from .ir.printer import print_graph
from .language.describe import plain
from .language.param_values import found_words, wanted_instead, write_value
from .language.schema import ParamModel
from .objectives.growing import Grow
from .source import Key, Located, Span
from .suggest import did_you_mean

if TYPE_CHECKING:
    from .driver import Compilation

PLACE = ("training", "grow")

Misfit = tuple[str, Parameter, Parameter]
"""A tensor, and what two stages declare of it."""

CompileStage = Callable[[int, str], "Compilation"]
"""Compiles the stage of a number, for a value of the parameter as text."""


def compile_stages(whole: Compilation, sink: Sink, stage: CompileStage) -> tuple[Compilation, ...]:
    """Compile every stage but the last, which `whole` is.

    Mistakes in them, and weights that can't be carried from one to the next, are reported into
    `sink`; what `whole` has too is there already. Warnings of stages that pass are left out.

    Returns: the stages; () where the settings of `grow` have mistakes.
    """
    grow = whole.spec.training.grow
    assert grow
    if any(
        problem.code.severity is Severity.ERROR for problem in grow.problems(whole.spec.training)
    ):
        return ()
    before = sink.errors
    _check_values(whole, grow, sink)
    if sink.errors > before:
        return ()
    values = [write_value(value) for value in grow.values[:-1]]
    stages = tuple(stage(number, value) for number, value in enumerate(values))
    _report(whole, grow, stages, sink)
    if not sink.errors:
        _check_settled(whole, grow, stages, sink)
        _check_carried(whole, grow, (*stages, whole), sink)
    return stages


def name_of(grow: Grow, number: int) -> str:
    """A stage in words: "where `size` is 16"."""
    return f"where `{grow.param}` is {plain(grow.values[number])}"


def _check_values(whole: Compilation, grow: Grow, sink: Sink) -> None:
    """Whether the parameter is there, may have the values, and has the last of them."""
    spec, located = whole.spec, whole.located
    if grow.param not in spec.params:
        if "params" not in spec.broken:
            sink.add(
                Code.E201,
                f"`grow` names the unknown parameter `{grow.param}`",
                located.span((*PLACE, "param")),
                help=did_you_mean(grow.param, spec.params, "parameter"),
            )
        return
    value, model = spec.params[grow.param], _declared(located, grow.param)
    for index, other in enumerate(grow.values):
        if wanted := wanted_instead(other, value, model):
            sink.add(
                Code.E202,
                f"`values` of `grow` expects {wanted} for `{grow.param}`, found "
                f"{found_words(other)}",
                located.span((*PLACE, "values", index)),
            )
            return
    if value != grow.values[-1]:
        sink.add(
            Code.O502,
            f"`grow` expects the last of its `values` as the value of `{grow.param}`, "
            f"{plain(grow.values[-1])}, so that the spec describes the networks of the last stage, "
            f"found {plain(value)}",
            located.span((*PLACE, "values", len(grow.values) - 1)),
            help=f"write `{grow.param}: {plain(grow.values[-1])}` in `params`",
        )


def _declared(located: Located, name: str) -> ParamModel:
    """What a parameter without mistakes declares of itself."""
    return ParamModel(**ParamModel.desugar(located.data["params"][name]))


def _report(whole: Compilation, grow: Grow, stages: tuple[Compilation, ...], sink: Sink) -> None:
    """Report the mistakes of stages that the spec as it stands has not, each once."""
    known, found = set(sink), dict[Diagnostic, list[int]]()
    for number, stage in enumerate(stages):
        for diagnostic in stage.diagnostics:
            if diagnostic.severity is Severity.ERROR:
                found.setdefault(diagnostic, []).append(number)
    for diagnostic, numbers in found.items():
        if diagnostic not in known:
            values = [plain(grow.values[number]) for number in numbers]
            note = f"in the stage of `grow` {name_of(grow, numbers[0])}"
            if len(values) > 1:
                note = f"in the stages of `grow` where `{grow.param}` is {' or '.join(values)}"
            sink.report(replace(diagnostic, notes=(*diagnostic.notes, note)))


def _check_settled(
    whole: Compilation, grow: Grow, stages: tuple[Compilation, ...], sink: Sink
) -> None:
    """Whether what a run settles once, when it begins, is the same in all stages."""
    for stage, (place, asks) in ((s, one) for s in stages for one in SETTLED.items()):
        if asks(stage) != asks(whole):
            assert stage.stage is not None
            sink.add(
                Code.O502,
                f"`grow` expects the same `{place[-1]}` in all stages, found another one "
                f"{name_of(grow, stage.stage)}",
                whole.located.span(place),
                help=f"let it not depend on `{grow.param}`",
            )
            return


def _roles(stage: Compilation) -> Any:
    objective = stage.spec.objective
    return (objective.name, objective.networks(), objective.judged()) if objective else None


SETTLED: Mapping[Key, Callable[[Compilation], Any]] = {
    ("data",): lambda stage: stage.spec.data,
    ("objective",): _roles,
    PLACE: lambda stage: stage.spec.training.grow,
    ("training", "steps"): lambda stage: stage.spec.training.steps,
    ("training", "seed"): lambda stage: stage.spec.training.seed,
    ("training", "plan"): lambda stage: stage.spec.training.plan,
    ("training", "device"): lambda stage: stage.spec.training.device,
    ("training", "precision"): lambda stage: stage.spec.training.precision,
}
"""Where it stands -> what must be the same."""


def trained(stage: Compilation) -> dict[str, Graph]:
    """The networks that a stage trains, by name."""
    objective = stage.spec.objective
    names = objective.networks().values() if objective else ()
    return {name: stage.graphs[name] for name in names}


def _check_carried(
    whole: Compilation, grow: Grow, stages: tuple[Compilation, ...], sink: Sink
) -> None:
    """Whether each stage can begin with the tensors of the one before, and differs from it."""
    for number, (old, new) in enumerate(pairwise(map(trained, stages))):
        place = whole.located.span((*PLACE, "values", number + 1))
        misfits = list(_misfits(old, new))
        if misfits:
            sink.report(_misfit(grow, number, misfits, new, place))
        elif _printed(old) == _printed(new):
            sink.add(
                Code.G303,
                f"`grow` expects networks that depend on `{grow.param}`, found the same "
                f"{name_of(grow, number)} and {name_of(grow, number + 1)}",
                place,
                help=f"let layers depend on it, such as by `when: $({grow.param} > 0)`",
            )


def _printed(graphs: Mapping[str, Graph]) -> dict[str, str]:
    return {name: print_graph(graph) for name, graph in graphs.items()}


def _misfit(
    grow: Grow, number: int, misfits: list[Misfit], new: Mapping[str, Graph], place: Span
) -> Diagnostic:
    """That the first of some tensors can't be carried from a stage to the next."""
    name, was, now = misfits[0]
    others = len(misfits) - 1
    return Diagnostic(
        Code.O501,
        f"`grow` carries weights over by their names, and expects `{name}` to keep its shape, "
        f"found {list(was.shape)} {name_of(grow, number)} and {list(now.shape)} "
        f"{name_of(grow, number + 1)}",
        (Label(place), *_maker(new, name)),
        notes=(f"{others} more tensors do not keep theirs",) if others else (),
        help="write a layer of its own for each value, with an `id` and `when`",
    )


def _misfits(old: Mapping[str, Graph], new: Mapping[str, Graph]) -> Iterator[Misfit]:
    """Tensors that two stages have by the same name, and with different shapes."""
    for network, graph in new.items():
        known = old[network].tensors()
        for name, now in graph.tensors().items():
            was = known.get(name)
            if was is not None and (was.shape, was.dtype) != (now.shape, now.dtype):
                yield f"{network}.{name}", was, now


def _maker(graphs: Mapping[str, Graph], tensor: str) -> tuple[Label, ...]:
    """The layer that has a tensor, as a second place to show."""
    network, _, name = tensor.partition(".")
    spans: list[Span | None] = [
        node.span
        for node in graphs[network].nodes
        if name in {ref.name for ref in node.weights.values() if ref.network is None}
    ]
    return (Label(spans[0], "the layer"),) if spans and spans[0] else ()
