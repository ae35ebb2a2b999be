"""What a user reads for each mistake in a text; goldens in messages/.

`pytest --update-goldens` writes them; read their diff as carefully as code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.render import render
from netwright.runtime.opening import read_data

from .test_text import LINE, SPEC
from .tiny import compile_text

GOLDENS = Path(__file__).parent / "messages"
SOURCE = "{train: [a.txt], test: [b.txt], window: 16}"
NAME = "wordy-1.2.dist-info"

Golden = Callable[[Path, str], None]


def opened(settings: str = SOURCE, **files: str | bytes) -> None:
    """Read the data of a spec with these settings of `text`, and files besides `a.txt`."""
    for name, content in {"a": LINE * 9, "b": LINE, **files}.items():
        raw = content.encode() if isinstance(content, str) else content
        Path(f"{name}.txt").write_bytes(raw)
    read_data(compile_text({SOURCE: settings}, text=SPEC), Path())


def f601_text_unknown() -> None:
    opened(b=LINE + "Le cœur déçu\tmais l'âme plutôt naïve\n")


def f601_text_short() -> None:
    opened(a="a word", b="")


def f601_text_vocabulary() -> None:
    opened(a=LINE + "THE END")


def f601_text_no_match() -> None:
    opened("{train: [books/*.txt], test: [b?.txt], window: 16}")


def f602_text_missing() -> None:
    Path("books").mkdir()
    opened("{train: [c.txt], test: [books], window: 16}")


def f602_text_encoding() -> None:
    opened(a=(LINE + "café").encode("latin-1"), b=b"\xff\xfea\0b\0")


def package(settings: str) -> None:
    opened(f"{{train: [wordy/*.txt], window: 16, package: {{{settings}}}}}")


def f602_text_package() -> None:
    package("name: wordier, version: '1.2'")


def f602_text_version() -> None:
    package("name: wordy, version: '1.3'")


def f602_text_checksum() -> None:
    package(f"name: wordy, version: '1.2', sha256: '{'0' * 64}'")


def f601_text_package_files() -> None:
    opened("{train: ['wordy/**/c*.txt'], window: 16, package: {name: wordy, version: '1.2'}}")


CASES = (
    f601_text_unknown,
    f601_text_short,
    f601_text_vocabulary,
    f601_text_no_match,
    f602_text_missing,
    f602_text_encoding,
    f602_text_package,
    f602_text_version,
    f602_text_checksum,
    f601_text_package_files,
)


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package `wordy` 1.2 with one file, in the folder where the test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path(NAME).mkdir()
    Path(NAME, "METADATA").write_text("Metadata-Version: 2.1\nName: wordy\nVersion: 1.2\n")
    Path(NAME, "RECORD").write_text("wordy/a.txt,,\n")
    Path("wordy").mkdir()
    Path("wordy/a.txt").write_text(LINE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_message(case: Callable[[], None], golden: Golden) -> None:
    with pytest.raises(NetwrightError) as caught:
        case()
    code = case.__name__.partition("_")[0].upper()
    assert {d.code.name for d in caught.value.diagnostics} == {code}
    golden(GOLDENS / f"{case.__name__}.txt", render(list(caught.value.diagnostics), "text"))
