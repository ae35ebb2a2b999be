"""Sequences that a program refuses: no step, more steps than there are, unknown ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.render import render
from netwright.runtime.bundle import open_bundle
from netwright.runtime.export import export_run
from netwright.runtime.predict import predict_files
from netwright.runtime.session import load
from netwright.runtime.train import train

from .tiny import SEQUENCES, compile_text

GOLDENS = Path(__file__).parent / "messages"
LENGTHS = [5, 1, 4, 2]

Golden = Callable[[Path, str], None]
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("topics")
    write_texts(folder)
    compilation = compile_text(text=SEQUENCES, folder=folder)
    return export_run(train(compilation, output=folder / "run", device="cpu").folder).folder


def write_texts(folder: Path) -> None:
    rng = np.random.default_rng(0)
    tokens, n = rng.integers(0, 12, (20, 7)), rng.integers(1, 8, 20)
    np.savez(folder / "texts.npz", tokens=tokens, n=n, label=np.arange(20) % 3)


def sequences(**changed: list[int]) -> Arrays:
    """Inputs that fit, but for those of one sample."""
    arrays = {"tokens": np.arange(20).reshape(4, 5) % 12, "n": np.array(LENGTHS)}
    for name, (*place, value) in changed.items():
        arrays[name][tuple(place)] = value
    return arrays


def test_a_bundle_without_a_program_for_chunks_tells_how_to_get_one(bundle: Path) -> None:
    with pytest.raises(NetwrightError, match="found `step`") as caught:
        load(bundle).stream()
    assert "`stream: T`" in str(caught.value.diagnostics[0].help)


WRONG: dict[str, Arrays] = {
    "no_step": sequences(n=[2, 0]),
    "negative_length": sequences(n=[1, -1]),
    "too_long": sequences(n=[3, 6]),
    "unknown_token": sequences(tokens=[2, 3, 12]),
    "negative_token": sequences(tokens=[0, 4, -1]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_told(
    case: str, golden: Golden, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From files, in many pieces too, and from Python."""
    monkeypatch.chdir(tmp_path)
    np.savez("new.npz", **WRONG[case])
    with pytest.raises(NetwrightError) as caught:
        list(predict_files(bundle, [Path("new.npz")]))
    golden(GOLDENS / f"b802_{case}.txt", render(list(caught.value.diagnostics), "text"))
    opened = load(bundle, "cpu")
    with pytest.raises(NetwrightError) as caught:
        opened.predict(**WRONG[case])
    assert [d.code for d in caught.value.diagnostics] == [Code.B802]
    with pytest.raises(NetwrightError, match="at `"):
        opened.program("predict").in_batches(WRONG[case], 1)


@pytest.mark.parametrize("case", ["unknown_token", "negative_token"])
def test_ids_are_refused_where_the_embedding_alone_says_how_many(case: str, tmp_path: Path) -> None:
    """In data and by the program."""
    compilation = compile_text({" below: 12,": ""}, text=SEQUENCES, folder=tmp_path)
    write_texts(tmp_path)
    bundle = export_run(train(compilation, output=tmp_path / "run", device="cpu").folder).folder
    with pytest.raises(NetwrightError, match="from 0 to 11 in `tokens`") as caught:
        load(bundle, "cpu").predict(**WRONG[case])
    assert [d.code for d in caught.value.diagnostics] == [Code.B802]
    np.savez(tmp_path / "texts.npz", **WRONG[case], label=np.arange(4) % 3)
    with pytest.raises(NetwrightError, match="ids from 0 to 11 in `tokens`") as caught:
        train(compilation, output=tmp_path / "other", device="cpu")
    assert [d.code for d in caught.value.diagnostics] == [Code.F601]


def test_the_command_ends_with_the_code(bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", **WRONG["too_long"])
    done = CliRunner().invoke(cli, ["predict", str(bundle), str(tmp_path / "new.npz")])
    assert done.exit_code == 1
    assert "B802" in done.output
    assert not isinstance(done.exception, NetwrightError)


def test_what_fits_is_answered(bundle: Path) -> None:
    """Lengths of other integers too, and whatever known ids padding holds."""
    opened, fitting = load(bundle, "cpu"), sequences()
    expected = opened.predict(**fitting)["logits"]
    assert expected.shape == (4, 3)
    behind = np.arange(5) >= np.array(LENGTHS)[:, None]
    given = {"tokens": np.where(behind, 0, fitting["tokens"]), "n": np.array(LENGTHS, np.uint8)}
    np.testing.assert_array_equal(opened.predict(**given)["logits"], expected)


def test_the_manifest_says_which_input_holds_the_lengths(bundle: Path) -> None:
    inputs = open_bundle(bundle).manifest.programs["predict"].inputs
    assert (inputs["tokens"].lengths, inputs["n"].lengths) == ("n", None)


@pytest.mark.parametrize("name", ["m", "tokens"])
def test_a_manifest_with_lengths_in_no_input_is_damaged(name: str, bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    kept = manifest.read_text()
    data = json.loads(kept)
    data["programs"]["predict"]["inputs"]["n" if name == "tokens" else "tokens"]["lengths"] = name
    try:
        manifest.write_text(json.dumps(data))
        with pytest.raises(NetwrightError) as caught:
            load(bundle)
    finally:
        manifest.write_text(kept)
    assert [d.code for d in caught.value.diagnostics] == [Code.B801]
