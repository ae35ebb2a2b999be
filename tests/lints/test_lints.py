"""Each lint finds what it should, keeps quiet where it should, and its fix repairs the spec."""

from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic, Severity
from netwright.compiler.driver import Compilation, check_source
from netwright.compiler.fixes import apply_fixes
from netwright.compiler.lints.registry import LINTS
from netwright.compiler.source import SourceFile

from .test_code_lints import FOUND as FOUND_OF_CODES
from .test_gan_lints import FOUND as FOUND_OF_GANS

SPEC = """\
spec: v1
name: example
data:
  source: {{npz: {{path: data.npz}}}}
  fields:
    image: {{shape: {shape}, dtype: {dtype}{settings}}}
    target: {target}{fields}
networks:
  net:
    inputs: {{image: {{shape: {shape}}}{inputs}}}
    layers:
{layers}
    outputs: y
objective:
  supervised:
    network: net
    losses:
      - {loss}: {{output: y, target: target}}
"""

DEFAULTS = {
    "shape": "[B, 3, 16, 16]",
    "dtype": "float32",
    "settings": "",
    "target": "{shape: [B], dtype: int64, below: 10}",
    "loss": "cross_entropy",
    "fields": "",
    "inputs": "",
}

HEAD = ["flatten", "linear: 10"]


def compile_layers(layers: list[str], **settings: str) -> Compilation:
    lines = "\n".join(f"      - {layer}" for layer in layers)
    text = SPEC.format(layers=lines, **(DEFAULTS | settings))
    return check_source(SourceFile("spec.yaml", text), Path())


def findings(layers: list[str], **settings: str) -> list[Diagnostic]:
    diagnostics = compile_layers(layers, **settings).diagnostics
    assert not [d for d in diagnostics if d.severity is Severity.ERROR], diagnostics
    return list(diagnostics)


def codes(layers: list[str], **settings: str) -> list[str]:
    return [d.code.name for d in findings(layers, **settings)]


def fixed(compilation: Compilation) -> str:
    """The text after every safe fix."""
    fixes = [fix for d in compilation.diagnostics for fix in d.fixes]
    return apply_fixes(compilation.file.text, fixes)


SAME = {"target": "{shape: [B, 3, 16, 16], dtype: float32}", "loss": "mse"}
LAST = "conv2d: {channels: 3, kernel: 3}"

PADDED = {
    "shape": "[B, 20, 4]",
    "settings": ", lengths: n",
    "fields": "\n    n: {shape: [B], dtype: int64}",
    "inputs": ", n: {shape: [B], dtype: int64}",
}
"""Sequences with lengths."""

FOUND = [
    ("L906", ["conv2d: {channels: 4, kernel: 3}", "batch_norm", *HEAD], {}),
    ("L906", ["conv2d: {channels: 4, kernel: 3, bias: true}", "batch_norm", *HEAD], {}),
    (
        "L906",
        ["conv_transpose2d: {channels: 4, kernel: 4, stride: 2, padding: 1}", "batch_norm", *HEAD],
        {},
    ),
    (
        "L906",
        [
            "{from: image, conv2d: {channels: 4, kernel: 3}}",
            "{from: {label: label}, conditional_batch_norm: 10}",
            *HEAD,
        ],
        {
            "fields": "\n    label: {shape: [B], dtype: int64, below: 10}",
            "inputs": ", label: {shape: [B], dtype: int64}",
        },
    ),
    ("L904", [*HEAD, "softmax"], {}),
    ("L904", [*HEAD, "log_softmax"], {}),
    (
        "L904",
        [*HEAD, "sigmoid"],
        {"target": "{shape: [B, 10], dtype: bool}", "loss": "bce_logits"},
    ),
    (
        "L907",
        [LAST, "tanh"],
        SAME | {"target": "{shape: [B, 3, 16, 16], dtype: uint8, scale: [-2, 1]}"},
    ),
    (
        "L907",
        [LAST, "sigmoid"],
        SAME | {"target": "{shape: [B, 3, 16, 16], dtype: uint8, scale: [-1, 1]}"},
    ),
    (
        "L907",
        [LAST, "relu"],
        SAME | {"target": "{shape: [B, 3, 16, 16], dtype: float32, range: [-1, 1]}"},
    ),
    (
        "L908",
        ["conv_transpose2d: {channels: 4, kernel: 3, stride: 2, padding: 1}", *HEAD],
        {},
    ),
    (
        "L909",
        ["conv2d: {channels: 4, kernel: 3}", "global_avg_pool", "linear: 10"],
        {},
    ),
    (
        "L909",
        ["conv2d: {channels: 4, kernel: 3}", "adaptive_avg_pool2d: 1", "flatten", "linear: 10"],
        {},
    ),
    (
        "L902",
        ["unsqueeze: 1", "conv1d: {channels: 4, kernel: 3}", *HEAD],
        {"shape": "[B, 3]", "settings": ", normalize: {mean: [1, 2, 3], std: [4, 5, 6]}"},
    ),
    ("L901", ["{id: r, rnn: 8}", "{from: r.last, linear: 10}"], {"shape": "[B, 101, 4]"}),
    (
        "L911",
        ["reshape: [16, 48]", "{id: r, gru: 8}", "{from: r.last, linear: 10}"],
        {"dtype": "uint8", "settings": ", scale: [0, 1]"},
    ),
    ("L910", ["{from: {x: image, lengths: n}, gru: 8}", "mean: 1", "linear: 10"], PADDED),
]

QUIET = [
    ["conv2d: {channels: 4, kernel: 3, bias: false}", "batch_norm", *HEAD],
    ["conv2d: {channels: 4, kernel: 3}", "relu", "batch_norm", *HEAD],
    [
        "{id: c, conv2d: {channels: 4, kernel: 3}}",
        "batch_norm",
        "{from: [prev, c], add: {}}",
        *HEAD,
    ],
    [*HEAD],
    ["conv_transpose2d: {channels: 4, kernel: 4, stride: 2, padding: 1}", *HEAD],
    ["conv_transpose2d: {channels: 4, kernel: 3, stride: 1}", *HEAD],
    ["conv2d: {channels: 4, kernel: 17}", "global_avg_pool", "linear: 10"],
    [
        "conv2d: {channels: 4, kernel: 5}",
        "max_pool2d: 4",
        "conv2d: {channels: 4, kernel: 5}",
        "global_avg_pool",
        "linear: 10",
    ],
    [  # channel attention decides nothing alone
        "{id: c, conv2d: {channels: 4, kernel: 3}}",
        "global_avg_pool",
        "linear: 4",
        "sigmoid",
        "reshape: {to: [4, 1, 1]}",
        "{from: [c, prev], mul: {broadcast: true}}",
        *HEAD,
    ],
]


@pytest.mark.parametrize(("code", "layers", "settings"), FOUND)
def test_found(code, layers, settings):
    found = findings(layers, **settings)
    assert [d.code.name for d in found] == [code]
    assert found[0].help
    assert found[0].span


def test_channels_are_not_the_size_of_a_transposed_sequence():
    layers = ["transpose: [1, 2]", "conv1d: {channels: 4, kernel: 3}", "global_avg_pool"]
    assert codes([*layers, "linear: 10"], shape="[B, 100, 8]") == []


@pytest.mark.parametrize("layers", QUIET)
def test_quiet(layers):
    assert codes(layers) == []


@pytest.mark.parametrize(
    "settings",
    [
        SAME,
        SAME | {"target": "{shape: [B, 3, 16, 16], dtype: uint8, scale: [-1, 1]}"},
        SAME | {"target": "{shape: [B, 3, 16, 16], dtype: uint8, scale: [0, 1]}"},
    ],
)
def test_a_tanh_that_reaches_its_target(settings):
    assert codes([LAST, "tanh"], **settings) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"shape": "[B, 3]"},
        {"shape": "[B, 3]", "settings": ", normalize: {mean: [1], std: [4]}"},
    ],
)
def test_rows_that_may_be_signals(settings):
    layers = ["unsqueeze: 1", "conv1d: {channels: 4, kernel: 3}", *HEAD]
    assert codes(layers, **settings) == []


@pytest.mark.parametrize("code", LINTS, ids=lambda code: code.name)
def test_every_lint_has_a_case_and_a_page(code):
    assert code.name in {found for found, *_ in (*FOUND, *FOUND_OF_CODES, *FOUND_OF_GANS)}
    page = LINTS[code].__doc__
    assert page
    assert all(
        part in page for part in ("What it does:", "Why it is bad:", "Example:", "Use instead")
    )


FIXABLE = [
    ("conv2d: {channels: 4, kernel: 3}", "conv2d: {channels: 4, kernel: 3, bias: false}"),
    (
        "conv2d: {bias: true, channels: 4, kernel: 3}",
        "conv2d: {bias: false, channels: 4, kernel: 3}",
    ),
    ("conv2d: {channels: 4, kernel: 3, }", "conv2d: {channels: 4, kernel: 3, bias: false, }"),
    (
        "{id: a, conv2d: {channels: 4, kernel: [3, 3]}}",
        "{id: a, conv2d: {channels: 4, kernel: [3, 3], bias: false}}",
    ),
    (
        "conv2d:  # first\n          channels: 4\n          kernel: 3  # small",
        "conv2d:  # first\n          channels: 4\n          kernel: 3  # small\n"
        "          bias: false",
    ),
]


@pytest.mark.parametrize(("before", "after"), FIXABLE)
def test_the_fix_of_l906(before, after):
    compilation = compile_layers([before, "batch_norm", *HEAD])
    text = fixed(compilation)
    assert text == compilation.file.text.replace(before, after)
    assert not check_source(SourceFile("spec.yaml", text), Path()).diagnostics


@pytest.mark.parametrize("layer", ["softmax", "softmax: 1", "softmax: {axis: 1}  # last"])
def test_the_fix_of_l904(layer):
    compilation = compile_layers([*HEAD, layer])
    text = fixed(compilation)
    assert text == compilation.file.text.replace(f"      - {layer}\n", "")
    assert not check_source(SourceFile("spec.yaml", text), Path()).diagnostics


def test_no_fix_where_a_name_would_be_lost():
    (finding,) = findings([*HEAD, "{id: probabilities, softmax: {}}"])
    assert not finding.fixes


BLOCKS = """\
blocks:
  Unit:
    params: {{norm: bool}}
    layers:
      - conv2d: {{channels: 4, kernel: 3}}
      - {{batch_norm: {{}}, when: $norm}}
networks:
"""


@pytest.mark.parametrize(("second", "expected"), [("true", ["L906"]), ("false", [])])
def test_a_bias_that_one_use_of_a_block_needs(second, expected):
    layers = ["Unit: {norm: true}", f"Unit: {{norm: {second}}}", *HEAD]
    lines = "\n".join(f"      - {layer}" for layer in layers)
    text = SPEC.replace("networks:\n", BLOCKS).format(layers=lines, **DEFAULTS)
    found = check_source(SourceFile("spec.yaml", text), Path()).diagnostics
    assert [d.code.name for d in found] == expected


def suppressing(section: str, layers: list[str]) -> list[Diagnostic]:
    text = compile_layers(layers).file.text + section
    return list(check_source(SourceFile("spec.yaml", text), Path()).diagnostics)


def test_suppression():
    layers = ["conv2d: {channels: 4, kernel: 3}", "batch_norm", *HEAD]
    assert suppressing("lint: {L906: kept for a comparison}\n", layers) == []


@pytest.mark.parametrize(
    ("section", "code", "words"),
    [
        ("lint: {L908: no reason left}\n", Code.G303, "L908 finds nothing"),
        ("lint: {L999: what}\n", Code.S101, "unknown lint `L999`"),
        ("lint: {D402: please}\n", Code.S102, "D402 is an error"),
        ("lint: {L906: ''}\n", Code.S102, "L906"),
    ],
)
def test_a_wrong_suppression(section, code, words):
    (diagnostic,) = suppressing(section, HEAD)
    assert diagnostic.code is code
    assert words in diagnostic.message


def test_an_error_hides_no_lint_as_unused():
    found = suppressing("lint: {L906: kept, L99: what}\n", ["linear: 10", "linear: 0"])
    assert {d.code for d in found} == {Code.S102, Code.S101}
