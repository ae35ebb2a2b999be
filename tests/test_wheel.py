"""The wheel as users get it: built, unpacked elsewhere, and used from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("compiler", "runtime", "specs", "pyproject.toml", "README.md", "LICENSE", "py.typed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the working tree."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in [*(ROOT / name for name in SOURCES), *ROOT.glob("*.py")]:
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    made = subprocess.run(
        [*build, "-w", str(output), str(source)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (path,) = output.glob("netwright-*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that holds Netwright alone."""
    folder = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*install, "--target", str(folder), str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def netwright(site: Path, folder: Path, *arguments: str) -> str:
    """The output of a command of the installed package, run in a folder of the user's."""
    done = subprocess.run(
        [sys.executable, "-m", "netwright", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_is_inside(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for package in ("compiler", "runtime", "specs"):
        for path in (ROOT / package).rglob("*"):
            if path.suffix in (".py", ".yaml", ".css") or path.name == "explanations.md":
                assert f"netwright/{path.relative_to(ROOT).as_posix()}" in packed
    assert {"netwright/py.typed", "netwright/cli.py", "netwright/__main__.py"} <= packed
    assert any(name.endswith("licenses/LICENSE") for name in packed)


def test_nothing_else_is_inside(wheel: Path) -> None:
    tops = {name.split("/")[0].split("-")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"netwright"}
    packed = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in packed if "/tests/" in name or "__pycache__" in name]


def test_the_command_is_declared(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel)
    (declared,) = [name for name in packed.namelist() if name.endswith("entry_points.txt")]
    assert "netwright = netwright.cli:main" in packed.read(declared).decode()


def test_the_installed_package_is_the_one_that_runs(site: Path, tmp_path: Path) -> None:
    code = "import netwright; print(netwright.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == site / "netwright" / "__init__.py"


def test_its_zoo_checks(site: Path, tmp_path: Path) -> None:
    zoo = sorted((site / "netwright" / "specs").glob("*.yaml"))
    assert len(zoo) >= 10
    said = netwright(site, tmp_path, "check", *map(str, zoo))
    assert said == f"{len(zoo)} specs, no mistakes\n"


def test_a_copied_spec_imports_blocks_of_the_package(site: Path, tmp_path: Path) -> None:
    shutil.copy(site / "netwright" / "specs" / "resnet18.yaml", tmp_path / "mine.yaml")
    assert netwright(site, tmp_path, "check", "mine.yaml") == "no mistakes\n"


def test_its_texts_are_found(site: Path, tmp_path: Path) -> None:
    assert "conv2d" in netwright(site, tmp_path, "ops")
    assert "What it means" in netwright(site, tmp_path, "explain", "D402")
    assert "wrote fresh.yaml" in netwright(site, tmp_path, "init", "fresh")
    assert netwright(site, tmp_path, "check", "fresh.yaml") == "no mistakes\n"
    assert "wrote build/model.py" in netwright(
        site, tmp_path, "compile", "fresh.yaml", "-o", "build"
    )
