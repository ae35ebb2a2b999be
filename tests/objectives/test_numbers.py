"""Numbers with limits, which hold for both ends of a schedule."""

from __future__ import annotations

import pytest
from netwright.compiler.objectives.numbers import Decay, Positive, Range, Rate
from netwright.compiler.objectives.optimizers import AdamW
from netwright.compiler.objectives.schedules import Schedule
from pydantic import TypeAdapter, ValidationError


def refusal(kind, value) -> str | None:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        (details,) = error.errors()
        return f"{details['ctx'].get('end', '')} {details['msg']}".strip()
    return None


def moving(start: float, end: float, curve: str = "linear") -> Schedule:
    return Schedule(start=start, end=end, steps=10, curve=curve)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Rate, 0.1, None),
        (Rate, 0, "expects more than 0, found 0"),
        (Rate, moving(0, 0.1), None),
        (Rate, moving(0.1, 0), None),
        (Rate, moving(0.1, -0.5), "end expects at least 0, found -0.5"),
        (Positive, moving(0, 1), "start expects more than 0, found 0"),
        (Decay, 0.999, None),
        (Decay, 1, "expects less than 1, found 1"),
        (Decay, moving(0.5, 1), "end expects less than 1, found 1"),
        (Rate, moving(0, 1, "exponential"), "Value error, an exponential schedule expects"),
    ],
)
def test_limits_hold_for_both_ends(kind, value, message):
    found = refusal(kind, value)
    assert found == message or (message and str(found).startswith(message))


@pytest.mark.parametrize("value", [True, "0.1", [0.1]])
def test_what_is_no_number(value):
    with pytest.raises(ValidationError):
        TypeAdapter(Rate).validate_python(value)


def test_limits_in_the_words_of_json_schema():
    assert Range(ge=0, lt=1).limits() == {"minimum": 0, "exclusiveMaximum": 1}
    assert Range(gt=0, le=2).limits() == {"exclusiveMinimum": 0, "maximum": 2}


def test_numbers_of_a_step():
    settings = AdamW(lr=moving(0.1, 0), betas=[0.9, moving(0.9, 0.99)])
    assert set(settings.moving()) == {"lr", "betas"}
    found = settings.numbers_at(5)
    assert found["lr"] == pytest.approx(0.05)
    assert found["betas"] == (0.9, pytest.approx(0.945))
    assert (found["eps"], found["weight_decay"]) == (1e-8, 0.01)
    assert settings.words() == {"amsgrad": False}
