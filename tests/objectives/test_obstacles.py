"""What keeps a step from being compiled or recorded, by settings and operators alone."""

from __future__ import annotations

from typing import Any

import pytest
from netwright.compiler.objectives.obstacles import (
    compile_obstacle,
    graphs_obstacle,
    recordable_form,
)
from netwright.compiler.objectives.optimizers import Adagrad, AdamW, Muon, RmsProp, Sgd
from netwright.compiler.objectives.planning import Planning
from netwright.compiler.objectives.schedules import Schedule
from netwright.compiler.objectives.training import Training

MOVING = Schedule(start=1.0, end=0.1, steps=10)
CASES: list[tuple[dict[str, Any], set[str], str | None]] = [
    ({}, {"conv2d", "dropout"}, None),
    ({"optimizer": AdamW(lr=MOVING)}, set(), None),
    ({"clip_norm": Schedule.constant(1.0), "accumulate": 4}, set(), None),
    ({"clip_norm": MOVING}, set(), "`clip_norm` changes"),
    ({"clip_value": MOVING}, set(), "`clip_value` changes"),
    ({"precision": "bf16"}, set(), None),
    ({"precision": "fp16"}, set(), "loss scaling"),
    ({"plan": Planning(compile=True)}, set(), "exclude each other"),
    ({}, {"lstm"}, "recurrent"),
    ({"optimizer": Adagrad()}, set(), "`adagrad` keeps numbers on the host"),
    ({"optimizer": Muon()}, set(), "`muon` keeps numbers on the host"),
    ({"optimizer": AdamW(weight_decay=MOVING)}, set(), "`weight_decay` of `adamw` changes"),
    ({"optimizer": RmsProp()}, set(), None),
    ({"optimizer": RmsProp(), "plan": Planning(optimizer="plain")}, set(), "`foreach` only"),
    ({"optimizers": {"a": AdamW(), "b": Adagrad()}}, set(), "`adagrad`"),
]


@pytest.mark.parametrize(("settings", "operators", "words"), CASES)
def test_recording(settings: dict[str, Any], operators: set[str], words: str | None) -> None:
    found = graphs_obstacle(Training(**settings), operators)
    assert (words is None) if found is None else (words is not None and words in found)


def test_compiling() -> None:
    assert compile_obstacle({"conv2d", "linear"}) is None
    assert "(gru, lstm)" in str(compile_obstacle({"lstm", "linear", "gru"}))


def test_the_form_that_can_be_recorded() -> None:
    assert recordable_form(Training()) == "fused"
    assert recordable_form(Training(optimizer=Sgd())) == "fused"
    assert recordable_form(Training(optimizers={"a": AdamW(), "b": RmsProp()})) == "foreach"
    assert recordable_form(Training(optimizer=Adagrad())) is None
