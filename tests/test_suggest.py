"""Suggestions for names that do not exist, and for words of other tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler import ops
from netwright.compiler.foreign_words import MEANINGS, translated
from netwright.compiler.language.layers import MODIFIERS
from netwright.compiler.language.schema import SECTIONS, ExpectModel, NetworkModel
from netwright.compiler.objectives.data import Data
from netwright.compiler.objectives.export import Export
from netwright.compiler.objectives.registry import OBJECTIVES
from netwright.compiler.objectives.section import OneKey, Section
from netwright.compiler.objectives.training import Training
from netwright.compiler.ops.base import REGISTRY
from netwright.compiler.suggest import (
    did_you_mean,
    distance,
    listing,
    size_help,
    suggest,
    visible,
    word_help,
    word_meant,
)

assert ops  # importing it fills the registry

WORDS = st.text("abc_", max_size=6)


@pytest.mark.parametrize(
    ("name", "choices", "found"),
    [
        ("kernal", ["kernel", "channels"], "kernel"),
        ("ReLU", ["relu", "elu"], "relu"),
        ("batchnorm", ["batch_norm", "layer_norm"], "batch_norm"),
        ("BatchNorm2d", ["batch_norm"], "batch_norm"),
        ("corss_entropy", ["cross_entropy"], "cross_entropy"),
        ("x", ["y", "z"], None),
        ("ab", ["cd"], None),
        ("stride", [], None),
        ("k" * 100, ["k" * 99], None),
    ],
)
def test_the_nearest_choice(name: str, choices: list[str], found: str | None) -> None:
    assert suggest(name, choices) == found


def test_what_does_not_show_is_escaped() -> None:
    assert visible("a\n\t é\x00\udce9漢") == r"a\n\t é\x00\udce9漢"
    assert listing(["\n", " "]) == r"`\n`, ` `"


def test_help_texts() -> None:
    assert did_you_mean("mian", ["main", "skip"], "layer") == (
        "a layer with a similar name exists: `main`"
    )
    assert did_you_mean("adam2000", ["sgd"], "optimizer") == (
        "choose an optimizer that exists: `sgd`"
    )
    assert did_you_mean("x", [], "block") == "no block exists here"
    assert listing(["a", "b", "c"], limit=2) == "`a`, `b` and 1 more"


@given(WORDS, WORDS, WORDS)
def test_the_distance_counts_edits(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= distance(a, b) <= max(len(a), len(b))
    assert distance(a + c, b + c) <= distance(a, b)


def places() -> Iterator[tuple[str, list[str]]]:
    """Every place where words of the language stand: its title, and the words."""
    yield "the top level", list(SECTIONS)
    yield "a layer", [*MODIFIERS, "layers", "share"]
    yield "operators", list(REGISTRY)
    yield from ((f"`{name}`", list(cls.attributes)) for name, cls in REGISTRY.items())
    seen: set[int] = set()
    yield "objective", list(OBJECTIVES)
    for model in (Data, NetworkModel, Training, Export, ExpectModel, *OBJECTIVES.values()):
        yield from of_section(model, seen)


def of_section(model: type[Section], seen: set[int]) -> Iterator[tuple[str, list[str]]]:
    if id(model) in seen:
        return
    seen.add(id(model))
    yield model.title, [info.alias or name for name, info in model.model_fields.items()]
    for info in model.model_fields.values():
        yield from inside([info.annotation, *info.metadata], seen)


def inside(parts: list[Any], seen: set[int]) -> Iterator[tuple[str, list[str]]]:
    for part in parts:
        if isinstance(part, OneKey):
            yield part.what, list(part.registry)
            for model in part.registry.values():
                yield from of_section(model, seen)
        elif isinstance(part, type) and issubclass(part, Section):
            yield from of_section(part, seen)
        else:
            yield from inside([*get_args(part), *getattr(part, "__metadata__", ())], seen)


PLACES = list(places())


def test_the_places_are_all_there() -> None:
    titles = [title for title, _ in PLACES]
    assert {"`training`", "the optimizer `muon`", "`plan`", "loss", "a data field"} <= {*titles}
    assert {"the loss `huber`", "the source `csv`", "an item of `parameters`"} <= {*titles}


@pytest.mark.parametrize("word", MEANINGS)
def test_every_meaning_of_a_foreign_word_is_offered_somewhere(word: str) -> None:
    offered = {translated(word, words) for _, words in PLACES if word not in words}
    assert offered >= {*MEANINGS[word]}, "a meaning that no place has, or that another one hides"


@pytest.mark.parametrize(
    ("place", "word", "own"),
    [
        ("`training`", "batch_size", "batch"),
        ("`training`", "num_epochs", "epochs"),
        ("`training`", "maxSteps", "steps"),
        ("`training`", "lr_scheduler", "schedule"),
        ("the optimizer `sgd`", "learning_rate", "lr"),
        ("the optimizer `adamw`", "epsilon", "eps"),
        ("the optimizer `adamw`", "wd", "weight_decay"),
        ("`conv2d`", "out_channels", "channels"),
        ("`conv2d`", "filters", "channels"),
        ("`conv2d`", "kernel_size", "kernel"),
        ("`conv2d`", "use_bias", "bias"),
        ("`linear`", "units", "features"),
        ("`linear`", "hidden_size", "features"),
        ("`linear`", "out_features", "features"),
        ("`lstm`", "hidden_size", "hidden"),
        ("`gru`", "units", "hidden"),
        ("`rnn`", "num_layers", "layers"),
        ("`dropout`", "p", "rate"),
        ("`self_attention`", "num_heads", "heads"),
        ("`embedding`", "vocab_size", "size"),
        ("`embedding`", "embedding_dim", "dim"),
        ("`one_hot`", "num_classes", "classes"),
        ("a data field", "num_classes", "below"),
        ("operators", "Dense", "linear"),
        ("operators", "BatchNormalization", "batch_norm"),
        ("loss", "CrossEntropyLoss", "cross_entropy"),
        ("the top level", "model", "networks"),
        ("a layer", "name", "id"),
        ("the source `csv`", "sep", "delimiter"),
        ("the source `text`", "block_size", "window"),
        ("the source `series`", "seq_len", "window"),
        ("the source `series`", "prediction_length", "horizon"),
    ],
)
def test_words_of_other_tools(place: str, word: str, own: str) -> None:
    words = dict(PLACES)[place]
    assert own in words
    assert word_meant(word, words) == own
    assert word_help(word, words).endswith(f"exists: `{own}`")


def test_a_word_means_what_its_place_has() -> None:
    assert word_meant("num_classes", ["classes", "axis"]) == "classes"
    assert word_meant("num_classes", ["stride"]) is None
    assert word_meant("kernle_size", ["kernel"]) is None
    assert word_help("kernle", ["kernel"]) == "a key with a similar name exists: `kernel`"


@pytest.mark.parametrize(
    ("name", "axis", "step"),
    [
        ("None", 0, "write `B` for the batch"),
        ("N", 0, "write `B` for the batch"),
        ("None", 1, "give a size that varies a name, such as `T`, and declare it"),
        ("H", 2, "declare it: `dims: {H: {min: 1}}`; `B` is the batch"),
    ],
)
def test_sizes_of_other_tools(name: str, axis: int, step: str) -> None:
    assert size_help(name, axis).startswith(step)
