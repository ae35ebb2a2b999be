import math

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.ir.shapes import DType
from netwright.compiler.objectives.augmentations import Flip, Noise
from netwright.compiler.objectives.field_checks import field_problems
from netwright.compiler.objectives.fields import ANYTHING, Field, Normalize
from netwright.compiler.objectives.sources import SOURCES, Digits

DIMS = {"B": Symbol("B")}


def image(**settings) -> Field:
    return Field(**{"shape": ["B", 3, 4, 4], "dtype": "uint8"} | settings)


def transformed(field: Field, raw: float) -> list[float]:
    shift, factor = field.affine()
    return [(raw - s) * f for s, f in zip(shift, factor, strict=True)]


@pytest.mark.parametrize(
    ("settings", "raw", "seen"),
    [
        ({"scale": [0, 1]}, 255, [1]),
        ({"scale": [-1, 1]}, 0, [-1]),
        ({"scale": [1, -1]}, 255, [-1]),
        ({"scale": [-1, 1], "range": [0, 16]}, 8, [0]),
        ({"normalize": Normalize(mean=[0.286], std=[0.353])}, 255, [(1 - 0.286) / 0.353]),
        ({"normalize": Normalize(mean=[0.5], std=[0.5]), "range": [0, 16]}, 16, [1]),
        ({"normalize": Normalize(mean=[0.1, 0.2, 0.3], std=[1, 1, 2])}, 0, [-0.1, -0.2, -0.15]),
        ({"dtype": "float32", "normalize": Normalize(mean=[100], std=[10])}, 120, [2]),
        ({"dtype": "int64", "normalize": Normalize(mean=[100], std=[10])}, 120, [2]),
    ],
)
def test_the_rule_from_raw_values_to_network_input(settings, raw, seen):
    assert transformed(image(**settings), raw) == pytest.approx(seen)


@pytest.mark.parametrize(
    ("settings", "interval"),
    [
        ({}, (0, 255)),
        ({"range": [0, 16]}, (0, 16)),
        ({"scale": [-1, 1]}, (-1, 1)),
        ({"scale": [1, -1]}, (-1, 1)),
        ({"normalize": Normalize(mean=[0.5], std=[0.25])}, (-2, 2)),
        ({"normalize": Normalize(mean=[0.5], std=[0.25, 0.5, 0.5])}, (-2, 2)),
        ({"dtype": "float32"}, ANYTHING),
        ({"dtype": "float32", "range": [0, 2], "normalize": Normalize(mean=[1], std=[1])}, (-1, 1)),
        ({"below": 10}, (0, 9)),
        ({"dtype": "bool"}, (0, 1)),
        ({"scale": [-1, 1], "binarize": 0}, (0, 1)),
        ({"binarize": 127}, (0, 1)),
        ({"dtype": "float32", "binarize": 3}, (0, 1)),
    ],
)
def test_interval_of_what_the_network_sees(settings, interval):
    assert image(**settings).interval() == pytest.approx(interval)


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"scale": [0, 1], "normalize": Normalize(mean=[0], std=[1])}, Code.O502, "exclude"),
        ({"below": 3, "classes": ["a", "b"]}, Code.O502, "`below: 3` and 2 classes"),
        ({"below": 3, "scale": [0, 1]}, Code.O502, "would change them"),
        ({"dtype": "float32", "below": 3}, Code.O502, "needs a field of integers"),
        ({"dtype": "float32", "scale": [0, 1]}, Code.S102, "needs the range"),
        ({"range": [3, 3]}, Code.S102, "found [3, 3]"),
        ({"scale": [1, 1]}, Code.S102, "found 1 twice"),
        ({"classes": ["a", "b", "a"]}, Code.S102, "found `a` twice"),
        ({"normalize": Normalize(mean=[0, 1], std=[1])}, Code.S102, "3 channels"),
        ({"below": 3, "augment": [Noise(std=1)]}, Code.O502, "labels or ids"),
        ({"shape": ["B", 3], "augment": [Flip()]}, Code.O502, "images [B, C, H, W]"),
        (
            {"binarize": 0.5, "normalize": Normalize(mean=[0], std=[1])},
            Code.O502,
            "`binarize` and `normalize` exclude",
        ),
        ({"dtype": "int64", "below": 3, "binarize": 1}, Code.O502, "`binarize` would change them"),
        ({"classes": ["a", "b"], "binarize": 0}, Code.O502, "`binarize` would change them"),
        (
            {"scale": [0, 1], "binarize": 1},
            Code.O502,
            "from 0 to below 1, found 1: all would become 0",
        ),
        (
            {"scale": [1, -1], "binarize": -2},
            Code.O502,
            "scaled values, from -1 to below 1, found -2: all would become 1",
        ),
        ({"scale": [0, 1], "binarize": 127}, Code.O502, "found 127: all would become 0"),
        ({"binarize": 255}, Code.O502, "raw values, from 0 to below 255"),
        ({"range": [0, 16], "binarize": 16.5}, Code.O502, "raw values, from 0 to below 16"),
        ({"dtype": "float32", "scale": [0, 1], "binarize": 0.5}, Code.S102, "needs the range"),
        ({"range": [3, 3], "binarize": 3}, Code.S102, "found [3, 3]"),
    ],
)
def test_settings_that_do_not_go_together(settings, code, words):
    (problem,) = field_problems(image(**settings))
    assert problem.code is code
    assert words in problem.message


def test_types():
    field = image(scale=[0, 1])
    assert str(field.raw_type(DIMS)) == "u8[B, 3, 4, 4]"
    assert str(field.network_type(DIMS)) == "f32[B, 3, 4, 4]"
    assert image(dtype="float64").network_type(DIMS).dtype is DType.F32
    assert image(dtype="int64").network_type(DIMS).dtype is DType.I64


@pytest.mark.parametrize(
    "settings",
    [
        {"scale": [0, 1], "binarize": 0.5},
        {"scale": [0, 1], "binarize": 0},  # 0 stays 0, anything above it is 1
        {"binarize": 127},
        {"dtype": "int64", "binarize": 1000},
        {"dtype": "bool", "binarize": 0},
        {"dtype": "float32", "binarize": -2.5},
    ],
)
def test_a_threshold_among_the_values(settings):
    field = image(**settings)
    assert not list(field_problems(field))
    assert field.is_transformed
    assert field.is_converted
    assert str(field.network_type(DIMS)) == "f32[B, 3, 4, 4]"


def test_what_binarize_did_is_not_undone():
    field = image(scale=[0, 1], binarize=0.5)
    (shift,), (factor,) = field.inverse()
    assert (0.25 - shift) * factor == pytest.approx(63.75)
    assert field.unbinarized == image(scale=[0, 1])


def test_a_field_that_is_binarized_only_has_no_units():
    assert not image(binarize=127).is_rescaled
    assert image(scale=[0, 1], binarize=0.5).is_rescaled


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_what_a_source_knows_is_complete(source):
    known = source().known_fields() if source is Digits else {}
    assert all(not list(field_problems(field)) for field in known.values())
    assert all(field.shape and field.dtype for field in known.values())


def test_digits_are_as_described():
    from sklearn.datasets import load_digits

    data, fields = load_digits(), Digits().known_fields()
    assert data.images.shape[1:] == tuple(fields["image"].shape[2:])
    assert (data.images.min(), data.images.max()) == fields["image"].raw_range
    assert np.array_equal(np.unique(data.target), np.arange(fields["label"].class_total))


def test_an_unknown_range_is_everything():
    assert image(dtype="float32").interval() == (-math.inf, math.inf)
