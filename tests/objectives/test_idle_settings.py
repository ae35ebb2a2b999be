"""O502 and G303 for settings that nothing comes of, and none for those that change something."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic

Found = Callable[..., list[Diagnostic]]
Change = tuple[str, str]

SPLIT = ("  fields:\n", "  split: {validation: 0.1}\n  fields:\n")
FREEZE = "{match: net.features.**, freeze: true}"


def training(lines: str) -> Change:
    return "  epochs: 2\n", "".join(f"  {line}\n" for line in lines.split("\n"))


ACCEPTED = [
    "epochs: 2\nvalidation: {epochs: 2}\ncheckpoint: {every: 2}",
    "epochs: 3\nearly_stopping: 1",
    "epochs: 9\nvalidation: {epochs: 4}\nearly_stopping: 1",
    "steps: 100\nvalidation: {steps: 100}\ncheckpoint: {steps: 100, every: 9}",
    "steps: 100\nvalidation: {steps: 33}\nearly_stopping: 2",
    "steps: 100\nearly_stopping: 50",
    "steps: 100\nschedule: {step: {every: 99}}",
    "checkpoint: {every: 10}",
    "plan: {memory_format: channels_last}",
    "plan: {memory_format: contiguous}",
    "plan: {choose: measured, memory_format: contiguous, optimizer: fused}",
    "ema: {decay: {start: 0, end: 0.9, steps: 9}}",
    "optimizer: {sgd: {momentum: 0.9, dampening: 0.1}}",
    "optimizer: {sgd: {momentum: {start: 0, end: 0.9, steps: 9}, dampening: 0.1}}",
    "optimizer: {nadam: {decoupled_weight_decay: true, weight_decay: 0.1}}",
    "optimizer: {nadam: {decoupled_weight_decay: true}}\n"
    "parameters: [{match: net.scores.**, weight_decay: 0.1}]",
    "optimizer: {adamw: {weight_decay: 0.1}}\nparameters: [{kind: bias, weight_decay: 0}]",
    "optimizer: {muon: {adamw: {lr: 1e-3}}}",
    f"parameters: [{FREEZE}, {{match: net.features.bias, freeze: false}}]",
    f"parameters: [{{match: '**', lr_factor: 0.5}}, {FREEZE}]",
    "parameters: [{match: '**', lr_factor: 0.5}, {kind: bias, lr_factor: 1}]",
]


@pytest.mark.parametrize("lines", ACCEPTED)
def test_what_changes_something_is_accepted(found: Found, lines: str) -> None:
    assert not found(SPLIT, training(lines))


TOO_SHORT = [
    ("epochs: 2\nvalidation: {epochs: 3}", "at most the 2 epochs"),
    ("checkpoint: {every: 11}", "at most the 10 epochs"),
    ("epochs: 3\nearly_stopping: 2", "found a run of 3"),
    ("epochs: 9\nvalidation: {epochs: 4}\nearly_stopping: 2", "found a run of 3"),
    ("steps: 99\nvalidation: {steps: 33}\nearly_stopping: 2", "found a run of 3"),
    ("steps: 100\nvalidation: {steps: 101}", "at most the 100 steps"),
    ("steps: 100\ncheckpoint: {steps: 101}", "at most the 100 steps"),
    ("steps: 100\nschedule: {step: {every: 100}}", "the rate would never drop"),
]


@pytest.mark.parametrize(("lines", "words"), TOO_SHORT)
def test_runs_that_are_over_too_soon_are_warned_of(found: Found, lines: str, words: str) -> None:
    """Who tries a spec for an epoch leaves the rest of it as it is."""
    diagnostics = found(SPLIT, training(lines))
    assert {diagnostic.code for diagnostic in diagnostics} == {Code.G303}
    assert any(words in diagnostic.message for diagnostic in diagnostics), diagnostics


REFUSED = [
    ("steps: 100\nschedule: {constant: {warmup: 100}}", "`warmup` expects less"),
    ("plan: {choose: measured, workers: 0, memory_format: contiguous, optimizer: fused, "
     "graphs: false, compile: false}", "nothing to choose"),
    ("plan: {choose: measured, data: device, memory_format: contiguous, optimizer: fused, "
     "graphs: false, compile: false}", "nothing to choose"),
    ("plan: {memory_format: channels_last_3d}", "tensors of 5 axes"),
    ("optimizer: {sgd: {dampening: 0.1}}", "`dampening` needs"),
    ("optimizer: {radam: {decoupled_weight_decay: true}}", "`decoupled_weight_decay` needs"),
    ("optimizer: {nadam: {decoupled_weight_decay: true, weight_decay: 0.1}}\n"
     "parameters: [{match: '**', weight_decay: 0}]", "`weight_decay` of `nadam` expects"),
    ("optimizer: {muon: {exclude: net.scores.*, adamw: {weight_decay: 0.1}}}\n"
     "parameters: [{match: '**', weight_decay: 0}]", "`weight_decay` of `adamw` expects"),
    (f"parameters: [{FREEZE}, {{match: net.features.bias, lr_factor: 2}}]", "`lr_factor` expects"),
    ("parameters: [{match: net.scores.**, freeze: false}]", "`freeze: false` expects"),
    (f"parameters: [{{match: net.features.**, freeze: false}}, {FREEZE}]", "`freeze` expects"),
    ("parameters: [{match: net.scores.bias, lr_factor: 2}, {kind: bias, lr_factor: 3}]",
     "`lr_factor` expects parameters for which no later item"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "words"), REFUSED)
def test_what_nothing_comes_of_is_refused(found: Found, lines: str, words: str) -> None:
    diagnostics = found(SPLIT, training(lines))
    assert {diagnostic.code for diagnostic in diagnostics} == {Code.O502}
    assert any(words in diagnostic.message for diagnostic in diagnostics), diagnostics


def test_intervals_without_validation_samples(found: Found) -> None:
    (diagnostic,) = found(training("steps: 100\nvalidation: {steps: 10}"))
    assert diagnostic.code is Code.O502
    assert "the split has none" in diagnostic.message


def test_a_frozen_matrix_is_nothing_for_muon(found: Found) -> None:
    frozen = "parameters: [{match: [net.scores.**, net.years.**, net.answers.**], freeze: true}]"
    (diagnostic,) = found(training(f"optimizer: muon\n{frozen}"))
    assert "`muon` expects a weight of two axes to move" in diagnostic.message


@pytest.mark.parametrize("weight", ["0", "{start: 0, end: 0, steps: 3}"])
def test_losses_that_all_count_nothing(found: Found, weight: str) -> None:
    others = [("weight: 1.0", f"weight: {weight}"), ("end: 1,", "end: 0,")]
    plain = [
        ("- cross_entropy: {output: pixels, target: mask}",
         "- {cross_entropy: {output: pixels, target: mask}, weight: 0}"),
        ("- bce_logits: {output: flags, target: flags}",
         "- {bce_logits: {output: flags, target: flags}, weight: 0}"),
    ]  # fmt: skip
    assert not found(*others, plain[0])
    (diagnostic,) = found(*others, *plain)
    assert "`losses` expects one of a `weight` above 0" in diagnostic.message
