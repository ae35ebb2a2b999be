"""Rendering: what users read, in four formats, and what hostile text can't do to it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.diagnostics import Code, Diagnostic, Edit, Fix, Label, Sink
from netwright.compiler.render import FORMATS, render, summary
from netwright.compiler.source import SourceFile, Span

RENDERED = Path(__file__).parent / "rendered"

SPEC = SourceFile(
    "specs/residual_cnn.yaml",
    "\n" * 19
    + "      - {id: skip, from: x, conv2d: {channels: 64, kernel: 1}}\n"
    + "      - {from: [main, skip], add: {}}\n"
    + "      - {id: 你好, from: é}\t# tab \x1b[31m\n"
    + "long: [" + "a, " * 40 + "needle, " + "b, " * 90 + "]\n"
    + "map:\n  one: 1\n  two: 2\n  three: 3\n  four: 4\n",
)  # fmt: skip
LIBRARY = SourceFile("specs/blocks/common.yaml", "spec: v1\nname: common\nblocks: {}\n")


def at(line: int, col: int, end: int, file: SourceFile = SPEC, end_line: int = 0) -> Span:
    return Span(file, line, col, end_line or line, end)


def omitting() -> list[Diagnostic]:
    """What is shown of a stage with 23 mistakes, less all but the last two."""
    sink = Sink()
    with sink.stage("network `classifier`"):
        for n in range(21):
            sink.add(Code.S103, f"mistake {n}", at(21, 9, 13), help="repair it")
        sink.add(Code.G303, "a warning", at(20, 14, 18))
        sink.add(Code.S103, "mistake 21", at(21, 9, 13))
    return list(sink.shown()[-2:])


CASES: dict[str, list[Diagnostic]] = {
    "design": [
        Diagnostic(
            Code.D402,
            "`add` needs equal shapes, found f32[B, 64, 16, 16] and f32[B, 64, 32, 32]",
            (Label(at(21, 16, 28), "axis 2: 16 and 32; axis 3: 16 and 32"),),
            (
                "in block `Residual`, used at specs/residual_cnn.yaml:31:9 with "
                "{channels: 64, stride: 2}",
            ),
            "`skip` is defined on line 20; make its stride match `main`",
        )
    ],
    "labels": [
        Diagnostic(
            Code.G303,
            "several places",
            (
                Label(at(21, 17, 21), "the first"),
                Label(at(21, 23, 27), "the second"),
                Label(at(21, 30, 33), "the third"),
                Label(at(20, 14, 18), "defined here"),
                Label(at(23, 1, 5), "two lines further"),
                Label(at(28, 3, 7), "far below"),
                Label(at(2, 7, 13, LIBRARY), "in another file"),
            ),
        )
    ],
    "overlapping": [
        Diagnostic(
            Code.G301,
            "one inside the other",
            (Label(at(21, 17, 21), "inner"), Label(at(21, 16, 28), "outer")),
        )
    ],
    "multi_line": [
        Diagnostic(Code.S102, "three lines", (Label(at(24, 1, 9, end_line=26), "all of it"),)),
        Diagnostic(Code.S102, "five lines", (Label(at(24, 1, 10, end_line=28), "all of it"),)),
    ],
    "clipped": [
        Diagnostic(Code.Y001, "in the middle", (Label(at(23, 128, 134), "here"),)),
        Diagnostic(Code.Y001, "at the start", (Label(at(23, 1, 5), "here"),)),
        Diagnostic(Code.Y001, "at the end", (Label(at(23, 405, 407), "here"),)),
        Diagnostic(Code.Y001, "longer than the line", (Label(at(23, 8, 400), "here"),)),
    ],
    "odd_characters": [
        Diagnostic(
            Code.Y001,
            "escaped \x1b[31m, \x00, \u202e and\na line break",
            (Label(at(22, 14, 16), "wide"), Label(at(22, 31, 32), "behind a tab \x07")),
            ("first line\nsecond line",),
        )
    ],
    "no_place": [
        Diagnostic(Code.R903, "`out` cannot be written: no space left", help="free some space")
    ],
    "fixes": [
        Diagnostic(
            Code.L906,
            "`conv2d` has a bias that the batch norm behind it cancels",
            (Label(at(20, 29, 35), "`bias: true` is the default"),),
            help="write `bias: false`",
            fixes=(
                Fix("write `bias: false`", (Edit(at(20, 60, 60), ", bias: false"),), safe=True),
                Fix("remove the layer", (Edit(at(20, 1, 64), ""),)),
            ),
        )
    ],
    "omitted": omitting(),
    "many": [
        Diagnostic(Code.Y005, "one", (Label(at(20, 14, 18)),)),
        Diagnostic(Code.Y002, "two", (Label(at(21, 9, 13)), Label(at(20, 20, 24), "first"))),
        Diagnostic(Code.G303, "three", (Label(at(1, 1, 1)),)),
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_text(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(RENDERED / f"{name}.txt", render(CASES[name], "text", width=80))


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_data(form: str, golden: Callable[[Path, str], None]) -> None:
    shown = [*CASES["labels"], *CASES["fixes"], *CASES["no_place"], *CASES["odd_characters"]]
    shown += CASES["omitted"]
    golden(RENDERED / f"formats.{form}", render(shown, form))


def test_the_sample_of_the_design() -> None:
    assert render(CASES["design"], "text").startswith(
        """\
error[D402]: `add` needs equal shapes, found f32[B, 64, 16, 16] and f32[B, 64, 32, 32]
  --> specs/residual_cnn.yaml:21:16
   |
21 |       - {from: [main, skip], add: {}}
   |                ^^^^^^^^^^^^ axis 2: 16 and 32; axis 3: 16 and 32
   = note: in block `Residual`, used at specs/residual_cnn.yaml:31:9 with {channels: 64, stride: 2}
   = help: `skip` is defined on line 20; make its stride match `main`
"""
    )


@pytest.mark.parametrize("name", CASES)
def test_colour_adds_nothing_but_colour(name: str) -> None:
    plain = render(CASES[name], "text", width=80)
    coloured = render(CASES[name], "text", width=80, color=True)
    assert coloured != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_nothing_found() -> None:
    assert render([], "text") == ""
    assert render([], "github") == ""
    assert json.loads(render([], "json")) == []
    assert json.loads(render([], "sarif"))["runs"][0]["results"] == []


def test_summaries() -> None:
    assert summary([]) == "no errors"
    assert summary(CASES["many"]) == "2 errors, 1 warning"
    assert summary(CASES["design"]) == "1 error"


def test_an_unknown_format() -> None:
    with pytest.raises(ValueError, match="xml"):
        render([], "xml")


def columns_of(row: str) -> int:
    """How wide a terminal shows it, at least: marks that combine take no column."""
    return sum(not unicodedata.combining(character) for character in row)


@given(st.data())
def test_any_text_at_any_place_renders_in_every_format(data: st.DataObject) -> None:
    """Lines stay lines, control characters never reach a terminal, and width is kept."""
    file = SourceFile(data.draw(st.text(max_size=8)), data.draw(st.text(max_size=300)))
    lines = file.text.count("\n") + 1
    line = data.draw(st.integers(1, lines + 1))
    columns = st.integers(1, 320)
    span = Span(
        file, line, data.draw(columns), line + data.draw(st.integers(0, 5)), data.draw(columns)
    )
    message = data.draw(st.text(max_size=30))
    found = [Diagnostic(Code.Y001, message, (Label(span, message), Label(span, "b")), (message,))]
    for form in FORMATS:
        shown = render(found, form, width=60)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", shown)
        shown.encode("utf-8")
    quoted = [
        row for row in render(found, "text", width=60).split("\n") if re.match(r" *\d+ \|", row)
    ]
    assert all(columns_of(row) <= 60 + 10 for row in quoted)
    json.loads(render(found, "json"))


def test_sarif_has_what_its_schema_requires() -> None:
    log = json.loads(render([d for case in CASES.values() for d in case], "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted(set(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note", "none")
        for location in result["locations"]:
            region = location["physicalLocation"]["region"]
            assert all(number >= 1 for number in region.values())
            assert " " not in location["physicalLocation"]["artifactLocation"]["uri"]
