"""The order of imports, commands that stay free of torch, and generated pages that are current."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS = (
    ("compiler/source.py",),
    (
        "compiler/diagnostics.py",
        "compiler/suggest.py",
        "compiler/foreign_words.py",
        "compiler/reserved.py",
        "compiler/docstrings.py",
    ),
    ("compiler/render.py", "compiler/excerpt.py", "compiler/formats.py", "compiler/fixes.py"),
    ("compiler/ir/",),
    ("compiler/ops/",),
    ("compiler/streaming/",),
    ("compiler/objectives/",),
    ("compiler/language/",),
    ("compiler/plugins.py", "compiler/reference.py"),
    ("compiler/settings/",),
    ("compiler/passes/", "compiler/lints/"),
    ("compiler/backends/",),
    ("compiler/explanations.py", "compiler/summary.py", "compiler/diagram"),
    ("compiler/driver.py", "compiler/growing.py"),
    ("compiler/print_after.py", "compiler/__init__.py"),
    ("runtime/",),
    ("__init__.py",),
    ("cli.py", "__main__.py"),
)
"""A file imports only from its own layer and those before it."""

SAME_LEVEL_APART = ("compiler/passes/", "compiler/lints/")
"""Neighbours that do not know each other."""


def layer_of(path: str) -> int:
    for number, prefixes in enumerate(LAYERS):
        if any(path == p or (not p.endswith(".py") and path.startswith(p)) for p in prefixes):
            return number
    raise AssertionError(f"{path} has no place in LAYERS")


def source_files() -> list[Path]:
    files = [ROOT / "cli.py", ROOT / "__main__.py", ROOT / "__init__.py"]
    for package in ("compiler", "runtime"):
        files += sorted((ROOT / package).rglob("*.py"))
    return files


def imported(path: Path) -> Iterator[str]:
    """The project's own modules that a file imports, as paths from the root."""
    package = list(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1]
        target = base + (node.module.split(".") if node.module else [])
        for alias in node.names:
            yield resolve([*target, alias.name]) or resolve(target) or "__init__.py"


def resolve(parts: list[str]) -> str | None:
    place = ROOT.joinpath(*parts)
    if place.with_suffix(".py").is_file() and parts:
        return place.with_suffix(".py").relative_to(ROOT).as_posix()
    if place.is_dir() and (place / "__init__.py").is_file() and parts:
        return (place / "__init__.py").relative_to(ROOT).as_posix()
    return None


@pytest.mark.parametrize("path", source_files(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    for target in imported(path):
        if target == "__init__.py":
            continue  # the version, which imports nothing
        assert layer_of(target) <= layer_of(here), f"{here} imports {target}"
        for folder in SAME_LEVEL_APART:
            if target.startswith(folder):
                neighbours = [f for f in SAME_LEVEL_APART if f != folder]
                assert not here.startswith(tuple(neighbours)), f"{here} imports {target}"


TORCH_FREE = [
    ["--help"],
    ["check", "specs/resnet50.yaml"],
    ["compile", "specs/digits_cnn.yaml", "-o", "OUT"],
    ["fmt", "specs/digits_cnn.yaml", "--check"],
    ["explain", "D402"],
    ["ops", "conv2d"],
    ["settings", "muon"],
    ["schema"],
    ["init", "fresh", "-o", "OUT/fresh.yaml"],
    ["completion", "bash"],
]

PROBE = """
import sys
from netwright.cli import cli
code = 0
try:
    cli(sys.argv[1:], prog_name="netwright")
except SystemExit as stop:
    code = stop.code or 0
loaded = [name for name in ("torch", "onnxruntime", "sklearn", "matplotlib") if name in sys.modules]
print("LOADED", loaded, code)
"""


@pytest.mark.parametrize("arguments", TORCH_FREE, ids=lambda a: a[0])
def test_commands_import_no_torch(arguments: list[str], tmp_path: Path) -> None:
    given = [argument.replace("OUT", str(tmp_path)) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *given], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "LOADED [] 0" in done.stdout, done.stdout[-500:] + done.stderr[-2000:]


def test_every_package_is_in_the_wheel() -> None:
    """setuptools takes the packages that pyproject.toml lists, not what it finds."""
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for init in [*ROOT.glob("compiler/**/__init__.py"), *ROOT.glob("runtime/**/__init__.py")]:
        name = "netwright." + ".".join(init.parent.relative_to(ROOT).parts)
        assert f'"{name}"' in listed, f"{name} is missing in [tool.setuptools] packages"
