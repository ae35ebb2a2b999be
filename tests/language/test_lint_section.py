"""The section `lint`: what is told where a reason is missing or is none."""

from __future__ import annotations

import pytest

from .small import check, network, quoted


@pytest.mark.parametrize(
    ("lint", "message", "place"),
    [
        ("5", "`lint` expects a map from codes to reasons, found `5`", "5"),
        ("[L909]", "`lint` expects a map from codes to reasons, found a list of 1", "[L909]"),
        ("L909", "`lint` expects a map from codes to reasons, found the text `L909`", "L909"),
        ("{L909: 3}", "`L909` of `lint` expects text, found `3`", "3"),
        (
            "{L909: ''}",
            "`L909` of `lint` expects text that is not empty, found an empty text",
            "''",
        ),
        ("{L909: [a]}", "`L909` of `lint` expects text, found a list of 1", "[a]"),
        ("{reasons: {L909: a}}", "`reasons` of `lint` expects text, found a map", "{L909: a}"),
    ],
)
def test_a_reason_that_is_none(lint: str, message: str, place: str) -> None:
    (found,) = check(network("- relu") + f"lint: {lint}\n").diagnostics
    assert found.message == message
    assert quoted(found) == place


def test_a_reason_without_a_value_is_pointed_at_by_its_place() -> None:
    (found,) = check(network("- relu") + "lint: {L909: a, L904: }\n").diagnostics
    assert found.message == "`L904` of `lint` expects text, found nothing"
    assert found.span
    assert found.span.col == len("lint: {L909: a, L904: ") + 1


@pytest.mark.parametrize("empty", ["", "{}"])
def test_no_reasons_at_all(empty: str) -> None:
    assert not check(network("- relu") + f"lint: {empty}\n").diagnostics
