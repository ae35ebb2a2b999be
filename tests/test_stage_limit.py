"""At most 20 diagnostics of a stage are shown, errors first; what is left out is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import STAGE_LIMIT, Code, Diagnostic, Omitted, Severity, Sink
from netwright.compiler.driver import check_source
from netwright.compiler.render import render, summary
from netwright.compiler.source import SourceFile, Span

from .codes import diagnostics_of


def network(name: str, layers: list[str]) -> str:
    body = "".join(f"      - {layer}\n" for layer in layers)
    return f"  {name}:\n    inputs: {{x: {{shape: [B, 8]}}}}\n    layers:\n{body}    outputs: y\n"


def spec(head: str = "", **networks: list[str]) -> str:
    bodies = "".join(network(name, layers) for name, layers in networks.items())
    return f"spec: v1\nname: many\n{head}networks:\n{bodies}"


def wrong(count: int) -> list[str]:
    return [f"{{id: a{n}, from: nowhere{n}, relu: }}" for n in range(count)]


def dead(count: int) -> list[str]:
    return [f"{{id: d{n}, from: x, relu: }}" for n in range(count)]


def only(found: list[Diagnostic], code: Code) -> list[Diagnostic]:
    return [diagnostic for diagnostic in found if diagnostic.code is code]


def omitted(found: list[Diagnostic]) -> list[Omitted]:
    return [diagnostic.omitted for diagnostic in found if diagnostic.omitted]


def test_as_many_as_the_limit_are_all_shown() -> None:
    found = diagnostics_of(spec(net=wrong(STAGE_LIMIT)), Path())
    assert len(found) == STAGE_LIMIT
    assert not omitted(found)


def test_the_last_one_shown_counts_the_others() -> None:
    found = diagnostics_of(spec(net=wrong(32)), Path())
    assert len(found) == STAGE_LIMIT
    assert found[-1].omitted == Omitted("network `net`", errors=12)
    assert found[-1].notes[-1] == ("12 more errors in network `net` are not shown; fix these first")
    assert [d for d in found if d.omitted] == [found[-1]]


def test_each_network_is_a_stage_and_so_are_the_sections() -> None:
    head = "".join(f"unknown{n}: 1\n" for n in range(21))
    found = diagnostics_of(spec(head, one=wrong(23), two=wrong(2), three=wrong(22)), Path())
    assert [str(part) for part in omitted(found)] == [
        "1 more error in the sections is not shown; fix these first",
        "3 more errors in network `one` are not shown; fix these first",
        "2 more errors in network `three` are not shown; fix these first",
    ]
    assert len(found) == 3 * STAGE_LIMIT + 2


def test_warnings_never_take_the_place_of_an_error() -> None:
    """Unused parameters of blocks are found first, and the spec must not pass for a clean one."""
    blocks = "".join(
        f"  A{n}: {{params: {{n: int}}, layers: [relu]}}\n" for n in range(STAGE_LIMIT + 5)
    )
    text = spec("unknown: 1\nx-blocks: 1\n", net=["relu"]) + f"blocks:\n{blocks}later: 1\n"
    compilation = check_source(SourceFile("spec.yaml", text), Path())
    found = list(compilation.diagnostics)
    assert compilation.has_errors
    assert len(only(found, Code.S101)) == 2
    assert len(found) == STAGE_LIMIT
    (left_out,) = omitted(found)
    assert (left_out.errors, left_out.warnings) == (0, 2 * (STAGE_LIMIT + 5) - 18)


def test_what_has_no_place_stays_in_the_order_of_the_reports() -> None:
    sink = Sink()
    for n in range(STAGE_LIMIT):
        sink.add(Code.G303, f"warning {n}", None)
    sink.add(Code.S102, "error", None)
    shown = [diagnostic.message for diagnostic in sink.shown()]
    assert shown == [*(f"warning {n}" for n in range(STAGE_LIMIT - 1)), "error"]


def test_files_are_read_from_the_top_in_the_order_of_their_first_report() -> None:
    sink = Sink()
    one, two = SourceFile("one.yaml", "a: 1\nb: 2\n"), SourceFile("two.yaml", "c: 3\n")
    places = [(two, 1, 1), None, (one, 2, 4), (one, 2, 1), (two, 1, 4), (one, 1, 1)]
    for number, place in enumerate(places):
        with sink.stage(f"stage {number % 2}"):
            span = Span(place[0], *place[1:], *place[1:]) if place else None
            sink.add(Code.S102, str(number), span)
    assert [diagnostic.message for diagnostic in sink.shown()] == ["1", "0", "4", "5", "3", "2"]


def test_the_first_of_a_file_are_shown() -> None:
    sink, file = Sink(), SourceFile("spec.yaml", "\n" * 40)
    for line in range(30, 0, -1):
        sink.add(Code.S102, str(line), Span(file, line, 1, line, 1))
    shown = sink.shown()
    assert [diagnostic.message for diagnostic in shown] == [str(n + 1) for n in range(STAGE_LIMIT)]
    assert shown[-1].omitted == Omitted("the text", errors=10)


def test_errors_and_warnings_that_are_left_out_are_told_apart() -> None:
    sink = Sink()
    with sink.stage("a stage"):
        for n in range(STAGE_LIMIT + 1):
            sink.add(Code.S102, f"error {n}", None)
            sink.add(Code.G303, f"warning {n}", None)
    assert sink.errors == STAGE_LIMIT + 1
    assert {diagnostic.severity for diagnostic in sink.shown()} == {Severity.ERROR}
    assert str(sink.shown()[-1].omitted) == (
        "1 more error and 21 more warnings in a stage are not shown; fix these first"
    )


def test_a_gate_raises_no_more_than_the_limit() -> None:
    text = "spec: v1\n" + "".join(f"key{n}: yes\n" for n in range(40))
    found = diagnostics_of(text, Path())
    assert len(found) == STAGE_LIMIT
    assert "reading stopped here" in found[-1].notes[0]


def test_a_suppressed_warning_takes_no_place() -> None:
    text = spec("x-note: 1\n", net=[*dead(30), "{from: x, tanh: }"])
    assert len(omitted(diagnostics_of(text, Path()))) == 1
    quiet = diagnostics_of(f"{text}lint: {{G303: on purpose}}\n", Path())
    assert not quiet


def test_a_library_is_a_stage_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = "".join(f"key{n}: 1\n" for n in range(22))
    (tmp_path / "lib.yaml").write_text(
        f"spec: v1\nname: lib\n{keys}blocks: {{A: {{layers: [relu]}}}}\n"
    )
    text = spec("imports: {lib: lib.yaml}\nunknown: 1\n", net=["lib.A"])
    found = diagnostics_of(text, tmp_path)
    assert len(found) == STAGE_LIMIT + 1
    (left_out,) = omitted(found)
    assert left_out.stage == "library `lib.yaml`"


def test_every_format_tells_what_is_left_out() -> None:
    found = diagnostics_of(spec(net=wrong(32)), Path())
    note = "12 more errors in network `net` are not shown; fix these first"
    assert f"= note: {note}" in render(found, "text")
    assert render(found, "text").endswith("20 errors; 12 more are not shown\n")
    assert note in render(found, "github")
    *others, last = json.loads(render(found, "json"))
    assert {entry["omitted"] for entry in others} == {None}
    assert last["omitted"] == {"stage": "network `net`", "errors": 12, "warnings": 0}
    results = json.loads(render(found, "sarif"))["runs"][0]["results"]
    assert results[-1]["properties"] == {"omitted": last["omitted"]}
    assert note in results[-1]["message"]["text"]
    assert not any("properties" in result for result in results[:-1])


def test_the_summary_counts_what_is_left_out_of_several_stages() -> None:
    text = spec(one=wrong(23), two=wrong(22))
    assert summary(diagnostics_of(text, Path())) == "40 errors; 5 more are not shown"


CONVOLUTIONS = [
    part
    for n in range(STAGE_LIMIT + 5)
    for part in (f"{{id: c{n}, conv2d: {{channels: 2, kernel: 1}}}}", f"{{id: b{n}, batch_norm: }}")
]


def test_fixes_of_what_is_not_shown_are_applied_too(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(spec(net=CONVOLUTIONS).replace("[B, 8]", "[B, 3, 8, 8]"))
    result = CliRunner().invoke(cli, ["check", str(file), "--fix", "--format", "json"])
    assert f"fixed {STAGE_LIMIT + 5} in" in result.stderr
    assert json.loads(result.stdout) == []
    assert file.read_text().count("bias: false") == STAGE_LIMIT + 5


def test_exit_codes_are_those_of_all_that_was_found(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(spec(net=[*dead(25), *wrong(1)]))
    assert CliRunner().invoke(cli, ["check", str(file)]).exit_code == 1
    file.write_text(spec(net=[*dead(25), "{from: x, tanh: }"]))
    assert CliRunner().invoke(cli, ["check", str(file)]).exit_code == 0
    denied = CliRunner().invoke(cli, ["check", str(file), "--deny", "warnings"])
    assert denied.exit_code == 1
