"""A small spec that is really trained, once for all tests that look at a finished run."""

from __future__ import annotations

from pathlib import Path

import pytest
from netwright.compiler.driver import Compilation
from netwright.runtime.export import export_run
from netwright.runtime.train import TrainResult, train

from .tiny import compile_text


@pytest.fixture(scope="session")
def tiny() -> Compilation:
    return compile_text()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A run that was never disturbed. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    return train(compile_text(), output=folder / "run", device="cpu")


@pytest.fixture(scope="session")
def bundle(finished: TrainResult) -> Path:
    """The bundle of that run. Not to be changed; copy it first."""
    return export_run(finished.folder).folder
