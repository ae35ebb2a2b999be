"""`netwright generate`: text on standard output, all else on standard error."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.runtime.export import export_run
from netwright.runtime.train import train

from .runtime.test_language_model import ATTENTION, compiled


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    text = ATTENTION.replace("epochs: 12", "epochs: 4")
    return export_run(train(compiled(folder, text), output=folder / "run").folder).folder


def test_it_goes_on_from_a_prompt(bundle: Path) -> None:
    first, again = (call(bundle, "--prompt", "abc", "--length", "20") for _ in range(2))
    assert first.exit_code == 0
    assert first.stdout == again.stdout
    assert first.stdout.startswith("abc")
    assert len(first.stdout) == len("abc") + 20 + len("\n")
    assert first.stderr == ""


def test_it_tells_where_the_network_sees_no_more(bundle: Path) -> None:
    found = call(bundle, "--prompt", "abc", "--length", "90")
    assert len(found.stdout) == 48 + len("\n")
    assert "the text ends after 45 tokens" in found.stderr


def test_it_refuses_what_it_does_not_know(bundle: Path) -> None:
    found = call(bundle, "--prompt", "a?c")
    assert found.exit_code == 1
    assert found.stdout == ""
    assert "'?' at position 1" in found.stderr


def call(bundle: Path, *arguments: str) -> object:
    return CliRunner().invoke(cli, ["generate", str(bundle), *arguments])
