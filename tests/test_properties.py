"""A spec with any key dropped, renamed or retyped gives diagnostics, never a traceback."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from netwright.compiler.diagnostics import Diagnostic, NetwrightError
from netwright.compiler.driver import check_source
from netwright.compiler.render import render
from netwright.compiler.source import SourceFile

ROOT = Path(__file__).resolve().parents[1]
SPECS = [
    ROOT / "specs" / "digits_cnn.yaml",
    ROOT / "specs" / "unet.yaml",
    ROOT / "tests" / "fixtures" / "columns.yaml",
    *sorted((ROOT / "tests" / "fixtures" / "specs").glob("*.yaml")),
]
"""Small specs that use most of the language between them."""

SECONDS = 1.0
"""The longest that any input may take, on an idle machine."""

ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    10**15,
    1.5,
    "",
    "x",
    "$width",
    "$(1 // 0)",
    "$(C * 10 ** 16)",
    "prev",
    "a.b.c",
    [],
    [1],
    ["B"],
    {},
    {"x": 1},
    {"of": "x", "at": 0},
    {"of": "x", "att": "$index"},
    {"over": {"k": []}},
    "0",
    "x.1",
    [[[]]],
]

KINDS = ["drop", "rename", "retype", "repeat", "shorten"]
"""How a place of a spec is damaged."""

ODD_KEYS = ["id", "x", "Residual", "conv2d", "ab", "share", "repeat"]


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.CSafeLoader)  # numbers such as 1e-3 stay text here


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document except its root."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in [(*here, k), *paths(v, (*here, k))]]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in [(*here, i), *paths(v, (*here, i))]]
    return []


def parent(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


def timed_check(text: str, folder: Path) -> tuple[tuple[Diagnostic, ...], float]:
    start = time.process_time()
    try:
        found = check_source(SourceFile("spec.yaml", text), folder).diagnostics
    except NetwrightError as error:
        found = error.diagnostics
    return found, time.process_time() - start


def diagnose(text: str, folder: Path = ROOT / "specs") -> str:
    """What `check` prints; it must end in diagnostics or in none."""
    found, seconds = timed_check(text, folder)
    if seconds >= SECONDS:  # the machine may have been busy
        found, seconds = timed_check(text, folder)
    assert seconds < SECONDS
    return render(list(found), "text") + render(list(found), "json")


def dumped(document: Any) -> str:
    return yaml.dump(document, sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_specs_give_diagnostics(path: Path, data: st.DataObject) -> None:
    document = copy.deepcopy(load(path))
    for _ in range(data.draw(st.integers(1, 3), label="mutations")):
        places = paths(document)
        if not places:
            break
        place = data.draw(st.sampled_from(places), label="place")
        holder, key = parent(document, place), place[-1]
        kind = data.draw(st.sampled_from(KINDS), label="kind")
        if kind == "drop":
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict):
            holder[data.draw(st.sampled_from(ODD_KEYS))] = holder.pop(key)
        elif kind == "shorten" and isinstance(holder[key], list):
            del holder[key][data.draw(st.integers(0, len(holder[key])), label="kept") :]
        elif kind == "repeat" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(data.draw(st.sampled_from(ODD_VALUES), label="value"))
    diagnose(dumped(document))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_each_key_dropped(path: Path) -> None:
    document = load(path)
    for place in paths(document):
        if len(place) > 4:
            continue
        mutated = copy.deepcopy(document)
        del parent(mutated, place)[place[-1]]
        diagnose(dumped(mutated))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_each_list_one_item_shorter(path: Path) -> None:
    """Lists that belong together, such as `mean` and `std`, then differ in length."""
    document = load(path)
    for place in paths(document):
        mutated = copy.deepcopy(document)
        value = parent(mutated, place)[place[-1]]
        if isinstance(value, list) and "layers" not in place:
            value.pop()
            diagnose(dumped(mutated))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_random_text_gives_diagnostics(text: str) -> None:
    diagnose(text)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "spec",
                        "name",
                        "networks",
                        "inputs",
                        "layers",
                        "outputs",
                        "x",
                        "relu",
                        "repeat",
                    ]
                )
                | st.text(max_size=6),
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    )
)
def test_random_documents_give_diagnostics(document: Any) -> None:
    diagnose(dumped(document))


@pytest.mark.parametrize(
    "layers",
    [
        "[{A: {}, repeat: 1000000000}]",
        "[{relu: {}, repeat: 100000}]",
        "[{layers: [{layers: [{relu: {}, repeat: 1000}], repeat: 1000}], repeat: 1000}]",
        "[{linear: 2147483647}, {linear: 2147483647}, {linear: 2147483647}]",
        "[{reshape: {to: [2147483647, 2147483647]}}]",
    ],
)
def test_expansion_is_limited(layers: str) -> None:
    text = (
        "spec: v1\nname: big\nblocks: {A: {layers: [{relu: {}, repeat: 1000}]}}\n"
        f"networks: {{n: {{inputs: {{x: {{shape: [B, 3]}}}}, layers: {layers}, outputs: y}}}}\n"
    )
    diagnose(text)


def test_deep_nesting_and_huge_numbers_are_refused_quickly() -> None:
    for text in ("[" * 50_000, "a: " + "9" * 5_000, "{a: " * 5_000, "- " * 5_000, "\x00" * 100):
        assert "error[Y" in diagnose(text)
