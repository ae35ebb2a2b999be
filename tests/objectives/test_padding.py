"""`lengths` of a field: read by the network that reads the field, and obeyed by losses."""

from __future__ import annotations

import pytest
from netwright.compiler.diagnostics import Code

from .conftest import compile_text

SPEC = """\
spec: v1
name: words
data:
  source: {npz: {path: words.npz}}
  fields:
    tokens: {shape: [B, 12], dtype: int64, below: 50, lengths: n}
    n: {shape: [B], dtype: int64}
    tag: {shape: [B, 12], dtype: int64, below: 5}
    label: {shape: [B], dtype: int64, below: 3}
networks:
  net:
    inputs: {tokens: {shape: [B, 12], dtype: int64}, n: {shape: [B], dtype: int64}}
    layers:
      - {from: tokens, embedding: {size: 50, dim: 8}}
      - {id: seen, from: {lengths: n}, self_attention: 2}
      - linear: 5
      - {id: tags, transpose: [1, 2]}
      - {from: seen, slice: {axis: 1, stop: 1}}
      - flatten
      - {id: topic, linear: 3}
    outputs: {logits: topic, tags: tags}
objective:
  supervised:
    network: net
    losses:
      - cross_entropy: {output: logits, target: label}
      - cross_entropy: {output: tags, target: tag}
"""


def changed(*changes: tuple[str, str]) -> str:
    text = SPEC
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_a_network_that_reads_the_lengths_obeys_them() -> None:
    compilation = compile_text(SPEC)
    assert not compilation.diagnostics
    assert [value.name for value in compilation.programs["predict"].inputs] == ["tokens", "n"]


def test_the_lengths_may_come_by_another_name() -> None:
    text = changed(
        ("12], dtype: int64}, n: {", "12], dtype: int64}, count: {"),
        ("{lengths: n}", "{lengths: count}"),
        ("network: net", "network: {network: net, inputs: {count: n}}"),
    )
    assert not compile_text(text).diagnostics


def test_padding_that_a_network_would_take_for_data() -> None:
    text = changed(
        ("12], dtype: int64}, n: {shape: [B], dtype: int64}}", "12], dtype: int64}}"),
        ("from: {lengths: n}, self_attention", "self_attention"),
    )
    (found,) = compile_text(text).diagnostics
    assert found.code is Code.O501
    assert "`net` reads `tokens` and expects its lengths `n` too, found no input" in found.message
    assert found.span is not None
    assert found.span.line == 6


@pytest.mark.parametrize("ignore", ["", ", ignore: 4"])
def test_the_padding_of_a_target_is_left_out_by_losses(ignore: str) -> None:
    text = changed(
        ("below: 5}", "below: 5, lengths: n}"),
        ("target: tag}", f"target: tag{ignore}}}"),
    )
    assert not compile_text(text).diagnostics


def test_lengths_of_a_field_that_nothing_reads() -> None:
    text = changed(
        ("below: 5}", "below: 5, lengths: n}"),
        ("      - cross_entropy: {output: tags, target: tag}\n", ""),
    )
    assert [d.code for d in compile_text(text).diagnostics] == [Code.G303]
