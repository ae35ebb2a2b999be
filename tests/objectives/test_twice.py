"""What is named twice: the message points at the second and shows the first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic
from netwright.compiler.driver import Compilation

Found = Callable[..., list[Diagnostic]]

AGAIN = "      - {huber: {output: age, target: age, delta: 2.0}, weight: 0.5}\n    metrics"

TWICE = [
    (
        "network: net",
        "network: net\n    predict: [age, logits, age]",
        Code.S102,
        "found `age` twice",
    ),
    ("    metrics", AGAIN, Code.O502, "`losses` has `huber` of `age` and `age` twice"),
    ("mae]", "mae, accuracy]", Code.O502, "`metrics` has `accuracy` twice"),
    ("mae]", "mae, {mae: {output: age, target: age}}]", Code.O502, "`mae(age)`, which is `mae`"),
    ("mae]", "mae, {top_k: 3}]", Code.O502, "`metrics` has `top_3` twice"),
    ("mae]", "f1, {f1: {average: macro}}]", Code.O502, "`metrics` has `f1` twice"),
    (
        "epochs: 2",
        "epochs: 2\nexport: {programs: [predict, predict]}",
        Code.S102,
        "found `predict` twice",
    ),
    ("below: 4}", "classes: [a, b, a, c]}", Code.S102, "found `a` twice"),
]


@pytest.mark.parametrize(("old", "new", "code", "words"), TWICE, ids=[case[1] for case in TWICE])
def test_what_stands_twice(found: Found, old: str, new: str, code: Code, words: str) -> None:
    (diagnostic,) = found((old, new))
    assert diagnostic.code is code
    assert words in diagnostic.message
    second, first = (label.span for label in diagnostic.labels)
    assert (first.line, first.col) < (second.line, second.col)


def test_three_times_is_told_twice(found: Found) -> None:
    assert len(found(("network: net", "network: net\n    predict: [age, age, age]"))) == 2


DIFFERENT = [
    ("    metrics", "      - mse: {output: age, target: age}\n    metrics"),
    ("mae]", "mae, {top_k: 4}]"),
    ("mae]", "f1, {f1: {average: micro}}]"),
    ("mae]", "mae, {accuracy: {output: pixels, target: mask}}]"),
]


@pytest.mark.parametrize(("old", "new"), DIFFERENT, ids=[new for _, new in DIFFERENT])
def test_what_differs_stands_beside_each_other(found: Found, old: str, new: str) -> None:
    assert not found((old, new))


def test_averages_of_f1_have_names_of_their_own(compiled: Callable[..., Compilation]) -> None:
    result = compiled(("mae]", "f1, {f1: {average: micro}}, {f1: {average: weighted}}]"))
    assert not result.diagnostics
    objective = result.spec.objective
    assert objective is not None
    assert list(objective.figures())[-3:] == ["f1", "f1_micro", "f1_weighted"]
