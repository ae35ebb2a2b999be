"""`params`, `variants` and `dims`: what is refused, where it points, what it drags in."""

from __future__ import annotations

import textwrap

import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.language.params import Choices

from .small import check, codes, messages, network, quoted

PARAMS = """\
params:
  width: {value: 4, min: 2, max: 8}
  rate: 0.5
  deep: true
  act: relu
  sizes: [1, 2]
  double: $(2 * width)
"""
USES = network(
    """
    - conv2d: {channels: $(width + double), kernel: 1}
    - {mul: $rate, when: $(deep and act == act)}
    - {relu: , repeat: {over: {k: $sizes}}}
    """
)


def spec(variant: str) -> str:
    return f"{PARAMS}variants:\n  small: {{width: 2}}\n  wrong: {variant}\n{USES}"


@pytest.mark.parametrize("chosen", [None, "small", "wrong"])
@pytest.mark.parametrize(
    ("variant", "code", "place"),
    [
        ("{width: wide}", Code.S102, "wide"),
        ("{width: 2.5}", Code.S102, "2.5"),
        ("{width: true}", Code.S102, "true"),
        ("{rate: fast}", Code.S102, "fast"),
        ("{deep: 1}", Code.S102, "1"),
        ("{sizes: 3}", Code.S102, "3"),
        ("{sizes: [1, a]}", Code.S102, "[1, a]"),
        ("{sizes: $width}", Code.S102, "$width"),
        ("{width: $rate}", Code.S102, "$rate"),
        ("{width: 9}", Code.S102, "9"),
        ("{width: 1}", Code.S102, "1"),
        ("{widht: 3}", Code.E201, "widht"),
        ("5", Code.S102, "wrong"),
    ],
)
def test_every_variant_is_checked_whether_chosen_or_not(
    variant: str, code: Code, place: str, chosen: str | None
) -> None:
    (found,) = check(spec(variant), Choices(chosen)).diagnostics
    assert found.code is code
    assert quoted(found) == place
    assert "`wrong`" in found.message


def test_the_values_of_a_variant_are_those_that_params_take() -> None:
    fits = "{width: 8, rate: 1, deep: false, act: tanh, sizes: [], double: 3}"
    assert codes(spec(fits)) == []
    chosen = check(spec(fits), Choices("wrong"))
    assert not chosen.diagnostics
    assert chosen.spec.params["rate"] == 1.0
    assert chosen.spec.params["double"] == 3


def test_a_wrong_value_of_a_variant_says_what_the_default_is() -> None:
    (found,) = check(spec("{width: wide}")).diagnostics
    assert found.message == (
        "variant `wrong` expects a whole number for `width`, found the text `wide`"
    )
    assert found.help == "the default is `4`"


def test_a_range_says_whose_value_lies_outside() -> None:
    assert messages(spec("{width: 9}")) == [
        "variant `wrong` expects at least 2 and at most 8 for `width`, found `9`"
    ]
    (found,) = check(spec("{width: 3}"), Choices(None, {"width": "9"})).diagnostics
    assert found.code is Code.E202
    assert (
        found.message == "`--set width=9` expects at least 2 and at most 8 for `width`, found `9`"
    )


def test_a_variant_without_a_name_is_not_chosen_by_naming_none() -> None:
    text = 'params: {width: 3}\nvariants: {"": {width: 5}}\n'
    found = check(text + network("- conv2d: {channels: $width, kernel: 1}"))
    assert found.spec.params == {"width": 3}


def test_a_parameter_with_a_mistake_does_not_make_variants_wrong() -> None:
    text = "params: {width: {vlaue: 3}}\nvariants: {small: {width: 2}}\n" + network("- relu")
    assert codes(text) == ["S101"]


def test_what_is_made_of_a_parameter_with_a_mistake_is_no_further_mistake() -> None:
    wrong = "params: {width: {vlaue: 3}, double: $(2 * width), more: $(1 + double), rate: x}\n"
    layers = network("- conv2d: {channels: $more, kernel: 1}")
    assert codes(wrong + layers) == ["S101", "G303"]
    forward = "params: {double: $(2 * width), width: 3}\n"
    assert codes(forward + network("- conv2d: {channels: $double, kernel: 1}")) == ["E201"]


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ("params: {Width: 3}", "S102"),
        ("params: {width: {vlaue: 3}}", "S101"),
        ("params: {width: {value: 3, max: 2}}", "S102"),
        ("params: {width: }", "S102"),
        ("params: {width: $nowhere}", "E201"),
        ("dims: {T: {mn: 3}}", "S101"),
        ("dims: {T: {min: 3, max: 2}}", "S102"),
        ("dims: {time: }", "S102"),
    ],
)
def test_what_has_a_mistake_is_not_also_unused(section: str, code: str) -> None:
    assert codes(f"{section}\n" + network("- relu")) == [code]


def test_what_has_none_is_still_told_to_be_unused() -> None:
    text = textwrap.dedent("""
        params: {width: {vlaue: 3}, depth: 2}
        dims: {T: {mn: 3}, S: {min: 2}}
    """)
    assert sorted(codes(text + network("- relu"))) == ["G303", "G303", "S101", "S101"]
