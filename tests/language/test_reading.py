"""Files that cannot be read as text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from netwright.compiler.diagnostics import Code, Diagnostic, NetwrightError, Sink
from netwright.compiler.language.loader import BYTE_LIMIT, load, read_source
from netwright.compiler.source import SourceFile


def refused(path: Path) -> Diagnostic:
    with pytest.raises(NetwrightError) as caught:
        read_source(path)
    (found,) = caught.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"a: \xff\n", Code.Y001, "0xff"),
        (b"\xef\xbb\xbfa: 1", Code.Y001, "byte order mark"),
        ("a: 1".encode("utf-16"), Code.Y001, "UTF-16"),
        (b"a: \x07", Code.Y001, "U+0007"),
        ("a: \u202e".encode(), Code.Y001, "U+202E"),
        (b"a: 1\rb: 2", Code.Y001, "carriage return"),
        (b"#" * (BYTE_LIMIT + 1), Code.Y004, "256 KiB"),
    ],
)
def test_bytes_that_are_no_text(tmp_path: Path, content: bytes, code: Code, message: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    found = refused(path)
    assert found.code is code
    assert message in found.message


def test_the_place_of_a_wrong_byte(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes("a: 1\nö: ".encode() + b"\xff")
    span = refused(path).span
    assert span
    assert (span.line, span.col) == (2, 4)


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * (BYTE_LIMIT - 5))
    assert load(read_source(path), Sink())


def test_missing_files_offer_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "digits_cnn.yaml").write_text("a: 1")
    found = refused(tmp_path / "digit_cnn.yaml")
    assert found.code is Code.R903
    assert "`digits_cnn.yaml`" in (found.help or "")


def test_folders_and_pipes_are_no_specs(tmp_path: Path) -> None:
    assert "a folder" in refused(tmp_path).message
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "a device or pipe" in refused(tmp_path / "pipe").message
    assert refused(tmp_path / "a\0b").code is Code.R903


def test_the_shown_name_is_used(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("a: 1")
    assert read_source(path).name == str(path)
    assert read_source(path, "given.yaml").name == "given.yaml"


@given(content=st.binary())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_text_or_a_diagnostic(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    found = outcome(path)
    if isinstance(found, SourceFile):
        assert found.text.encode() == content
    else:
        assert found.diagnostics


def outcome(path: Path) -> SourceFile | NetwrightError:
    try:
        return read_source(path)
    except NetwrightError as error:
        return error
