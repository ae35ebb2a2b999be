"""The text that language models are compared on is the one that the package index brings."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from netwright.compiler.objectives.text_sources import NEXT, TOKENS, Package, Text
from netwright.runtime.baseline.ngrams import bits, chances, text_of
from netwright.runtime.data.sources import read_source
from netwright.runtime.data.text_files import text_files

DOCS = "**/bm_docutils/data/docs"
SHA256 = "f0f5d4b2aa8d0737ec4d75a5a722d0192b2526f95510542f7a7059e6e848eea0"
PARTS = {
    "train": (40, 1_147_429, "dc743d4cfe95c52b9a5207673c47b1f7ac794da11a2e01cb40fe2b2036b7eec1"),
    "test": (9, 67_852, "2275637cb87ca5333470b26c36b0199f925224ffc0e66686e6cd10b141b14824"),
}
CORPUS = Text(
    train=[f"{DOCS}/**/*.txt"],
    test=[f"{DOCS}/howto/*.txt", f"{DOCS}/api/*.txt"],
    package=Package(name="pyperformance", version="1.11.0", sha256=SHA256),
)


def test_both_parts_are_those_of_the_package() -> None:
    found = {
        part: (len(paths), b"".join(path.read_bytes() for path in paths))
        for part, paths in text_files(CORPUS, Path()).items()
    }
    assert {
        part: (files, len(text), hashlib.sha256(text).hexdigest())
        for part, (files, text) in found.items()
    } == PARTS


def test_n_grams_take_about_two_bits_a_character() -> None:
    raw = read_source(CORPUS, CORPUS.known_fields(), Path())
    assert raw.test is not None
    assert len(raw.classes[TOKENS]) == len(raw.classes[NEXT]) == 140
    train, test = text_of(raw.train), text_of(raw.test)
    assert (len(train), len(test)) == (1_146_881, 67_841)
    found = [bits(one) for one in chances(train, test, 140, 6)]
    assert found == pytest.approx([4.796, 3.764, 2.825, 2.193, 2.017, 2.019], abs=0.001)
