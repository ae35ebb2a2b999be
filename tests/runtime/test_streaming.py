"""Sequences in chunks, from the spec to ONNX Runtime: the program `step`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import Compilation
from netwright.runtime.chunk_parity import Whole, compare_chunks
from netwright.runtime.export import ExportResult, export_run, export_weights
from netwright.runtime.generated import build_networks
from netwright.runtime.inspect import describe
from netwright.runtime.parity import check_parity
from netwright.runtime.predict import predict_files
from netwright.runtime.session import Bundle, load
from netwright.runtime.torch_programs import torch_programs
from netwright.runtime.train import train
from numpy.typing import NDArray

from .tiny import compile_text

TAGGER = """\
spec: v1
name: tagger
dims: {T: {min: 3, max: 40}}
data:
  source: {npz: {path: signals.npz}}
  fields:
    signal: {shape: [B, T, 3], dtype: float32, range: [0, 4], scale: [-1, 1]}
    label: {shape: [B], dtype: int64, classes: [down, up]}
    next: {shape: [B, T, 3], dtype: float32, range: [0, 4], scale: [-1, 1]}
networks:
  tagger:
    inputs: {signal: {shape: [B, T, 3]}}
    layers:
      - {id: states, lstm: {hidden: 6, layers: 2, dropout: 0.5}}
      - {id: forecast, from: states.sequence, linear: 3}
      - {id: other, from: states.sequence, gru: 4}
      - {id: head, from: other.last, linear: 2}
    outputs: {logits: head, forecast: forecast}
objective:
  supervised:
    network: tagger
    losses:
      - cross_entropy: {output: logits, target: label}
      - mse: {output: forecast, target: next}
    stream: T
training: {seed: 0, batch: 16, steps: 4}
"""
CLASSIFIER = """\
spec: v1
name: classifier
dims: {T: {max: 12}}
data:
  source: {npz: {path: tokens.npz}}
  fields:
    tokens: {shape: [B, T], dtype: int64, below: 7}
    label: {shape: [B], dtype: int64, below: 3}
networks:
  classifier:
    inputs: {tokens: {shape: [B, T], dtype: int64}}
    layers:
      - {embedding: {size: 7, dim: 6}}
      - {id: x, position_embedding: 12}
      - {id: attend, self_attention: {heads: 2, causal: true}}
      - {from: [x, attend], add: {}}
      - {transpose: [1, 2]}
      - {conv1d: {channels: 6, kernel: 3, causal: true, bias: false}}
      - batch_norm
      - {select: {axis: 2, index: -1}}
      - {linear: 3}
    outputs: logits
objective:
  supervised:
    network: classifier
    losses: [cross_entropy: {output: logits, target: label}]
    stream: T
training: {seed: 0, batch: 16, steps: 4}
"""


def signals(count: int, steps: int) -> NDArray[np.float32]:
    return np.random.default_rng(steps).uniform(0, 4, (count, steps, 3)).astype(np.float32)


def weights_of(compilation: Compilation) -> dict[str, NDArray[np.generic]]:
    torch.manual_seed(0)
    networks = build_networks(compilation.source, compilation.graphs)
    return {
        f"{name}.{key}": tensor.numpy()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }


def exported(text: str, folder: Path, changes: dict[str, str] | None = None) -> ExportResult:
    compilation = compile_text(changes, text=text)
    return export_weights(compilation, weights_of(compilation), folder / "bundle")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tagger that was really trained. Not to be changed."""
    folder = tmp_path_factory.mktemp("tagger")
    signal = signals(64, 10)
    label = (signal[:, -1, 0] > 2).astype(np.int64)
    np.savez(folder / "signals.npz", signal=signal, next=np.roll(signal, -1, 1), label=label)
    run = train(compile_text(text=TAGGER, folder=folder), output=folder / "run", device="cpu")
    return export_run(run.folder).folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load(exported(CLASSIFIER, tmp_path_factory.mktemp("classifier")).folder, "cpu")


def chunks(whole: NDArray[np.generic], *sizes: int) -> list[NDArray[np.generic]]:
    return np.split(whole, np.cumsum(sizes)[:-1], axis=1)


@pytest.mark.parametrize("batch", [1, 5])
def test_chunks_of_a_trained_network_give_what_the_whole_gives(trained: Path, batch: int) -> None:
    bundle, signal = load(trained, "cpu"), signals(batch, 17)
    stream, whole = bundle.stream(), bundle.predict(signal=signal)
    parts = [stream(signal=part) for part in chunks(signal, 1, 7, 2, 1, 6)]
    assert parts[0].keys() == whole.keys() == {"logits", "probabilities", "forecast"}
    forecast = np.concatenate([part["forecast"] for part in parts], axis=1)
    np.testing.assert_allclose(forecast, whole["forecast"], atol=1e-5)
    np.testing.assert_allclose(parts[-1]["probabilities"], whole["probabilities"], atol=1e-6)
    so_far = bundle.predict(signal=signal[:, :8])["logits"]
    np.testing.assert_allclose(parts[1]["logits"], so_far, atol=1e-6)


def test_a_program_in_chunks_takes_and_gives_its_state(trained: Path) -> None:
    bundle, signal = load(trained, "cpu"), signals(2, 6)
    step, signature = bundle.program("step"), bundle.manifest.programs["step"]
    assert signature.time == "T"
    assert set(signature.states) == {"states_hidden", "states_cell", "other_hidden"}
    assert signature.symbols["T"].min == 1
    assert bundle.manifest.symbols["T"].min == 3
    state = {
        name: np.zeros([2 if size == "B" else size for size in step.inputs[name].shape], "float32")
        for name in signature.states
    }
    for place in range(6):
        results = step(signal=signal[:, place : place + 1], **state)
        state = {name: results[output] for name, output in signature.states.items()}
    np.testing.assert_allclose(
        results["logits"], bundle.predict(signal=signal)["logits"], atol=1e-6
    )


def test_a_sequence_begins_anew_after_a_reset(trained: Path) -> None:
    stream, signal = load(trained, "cpu").stream(), signals(2, 4)
    first = stream(signal=signal)["logits"]
    assert not np.array_equal(stream(signal=signal)["logits"], first)
    stream.reset()
    np.testing.assert_array_equal(stream(signal=signal)["logits"], first)


def test_another_batch_is_refused_before_a_reset(trained: Path) -> None:
    stream = load(trained, "cpu").stream()
    stream(signal=signals(2, 4))
    with pytest.raises(NetwrightError, match=r"B = 2 in each chunk.*found 3") as refused:
        stream(signal=signals(3, 4))
    assert refused.value.diagnostics[0].code is Code.B802
    stream.reset()
    stream(signal=signals(3, 4))


def test_the_proof_is_recorded(trained: Path) -> None:
    cases = load(trained, "cpu").manifest.parity["cases"]
    in_chunks = [case for case in cases if "chunks" in case]
    assert {case["output"] for case in in_chunks} == {"logits", "probabilities", "forecast"}
    assert {case["sizes"]["B"] for case in in_chunks} == {1, 3}
    assert all(len(set(case["chunks"])) > 1 for case in in_chunks)
    steps = {c["sizes"]["T"] for c in cases if c["program"] == "step" and "chunks" not in c}
    assert min(steps) == 1


def test_a_step_that_differs_is_refused(trained: Path, tmp_path: Path) -> None:
    """The step of other weights, chunk by chunk, against the whole."""
    compilation = compile_text(text=TAGGER)
    programs, other = compilation.programs, exported(TAGGER, tmp_path).folder
    whole = Whole(
        programs["predict"],
        trained / "predict.onnx",
        torch_programs(compilation, weights_of(compilation))["predict"],
    )
    found = compare_chunks(programs["step"], other / "step.onnx", whole, compilation.fields)
    with pytest.raises(NetwrightError, match="chunk by chunk, to give what `predict`") as refused:
        check_parity(found, 1e-4)
    assert {problem.code for problem in refused.value.diagnostics} == {Code.X701}
    same = compare_chunks(programs["step"], trained / "step.onnx", whole, compilation.fields)
    check_parity(same, 1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_transformer_keeps_what_it_has_seen(classifier: Bundle, batch: int) -> None:
    tokens = np.random.default_rng(batch).integers(0, 7, (batch, 12))
    stream = classifier.stream()
    for start, stop in ((0, 5), (5, 6), (6, 12)):
        logits = stream(tokens=tokens[:, start:stop])["logits"]
        expected = classifier.predict(tokens=tokens[:, :stop])["logits"]
        np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_a_sequence_longer_than_the_maximum_is_refused(classifier: Bundle) -> None:
    stream, tokens = classifier.stream(), np.zeros((2, 12), np.int64)
    stream(tokens=tokens[:, :10])
    with pytest.raises(NetwrightError, match="at most 12 steps, found 10 before this chunk of 3"):
        stream(tokens=tokens[:, :3])
    stream(tokens=tokens[:, :2])


def test_unknown_ids_and_names_are_refused_as_in_predict(classifier: Bundle) -> None:
    stream = classifier.stream()
    with pytest.raises(NetwrightError, match="from 0 to 6 in `tokens`"):
        stream(tokens=np.full((1, 2), 7))
    with pytest.raises(NetwrightError, match="expected the inputs `tokens`, found `words`"):
        stream(words=np.zeros((1, 2), np.int64))


def test_programs_of_the_other_kind_are_refused(classifier: Bundle, tmp_path: Path) -> None:
    with pytest.raises(NetwrightError, match="runs in chunks, found `predict`"):
        classifier.stream("predict")
    file = tmp_path / "tokens.npy"
    np.save(file, np.zeros((1, 3), np.int64))
    with pytest.raises(NetwrightError, match="`step`, which runs one chunk of `T` at a time"):
        list(predict_files(classifier.folder, [file], program="step"))


def test_inspect_shows_the_states(classifier: Bundle) -> None:
    lines = describe(classifier.folder)
    assert "one chunk of T at a time" in lines
    assert (
        "state   attend_keys: float32[B, 12, 6], from the chunk before: attend_keys_next" in lines
    )
    assert "state   steps_seen: int64[], from the chunk before: steps_seen_next" in lines
    assert "input   attend_keys" not in lines


@pytest.mark.parametrize("opset", [18, 22])
def test_every_opset_can_run_chunks(opset: int, tmp_path: Path) -> None:
    compilation = compile_text(text=CLASSIFIER)
    export_weights(compilation, weights_of(compilation), tmp_path / "bundle", opset=opset)


def test_the_step_can_be_exported_alone(tmp_path: Path) -> None:
    result = exported(TAGGER + "export: {programs: [step]}\n", tmp_path)
    assert list(result.files) == ["step"]
    assert "step, chunk by chunk, gives what predict gives" in "\n".join(result.lines())


def test_outputs_that_are_not_kept_cost_no_state(tmp_path: Path) -> None:
    changes = {"    stream: T": "    predict: [forecast]\n    stream: T"}
    result = exported(TAGGER, tmp_path, changes)
    assert set(result.manifest.programs["step"].states) == {"states_hidden", "states_cell"}


def test_data_of_a_fixed_length_trains_what_then_runs_in_chunks(tmp_path: Path) -> None:
    changes = {
        "signal: {shape: [B, T, 3], dtype": "signal: {shape: [B, 7, 3], dtype",
        "next: {shape: [B, T, 3]": "next: {shape: [B, 7, 3]",
    }
    bundle = load(exported(TAGGER, tmp_path, changes).folder, "cpu")
    stream, signal = bundle.stream(), signals(2, 7)
    for part in chunks(signal, 3, 4):
        logits = stream(signal=part)["logits"]
    np.testing.assert_allclose(logits, bundle.predict(signal=signal)["logits"], atol=1e-6)


def test_names_of_fields_are_not_taken_by_states(tmp_path: Path) -> None:
    changes = {
        "label: {shape: [B], dtype": "other_hidden: {shape: [B], dtype",
        "target: label": "target: other_hidden",
    }
    states = exported(TAGGER, tmp_path, changes).manifest.programs["step"].states
    assert states["other_hidden_"] == "other_hidden_next"


def test_tensors_of_another_network_are_used(tmp_path: Path) -> None:
    other = (
        "  table:\n"
        "    inputs: {tokens: {shape: [B, T], dtype: int64}}\n"
        "    layers: [{id: rows, embedding: {size: 7, dim: 6}}]\n"
        "    outputs: y\n"
    )
    tied = "{embedding: {size: 7, dim: 6}, tie: {weight: table.rows.weight}}"
    changes = {
        "networks:\n": f"networks:\n{other}",
        "{embedding: {size: 7, dim: 6}}\n      - {id: x": f"{tied}\n      - {{id: x",
    }
    compilation = compile_text(changes, text=CLASSIFIER)
    assert "F.embedding(tokens, self.table.rows.weight)" in compilation.source
    export_weights(compilation, weights_of(compilation), tmp_path / "bundle")


def test_without_stream_there_is_no_step() -> None:
    compilation = compile_text({"    stream: T\n": ""}, text=TAGGER)
    assert list(compilation.programs) == ["predict"]
    assert "Step" not in compilation.source
