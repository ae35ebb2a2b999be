"""The loader: one reading or an error, every mistake at once, never a crash, never slow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.diagnostics import STAGE_LIMIT, Code, Sink
from netwright.compiler.language import loader
from netwright.compiler.language.loader import BYTE_LIMIT, DEPTH_LIMIT, NODE_LIMIT, load
from netwright.compiler.source import Located, SourceFile, Span

SPECS = sorted((Path(__file__).parents[1] / "fixtures" / "specs").glob("*.yaml"))


def read(text: str) -> tuple[Located | None, Sink]:
    sink = Sink()
    return load(SourceFile("spec.yaml", text), sink), sink


def data(text: str) -> object:
    located, sink = read(text)
    assert located, [d.message for d in sink]
    return located.data


def refused(text: str) -> list[Code]:
    located, sink = read(text)
    assert located is None
    assert sink.errors
    return [diagnostic.code for diagnostic in sink]


def place(span: Span) -> tuple[int, int, int, int]:
    return span.line, span.col, span.end_line, span.end_col


# Values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("2e5", 200000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("-0", 0),
        ("0x1F", 31),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("y", "y"),
        ("N", "N"),
        ("1.2.3", "1.2.3"),
        ("3x", "3x"),
        ("inf", "inf"),
        ('"no"', "no"),
        ("'017'", "017"),
        ("$(a + b)", "$(a + b)"),
        ("netwright:blocks/resnet.yaml", "netwright:blocks/resnet.yaml"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = data(f"a: {text}\n")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "Yes",
        "ON",
        "off",
        "017",
        "-017",
        "08",
        "0o17",
        "0b11",
        "1_000",
        "1_0.5",
        "12:30",
        "1:30.5",
        "-0x1",
        "0x1_F",
        "2024-01-01",
        "2024-01-01T10:00:00Z",
        ".inf",
        "-.INF",
        ".nan",
        "=",
    ],
)
def test_two_readings_are_refused(text: str) -> None:
    assert refused(f"a: {text}\n") == [Code.Y005]
    assert data(f'a: "{text}"\n') == {"a": text}


@pytest.mark.parametrize("text", ["no", "017", "12:30", "2024-01-01", "1_000", "0o17", "=", "0b1"])
def test_two_readings_differ_in_pyyaml_or_yaml_1_2(text: str) -> None:
    """What is refused is not what YAML 1.2 says to everyone: PyYAML disagrees with text."""
    try:
        older = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return
    assert older != text or text == "0o17"


def test_all_independent_mistakes_are_reported() -> None:
    text = "a: no\nb: [1, 017]\na: 2\n<<: {}\nc: &x 1\nd: !!int 3\n3: x\n? [z]\n: 1\ne: 1e999\n"
    expected = [Code.Y005, Code.Y005, Code.Y002, Code.Y003, Code.Y003, Code.Y003]
    assert refused(text) == [*expected, Code.S102, Code.S102, Code.Y004]


def test_a_syntax_error_comes_with_the_mistakes_before_it() -> None:
    assert refused("a: no\nb: [1, 2\nc: 3\n") == [Code.Y005, Code.Y001]


def test_a_stage_reports_so_many_mistakes_and_says_that_it_stops() -> None:
    _, sink = read("".join(f"k{i}: no\n" for i in range(100)))
    assert len(sink.diagnostics) == STAGE_LIMIT
    assert "last" in sink.diagnostics[-1].notes[0]


# Places


def test_spans_and_keys_of_every_value() -> None:
    located, _ = read("a: {b: [1, två]}\nc:\n  - x: |\n      text\n\n    y:\n  - z\n")
    assert located
    spans = {path: place(span) for path, span in located.spans.items()}
    keys = {path: place(span) for path, span in located.keys.items()}
    assert spans == {
        (): (1, 1, 7, 6),
        ("a",): (1, 4, 1, 17),
        ("a", "b"): (1, 8, 1, 16),
        ("a", "b", 0): (1, 9, 1, 10),
        ("a", "b", 1): (1, 12, 1, 15),
        ("c",): (3, 3, 7, 6),
        ("c", 0): (3, 5, 6, 7),
        ("c", 0, "x"): (3, 8, 4, 11),
        ("c", 0, "y"): (6, 7, 6, 7),
        ("c", 1): (7, 5, 7, 6),
    }
    assert keys == {
        ("a",): (1, 1, 1, 2),
        ("a", "b"): (1, 5, 1, 6),
        ("c",): (2, 1, 2, 2),
        ("c", 0, "x"): (3, 5, 3, 6),
        ("c", 0, "y"): (6, 5, 6, 6),
    }


def test_columns_count_code_points() -> None:
    located, _ = read("{你: 😀😀, ключ: x}\n")
    assert located
    assert place(located.keys[("ключ",)]) == (1, 9, 1, 13)


def test_windows_line_ends() -> None:
    located, _ = read("a: 1\r\nb:\r\n  - c\r\n")
    assert located
    assert located.data == {"a": 1, "b": ["c"]}
    assert place(located.spans[("b", 0)]) == (3, 5, 3, 6)


def test_duplicate_keys_show_both_lines() -> None:
    _, sink = read("a: 1\nb: 2\na: 3\n")
    (found,) = sink
    assert [label.span.line for label in found.labels] == [3, 1]


# Limits


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "{" * 50_000,
        "- " * 50_000,
        "? " * 1000,
        "a: " + "[{b: " * 1000,
        "a: " + "9" * 5_000,
        "a: 1e" + "9" * 5_000,
        "a: " + "1_" * 100_000 + "x",
        "a: [" + "a," * 120_000,
        "a: |\n" + " x\n" * 60_000,
        "a: *" + "x" * 100_000,
        "a: 1\n" * 50_000,
        "- on\n" * 40_000,
        "".join(f"k{i}: {i}\n" for i in range(20_000)),
        "#" * 200_000,
        "%" * 100_000,
        "x" * 300_000,
        *("", "\n", "#", "\t", "---", "...", "--- {}"),
        *("\x00", "\ufeff", "\x85", "a: \u2028", "\ud800", "a: \r"),
    ],
    ids=lambda text: f"{text[:12]!r}x{len(text)}",
)
def test_hostile_text_never_crashes_and_is_never_slow(text: str) -> None:
    start = time.process_time()
    located, sink = read(text)
    assert time.process_time() - start < 1.0
    assert (located is None) == bool(sink.errors)


def test_limits() -> None:
    def nested(depth: int) -> str:
        return f"a: {'[' * (depth - 1)}{']' * (depth - 1)}\n"

    assert data(nested(DEPTH_LIMIT))
    assert refused(nested(DEPTH_LIMIT + 1)) == [Code.Y004]
    assert refused(f"a: [{'1,' * NODE_LIMIT}]") == [Code.Y004]
    assert data("#" * (BYTE_LIMIT - 5) + "\na: 1") == {"a": 1}
    assert refused("a: 1 #" + "é" * (BYTE_LIMIT // 2)) == [Code.Y004]
    assert refused(f"a: {2**63}") == [Code.Y004]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[1]", "spec", "spec:v1", "---\n"])
def test_the_root_is_a_map(text: str) -> None:
    assert refused(text) == [Code.S102]


# Words for people


@pytest.mark.parametrize(
    ("text", "message", "help_text"),
    [
        ("a:\n\tb: 1\n", "found a tab", "two spaces"),
        ("a: {b: ${w}}\n", "found `${w}`", "`$(w)`"),
        ("a: [${w * 2}]\n", "found `${w * 2}`", "`$(w * 2)`"),
        ("a:1\nb: 2\n", "a colon is followed by a space, found `a:1`", "`a: 1`"),
        ("a: 1\nb:2\nc: 3\n", "found `b:2`", "`b: 2`"),
        ("a: {k:3, b: 1}\n", "found `k:3`", "`k: 3`"),
        ("a: {k 3, b: 1}\n", "a key is followed by a colon, found `k 3`", "`k: 3`"),
        ("a: [1, 2\nb: 3\n", "found the key `b`", "`]`"),
        ("a: {b: [1, 2}\n", "found `}`", "`]`"),
        ("a: [1, {b: 2}\n", "found the end of the file", "`]`"),
        ("a: [", "found the end of the file", "`]`"),
        ('a: "x\nb: 1\n', "found the end of the file", '"'),
        ("a: b: c\n", "a second colon", "braces"),
        ("a: 1\n  b: 2\n", "indented more", "indent"),
        ("a:\n    b: 1\n  c: 2\n", "indented by 2 spaces", "by 4 spaces as line 2"),
        ("a: 'it's'\n", "found `s` behind it", "double quotes"),
        ("a: @x\n", "cannot start with `@`", "quotes"),
        ("a: *\n", "cannot start with `*`", "quotes"),
        ('a: "\\q"\n', "`\\q`", "single quotes"),
        ("a: {b: 1}}\n", "found `}` that belongs to no open bracket", "remove"),
        ("a: 1\n- b\n", "found an item of a list", "key of its own"),
        ("- a\nb: 1\n", "starts with `- `", "put `- `"),
        ("a: - b\n", "on lines below their key", "new line"),
        ("layers:\n  -relu\n  - tanh\n", "a dash and a space", "space after each dash"),
        ("no colon\nb: 1\n", "found `no colon`", "`no colon:`"),
        ("a: {b: $(f(x, y)), c: 1}\n", "cut off at `$(f(x`", "brackets"),
        ("a: |x\n", "stands on the lines below", "next line"),
        ("a: ,\n", "a value is expected here", "value"),
        ("a: 1\n: b\n", "found none before it", "key"),
    ],
)
@pytest.mark.parametrize("parser", [yaml.CSafeLoader, yaml.SafeLoader], ids=["libyaml", "pure"])
def test_syntax_errors_are_worded_for_people(
    text: str, message: str, help_text: str, parser: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "_EVENTS", parser)
    _, sink = read(text)
    found = sink.diagnostics[0]
    assert found.code in (Code.Y001, Code.E201)
    assert message in found.message
    assert help_text in (found.help or "")


# Any text


WORDS = st.sampled_from(
    [
        *("a", "é", "😀", "no", "017", "1e-3", "$(a)", "${a}", "~", "=", "<<"),
        *(": ", ":", "- ", "-", "\n", "  ", "\t", "\r\n", "---\n", "...\n"),
        *("{", "}", "[", "]", ",", "'", '"', "#", "|", ">", "\\"),
        *("&x", "*x", "!!int ", "%", "@", "`", "?", "\x00", "\x85"),
    ]
)


@given(st.one_of(st.text(), st.lists(WORDS, max_size=40).map("".join)))
def test_any_text_gives_a_tree_or_a_diagnostic(text: str) -> None:
    start = time.process_time()
    located, sink = read(text)
    assert time.process_time() - start < 1.0
    assert (located is None) == bool(sink.errors)
    if located:
        assert located.spans.keys() >= located.keys.keys()
        check_tree(located)


@given(st.lists(WORDS, max_size=30).map("".join))
def test_both_parsers_of_pyyaml_do(text: str) -> None:
    """Without libyaml the pure Python parser serves, with the same data."""
    fast, _ = read(text)
    events, loader._EVENTS = loader._EVENTS, yaml.SafeLoader
    try:
        slow, sink = read(text)
    finally:
        loader._EVENTS = events
    assert slow or sink.errors
    if fast and slow:
        assert fast.data == slow.data


def children(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def check_tree(located: Located) -> None:
    """Every value has a span that lies in the text."""

    def walk(value: object, path: tuple[str | int, ...]) -> None:
        span = located.spans[path]
        assert 1 <= span.line <= span.end_line <= located.file.text.count("\n") + 1
        assert 1 <= span.col <= len(located.file.line(span.line)) + 1
        steps = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        for step, inner in steps:
            walk(inner, (*path, step))

    walk(located.data, ())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_load_as_pyyaml_reads_them(path: Path) -> None:
    """Besides numbers such as `1e-3`, which PyYAML takes for text."""
    text = path.read_text(encoding="utf-8").replace("e-", ".0e-")
    assert data(text) == yaml.safe_load(text)
