"""What `training` says of single parameters and of weight decay, where nothing comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..diagnostics import Code
from ..source import Key
from .optimizers import Muon, NAdam, Optimizer, RAdam
from .parameter_rules import ParameterRule, Tensor, is_matrix, trained, treatment
from .problem import Problem
from .training import Training

KEYS = ("lr_factor", "weight_decay", "freeze")
HELD = "this one holds"


def idle_settings(training: Training, tensors: Sequence[Tensor]) -> Iterator[Problem]:
    """Settings without any effect.

    Args:
        tensors: those of the networks that are trained, buffers included.
    """
    rules = training.parameters
    chosen = [[tensor for tensor in tensors if rule.chooses(tensor)] for rule in rules]
    moved = trained(rules, [tensor for tensor in tensors if tensor.declared.trainable])
    found = list(_overruled(rules, chosen))
    yield from found or (*_of_frozen(rules, chosen, moved), *_thawing(rules, chosen))
    if training.optimizers:
        return  # which of them moves what is the objective's to say
    if isinstance(training.optimizer, Muon):
        yield from _idle_part(training.optimizer, moved)
    for path, optimizer, own in _parts(training.optimizer, moved):
        yield from _decay(optimizer, rules, own, path)


def _given(rule: ParameterRule) -> list[str]:
    return [key for key in KEYS if getattr(rule, key) is not None]


def _overruled(rules: Sequence[ParameterRule], chosen: Sequence[list[Tensor]]) -> Iterator[Problem]:
    """What later rules say otherwise for every tensor that a rule chooses."""
    later: dict[str, dict[str, int]] = {key: {} for key in KEYS}
    for index in reversed(range(len(rules))):
        for key in _given(rules[index]):
            also_buffers = key == "freeze"
            names = [t.name for t in chosen[index] if also_buffers or t.declared.trainable]
            if later[key].keys() >= set(names):
                yield _overruled_by(key, index, later[key][names[0]])
            later[key] = {**dict.fromkeys(names, index), **later[key]}


def _overruled_by(key: str, index: int, later: int) -> Problem:
    return Problem(
        Code.O502,
        f"`{key}` expects parameters for which no later item says it again, found none",
        ("parameters", index, key),
        help="put the item behind the later ones, or remove it",
        also=(("parameters", later, key), HELD),
    )


def _of_frozen(
    rules: Sequence[ParameterRule], chosen: Sequence[list[Tensor]], moved: Sequence[Tensor]
) -> Iterator[Problem]:
    """Rates and decays of parameters that never move."""
    names = {tensor.name for tensor in moved}
    for index, rule in enumerate(rules):
        if any(tensor.name in names for tensor in chosen[index]):
            continue
        for key in _given(rule):
            if key != "freeze":
                yield Problem(
                    Code.O502,
                    f"`{key}` expects parameters that are trained, found frozen ones alone",
                    ("parameters", index, key),
                    help="remove it, or do not freeze what it chooses",
                )


def _thawing(rules: Sequence[ParameterRule], chosen: Sequence[list[Tensor]]) -> Iterator[Problem]:
    """`freeze: false` where no earlier rule freezes anything."""
    frozen: set[str] = set()
    for index, rule in enumerate(rules):
        names = {tensor.name for tensor in chosen[index]}
        if rule.freeze is None:
            continue
        if rule.freeze.until != 0:
            frozen |= names
            continue
        if not names & frozen:
            yield Problem(
                Code.O502,
                "`freeze: false` expects parameters that an earlier item freezes, found none",
                ("parameters", index, "freeze"),
                help="put the item behind the one that freezes, or remove it",
            )
        frozen -= names


def _parts(
    optimizer: Optimizer, moved: Sequence[Tensor]
) -> Iterator[tuple[Key, Optimizer, list[Tensor]]]:
    """The parts of an optimizer, with where each stands and what it moves."""
    path: Key = ("optimizer", optimizer.name)
    if not isinstance(optimizer, Muon):
        yield path, optimizer, list(moved)
        return
    matrices = {tensor.name for tensor in moved if is_matrix(tensor, optimizer.exclude)}
    yield path, optimizer, [tensor for tensor in moved if tensor.name in matrices]
    others = [tensor for tensor in moved if tensor.name not in matrices]
    yield (*path, "adamw"), optimizer.adamw, others


def _idle_part(muon: Muon, parameters: Sequence[Tensor]) -> Iterator[Problem]:
    """Settings for all that is no matrix, where there is nothing else."""
    others = [tensor for tensor in parameters if not is_matrix(tensor, muon.exclude)]
    if "adamw" in muon.model_fields_set and parameters and not others:
        yield Problem(
            Code.O502,
            "`adamw` of `muon` expects parameters that are no matrices, found none",
            ("optimizer", muon.name, "adamw"),
            help="remove it, or name matrices for it in `exclude`",
        )


def _decay(
    optimizer: Optimizer, rules: Sequence[ParameterRule], moved: Sequence[Tensor], path: Key
) -> Iterator[Problem]:
    """Settings of weight decay, for the parameters that one optimizer moves."""
    if not {"weight_decay", "decoupled_weight_decay"} & optimizer.model_fields_set:
        return
    own = [treatment(rules, tensor).weight_decay for tensor in moved]
    if "weight_decay" in optimizer.model_fields_set and own and None not in own:
        yield Problem(
            Code.O502,
            f"`weight_decay` of `{optimizer.name}` expects parameters for which no item "
            "of `parameters` says it again, found none",
            (*path, "weight_decay"),
            help="remove it, or the `weight_decay` of an item",
        )
    most = max(optimizer.weight_decay.start, optimizer.weight_decay.end)
    decays = any(most if decay is None else decay for decay in own)
    if isinstance(optimizer, NAdam | RAdam) and optimizer.decoupled_weight_decay and not decays:
        yield Problem(
            Code.O502,
            "`decoupled_weight_decay` needs a `weight_decay` above 0, found 0",
            (*path, "decoupled_weight_decay"),
            help="add `weight_decay: 0.01`, or remove it",
        )
