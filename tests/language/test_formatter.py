"""The formatter: the model specs stay as they are, and nothing but the layout ever changes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.diagnostics import Code, NetwrightError, Sink
from netwright.compiler.language.formatter import format_source
from netwright.compiler.language.loader import load
from netwright.compiler.source import SourceFile

FOLDER = Path(__file__).parent
MODELS = sorted((FOLDER.parent / "fixtures" / "specs").glob("*.yaml"))
ZOO = sorted((FOLDER.parents[1] / "specs").rglob("*.yaml"))


def formatted(text: str) -> str:
    return format_source(SourceFile("spec.yaml", text))


def loads(text: str) -> bool:
    return load(SourceFile("spec.yaml", text), Sink()) is not None


def data(text: str) -> Any:
    located = load(SourceFile("spec.yaml", text), Sink())
    assert located
    return located.data


@pytest.mark.parametrize("path", [*MODELS, *ZOO], ids=lambda path: path.stem)
def test_specs_are_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_spelled_out_specs_come_back(path: Path) -> None:
    """A spec that was dumped over many lines gets its short maps back, and the data stays."""
    text = path.read_text(encoding="utf-8")
    dumped = yaml.safe_dump(yaml.safe_load(text), sort_keys=True, default_flow_style=False)
    again = formatted(dumped)
    assert data(again) == data(dumped)
    assert again.splitlines()[0] == "spec: v1"
    assert len(again.splitlines()) < len(dumped.splitlines()) * 0.7


CASES = {
    "sections": ("name: a\nspec: v1\n", "spec: v1\nname: a\n"),
    "indentation": (
        "networks:\n    main:\n        layers:\n        - relu\n",
        "networks:\n  main:\n    layers:\n      - relu\n",
    ),
    "short maps": (
        "networks:\n  m:\n   layers:\n   - conv2d:\n       channels: 8\n       kernel: 3\n",
        "networks:\n  m:\n    layers:\n      - conv2d: {channels: 8, kernel: 3}\n",
    ),
    "layer keys": (
        "networks: {m: {layers: [{when: $a, relu: {}, id: x}]}}\nspec: v1\n",
        "spec: v1\nnetworks: {m: {layers: [{id: x, relu: {}, when: $a}]}}\n",
    ),
    "groups": (
        "networks:\n  m:\n    layers:\n      - layers:\n          - relu\n        repeat: 2\n",
        "networks:\n  m:\n    layers:\n      - repeat: 2\n        layers:\n          - relu\n",
    ),
    "braces around one key": (
        "networks:\n  m:\n    layers:\n      - {linear: 10}\n",
        "networks:\n  m:\n    layers:\n      - linear: 10\n",
    ),
    "spaces in braces": ("params: { a:  1,b: [ 1,2 ] }\n", "params: {a: 1, b: [1, 2]}\n"),
    "flow over lines": ("params: {a: 1,\n  b: 2}\n", "params: {a: 1, b: 2}\n"),
    "comments": (
        "# file\nname: a # n\n# s\nspec: v1\n\n\n# end\n",
        "# file\n# s\nspec: v1\nname: a  # n\n\n# end\n",
    ),
    "comments inside": (
        "networks:\n  m:\n     layers:\n     # one\n     - relu # two\n     # three\n",
        "networks:\n  m:\n    layers:\n      # one\n      - relu  # two\n      # three\n",
    ),
    "a comment keeps a map open": (
        "data:\n  source:\n    npz:\n      path: a # where\n",
        "data:\n  source:\n    npz:\n      path: a  # where\n",
    ),
    "comments of keys that move": (
        "networks:\n  m:\n    layers:\n    - relu: {}\n      # why\n      id: x # and\n",
        "networks:\n  m:\n    layers:\n      # why\n      - id: x  # and\n        relu: {}\n",
    ),
    "comments behind dashes": (
        "x-a:\n- # one\n  - 1\n  # two\n-\n  # three\n  b: 2\n",
        "x-a:\n  # one\n  - - 1\n    # two\n  # three\n  - b: 2\n",
    ),
    "comments in braces": (
        "params: {a: 1, # one\n   b: 2}\n",
        "params: {a: 1, # one\n   b: 2}\n",
    ),
    "text blocks": (
        "x-a:\n    b: |\n        one # no comment\n          two\n\n    c: 1\n",
        "x-a:\n  b: |\n      one # no comment\n        two\n\n  c: 1\n",
    ),
    "folded text": ("summary: one\n   two\n", "summary: one\n  two\n"),
    "quotes": ("name: 'a'\nsummary: \"b: c\"\n", "name: 'a'\nsummary: \"b: c\"\n"),
    "text unfit for braces": (
        "params:\n  a:\n    doc: one, two\n    value: 1\n",
        "params:\n  a:\n    value: 1\n    doc: one, two\n",
    ),
    "blank lines": ("spec: v1\n\n\n\nname: a\n\n", "spec: v1\n\nname: a\n"),
    "windows": ("name: a\r\nspec: v1\r\n", "spec: v1\r\nname: a\r\n"),
    "lists": (
        "objective:\n  supervised:\n    metrics:\n    - accuracy\n    - f1\n",
        "objective:\n  supervised:\n    metrics: [accuracy, f1]\n",
    ),
    "nested lists": ("x-a:\n- - 1\n  - 2\n", "x-a:\n  - - 1\n    - 2\n"),
    "explicit keys": ("? a\n: 1\n", "a: 1\n"),
    "empty values": ("x-a:\nx-b: {c}\n", "x-a:\nx-b: {c: null}\n"),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_layout(text: str, expected: str) -> None:
    assert formatted(text) == expected
    assert formatted(expected) == expected
    assert data(text) == data(expected)


def test_mistakes_are_reported_not_formatted() -> None:
    with pytest.raises(NetwrightError) as caught:
        formatted("a: no\nb: [\n")
    assert [d.code for d in caught.value.diagnostics] == [Code.Y005, Code.Y001]


NAMES = st.sampled_from(
    ["spec", "name", "params", "layers", "data", "x-a", "id", "when", "relu", "k"]
)
SCALARS = st.sampled_from(["1", "1e-3", "true", "word", "'it''s'", '"a # b"', "$(a + b)", "~", ""])
COMMENTS = st.sampled_from(["", "", "", " # note", "   # $(x), {y}: z"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(NAMES, inner, max_size=4),
        st.builds(lambda v: ("flow", v), inner),
    ),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=5), st.data())
def test_any_layout_keeps_data_and_comments(tree: dict[str, Any], draw: st.DataObject) -> None:
    text = "".join(f"{line}\n" for line in Layout(draw).lines(tree, 0))
    if not loads(text):
        return
    after = formatted(text)
    assert data(after) == data(text)
    assert comments(after) == comments(text)
    assert formatted(after) == after


def comments(text: str) -> Counter[str]:
    found = re.findall(r"(?:^|\s)# *(.*)", text.replace("a # b", ""), re.MULTILINE)
    return Counter(comment.strip() for comment in found)


class Layout:
    """Writes a tree as YAML with any indentation, blank lines and comments."""

    def __init__(self, draw: st.DataObject) -> None:
        self.draw = draw

    def lines(self, value: Any, indent: int) -> list[str]:
        step = self.draw.draw(st.integers(1, 4))
        lines: list[str] = []
        entries = list(value.items()) if isinstance(value, dict) else [(None, v) for v in value]
        for key, inner in entries:
            lines += self.draw.draw(st.sampled_from([[], [], [""], [f"{' ' * indent} # own"]]))
            start = " " * indent + ("-" if key is None else f"{key}:")
            comment = self.draw.draw(COMMENTS)
            if isinstance(inner, dict | list) and inner:
                lines += [start + comment, *self.lines(inner, indent + step)]
            else:
                lines.append(f"{start} {self.flow(inner)}{comment}")
        return lines

    def flow(self, value: Any) -> str:
        if isinstance(value, tuple):
            return self.flow(value[1])
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}:  {self.flow(v) or '~'}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[ " + " , ".join(self.flow(v) or "~" for v in value) + " ]"
        return str(value)
