"""The objective `seq2seq`: it learns, its programs agree, and padding has no say."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.driver import Compilation, check, check_source
from netwright.compiler.render import render
from netwright.compiler.source import SourceFile
from netwright.runtime import trainer
from netwright.runtime.advice import advice
from netwright.runtime.checkpoint import load_weights, steps
from netwright.runtime.data.batches import Batch
from netwright.runtime.draws import Choices, as_likely
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.objectives.registry import bind
from netwright.runtime.objectives.seq2seq import ANSWERS, WEIGHT, Seq2Seq, are_exact
from netwright.runtime.opening import open_run, read_data
from netwright.runtime.report.write import write_report
from netwright.runtime.session import Bundle, load, make_session
from netwright.runtime.torch_programs import torch_programs
from netwright.runtime.train import TrainResult, train
from netwright.runtime.weights import for_onnx

from .pages import Page
from .test_train import stop_at

SPEC = """\
spec: v1
name: tiny_reverse
dims: {S: {min: 1}, T: {min: 1}}
data:
  source: {reverse: {symbols: 3, longest: 4, samples: 640, test_samples: 96}}
  split: {validation: 0.1}
networks:
  encoder:
    inputs:
      tokens: {shape: [B, S], dtype: int64}
      lengths: {shape: [B], dtype: int64}
    layers:
      - {from: tokens, embedding: {size: 6, dim: 12, pad_id: 0}}
      - {id: memory, from: {lengths: lengths}, gru: 24}
    outputs: {sequence: memory.sequence, hidden: memory.hidden}
  decoder:
    inputs:
      tokens: {shape: [B, T], dtype: int64}
      hidden: {shape: [1, B, 24]}
      context: {shape: [B, S, 24]}
      lengths: {shape: [B], dtype: int64}
    layers:
      - {from: tokens, embedding: {size: 6, dim: 12}}
      - {id: memory, from: {hidden: hidden}, gru: 24}
      - {from: {x: memory.sequence, context: context, lengths: lengths}, luong_attention: {}}
      - linear: 6
    outputs: logits
objective:
  seq2seq:
    encoder: {network: encoder, inputs: {tokens: source, lengths: source_lengths}}
    decoder:
      network: decoder
      inputs:
        {tokens: target, hidden: encoder.hidden, context: encoder.sequence, lengths: source_lengths}
    begin: 1
    end: 2
training:
  seed: 1
  batch: 32
  epochs: 12
  optimizer: {adamw: {lr: 2e-2}}
  schedule: one_cycle
"""
SAMPLED = SPEC.replace(
    "    end: 2\n", "    end: 2\n    teacher_forcing: {start: 1, end: 0.5, steps: 100}\n"
)
LSTM = (
    SPEC.replace("gru: 24", "lstm: 24")
    .replace("hidden: memory.hidden}", "hidden: memory.hidden, cell: memory.cell}")
    .replace("[1, B, 24]}\n", "[1, B, 24]}\n      cell: {shape: [1, B, 24]}\n")
    .replace("from: {hidden: hidden}", "from: {hidden: hidden, cell: cell}")
    .replace("hidden: encoder.hidden,", "hidden: encoder.hidden, cell: encoder.cell,")
)
OWN_STATE = (
    SPEC.replace("      hidden: {shape: [1, B, 24]}\n", "")
    .replace("from: {hidden: hidden}, gru: 24", "gru: 24")
    .replace("hidden: encoder.hidden, ", "")
)
"""A decoder that begins with zeros and knows the source by attention alone."""

ATTENTION = OWN_STATE.replace("T: {min: 1}", "T: {min: 1, max: 5}").replace(
    "      - {id: memory, gru: 24}\n"
    "      - {from: {x: memory.sequence, context: context, lengths: lengths}, luong_attention: {}}"
    "\n",
    "      - {id: start, position_embedding: {length: 5}}\n"
    "      - {id: own, self_attention: {heads: 2, causal: true}}\n"
    "      - {id: sum, from: [start, own], add: {}}\n"
    "      - {from: {x: sum, context: context, lengths: lengths}, cross_attention: {heads: 2}}\n",
)
"""A decoder of attention alone, whose cache has room for the longest answer."""

EVERY = {"gru": SPEC, "lstm": LSTM, "own_state": OWN_STATE, "attention": ATTENTION}
every_kind = pytest.mark.parametrize("text", EVERY.values(), ids=EVERY)
SYMBOLS = (3, 6)
SPECS = Path(__file__).parents[2] / "specs"


def compiled(text: str = SPEC, folder: Path = Path()) -> Compilation:
    found = check_source(SourceFile("tiny_reverse.yaml", text), folder)
    assert not found.has_errors, render(found.diagnostics, "text")
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(compiled(), output=tmp_path_factory.mktemp("seq2seq") / "run", device="cpu")


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("sampled")
    return train(compiled(SAMPLED), output=folder / "run", device="cpu")


@pytest.fixture(scope="module")
def bundle(finished: TrainResult) -> Bundle:
    return load(export_run(finished.folder).folder, "cpu")


def fresh(text: str) -> Seq2Seq:
    """The objective with weights that no training has touched."""
    torch.manual_seed(0)
    made = bind(compiled(text), torch.device("cpu"), torch.contiguous_format)
    assert isinstance(made, Seq2Seq)
    return made


def batch(rows: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    raw = {
        "source": torch.from_numpy(rng.integers(*SYMBOLS, (rows, 4))),
        "source_lengths": torch.from_numpy(rng.integers(1, 5, rows)),
        "target": torch.from_numpy(rng.integers(*SYMBOLS, (rows, 4))),
        "target_lengths": torch.from_numpy(rng.integers(1, 5, rows)),
    }
    return Batch(raw, raw)


# Learning


def test_it_learns(finished: TrainResult) -> None:
    """An untrained network has nearly no answer right as a whole."""
    test = finished.metrics["test"]
    assert test["exact"] > 0.9
    assert test["accuracy"] > 0.95
    assert test["bits"] == pytest.approx(test["loss"] / math.log(2))
    assert "exact" in finished.metrics["validation"]


def test_it_learns_from_its_own_tokens(sampled: TrainResult) -> None:
    assert sampled.metrics["test"]["accuracy"] > 0.8


@pytest.mark.parametrize("kind", ["finished", "sampled"])
@pytest.mark.parametrize("step", [7, 40])
def test_stopped_and_resumed_is_bit_identical(
    kind: str,
    step: int,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where each step draws which tokens it reads."""
    whole: TrainResult = request.getfixturevalue(kind)
    text = SPEC if kind == "finished" else SAMPLED
    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)
    stopped = train(compiled(text), output=tmp_path / "run", observer=stop_at(step))
    assert stopped.step == step
    resumed = train(compiled(text), output=stopped.folder, resume=True, device="cpu")
    assert resumed.metrics == whole.metrics
    newest = steps(whole.folder)[0]
    for network in ("encoder", "decoder"):
        first, second = (load_weights(r.folder, newest)[network] for r in (whole, resumed))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_the_spec_of_the_zoo_says_sequences_backwards(tmp_path: Path) -> None:
    """Of 2,000 that it has not seen."""
    compilation = check(SPECS / "seq2seq_reverse.yaml")
    result = train(compilation, output=tmp_path / "run", device="cpu")
    assert result.metrics["test"]["exact"] >= 0.95


# The loss


def test_the_loss_is_that_of_real_tokens_and_their_ends() -> None:
    """By hand, sample by sample; what stands in padding changes nothing."""
    objective, given = fresh(SPEC), batch(5)
    encoder, decoder = objective.networks["encoder"], objective.networks["decoder"]
    encoder.requires_grad_(False)
    decoder.requires_grad_(False)
    total, count = 0.0, 0
    for row in range(5):
        source, read, length = (
            given.raw[n][row] for n in ("source", "source_lengths", "target_lengths")
        )
        answer = given.raw["target"][row, :length]
        sequence, hidden = encoder(source[None], read[None])
        tokens = torch.cat([torch.tensor([1]), answer])[None]
        scores = decoder(tokens, hidden, sequence, read[None])[0]
        wanted = torch.cat([answer, torch.tensor([2])])
        total += float(torch.nn.functional.cross_entropy(scores, wanted, reduction="sum"))
        count += len(wanted)
    turn, numbers = objective.turns[0], {WEIGHT: 1.0}
    found = objective.step(given, turn, numbers)["loss"]
    assert found.item() == pytest.approx(total / count, rel=1e-5)
    padded = {name: tensor.clone() for name, tensor in given.raw.items()}
    for name in ("source", "target"):
        behind = torch.arange(4) >= padded[f"{name}_lengths"][:, None]
        padded[name][behind] = 5
    assert torch.equal(objective.step(Batch(padded, padded), turn, numbers)["loss"], found)


@every_kind
def test_always_the_truth_step_by_step_is_what_one_call_gives(text: str) -> None:
    """With probability 1 the loop over the steps reads what the parallel decoder reads."""
    together = fresh(text)
    apart = fresh(text.replace("    end: 2\n", "    end: 2\n    teacher_forcing: 0.5\n"))
    given = batch(6)
    turn = together.turns[0]
    expected = together.step(given, turn, {WEIGHT: 1.0})["loss"]
    found = apart.step(given, turn, {WEIGHT: 1.0, "teacher_forcing": 1.0})["loss"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.manual_seed(3)
    own = apart.step(given, turn, {WEIGHT: 1.0, "teacher_forcing": 0.0})["loss"]
    assert abs(own.item() - expected.item()) > 1e-5, "its own tokens are others"
    torch.manual_seed(3)
    tensor = apart.step(given, turn, {WEIGHT: 1.0, "teacher_forcing": torch.tensor(0.0)})["loss"]
    assert torch.equal(tensor, own)


def test_micro_batches_count_by_their_tokens(tmp_path: Path) -> None:
    """One step in four pieces of unequal lengths ends where one in a single piece does."""
    found = []
    for pieces in (1, 4):
        change = f"  steps: 1\n  accumulate: {pieces}\n"
        text = SPEC.replace("  epochs: 12\n", change).replace("adamw: {lr: 2e-2}", "sgd: {lr: 1.0}")
        text = text.replace("  schedule: one_cycle\n", "")
        result = train(compiled(text), output=tmp_path / str(pieces), device="cpu")
        found.append(load_weights(result.folder, 1)["decoder"])
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-4, atol=1e-6)


def test_exact_is_the_whole_answer() -> None:
    wanted = torch.tensor([[3, 4, 2, -1], [3, 4, 5, 2], [3, 2, -1, -1], [3, 4, 5, 2]])
    answers = torch.tensor([[3, 4, 2], [3, 4, 5], [3, 4, 2], [3, 4, 2]])
    assert are_exact(answers, wanted).tolist() == [True, False, False, False]
    longer = torch.tensor(
        [[3, 4, 2, -1, -1], [3, 4, 5, 2, -1], [3, 2, -1, -1, -1], [3, 4, 5, 4, 2]]
    )
    assert are_exact(longer, wanted).tolist() == [True, True, True, False]


# Programs


@every_kind
def test_torch_and_onnx_give_the_same_answers(text: str, tmp_path: Path) -> None:
    """And both are what a loop over `predict` gives, token by token."""
    text = text.replace("epochs: 12", "epochs: 1")
    result = train(compiled(text), output=tmp_path / "run", device="cpu")
    exported = load(export_run(result.folder).folder, "cpu")
    weights = for_onnx(load_weights(result.folder, steps(result.folder)[0]))
    in_torch = torch_programs(open_run(result.folder), weights)
    rng = np.random.default_rng(0)
    for rows, size in ((1, 1), (3, 4), (8, 9)):
        given = {
            "source": rng.integers(*SYMBOLS, (rows, size)),
            "source_lengths": rng.integers(1, size + 1, rows),
        }
        found = exported.program("translate")(**given)
        expected = in_torch["translate"](given)
        assert found["tokens"].shape == (rows, 5)
        lengths = (found["tokens"] >= 0).sum(1)
        np.testing.assert_array_equal(found["lengths"], lengths)
        for row in range(rows):
            alone = {name: array[row : row + 1] for name, array in given.items()}
            tokens = greedy(exported, alone)
            for other in (found["tokens"][row], expected["tokens"][row]):
                agree_until_tie(tokens, other[other >= 0].tolist(), alone, exported)


def greedy(exported: Bundle, given: dict[str, np.ndarray]) -> list[int]:
    """The likeliest token after those before it, until the end."""
    tokens: list[int] = []
    while len(tokens) < 5 and 2 not in tokens:
        read = np.array([tokens or [0]])  # one at least: `predict` takes no empty answers
        scores = exported.predict(**given, target=read)["logits"][0, len(tokens)]
        tokens.append(int(scores.argmax()))
    return tokens


def agree_until_tie(
    one: list[int], other: list[int], given: dict[str, np.ndarray], exported: Bundle
) -> None:
    pairs = zip(one, other, strict=False)
    step = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if step is None:
        assert one == other
        return
    read = np.array([one[:step] or [0]])
    scores = exported.predict(**given, target=read)["logits"][0, step]
    assert as_likely(scores, one[step], other[step])


def test_a_bundle_costs_what_its_run_does(finished: TrainResult, bundle: Bundle) -> None:
    found = evaluate(bundle.folder, data_dir=finished.folder)
    assert found == pytest.approx(evaluate(finished.folder), rel=1e-4, abs=1e-6)
    assert found["exact"] == finished.metrics["test"]["exact"]


def test_answers_end_at_the_longest(tmp_path: Path) -> None:
    """An answer without an end is as long as there is room."""
    text = SPEC.replace("    end: 2\n", "    end: 2\n    longest: 3\n")
    result = train(compiled(text), output=tmp_path / "run", device="cpu")
    exported = load(export_run(result.folder).folder, "cpu")
    given = {"source": np.array([[3, 4, 5, 3], [4, 0, 0, 0]]), "source_lengths": np.array([4, 1])}
    found = exported.program("translate")(**given)
    assert found["lengths"].tolist() == [3, 2]
    assert found["tokens"].tolist() == [[3, 5, 4], [4, 2, -1]]


def test_tokens_may_differ_where_two_are_as_likely() -> None:
    """By a hair, and not where one of both is likelier or had ended."""
    scores = np.array([0.5, 2.0, 2.0 - 1e-6, 1.9], np.float32)

    def predict(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"scores": np.tile(scores, (1, inputs["target"].shape[1] + 1, 1))}

    judge = Choices(predict, "target", "scores", "tokens")
    given = {"source": np.zeros((3, 2), np.int64)}
    wanted = {"tokens": np.array([[1, 1], [1, 1], [1, -1]]), "lengths": np.array([2, 2, 1])}
    other = {"tokens": np.array([[1, 2], [1, 3], [1, 1]]), "lengths": np.array([2, 2, 2])}
    found = judge.settled(given, wanted, other)
    assert found["tokens"].tolist() == [[1, 1], [1, 3], [1, 1]]
    assert found["lengths"].tolist() == [2, 2, 2]


def test_padding_of_the_source_has_no_say(bundle: Bundle) -> None:
    """In both programs: a sample alone, without padding, is answered as it is beside others."""
    source = np.array([[3, 4, 5, 3], [4, 5, 0, 0], [4, 5, 3, 3]])
    lengths, target = np.array([4, 2, 2]), np.array([[3, 4], [5, 4], [5, 4]])
    scores = bundle.predict(source=source, source_lengths=lengths, target=target)["logits"]
    np.testing.assert_array_equal(scores[1], scores[2])
    alone = {"source": source[1:2, :2], "source_lengths": lengths[1:2]}
    found = bundle.predict(**alone, target=target[1:2])["logits"]
    np.testing.assert_allclose(found[0], scores[1], rtol=1e-4, atol=1e-5)
    answers = bundle.program("translate")(source=source, source_lengths=lengths)["tokens"]
    np.testing.assert_array_equal(answers[1], answers[2])


NUMBERS = """\
spec: v1
name: strokes
dims: {S: {min: 1}, T: {min: 1}}
data:
  source: {npz: {path: strokes.npz}}
  fields:
    strokes: {shape: [B, 5, 2], dtype: float32, normalize: {mean: 0.5, std: 2.0}, lengths: count}
    count: {shape: [B], dtype: int64}
    word: {shape: [B, 3], dtype: int64, below: 6, lengths: letters}
    letters: {shape: [B], dtype: int64}
networks:
  encoder:
    inputs: {strokes: {shape: [B, S, 2]}, count: {shape: [B], dtype: int64}}
    layers:
      - {from: strokes, linear: 6}
      - {id: memory, from: {lengths: count}, gru: {hidden: 6, bidirectional: true}}
    outputs: {sequence: memory.sequence}
  decoder:
    inputs:
      word: {shape: [B, T], dtype: int64}
      context: {shape: [B, S, 12]}
      count: {shape: [B], dtype: int64}
    layers:
      - {from: word, embedding: {size: 6, dim: 12}}
      - {id: memory, gru: 8}
      - {from: {x: memory.sequence, context: context, lengths: count}, luong_attention: 10}
      - {id: scores, linear: 6}
    outputs: {seen: memory.sequence, logits: scores}
objective:
  seq2seq:
    encoder: encoder
    decoder: {network: decoder, inputs: {context: encoder.sequence}}
    target: word
    output: logits
    begin: 1
    end: 2
training: {batch: 16, epochs: 1}
"""


def test_numbers_may_be_answered_with_words(tmp_path: Path) -> None:
    """A source of plain numbers, scaled inside the programs; NaN in its padding reaches nothing."""
    rng = np.random.default_rng(0)
    fields = {
        "strokes": rng.standard_normal((80, 5, 2), np.float32),
        "count": rng.integers(1, 6, 80),
        "word": rng.integers(3, 6, (80, 3)),
        "letters": rng.integers(1, 4, 80),
    }
    np.savez(tmp_path / "strokes.npz", **fields)
    result = train(compiled(NUMBERS, tmp_path), output=tmp_path / "run", device="cpu")
    exported = export_run(result.folder)
    weights = for_onnx(load_weights(result.folder, steps(result.folder)[0]))
    in_torch = torch_programs(open_run(result.folder), weights)
    strokes, count = fields["strokes"][:4].copy(), np.array([5, 2, 1, 3])
    for name, file in exported.files.items():
        session, found = make_session(file, "cpu"), []
        for filling in (0.0, np.nan):
            strokes[np.arange(5) >= count[:, None]] = filling
            given = {"strokes": strokes, "count": count}
            if name == "predict":
                given["word"] = fields["word"][:4]
            (one, *_), other = session.run(None, given), in_torch[name](given)
            np.testing.assert_allclose(one, next(iter(other.values())), rtol=1e-4, atol=1e-5)
            found.append(one)
        np.testing.assert_array_equal(*found)


def test_what_is_measured_includes_its_own_answers(finished: TrainResult) -> None:
    objective, given = fresh(SPEC), batch(3)
    outputs = objective.outputs(given)
    assert outputs[ANSWERS].shape == (3, 5)
    assert outputs["logits"].shape == (3, 5, 6)
    assert objective.samples(1) == []


def test_the_page_shows_answers_wrong_ones_first(tmp_path: Path) -> None:
    half = SPEC.replace("epochs: 12", "epochs: 4")
    result = train(compiled(half), output=tmp_path / "run", device="cpu")
    shown = Page(write_report(result.folder).path.read_text(encoding="utf-8")).section("answers")
    right = round(result.metrics["test"]["exact"] * 96)
    assert 0 < right < 96, "the test needs both kinds"
    assert (
        f"{right} of the first 96 test samples are right as a whole; wrong ones first" in shown.text
    )
    rows = re.findall(
        r"<tr><th[^>]*>([\d ]+)</th><td>([\d ]+)</td><td>(.*?)</td></tr>", shown.content
    )
    assert len(rows) == 20
    marks = [said.startswith("<b>") for _, _, said in rows]
    assert marks == sorted(marks)
    assert marks.count(False) == min(20, 96 - right)
    for source, truth, said in rows:
        assert truth.split() == source.split()[::-1]
        assert (re.sub("</?b>", "", said) == truth) == said.startswith("<b>")


def test_a_page_without_samples_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)
    stopped = train(
        compiled(SPEC.replace("  split: {validation: 0.1}\n", "")),
        output=tmp_path / "run",
        observer=stop_at(4),
    )
    text = Page(write_report(stopped.folder).path.read_text(encoding="utf-8")).text
    assert "the run was not finished, and only a finished one looks at its test samples" in text


def test_marks_among_the_answers_are_told(tmp_path: Path) -> None:
    """They would be learnt twice, and no answer would be right as a whole."""
    rng = np.random.default_rng(0)
    fields = {
        "strokes": rng.standard_normal((40, 5, 2), np.float32),
        "count": rng.integers(1, 6, 40),
        "word": np.concatenate([rng.integers(3, 6, (40, 2)), np.full((40, 1), 2)], 1),
        "letters": np.full(40, 3),
    }
    np.savez(tmp_path / "strokes.npz", **fields)
    compilation = compiled(NUMBERS, tmp_path)
    (found,) = advice(compilation, read_data(compilation, tmp_path))
    assert found.startswith("`word` holds 2, the token `end`, in 32 of 32 samples")
    fields["letters"] = np.full(40, 2)
    np.savez(tmp_path / "strokes.npz", **fields)
    assert not list(advice(compilation, read_data(compilation, tmp_path)))
