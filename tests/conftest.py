"""What all tests share: goldens, and how Hypothesis draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

if os.environ.get("PYTEST_XDIST_WORKER"):
    # Workers already fill the cores: threads of their own would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline: equal work varies on a shared machine. In CI the same examples are drawn every time.
settings.register_profile("netwright", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("netwright")

# One thread for each test process and what it starts: pytest-xdist runs as many as there are cores,
# and with a pool of threads in each of them training took up to six times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

Golden = Callable[[Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="write recorded texts anew; never in CI"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with the one recorded in a file: `golden(path, text)`.

    With `--update-goldens` the file is written instead, and its diff is to be read as carefully as
    code. Where the variable `CI` is set nothing is ever written.
    """
    update = request.config.getoption("--update-goldens") and not os.environ.get("CI")

    def compare(path: Path, text: str) -> None:
        if update:
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        assert path.exists(), f"no golden {path.name}; `pytest --update-goldens` writes it"
        assert text == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session")
def vae_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a small VAE of digits. Not to be changed."""
    return _exported("VAE", tmp_path_factory.mktemp("vae"))


@pytest.fixture(scope="session")
def vae_bundle(vae_run: Path) -> Path:
    """The bundle of that run. Not to be changed; copy it first."""
    return vae_run / "bundle"


@pytest.fixture(scope="session")
def conditional_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a VAE whose decoder reads the label too. Not to be changed."""
    return _exported("CONDITIONAL", tmp_path_factory.mktemp("conditional")) / "bundle"


def _exported(name: str, folder: Path) -> Path:
    """The run of one of the specs in `generative`."""
    from . import generative  # which loads torch, and few tests need it

    return generative.exported(getattr(generative, name), folder)
