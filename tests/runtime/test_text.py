"""Text as data: which files, how they are cut into windows, and what their vocabulary is."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.objectives.text_sources import NEXT, TOKENS, UNKNOWN, Package, Text
from netwright.runtime.data.columns import MappedColumn
from netwright.runtime.data.dataset import open_data
from netwright.runtime.data.raw import RawData
from netwright.runtime.data.sources import read_source
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.inspect import describe
from netwright.runtime.opening import open_run, read_data
from netwright.runtime.predict import predict_files
from netwright.runtime.runs import read_run
from netwright.runtime.train import train

from .tiny import compile_text

LINE = "the quick brown fox jumps over the lazy dog.\n"
SPEC = """\
spec: v1
name: letters
data:
  source: {text: {train: [a.txt], test: [b.txt], window: 16}}
networks:
  net:
    inputs: {tokens: {shape: [B, 16], dtype: int64}}
    layers: [{embedding: {size: 29, dim: 4}}, {linear: 29}, {transpose: [1, 2]}]
    outputs: logits
objective:
  supervised:
    network: net
    losses: [{cross_entropy: {output: logits, target: next}}]
training: {batch: 8, epochs: 2, optimizer: {adamw: {lr: 0.05}}}
"""


def write(folder: Path, **files: str | bytes) -> Path:
    """Files by name; `a` is `a.txt`."""
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.txt").write_bytes(raw)
    return folder


def read(folder: Path, *, classes: list[str] | None = None, **settings: Any) -> RawData:
    source = Text(**settings)
    fields = source.known_fields()
    if classes is not None:
        fields = {
            name: field.model_copy(update={"classes": classes}) for name, field in fields.items()
        }
    return read_source(source, fields, folder)


def ids(raw: RawData, part: str = "train", field: str = TOKENS) -> np.ndarray:
    columns = raw.train if part == "train" else raw.test
    assert columns is not None
    return columns[field].whole()


def words(raw: RawData, part: str = "train") -> str:
    """The text that the windows of a part hold."""
    return "".join(raw.classes[TOKENS][token] for token in ids(raw, part).ravel())


def refused(code: Code, match: str, folder: Path, **settings: Any) -> None:
    with pytest.raises(NetwrightError, match=match) as caught:
        read(folder, **settings)
    assert {d.code for d in caught.value.diagnostics} == {code}
    assert all(d.help for d in caught.value.diagnostics)


# Windows


@given(
    text=st.text(st.characters(codec="utf-8"), min_size=2, max_size=60),
    window=st.integers(1, 20),
    unit=st.sampled_from(["byte", "character"]),
)
def test_every_token_is_used_once_and_the_next_one_follows(
    text: str, window: int, unit: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write(tmp_path_factory.mktemp("text"), a="\n" + text)
    expected = list(("\n" + text).encode() if unit == "byte" else "\n" + text)
    if len(expected) <= window:
        refused(Code.F601, "expected at least", folder, train=["a.txt"], unit=unit, window=window)
        return
    raw = read(folder, train=["a.txt"], unit=unit, window=window)
    names = raw.classes.get(TOKENS, range(256))
    count = (len(expected) - 1) // window
    assert ids(raw).shape == ids(raw, field=NEXT).shape == (count, window)
    assert [names[i] for i in ids(raw).ravel()] == expected[: count * window]
    assert [names[i] for i in ids(raw, field=NEXT).ravel()] == expected[1 : count * window + 1]
    assert len(expected) - 1 - count * window < window  # what is left out is no whole window


@pytest.mark.parametrize("unit", ["byte", "character"])
def test_both_fields_are_views_of_one_text(unit: str, tmp_path: Path) -> None:
    write(tmp_path, a=LINE * 9, b=LINE)
    raw = read(tmp_path, train=["a.txt", "b.txt"], unit=unit, window=7)
    tokens, after = (raw.train[name].in_memory() for name in (TOKENS, NEXT))
    assert tokens is not None
    assert after is not None
    assert np.shares_memory(tokens, after)
    assert tokens.dtype == np.uint8
    assert tokens.base is not None


def test_a_large_vocabulary_takes_more_room(tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + index) for index in range(1_000))
    raw = read(write(tmp_path, a=text), train=["a.txt"], window=9)
    assert ids(raw).dtype == np.int32
    assert words(raw) == text[:999]
    assert len(raw.classes[NEXT]) == 1_000


def test_one_file_of_bytes_stays_where_it_is(tmp_path: Path) -> None:
    write(tmp_path, a=LINE * 9)
    raw = read(tmp_path, train=["a.txt"], unit="byte", window=7)
    assert isinstance(raw.train[TOKENS], MappedColumn)
    assert raw.train[TOKENS].fingerprint() != raw.train[NEXT].fingerprint()
    write(tmp_path, a=LINE)
    with pytest.raises(NetwrightError, match="as it was when it was opened"):
        raw.train[TOKENS].whole()


def test_the_end_of_the_text_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path, a="".join(f"{number:04}" for number in range(250)))
    source = "source: {text: {train: [a.txt], window: 16}}\n  split: {test: 0.2, validation: 0.1}"
    changes = {"source: {text: {train: [a.txt], test: [b.txt], window: 16}}": source,
               "size: 29": "size: 10", "linear: 29": "linear: 10"}  # fmt: skip
    dataset = read_data(compile_text(changes, text=SPEC), tmp_path)
    parts = {part: columns[TOKENS].whole() for part, columns in dataset.parts.items()}
    assert {part: len(values) for part, values in parts.items()} == {
        "train": 45, "validation": 5, "test": 12
    }  # fmt: skip
    joined = np.concatenate([parts[part] for part in ("train", "validation", "test")]).ravel()
    assert "".join(map(str, joined)) == (tmp_path / "a.txt").read_text()[: 62 * 16]


# Which files


def test_files_come_by_pattern_and_in_natural_order(tmp_path: Path) -> None:
    (tmp_path / "more" / "deep").mkdir(parents=True)
    write(tmp_path, a10="ten.", a2="two.", b="bee.", c="sea.")
    write(tmp_path / "more", a1="one.")
    write(tmp_path / "more" / "deep", d="dee.")
    assert words(read(tmp_path, train=["c.txt", "a*.txt", "*.txt"], window=3)) == "sea.two.ten.bee"
    assert words(read(tmp_path, train=["more/**/*.txt"], window=1)) == "one.dee"
    assert words(read(tmp_path, train=[str(tmp_path / "b.txt")], window=1)) == "bee"


def test_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    write(tmp_path, **{"a[1]": "brackets", "a1": "none"})
    assert words(read(tmp_path, train=["a[1].txt"], window=7)) == "bracket"


def test_a_file_is_one_file_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    write(tmp_path, a="abc.", b="cab.")
    other = str(tmp_path / "a.txt")
    raw = read(tmp_path, train=["a.txt", other, "more/../a.txt", "b.txt"], window=7)
    assert words(raw) == "abc.cab"
    raw = read(tmp_path, train=["*.txt"], test=[other], window=3)
    assert words(raw) == "cab"


def test_files_that_test_are_not_trained_on(tmp_path: Path) -> None:
    write(tmp_path, a="abc.", b="cab.", c=".bca")
    raw = read(tmp_path, train=["*.txt"], test=["b.txt"], window=1)
    assert words(raw) == "abc..bc"
    assert words(raw, "test") == "cab"
    match = "found all 3 of `train` in `test`"
    refused(Code.F601, match, tmp_path, train=["*.txt"], test=["?.txt"], window=1)


@pytest.mark.parametrize(
    ("pattern", "code", "match"),
    [
        ("z.txt", Code.F602, "no such file"),
        ("z*.txt", Code.F601, "expected files that match .*found none"),
        ("more", Code.F602, "found the folder"),
    ],
)
def test_files_that_are_not_there(pattern: str, code: Code, match: str, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    write(tmp_path, a=LINE)
    refused(code, match, tmp_path, train=["a.txt", pattern], window=4)
    refused(code, match, tmp_path, train=["a.txt"], test=[pattern], window=4)


# Characters


def test_the_vocabulary_is_the_sorted_characters_of_the_training_text(tmp_path: Path) -> None:
    raw = read(write(tmp_path, a="hé\n漢b\U0001f600a"), train=["a.txt"], window=6)
    assert raw.classes == {
        name: ["\n", "a", "b", "h", "é", "漢", "\U0001f600"] for name in (TOKENS, NEXT)
    }
    assert raw.vocabularies == {TOKENS, NEXT}


def test_a_mark_at_the_beginning_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, a=b"\xef\xbb\xbfab", b=b"\xef\xbb\xbfcd")
    assert words(read(tmp_path, train=["a.txt", "b.txt"], window=3)) == "abc"


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    assert words(read(write(tmp_path, a="a\r\nb\r\n."), train=["a.txt"], window=6)) == "a\r\nb\r\n"


def test_bytes_need_no_encoding(tmp_path: Path) -> None:
    raw = read(write(tmp_path, a=b"\xff\x00\xfe!"), train=["a.txt"], unit="byte", window=3)
    assert ids(raw).tolist() == [[255, 0, 254]]
    assert raw.classes == {}


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a="caf\xe9 ol\xe9".encode("latin-1"))
    match = "expected text in UTF-8 in .*a.txt`, found the byte 0xe9 at offset 3"
    refused(Code.F602, match, tmp_path, train=["a.txt"], window=2)


def test_unknown_characters_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a="abc.", b="ab\nxbzx\tabc")
    match = r"found 4 characters \(`x`, `z`, `\\t`; the first in line 2\) besides"
    write(tmp_path, a="abc\n.")
    refused(Code.F601, match, tmp_path, train=["a.txt"], test=["b.txt"], window=2)


def test_unknown_characters_become_one_id(tmp_path: Path) -> None:
    write(tmp_path, a="abc\n.", b="ab\nxbzx\tabc")
    raw = read(tmp_path, train=["a.txt"], test=["b.txt"], window=2, unknown="id")
    assert raw.classes[TOKENS] == [UNKNOWN, "\n", ".", "a", "b", "c"]
    assert words(raw) == "abc\n"
    assert words(raw, "test") == f"ab\n{UNKNOWN}b{UNKNOWN * 3}ab"
    [note] = raw.notes
    assert note.startswith("put `<unknown>` in place of 4 characters")


def test_a_vocabulary_that_is_known_stays(tmp_path: Path) -> None:
    write(tmp_path, a="banana")
    raw = read(tmp_path, train=["a.txt"], window=5, classes=["n", "b", "a", "z"])
    assert ids(raw).tolist() == [[1, 2, 0, 2, 0]]
    assert raw.classes == {}
    match = "only characters of the vocabulary in .*found 1 character"
    refused(Code.F601, match, tmp_path, train=["a.txt"], window=5, classes=["a", "n"])
    match = "expected single characters as the classes of `tokens`, found `an`"
    refused(Code.F601, match, tmp_path, train=["a.txt"], window=5, classes=["a", "n", "b", "an"])
    match = "expected `<unknown>` as the first of the classes"
    refused(Code.F601, match, tmp_path, train=["a.txt"], window=5, classes=["a"], unknown="id")
    known = [UNKNOWN, "a"]
    raw = read(tmp_path, train=["a.txt"], window=5, classes=known, unknown="id")
    assert ids(raw).tolist() == [[0, 1, 0, 1, 0]]


def test_two_vocabularies_are_one_too_many(tmp_path: Path) -> None:
    source = Text(train=["a.txt"], window=1)
    fields = {
        name: field.model_copy(update={"classes": names})
        for (name, field), names in zip(source.known_fields().items(), (["a"], ["b"]), strict=True)
    }
    with pytest.raises(NetwrightError, match="the same `classes`"):
        read_source(source, fields, write(tmp_path, a="aa"))


# Packages


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], *others: str
) -> None:
    """A distribution `wordy` 1.2 as pip leaves it. others: lines of its list of files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    about = folder / "wordy-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: wordy\nVersion: 1.2\n")
    lines = [f"{name},," for name in (*files, *others)]
    (about / "RECORD").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(folder))


FILES = {
    "wordy/__init__.py": "raise RuntimeError('imported')\n",
    "wordy/a2.txt": "two.",
    "wordy/a10.txt": "ten.",
    "wordy/deep/er/c.txt": "sea.",
}


def test_the_files_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, FILES)
    (tmp_path / "wordy" / "stranger.txt").write_text("not in the package's list")
    package = Package(name="Wordy", version="1.2")
    raw = read(
        Path(), train=["wordy/*.txt"], test=["**/c.txt"], window=1, unknown="id", package=package
    )
    assert words(raw) == "two.ten"
    assert "wordy" not in sys.modules
    deep = read(Path(), train=["**/**/*.txt"], window=1, package=package)
    assert words(deep) == "two.ten.sea"
    for pattern in ("*.txt", "wordy/**/x.txt", "wordy/stranger.txt"):
        refused(Code.F601, "that match", Path(), train=[pattern], window=1, package=package)


def test_the_checksum_is_that_of_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, FILES)
    right = hashlib.sha256(b"two.ten.sea.").hexdigest()
    settings = {"train": ["wordy/a*.txt"], "test": ["wordy/deep/er/c.txt"], "window": 1}
    for unit in ("byte", "character"):
        for sha256, fits in ((right, True), ("0" * 64, False)):
            package = Package(name="wordy", version="1.2", sha256=sha256)
            given = {**settings, "unit": unit, "unknown": "id" if unit == "character" else "error"}
            if fits:
                assert len(ids(read(Path(), **given, package=package))) == 7
            else:
                refused(Code.F602, f"found {right}", Path(), **given, package=package)


def test_another_version_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, FILES)
    for name, version, match in (
        ("wordy", "1.3", "expected the package `wordy` 1.3.*found 1.2 installed"),
        ("wordier", "1.2", "found none of this name installed"),
    ):
        package = Package(name=name, version=version)
        with pytest.raises(NetwrightError, match=match) as caught:
            read(Path(), train=["wordy/*.txt"], package=package)
        [found] = caught.value.diagnostics
        assert found.code is Code.F602
        assert found.help == f"install it: `pip install {name}=={version}`"


def test_no_path_leaves_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    inside = tmp_path / "site"
    install(inside, monkeypatch, FILES, "../secret.txt", str(secret), "wordy/../../secret.txt")
    package = Package(name="wordy", version="1.2")
    for pattern in ("../secret.txt", "**/secret.txt", "**", str(secret), "wordy/../../secret.txt"):
        if pattern == "**":
            assert "secret" not in words(read(Path(), train=[pattern], window=1, package=package))
        else:
            refused(Code.F601, "that match", Path(), train=[pattern], window=1, package=package)


def test_a_file_of_the_package_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, FILES)
    (tmp_path / "wordy" / "a2.txt").unlink()
    package = Package(name="wordy", version="1.2")
    refused(Code.F602, "no such file", Path(), train=["wordy/*.txt"], window=1, package=package)


# Runs


def test_a_run_and_its_bundle_know_the_vocabulary(tmp_path: Path) -> None:
    write(tmp_path, a=LINE * 30, b=LINE * 3)
    compilation = compile_text(text=SPEC, folder=tmp_path)
    run = train(compilation, output=tmp_path / "run", device="cpu").folder
    vocabulary = sorted(set(LINE))
    assert read_run(run)["classes"] == {TOKENS: vocabulary, NEXT: vocabulary}
    assert open_run(run).fields[TOKENS].classes == vocabulary
    bundle = export_run(run).folder
    write(tmp_path, a="dog fox. " * 9, b="dog.\n" * 9)  # other text of the same characters
    assert evaluate(bundle, data_dir=tmp_path)["loss"] > 0
    assert r"classes of tokens: \n,  , ., a," in describe(bundle)
    np.save(tmp_path / "ids.npy", np.zeros((2, 16), np.int64))
    [answer, _] = predict_files(bundle, [tmp_path / "ids.npy"])
    assert "\n" not in answer
    write(tmp_path, b="Dog." * 9)
    with pytest.raises(NetwrightError, match="only characters of the vocabulary"):
        evaluate(bundle, data_dir=tmp_path)


def test_a_network_for_another_vocabulary_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a=LINE * 30, b=LINE * 3)
    compilation = compile_text({"linear: 29": "linear: 40"}, text=SPEC, folder=tmp_path)
    with pytest.raises(NetwrightError, match=r"expected 40 different tokens.*found 29") as caught:
        read_data(compilation, tmp_path)
    assert caught.value.diagnostics[0].help == "give the layer that makes the scores 29 features"


def test_an_embedding_may_have_more_room_but_not_less(tmp_path: Path) -> None:
    write(tmp_path, a=LINE * 30, b=LINE * 3)
    read_data(compile_text({"size: 29": "size: 32"}, text=SPEC), tmp_path)
    with pytest.raises(NetwrightError, match="expected at most 28 different tokens in `tokens`"):
        read_data(compile_text({"size: 29": "size: 28"}, text=SPEC), tmp_path)


def test_ids_of_any_source_must_fit_the_embedding(tmp_path: Path) -> None:
    """torch would end with an index error in the middle of training."""
    tokens = np.arange(40 * 16).reshape(40, 16) % 30
    np.savez(tmp_path / "a.npz", tokens=tokens, next=tokens % 29)
    field = "{shape: [B, 16], dtype: int64}"
    source = f"source: {{npz: {{path: a.npz}}}}\n  fields: {{tokens: {field}, next: {field}}}"
    changes = {"source: {text: {train: [a.txt], test: [b.txt], window: 16}}": source}
    with pytest.raises(NetwrightError, match="from 0 to 28 in `tokens`, found 29 in sample 1"):
        read_data(compile_text(changes, text=SPEC), tmp_path)
    read_data(compile_text({**changes, "size: 29": "size: 30"}, text=SPEC), tmp_path)


def test_characters_at_the_end_that_no_window_has_are_known(tmp_path: Path) -> None:
    """What is left out behind the last window belongs to the vocabulary all the same."""
    source = Text(train=["a.txt"], window=16)
    write(tmp_path, a=LINE * 3 + "!?")
    compilation = compile_text(
        {"size: 29": "size: 31", "linear: 29": "linear: 31", ", test: [b.txt]": ""}, text=SPEC
    )
    dataset = open_data(
        compilation.spec.data, source.known_fields(), compilation.spec.dims, tmp_path
    )
    assert {"!", "?"} < set(dataset.found[TOKENS])
