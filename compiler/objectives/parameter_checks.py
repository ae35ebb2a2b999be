"""Whether what `training` says of single parameters fits the networks that are trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..diagnostics import Code
from ..suggest import listing
from .base import Context, Objective, trained_graphs
from .idle_rules import idle_settings
from .optimizers import Muon
from .parameter_rules import ParameterRule, Tensor, is_matrix, tensors_of, trained, treatment
from .patterns import matches, nearest
from .problem import Problem
from .training import Training

MOST_PAIRS = 100_000
"""Every pattern is tried on every name, and a spec that nobody vouches for must check in time."""


def check_parameters(training: Training, objective: Objective | None, context: Context) -> None:
    """Report rules that choose nothing, that freeze everything, and other names that do not exist.

    Where a network is missing or has mistakes nothing is said: its names are not known.
    """
    graphs = trained_graphs(objective, context)
    if graphs is None:
        return
    tensors = tensors_of(graphs)
    parameters = [tensor for tensor in tensors if tensor.declared.trainable]
    count = _patterns(training)
    if count * len(parameters) > MOST_PAIRS:
        problem = _too_many(count, len(parameters))
        context.report(problem, ("training", "parameters"))
        return
    for problem in list(_problems(training, parameters)) or idle_settings(training, tensors):
        context.report(problem, ("training",))
    for path, optimizer in training.all_optimizers():
        if isinstance(optimizer, Muon):
            for problem in _matrices(optimizer, training, parameters):
                context.report(problem, ("training", *path, optimizer.name))
    if training.init_from is not None:
        for problem in training.init_from.problems(graphs):
            context.report(problem, ("training", "init_from"))


def _patterns(training: Training) -> int:
    """How many patterns there are."""
    initial = training.init_from.reinitialise if training.init_from else []
    muons = [one for _, one in training.all_optimizers() if isinstance(one, Muon)]
    lists = [initial, *(one.exclude for one in muons), *(r.match for r in training.parameters)]
    return sum(map(len, lists))


def _too_many(patterns: int, parameters: int) -> Problem:
    return Problem(
        Code.Y004,
        f"patterns and parameters may make {MOST_PAIRS:,} pairs, found {patterns:,} patterns and "
        f"{parameters:,} parameters",
        help="write fewer patterns, with `*` and `**` in them",
    )


def _problems(training: Training, parameters: list[Tensor]) -> Iterator[Problem]:
    found = list(_rules(training, parameters))
    yield from found
    if found:
        return
    frozen = [treatment(training.parameters, tensor).frozen_until for tensor in parameters]
    if frozen and 0 not in frozen:
        yield Problem(
            Code.O502,
            f"expected parameters that train from the first step, found all {len(frozen)} frozen",
            ("parameters",),
            help=f'add an item that leaves some out: `{{match: "{_layer(parameters[-1])}.**", '
            "freeze: false}`",
        )


def _rules(training: Training, parameters: list[Tensor]) -> Iterator[Problem]:
    """What is wrong with single rules."""
    for index, rule in enumerate(training.parameters):
        problems = list(rule.problems())
        for problem in problems or (*_chosen(rule, parameters), *_until(rule, training.steps)):
            yield replace(problem, path=("parameters", index, *problem.path))


def late_problems(training: Training, steps: int) -> Iterator[Problem]:
    """Parameters that a run of epochs never trains, which is known with its data's `steps`."""
    for rule in training.parameters if training.steps is None else ():
        yield from _until(rule, steps)


def _until(rule: ParameterRule, steps: int | None) -> Iterator[Problem]:
    """Whether something that is frozen for a time trains at all, where the run's length is said."""
    until = rule.freeze.until if rule.freeze else None
    if until is not None and steps is not None and until >= steps:
        yield Problem(
            Code.O502,
            f"`until` expects less than the {steps} steps of the run, found {until}",
            ("freeze", "until"),
            help="`freeze: true` holds for the whole run",
        )


def _layer(tensor: Tensor) -> str:
    """`<network>.<path>` of the layer that keeps a parameter."""
    return tensor.name.removesuffix(f".{tensor.declared.key}")


def _chosen(rule: ParameterRule, parameters: list[Tensor]) -> Iterator[Problem]:
    """Whether every pattern of a rule, and the rule as a whole, chooses a parameter."""
    names = [tensor.name for tensor in parameters]
    lost = [i for i, p in enumerate(rule.match) if not any(matches(p, name) for name in names)]
    for index in lost:
        pattern = rule.match[index]
        yield Problem(
            Code.G301,
            f"expected the pattern of a parameter's name, found `{pattern}`, which matches none",
            ("match", index),
            help=nearest(pattern, names),
        )
    if not lost and not any(rule.chooses(tensor) for tensor in parameters):
        there = sorted({kind for tensor in parameters for kind in tensor.kinds})
        yield Problem(
            Code.G301,
            f"expected parameters of the kind {listing(rule.kind)} among those that match, "
            "found none",
            ("kind",),
            help=f"the networks have {listing(there)}",
        )


def _matrices(muon: Muon, training: Training, parameters: list[Tensor]) -> Iterator[Problem]:
    """Whether `muon` has something to move, and its exclusions something to leave out."""
    names = [tensor.name for tensor in parameters]
    for index, pattern in enumerate(muon.exclude):
        if not any(matches(pattern, name) for name in names):
            yield Problem(
                Code.G301,
                f"expected the pattern of a matrix's name, found `{pattern}`, which matches none",
                ("exclude", index),
                help=nearest(pattern, names),
            )
    moved = trained(training.parameters, parameters)
    if not any(is_matrix(tensor, muon.exclude) for tensor in moved):
        yield Problem(
            Code.O502,
            "`muon` expects a weight of two axes to move, found none",
            help="use `adamw`; kernels of convolutions are not matrices",
        )
