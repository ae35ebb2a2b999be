"""Operators of a user's own: what loads, and what a file that can't be loaded is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import netwright
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.ops.base import REGISTRY

HEAD = """
from netwright.compiler.ir.shapes import TensorType
from netwright.compiler.ops.base import Op, Torch, attribute, register
"""

DOUBLE = """
@register
class Double(Op):
    factor: float = attribute(default=2.0, main=True, above=0.0, doc="What to multiply with.")
    sizes: tuple[int, ...] | None = attribute(default=None, doc="Not used.")

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression="{x} * {factor}", numbers={"factor": self.factor})
"""

SPEC = """spec: v1
name: doubled
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers: [{linear: 4}, {double: 3}, {double: ARGUMENT}]
    outputs: y
"""

Load = Callable[[str], list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Load a text as a plug-in; what it registers is taken out again."""
    known = set(REGISTRY)

    def load_text(text: str) -> list[str]:
        path = tmp_path / "my_ops.py"
        path.write_text(text, encoding="utf-8")
        return netwright.load_plugin(path)

    yield load_text
    for name in set(REGISTRY) - known:
        del REGISTRY[name]


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_an_operator_works_with_and_without_postponed_annotations(
    load: Load, tmp_path: Path, future: str
) -> None:
    assert load(future + HEAD + DOUBLE) == ["double"]
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("ARGUMENT", "{sizes: [1, 2]}"))
    source = netwright.check(spec).source
    assert "x * 3.0" in source
    assert "x * 2.0" in source


def test_arguments_are_checked_as_those_of_any_operator(load: Load, tmp_path: Path) -> None:
    load(HEAD + DOUBLE)
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("ARGUMENT", "{factr: 1.0}"))
    found = netwright.check(spec).diagnostics
    assert [d.code for d in found] == [Code.S101]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "registers no operator"),
        ("x = 1\nraise RuntimeError('broken')\n", "RuntimeError: broken"),
        ("def broken(:\n", "SyntaxError"),
        (HEAD + "@register\nclass Relu(Op):\n    pass\n", "`relu` is registered already"),
        (HEAD + "@register\nclass Double(Op):\n    pass\n", "expects a method `infer`"),
        (HEAD + DOUBLE.replace("float", "set"), "an argument of `Double` expects int, float"),
    ],
)
def test_a_file_that_cannot_be_loaded_leaves_nothing_behind(
    load: Load, text: str, message: str
) -> None:
    known = set(REGISTRY)
    with pytest.raises(NetwrightError, match=message) as caught:
        load(text)
    assert [d.code for d in caught.value.diagnostics] == [Code.P951]
    assert set(REGISTRY) == known


def test_the_place_of_a_failure_is_told(load: Load, tmp_path: Path) -> None:
    with pytest.raises(NetwrightError) as caught:
        load("x = 1\nraise RuntimeError('broken')\n")
    assert caught.value.diagnostics[0].notes == (f"at {tmp_path / 'my_ops.py'}:2",)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError, match="not a file"):
        netwright.load_plugin(tmp_path / "none.py")
