"""Sources of sequences: what is drawn is what the papers draw, and images keep their pixels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.objectives.array_sources import Digits, Npz
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.sequence_sources import (
    Adding,
    Brackets,
    CopyMemory,
    Reverse,
    SequentialImage,
)
from netwright.runtime.data.digits import read_digits
from netwright.runtime.data.sources import read_source
from netwright.runtime.data.tasks import tags_of

HERE = Path()


def arrays(source: Any, folder: Path = HERE) -> tuple[dict[str, Any], dict[str, Any]]:
    """Field -> values, of both parts."""
    raw = read_source(source, source.known_fields(), folder)
    test = raw.test or {}
    train, tested = ({n: c.whole() for n, c in part.items()} for part in (raw.train, test))
    return train, tested


def test_adding_marks_two_numbers_and_asks_for_their_sum() -> None:
    train, test = arrays(Adding(length=9, samples=2_000, test_samples=500))
    sequence, total = train["sequence"], train["total"]
    numbers, marks = sequence[..., 0], sequence[..., 1]
    assert (sequence.shape, total.shape) == ((2_000, 9, 2), (2_000, 1))
    assert sequence.dtype == total.dtype == np.float32
    assert set(np.unique(marks)) == {0.0, 1.0}
    assert (marks[:, :4].sum(1) == 1).all()
    assert (marks[:, 4:].sum(1) == 1).all()
    np.testing.assert_allclose((numbers * marks).sum(1), total[:, 0], rtol=1e-6)
    assert np.abs(np.bincount(marks.argmax(1), minlength=4) / 2_000 - 0.25).max() < 0.05
    assert test["sequence"].shape == (500, 9, 2)
    assert not np.isin(test["total"], total).all()


def test_always_answering_one_has_the_known_error() -> None:
    """The mean squared error of the best constant is 2/12."""
    train, _ = arrays(Adding(length=50, samples=50_000, test_samples=1))
    assert np.square(train["total"] - 1).mean() == pytest.approx(1 / 6, rel=0.02)


def test_copy_memory_waits_and_repeats() -> None:
    train, _ = arrays(CopyMemory(length=5, samples=300, test_samples=1))
    tokens, target = train["tokens"], train["target"]
    assert tokens.shape == target.shape == (300, 25)
    assert tokens.dtype == target.dtype == np.int64
    assert (tokens[:, :10] == target[:, 15:]).all()
    assert set(np.unique(tokens[:, :10])) == set(range(1, 9))
    assert (tokens[:, 10:14] == 0).all()
    assert (tokens[:, 14] == 9).all()
    assert not tokens[:, 15:].any()
    assert not target[:, :15].any()
    # Whoever knows the blanks and guesses the letters pays ln 8 for 10 steps of T + 20.
    assert 10 * math.log(8) / (100 + 20) == pytest.approx(0.1733, abs=1e-4)


@pytest.mark.parametrize("source", [Adding, Brackets, CopyMemory])
def test_a_seed_draws_the_same_samples(source: Any) -> None:
    settings = {"length": 6, "samples": 50, "test_samples": 20}
    first, again = (arrays(source(**settings))[0] for _ in range(2))
    other = arrays(source(**settings, seed=1))[0]
    for name in first:
        assert np.array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


IMAGES = read_digits()["image"]


def sequences(**settings: Any) -> Any:
    source = SequentialImage(images=Digits(), **settings)
    train, _ = arrays(source)
    assert train["label"].shape == (1_797,)
    shape = source.known_fields()["image"].shape
    assert shape is not None
    assert tuple(shape[1:]) == train["image"].shape[1:]
    return train["image"]


def test_pixels_and_rows_come_in_their_order() -> None:
    assert np.array_equal(sequences(), IMAGES.reshape(-1, 64, 1))
    assert np.array_equal(sequences(by="row"), IMAGES[:, 0])


def test_one_permutation_serves_all_samples() -> None:
    found, plain = sequences(permutation=3), sequences()
    order = np.random.default_rng(3).permutation(64)
    assert np.array_equal(found, plain[:, order])
    assert not np.array_equal(found, plain)


def test_channels_go_into_the_step(tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    np.savez(tmp_path / "images.npz", image=images)
    fields = {"image": Field(shape=["B", 20, 3], dtype="uint8")}
    for by, expected in (
        ("pixel", images.transpose(0, 2, 3, 1).reshape(2, 20, 3)),
        ("row", images.transpose(0, 2, 1, 3).reshape(2, 4, 15)),
    ):
        source = SequentialImage(images=Npz(path="images.npz"), by=by)
        column = read_source(source, fields, tmp_path).train["image"]
        assert np.array_equal(column.whole(), expected)
        assert np.array_equal(column.take(np.array([1])), expected[1:])
        assert np.array_equal(np.concatenate([part for _, part in column.chunks(1)]), expected)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", image=np.zeros((4, 7), np.float32))
    fields = {"image": Field(shape=["B", 7, 1], dtype="float32")}
    with pytest.raises(NetwrightError, match="expected images"):
        read_source(SequentialImage(images=Npz(path="rows.npz")), fields, tmp_path)


def by_stack(tokens: list[int]) -> list[int]:
    """The tags of a sequence, by a stack of the brackets that are open."""
    tags, opened = [3 if token < 2 else 0 for token in tokens], []
    for step, token in enumerate(tokens):
        if token == 0:
            opened.append(step)
        elif token == 1 and opened:
            first = opened.pop()
            tags[first] = tags[step] = 2
            for between in range(first + 1, step):
                tags[between] = 1 if tokens[between] > 1 else tags[between]
    return tags


def test_brackets_have_partners() -> None:
    source = Brackets(length=13, samples=400, test_samples=50)
    raw = read_source(source, source.known_fields(), HERE)
    tokens, tags, n = (raw.train[name] for name in ("tokens", "tags", "n"))
    lengths = n.whole()
    assert set(lengths) == set(range(2, 14))
    padded, answers = tokens.whole(), tags.whole()
    for row, length in enumerate(lengths.tolist()):
        assert by_stack(padded[row, :length].tolist()) == answers[row, :length].tolist()
        assert not padded[row, length:].any()
    shares = np.bincount(answers[np.arange(13) < lengths[:, None]], minlength=4)
    assert (shares > 0.05 * shares.sum()).all(), "every tag is worth learning"


def test_neither_side_of_a_bracket_tells_its_tag() -> None:
    """Who reads in one direction alone can't tell these apart at steps whose tags differ."""
    same_before = tags_of(np.array([[5, 0, 6, 1], [5, 0, 6, 7]]))
    assert same_before[:, 1:3].tolist() == [[2, 1], [3, 0]]
    same_behind = tags_of(np.array([[0, 6, 1, 5], [7, 6, 1, 5]]))
    assert same_behind[:, 1:3].tolist() == [[1, 2], [0, 3]]


def test_reverse_says_each_sequence_backwards() -> None:
    source = Reverse(symbols=4, shortest=2, longest=6, samples=500, test_samples=50, seed=1)
    train, test = arrays(source)
    assert set(np.unique(train["source_lengths"])) == {2, 3, 4, 5, 6}
    for part in (train, test):
        for row, length in enumerate(part["source_lengths"]):
            said, answer = part["source"][row], part["target"][row]
            assert set(said[:length]) <= {3, 4, 5, 6}
            assert answer[:length].tolist() == said[:length][::-1].tolist()
            assert not said[length:].any()
            assert not answer[length:].any()
        assert (part["target_lengths"] == part["source_lengths"]).all()
    assert test["source"].shape == (50, 6)
    assert (train["source"][:50] != test["source"]).any()
