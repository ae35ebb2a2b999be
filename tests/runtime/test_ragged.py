"""Samples of different lengths, from their file to batches."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import check as check_spec
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.objectives.array_sources import Npz
from netwright.compiler.objectives.data import Data, Split
from netwright.compiler.objectives.fields import Field, Normalize
from netwright.runtime.data.batches import Batch, Batches, Share
from netwright.runtime.data.dataset import Dataset, open_data
from netwright.runtime.data.orders import POOL, SHUFFLED, ByLength, usual_order
from netwright.runtime.data.statistics import class_counts, numbers, repeats
from netwright.runtime.data_sheet import _series
from netwright.runtime.describe_data import describe_data

CPU = torch.device("cpu")
FIELDS = {
    "tokens": Field(shape=["B", "T"], dtype="int64", below=100, lengths="n"),
    "speech": Field(shape=["B", "T", 2], dtype="float32", lengths="n"),
    "n": Field(shape=["B"], dtype="int64"),
    "label": Field(shape=["B"], dtype="int64"),
}
T = {"T": Symbol("T")}
RAGGED = {"tokens": "cuts", "speech": "cuts"}


def made(lengths: list[int]) -> dict[str, Any]:
    """Arrays of samples: token t of sample i is 1 + (i + t) % 90."""
    total = sum(lengths)
    steps = [1 + (i + t) % 90 for i, n in enumerate(lengths) for t in range(n)]
    return {
        "tokens": np.array(steps),
        "speech": np.arange(total * 2, dtype=np.float32).reshape(total, 2),
        "cuts": np.concatenate([[0], np.cumsum(lengths)]),
        "label": np.arange(len(lengths)),
    }


def opened(
    folder: Path,
    arrays: dict[str, Any],
    *,
    fields: dict[str, Field] = FIELDS,
    dims: dict[str, Symbol] = T,
    ragged: dict[str, str] = RAGGED,
    packs: bool = False,
    **source: Any,
) -> Dataset:
    (np.savez_compressed if packs else np.savez)(folder / "data.npz", **arrays)
    settings = Npz(path="data.npz", ragged=ragged, **source)
    data = Data(source=settings, fields=fields, split=Split(test=0.2))
    return open_data(data, data.merged_fields(), dims, folder)


LENGTHS = [3, 1, 7, 2, 5, 4, 9, 1, 6, 8, 2, 3, 5, 7, 4]


def check(batch: Batch, step: int = 1) -> int:
    """A batch is padded to its longest sample with 0, and its fields stay together."""
    n, tokens, speech = (batch.raw[name] for name in ("n", "tokens", "speech"))
    longest = -(-int(n.max()) // step) * step
    assert tokens.shape == (batch.size, longest)
    assert speech.shape == (batch.size, longest, 2)
    starts = np.cumsum([0, *LENGTHS])
    for row, index in enumerate(batch.raw["label"].tolist()):
        length = LENGTHS[index]
        assert n[row] == length
        assert tokens[row].tolist() == [1 + (index + t) % 90 for t in range(length)] + [0] * (
            longest - length
        )
        first = 2 * float(starts[index])
        assert speech[row, 0].tolist() == [first, first + 1]
        assert not speech[row, length:].any()
    return longest


@pytest.mark.parametrize("packs", [False, True], ids=["mapped", "compressed"])
@pytest.mark.parametrize(("home", "workers"), [("device", 0), ("loader", 0), ("loader", 1)])
def test_a_batch_is_padded_to_its_own_longest_sample(
    home: Any, workers: int, packs: bool, tmp_path: Path
) -> None:
    dataset = opened(tmp_path, made(LENGTHS), packs=packs)
    assert dataset.parts["train"]["tokens"].storage == ("memory" if packs else "mapped")
    for part in ("train", "test"):
        columns = dataset.parts[part]
        batches = Batches(
            columns, dataset.fields, CPU, torch.contiguous_format,
            home=home, workers=workers, order=usual_order(columns),
        )  # fmt: skip
        whole = list(batches.in_order(2))
        sizes = [check(batch) for batch in whole]
        assert sizes == sorted(sizes)
        seen = [label for batch in whole for label in batch.raw["label"].tolist()]
        assert len(set(seen)) == len(seen) == batches.size
        for pieces in batches.training(0, 0, 2, 0, 0):
            check(pieces[0])
        batches.close()


def test_a_batch_is_padded_to_what_the_size_allows(tmp_path: Path) -> None:
    dims = {"T": Symbol("T", min=3, max=30, multiple_of=4)}
    columns = opened(tmp_path, made(LENGTHS), dims=dims).parts["train"]
    assert columns["tokens"].shape[1] == 12
    batches = Batches(columns, FIELDS, CPU, torch.contiguous_format)
    assert {check(batch, step=4) for batch in batches.in_order(2)} <= {4, 8, 12}


def test_an_axis_of_one_size_is_padded_to_it(tmp_path: Path) -> None:
    fields = {**FIELDS, "speech": FIELDS["speech"].model_copy(update={"shape": ["B", 9, 2]})}
    columns = opened(tmp_path, made(LENGTHS), fields=fields).parts["train"]
    batch = next(Batches(columns, fields, CPU, torch.contiguous_format).in_order(1))
    assert batch.raw["speech"].shape == (1, 9, 2)
    assert batch.raw["tokens"].shape == (1, int(batch.raw["n"][0]))


def rectangular(**changed: Any) -> dict[str, Any]:
    """The same samples as arrays that are padded with what no network can take."""
    longest = max(LENGTHS)
    tokens = np.full((len(LENGTHS), longest), -1)
    speech = np.full((len(LENGTHS), longest, 2), np.nan, np.float32)
    flat, start = made(LENGTHS), 0
    for row, length in enumerate(LENGTHS):
        tokens[row, :length] = flat["tokens"][start : start + length]
        speech[row, :length] = flat["speech"][start : start + length]
        start += length
    arrays = {"tokens": tokens, "speech": speech, "n": np.array(LENGTHS), "label": flat["label"]}
    return arrays | changed


@pytest.mark.parametrize("home", ["device", "loader"])
def test_arrays_with_lengths_are_cut_and_their_padding_is_no_data(
    home: Any, tmp_path: Path
) -> None:
    columns = opened(tmp_path, rectangular(), ragged={}).parts["train"]
    batches = Batches(columns, FIELDS, CPU, torch.contiguous_format, home=home)
    for batch in batches.in_order(2):
        check(batch)


def test_what_is_cut_for_one_field_must_be_cut_for_all(tmp_path: Path) -> None:
    fields = {**FIELDS, "mask": Field(shape=["B", "T"], dtype="uint8")}
    arrays = rectangular(mask=np.ones((len(LENGTHS), max(LENGTHS)), np.uint8))
    columns = opened(tmp_path, arrays, fields=fields, ragged={}).parts["train"]
    batch = next(Batches(columns, fields, CPU, torch.contiguous_format).in_order(1))
    assert batch.raw["tokens"].shape == batch.raw["mask"].shape == (1, max(LENGTHS))
    assert usual_order(columns) is SHUFFLED


def test_lengths_of_two_fields_are_padded_to_one_size(tmp_path: Path) -> None:
    fields = {
        "a": Field(shape=["B", "T"], dtype="float32", lengths="n"),
        "b": Field(shape=["B", "T"], dtype="float32", lengths="m"),
        "n": Field(shape=["B"], dtype="int64"),
        "m": Field(shape=["B"], dtype="int32"),
    }
    other = LENGTHS[::-1]
    arrays = {
        "a": np.ones(sum(LENGTHS), np.float32),
        "b": np.ones(sum(LENGTHS), np.float32),
        "x": np.cumsum([0, *LENGTHS]),
        "y": np.cumsum([0, *other]),
    }
    columns = opened(tmp_path, arrays, fields=fields, ragged={"a": "x", "b": "y"}).parts["train"]
    assert columns["m"].dtype == np.int32
    for batch in Batches(columns, fields, CPU, torch.contiguous_format).in_order(2):
        a, b, n, m = (batch.raw[name] for name in ("a", "b", "n", "m"))
        assert a.shape == b.shape == (2, int(torch.maximum(n, m).max()))
        assert torch.equal(a.sum(1), n.float())
        assert torch.equal(b.sum(1), m.float())


def test_normalized_padding_is_what_the_program_makes_of_it(tmp_path: Path) -> None:
    speech = FIELDS["speech"].model_copy(update={"normalize": Normalize(mean=[3.0], std=[2.0])})
    fields = {**FIELDS, "speech": speech}
    columns = opened(tmp_path, made(LENGTHS), fields=fields).parts["train"]
    for batch in Batches(columns, fields, CPU, torch.contiguous_format).in_order(4):
        assert torch.allclose(batch.values["speech"], (batch.raw["speech"] - 3) / 2)


def test_statistics_leave_padding_out(tmp_path: Path) -> None:
    for arrays, ragged in ((made(LENGTHS), RAGGED), (rectangular(), {})):
        dataset = opened(tmp_path, arrays, ragged=ragged)
        columns = dataset.source["train"]
        flat = made(LENGTHS)
        found = numbers(columns["speech"])
        assert found.low == flat["speech"].min()
        assert found.whole() == pytest.approx((flat["speech"].mean(), flat["speech"].std()))
        counts = np.bincount(flat["tokens"], minlength=100)
        assert class_counts(columns["tokens"], 100).tolist() == counts.tolist()
        same = {"test": {"tokens": columns["tokens"]}}
        shared = repeats({"tokens": columns["tokens"]}, same, None, ["tokens"]).shared
        assert shared == {"test": len(LENGTHS)}
        assert columns["speech"].nbytes == flat["speech"].nbytes


@pytest.mark.parametrize("is_ragged", [True, False])
def test_padding_is_not_measured(is_ragged: bool, tmp_path: Path) -> None:
    """Of channels apart, and of steps, which are no channels, together."""
    arrays = made(LENGTHS) if is_ragged else rectangular()
    scale = np.array([1, 3], np.float32)
    arrays |= {"speech": arrays["speech"] * scale, "level": arrays["speech"][..., 0] + 5}
    by_channel, together = Normalize(measured="training", axis=2), Normalize(measured="training")
    fields = FIELDS | {
        "speech": FIELDS["speech"].model_copy(update={"normalize": by_channel}),
        "level": Field(shape=["B", 9], dtype="float32", lengths="n", normalize=together),
    }
    ragged = RAGGED | {"level": "cuts"} if is_ragged else {}
    dataset = opened(tmp_path, arrays, fields=fields, ragged=ragged)
    train = dataset.parts["train"]
    flat, starts = made(LENGTHS)["speech"], np.cumsum([0, *LENGTHS])
    seen = [flat[starts[i] : starts[i + 1]] for i in train["label"].whole()]
    whole = np.concatenate(seen).astype(np.float64) * scale
    assert dataset.measured["speech"].mean == pytest.approx(whole.mean(0).tolist())
    assert dataset.measured["speech"].std == pytest.approx(whole.std(0).tolist())
    assert dataset.measured["level"].mean == pytest.approx([whole[:, 0].mean() + 5])
    assert dataset.measured["level"].std == pytest.approx([whole[:, 0].std()])


def test_steps_are_drawn_together_without_padding(tmp_path: Path) -> None:
    for arrays, ragged in ((made(LENGTHS), RAGGED), (rectangular(), {})):
        column = opened(tmp_path, arrays, ragged=ragged).parts["train"]["tokens"]
        ((title, values),) = _series("tokens", column, [])
        assert title == "tokens"
        assert column.extent is not None
        assert values.shape == (column.extent.lengths.sum(),)
        assert values.min() > 0


def test_fingerprints_know_values_and_offsets(tmp_path: Path) -> None:
    known = opened(tmp_path, made(LENGTHS)).fingerprints()
    assert not opened(tmp_path, made(LENGTHS)).changes(known)
    moved = made(LENGTHS)
    moved["cuts"][3] += 1
    assert opened(tmp_path, moved).changes(known)
    other = made(LENGTHS)
    other["tokens"][3] += 1
    assert opened(tmp_path, other).changes(known)


def test_columns_go_to_other_processes(tmp_path: Path) -> None:
    column = opened(tmp_path, made(LENGTHS)).parts["train"]["tokens"]
    indices = np.array([3, 0, 5])
    for other in (pickle.loads(pickle.dumps(column)), copy.copy(column)):
        assert np.array_equal(other.take(indices), column.take(indices))


# The order of batches


def order_of(count: int, seed: int = 3) -> ByLength:
    return ByLength(np.random.default_rng(seed).integers(1, 200, count))


def test_an_epoch_by_length_is_a_function_of_seed_and_epoch() -> None:
    order = order_of(5_000)
    first, again = order.epoch(5_000, 16, 1, 0), order.epoch(5_000, 16, 1, 0)
    assert torch.equal(first, again)
    assert first.shape == (5_000 // 16, 16)
    for other in (order.epoch(5_000, 16, 1, 1), order.epoch(5_000, 16, 2, 0)):
        assert not torch.equal(first, other)


def test_samples_of_a_batch_are_of_similar_length_and_batches_in_no_order() -> None:
    order = order_of(5_000)
    batches = order.epoch(5_000, 16, 1, 0)
    lengths = torch.from_numpy(order._lengths)[batches]
    padded = (lengths.max(1).values[:, None] - lengths).float().mean()
    shuffled = torch.from_numpy(order._lengths)[SHUFFLED.epoch(5_000, 16, 1, 0)]
    assert padded < 0.1 * (shuffled.max(1).values[:, None] - shuffled).float().mean()
    means = lengths.float().mean(1)
    assert abs(np.corrcoef(means[1:], means[:-1])[0, 1]) < 0.2


@pytest.mark.parametrize(("count", "batch"), [(100, 7), (5 * POOL, 5), (33, 33), (5, 2), (3, 1)])
def test_every_sample_is_used_equally_often(count: int, batch: int) -> None:
    order = order_of(count)
    used = torch.zeros(count)
    for epoch in range(400):
        drawn = order.epoch(count, batch, 0, epoch).reshape(-1)
        assert len(drawn.unique()) == len(drawn) == count // batch * batch
        used[drawn] += 1
    expected = 400 * (count // batch * batch) / count
    assert (used - expected).abs().max() <= 5 * (400 * 0.25) ** 0.5
    short = order._lengths < np.median(order._lengths)
    assert used[short].mean() == pytest.approx(expected, rel=0.1)


def test_processes_see_the_same_samples_and_a_run_goes_on_at_any_step(tmp_path: Path) -> None:
    columns = opened(tmp_path, made(LENGTHS)).parts["train"]
    batches = Batches(columns, FIELDS, CPU, torch.contiguous_format, order=usual_order(columns))

    def labels(start: int, share: Share) -> list[list[int]]:
        steps = batches.training(4, 2, 4, start, start, share)
        return [[int(i) for piece in step for i in piece.raw["label"]] for step in steps]

    alone = labels(0, Share())
    assert labels(1, Share()) == alone[1:]
    shares = [labels(0, Share(rank, 2, 2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*shares, strict=True)] == alone


# Bad files


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cuts": np.array([0, 3, 2, 8])}, "ascending offsets in `cuts` of `data.npz`, found 2 "),
        ({"cuts": np.array([0, 3, 3, 8])}, "one element at least in `tokens`, found sample 1"),
        ({"cuts": np.array([1, 3, 8])}, "offsets from 0 to 8, which `tokens` has elements"),
        ({"cuts": np.array([0, 3, 7])}, "found 0 to 7"),
        ({"cuts": np.array([0, 3, 9])}, "found 0 to 9"),
        ({"cuts": np.array([0.0, 8.0])}, "in `cuts` of `data.npz`, found float64[2]"),
        ({"cuts": np.array([0])}, "found int64[1]"),
        ({"cuts": np.array([[0, 8]])}, "found int64[1, 2]"),
        ({"label": np.arange(3)}, "as many samples in every field, found `tokens` 4"),
        ({"tokens": np.array([1, 2, 3, 4, 100, 6, 7, 8])}, "100 in sample 1 of `data.npz` at [2]"),
        ({"tokens": np.ones((8, 3), int)}, "expected `tokens` as int64[B, T], found"),
        ({"speech": np.ones((9, 2), np.float32)}, "which `speech` has elements"),
        ({"speech": np.full((8, 2), np.inf, np.float32)}, "inf in sample 0 of `data.npz` at [0,"),
    ],
    ids=range(13),
)  # fmt: skip
def test_wrong_arrays_are_told(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    arrays = made([2, 3, 1, 2]) | changes
    with pytest.raises(NetwrightError) as caught:
        opened(tmp_path, arrays)
    assert {found.code for found in caught.value.diagnostics} == {Code.F601}
    assert message in " ".join(found.message for found in caught.value.diagnostics)
    assert all(found.help for found in caught.value.diagnostics)


def test_a_sample_that_is_too_long_is_told(tmp_path: Path) -> None:
    dims = {"T": Symbol("T", max=11, multiple_of=4)}
    with pytest.raises(NetwrightError) as caught:
        opened(tmp_path, made(LENGTHS), dims=dims)
    first = caught.value.diagnostics[0]
    assert first.message == (
        "expected samples of at most 8 elements along axis 1 of `tokens`, found 9 in sample 6 of "
        "`data.npz`, in the training samples"
    )
    assert first.help == "raise the `max` of `T`, or cut such samples"


def test_fields_that_share_lengths_have_the_same(tmp_path: Path) -> None:
    arrays = made([2, 3, 1, 2]) | {"others": np.array([0, 2, 4, 6, 8])}
    with pytest.raises(NetwrightError, match="found 3 and 2 in sample 1"):
        opened(tmp_path, arrays, ragged={"tokens": "cuts", "speech": "others"})


def test_missing_offsets_are_told_with_their_setting(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError) as caught:
        opened(tmp_path, made(LENGTHS), ragged={"tokens": "cut", "speech": "cuts"})
    assert "expected an array `cut` in" in caught.value.diagnostics[0].message
    assert caught.value.diagnostics[0].help == (
        "name the array that holds the field: `ragged: {tokens: cuts}`"
    )


def test_test_samples_have_offsets_of_their_own(tmp_path: Path) -> None:
    arrays = made(LENGTHS) | {
        "tokens_t": np.array([5, 6, 7]),
        "speech_t": np.ones((3, 2), np.float32),
        "cuts_t": np.array([0, 1, 3]),
        "label_t": np.array([0, 1]),
    }
    np.savez(tmp_path / "data.npz", **arrays)
    source = Npz(
        path="data.npz",
        ragged=RAGGED,
        test_arrays={name: f"{name}_t" for name in ("tokens", "speech", "label")},
        test_ragged={"tokens": "cuts_t", "speech": "cuts_t"},
    )
    data = Data(source=source, fields=FIELDS)
    dataset = open_data(data, data.merged_fields(), T, tmp_path)
    test = dataset.parts["test"]
    assert test["tokens"].whole().tolist() == [[5, 0], [6, 7]]
    assert test["n"].whole().tolist() == [1, 2]
    assert dataset.size("train") == len(LENGTHS)


def test_the_data_is_described_without_padding(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **made(LENGTHS))
    (tmp_path / "a.yaml").write_text(
        """\
spec: v1
name: any
dims: {T: {min: 1}}
data:
  source: {npz: {path: data.npz, ragged: {speech: cuts}}}
  fields: {speech: {shape: [B, T, 2], dtype: float32, lengths: n}}
networks:
  net:
    inputs: {speech: {shape: [B, T, 2]}, n: {shape: [B], dtype: int64}}
    layers: [{from: {x: speech, lengths: n}, masked_mean: {}}]
    outputs: y
"""
    )
    lines = list(describe_data(check_spec(tmp_path / "a.yaml"), picture=tmp_path / "a.png"))
    told = lines[lines.index("speech: float32 [B, T, 2]") + 1]
    assert told.startswith("  lengths from 1 to ")
    assert "repeated: 0 training samples" in " ".join(lines)
    assert (tmp_path / "a.png").stat().st_size > 1000
