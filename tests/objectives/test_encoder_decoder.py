"""What `autoencoder`, `vae` and `vq_vae` ask of networks, data and settings."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic

from .conftest import compile_text

HEAD = """\
spec: v1
name: example
data:
  source: {npz: {path: data.npz}}
  fields:
    image: {shape: [B, 1, 16, 16], dtype: uint8, scale: [0, 1]}
"""

DECODER = """\
  decoder:
    inputs: {z: {shape: [B, 8]}}
    layers:
      - linear: 256
      - reshape: [1, 16, 16]
    outputs: made
"""

VAE = f"""\
{HEAD}\
networks:
  encoder:
    inputs: {{image: {{shape: [B, 1, 16, 16]}}}}
    layers:
      - {{id: flat, flatten: {{}}}}
      - {{id: mean, linear: 8}}
      - {{id: logvar, from: flat, linear: 8}}
    outputs: {{mean: mean, logvar: logvar}}
{DECODER}\
objective:
  vae:
    encoder: encoder
    decoder: decoder
    target: image
    likelihood: bernoulli
"""

AUTOENCODER = f"""\
{HEAD}\
networks:
  encoder:
    inputs: {{image: {{shape: [B, 1, 16, 16]}}}}
    layers:
      - flatten
      - linear: 8
    outputs: code
{DECODER}\
objective:
  autoencoder:
    encoder: encoder
    decoder: decoder
    target: image
"""

VQ_VAE = f"""\
{HEAD}\
networks:
  encoder:
    inputs: {{image: {{shape: [B, 1, 16, 16]}}}}
    layers:
      - {{id: conv, conv2d: {{channels: 8, kernel: 4, stride: 4, padding: 0}}}}
      - {{id: vq, vector_quantize: 32}}
    outputs: {{quantized: vq.quantized, indices: vq.indices, commitment: vq.commitment}}
  decoder:
    inputs: {{z: {{shape: [B, 8, 4, 4]}}}}
    layers:
      - conv_transpose2d: {{channels: 1, kernel: 4, stride: 4, padding: 0}}
    outputs: made
objective:
  vq_vae:
    encoder: encoder
    decoder: decoder
    target: image
"""

SPECS = {"vae": VAE, "autoencoder": AUTOENCODER, "vq_vae": VQ_VAE}

Change = tuple[str, str]

PIXELS = "dtype: uint8, scale: [0, 1]}"
TARGET = "target: image\n"


def changed(spec: str, *changes: Change) -> str:
    text = SPECS[spec]
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the spec"
        text = text.replace(old, new)
    return text


def added(settings: str) -> Change:
    """Settings of the objective, each on a line of its own."""
    return TARGET, TARGET + "".join(f"    {line}\n" for line in settings.splitlines())


def field(settings: str) -> Change:
    """A second data field."""
    return "networks:\n", f"    {settings}\nnetworks:\n"


def condition(name: str, size: int = 3) -> tuple[Change, ...]:
    """A decoder whose second input is a data field of this name."""
    return (
        field(f"{name}: {{shape: [B, {size}], dtype: float32}}"),
        ("{z: {shape: [B, 8]}}", f"{{z: {{shape: [B, 8]}}, c: {{shape: [B, {size}]}}}}"),
        ("      - linear: 256\n", "      - {from: [z, c], concat: 1}\n      - linear: 256\n"),
        ("decoder: decoder\n", f"decoder: {{network: decoder, inputs: {{c: {name}}}}}\n"),
    )


def found(spec: str, *changes: Change) -> list[Diagnostic]:
    return list(compile_text(changed(spec, *changes)).diagnostics)


PROGRAMS = {
    "autoencoder": ["encode", "decode", "reconstruct", "interpolate", "score"],
    "vae": ["encode", "decode", "reconstruct", "sample", "interpolate", "score"],
    "vq_vae": ["encode", "decode", "reconstruct", "score"],
}


@pytest.mark.parametrize("spec", SPECS)
def test_small_specs_have_no_remarks_and_all_programs(spec: str) -> None:
    result = compile_text(SPECS[spec])
    assert not result.diagnostics
    assert list(result.programs) == PROGRAMS[spec]


MIXED: Change = ("likelihood: bernoulli", "likelihood: {logistic_mixture: 2}")
SIX_NUMBERS: tuple[Change, ...] = (
    ("- linear: 256", "- linear: 1536"),
    ("1, 16, 16]\n    outputs: made", "6, 16, 16]\n    outputs: made"),
)
"""Those of two components for each pixel."""

SOUND: list[tuple[str, Sequence[Change]]] = [
    ("autoencoder", [added("noise: {masking: 0.3}\nsparsity: {l1: {weight: 0.01}}")]),
    ("autoencoder", [added("sparsity: kl"), ("linear: 8\n", "linear: 8\n      - sigmoid\n")]),
    (
        "autoencoder",
        [
            added("sparsity: kl"),
            ("linear: 8\n", "linear: 8\n      - sigmoid\n      - reshape: [2, 2, 2]\n"),
            ("{shape: [B, 8]}", "{shape: [B, 2, 2, 2]}"),
            ("      - linear: 256\n", "      - flatten\n      - linear: 256\n"),
        ],
    ),
    ("autoencoder", [("0, 1]}", "0, 1], augment: [flip, {shift: 2}]}")]),
    ("autoencoder", [added("metrics: [psnr, ssim]")]),
    ("autoencoder", [added("metrics: [psnr]"), (PIXELS, "dtype: uint8, normalize: training}")]),
    (
        "autoencoder",
        [added("noise: {masking: 0.3}"), (PIXELS, "dtype: uint8, normalize: training}")],
    ),
    ("autoencoder", [added("metrics:\n  - auroc: {source: {npz: {path: other.npz}}}")]),
    (
        "autoencoder",
        [added("loss: bce_logits"), (PIXELS, "dtype: uint8, scale: [0, 1], binarize: 0.5}")],
    ),
    ("vae", [added("metrics: [{nll: 500}]\nbound: iwae\nsamples: 5")]),
    ("vae", [added("metrics: [nll, {nll: 500}]\nbeta: {start: 0, end: 4, steps: 9}")]),
    ("vae", [added("capacity: {nats: 5}"), ("bernoulli", "gaussian")]),
    ("vae", [added("reduction: mean\nfree_bits: 0.1")]),
    (
        "vae",
        [
            ("bernoulli", "{gaussian: learned}"),
            (
                "reshape: [1, 16, 16]\n",
                "{id: x, reshape: [1, 16, 16]}\n      - {id: v, from: z, "
                "linear: 1}\n      - {id: v4, reshape: [1, 1, 1]}\n",
            ),
            ("outputs: made", "outputs: {mean: x, logvar: v4}"),
        ],
    ),
    ("vae", condition("c")),
    ("vae", [MIXED, *SIX_NUMBERS]),
    ("vae", [MIXED, *SIX_NUMBERS, ("[0, 1]}", "[1, -1], augment: [flip]}")]),
    ("vae", [MIXED, *SIX_NUMBERS, (PIXELS, "dtype: int64, range: [-3, 9], scale: [0, 1]}")]),
]


@pytest.mark.parametrize(("spec", "changes"), SOUND)
def test_what_fits(spec: str, changes: Sequence[Change]) -> None:
    result = compile_text(changed(spec, *changes))
    assert not result.diagnostics
    assert list(result.programs) == PROGRAMS[spec]


NEW_TARGET = "target: clean\n"
CLEAN = "clean: {shape: [B, 1, 16, 16], dtype: uint8, scale: [0, 1]}"

MISFITS: list[tuple[str, Sequence[Change], str]] = [
    # Networks
    ("vae", [("encoder: encoder", "encoder: encodr")], "network `encodr`"),
    ("vae", [("decoder: decoder", "decoder: encoder")], "two networks, found `encoder` as both"),
    ("vae", [("{z: {shape: [B, 8]}}", "{z: {shape: [B, 4]}}")], "`encoder.mean` of type f32[B, 8]"),
    ("vae", [("{z: {shape: [B, 8]}}", "{code: {shape: [B, 8]}}")], "named `z`, found `code`"),
    (
        "vae",
        [
            ("decoder: decoder", "decoder: {network: decoder, inputs: {c: z}}"),
            ("{z: {shape: [B, 8]}}", "{z: {shape: [B, 8]}, c: {shape: [B, 8]}}"),
            ("      - linear: 256\n", "      - {from: [z, c], add: {}}\n      - linear: 256\n"),
        ],
        "found `z`, `c`",
    ),
    (
        "autoencoder",
        [
            ("decoder: decoder", "decoder: {network: decoder, inputs: {x: image}}"),
            ("{z: {shape: [B, 8]}}", "{z: {shape: [B, 8]}, x: {shape: [B, 1, 16, 16]}}"),
            ("linear: 256\n", "{from: z, linear: 256}\n"),
            (
                "reshape: [1, 16, 16]\n",
                "reshape: [1, 16, 16]\n      - {from: [prev, x], add: {}}\n",
            ),
        ],
        "an input for the target `image`",
    ),
    ("vae", [("{mean: mean, logvar: logvar}", "{mean: mean, var: logvar}")], "found `mean`, `var`"),
    ("vae", [("from: flat, linear: 8", "from: flat, linear: 4")], "f32[B, 8], found f32[B, 4]"),
    (
        "autoencoder",
        [("- linear: 8\n    outputs: code", "- {id: a, linear: 8}\n    outputs: {a: a, b: a}")],
        "one output, the code, found `a`, `b`",
    ),
    ("autoencoder", [("- linear: 8\n", "- {argmax: 1}\n")], "a code f32[B, ...] of fixed sizes"),
    (
        "vae",
        [("linear: 256", "linear: 64"), ("1, 16, 16]\n    o", "1, 8, 8]\n    o")],
        "expects to make `image` f32[B, 1, 16, 16], found the output `made` f32[B, 1, 8, 8]",
    ),
    (
        "vae",
        [("reshape: [1, 16, 16]", "reshape: [16, 16]")],
        "found the output `made` f32[B, 16, 1",
    ),
    ("vae", [("bernoulli", "{gaussian: learned}")], "`mean` and `logvar` of the decoder"),
    (
        "vae",
        [
            ("bernoulli", "{gaussian: learned}"),
            (
                "reshape: [1, 16, 16]\n",
                "{id: x, reshape: [1, 16, 16]}\n      - {id: v, from: z, linear: 1}\n",
            ),
            ("outputs: made", "outputs: {mean: x, logvar: v}"),
        ],
        "or axes of size 1, found f32[B, 1]",
    ),
    ("vae", [MIXED], "f32[B, 1, 16, 16] out of f32[B, 6, 16, 16], found the output `made`"),
    ("vq_vae", [("quantized: vq.quantized", "quantized: conv")], "found `quantized: conv`"),
    (
        "vq_vae",
        [
            (
                "indices: vq.indices, commitment: vq.commitment",
                "indices: vq.commitment, commitment: vq.indices",
            )
        ],
        "`indices: vq.commitment`",
    ),
    # The target
    ("vae", [(TARGET, "target: imag\n")], "the data field `imag`"),
    (
        "vae",
        [field("label: {shape: [B], dtype: int64, below: 10}"), (TARGET, "target: label\n")],
        "a target f32[B, ...], found `label` i64[B]",
    ),
    (
        "autoencoder",
        [field(CLEAN.replace(", scale: [0, 1]", "")), (TARGET, NEW_TARGET)],
        "a target f32[B, ...], found `clean` u8",
    ),
    ("vae", [(PIXELS, "dtype: uint8, scale: [-1, 1]}")], "in [0, 1], found `image` in [-1, 1]"),
    ("vae", [(PIXELS, "dtype: float32}")], "found `image` of float32 without a range"),
    ("vae", [(PIXELS, "dtype: uint8, normalize: training}")], "with `normalize: training`"),
    (
        "vq_vae",
        [(PIXELS, "dtype: float32}"), added("loss: bce_logits")],
        "the loss `bce_logits` ex",
    ),
    ("vae", [MIXED, (PIXELS, "dtype: uint8}")], "found `image` of uint8 without `scale`"),
    ("vae", [MIXED, (PIXELS, "dtype: int32}")], "found `image` of int32 without `scale`"),
    (
        "vae",
        [MIXED, (PIXELS, "dtype: float32}")],
        "whole numbers with `scale`, found `image` of fl",
    ),
    ("vae", [MIXED, (PIXELS, "dtype: bool, scale: [0, 1]}")], "found `image` of bool"),
    ("vae", [MIXED, (PIXELS, "dtype: uint8, normalize: training}")], "with `normalize: training`"),
    (
        "vae",
        [MIXED, (PIXELS, "dtype: uint8, normalize: {mean: 0.5, std: 0.5}}")],
        "found `image` with `normalize`",
    ),
    ("vae", [MIXED, ("[0, 1]}", "[0, 1], binarize: 0.5}")], "found `image` with `binarize`"),
    (
        "vae",
        [MIXED, ("[0, 1]}", "[0, 1], augment: [{noise: 1}]}")],
        "with the augmentation `noise`",
    ),
    ("vae", [MIXED, ("dtype: uint8,", "dtype: uint8, range: [0.5, 9],")], "in [0.5, 9]"),
    (
        "vae",
        [MIXED, ("dtype: uint8,", "dtype: int32, range: [0, 65536],")],
        "which are more than 65,536 levels",
    ),
    # Metrics
    ("autoencoder", [added("metrics: [nll]")], "how likely samples are, found `autoencoder`"),
    ("vq_vae", [added("metrics: [nll]")], "how likely samples are, found `vq_vae`"),
    ("vae", [added("metrics: [{probe: label}]")], "`probe` names the data field `label`"),
    ("vae", [added("metrics: [{probe: image}]")], "integers [B], found `image` u8"),
    ("autoencoder", [(PIXELS, "dtype: float32}"), added("metrics: [ssim]")], "smallest and the l"),
    (
        "autoencoder",
        [
            (PIXELS, "dtype: float32, range: [0, 1], normalize: training}"),
            added("metrics: [{auroc: {source: digits}}]"),
        ],
        "u8[B, 1, 8, 8] in the source",
    ),
    (
        "autoencoder",
        [
            field("other: {shape: [B], dtype: int64}"),
            added("metrics: [{auroc: {source: digits}}, {probe: other}]"),
        ],
        "`digits`, which has no `other`",
    ),
    (
        "vae",
        [added("metrics:\n  - auroc: {source: {npz: {path: b.npz, arrays: {imag: x}}}}")],
        "the field `imag`",
    ),
    (
        "vae",
        [added("metrics:\n  - auroc: {source: {npy: {files: {label: x.npy}}}}")],
        "the field `label`",
    ),
    # Names of programs' inputs
    ("vae", condition("noise"), "calls an input or an output of its programs `noise`"),
    ("vae", condition("fraction"), "calls an input or an output of its programs `fraction`"),
    (
        "autoencoder",
        condition("start_image"),
        "calls an input or an output of its programs `start_image`",
    ),
]


@pytest.mark.parametrize(("spec", "changes", "words"), MISFITS, ids=[w for _, _, w in MISFITS])
def test_what_does_not_fit_is_o501(spec: str, changes: Sequence[Change], words: str) -> None:
    diagnostics = found(spec, *changes)
    assert {d.code for d in diagnostics} == {Code.O501}
    assert any(words in d.message for d in diagnostics)
    assert diagnostics[0].help
    assert diagnostics[0].span is not None


def test_ssim_needs_a_window_and_psnr_does_not() -> None:
    small = VAE.replace("16, 16]", "10, 16]").replace("linear: 256", "linear: 160")
    for metric, words in (("ssim", ["at least 11x11"]), ("psnr", [])):
        text = small.replace(TARGET, f"{TARGET}    metrics: [{metric}]\n")
        messages = [d.message for d in compile_text(text).diagnostics]
        assert len(messages) == len(words)
        assert all(part in message for part, message in zip(words, messages, strict=True))


EXCLUSIONS: list[tuple[str, Sequence[Change], str]] = [
    ("vae", [added("bound: iwae\nsamples: 5\nbeta: 4")], "takes no `beta`"),
    ("vae", [added("bound: iwae\nsamples: 5\nfree_bits: 1")], "takes no `free_bits`"),
    ("vae", [added("bound: iwae\nsamples: 5\ncapacity: {nats: 1}")], "takes no `capacity`"),
    ("vae", [added("bound: iwae")], "2 `samples` or more, found 1"),
    ("vae", [added("capacity: {nats: 1}\nbeta: 1")], "takes the place of `beta`"),
    ("vae", [added("capacity: {nats: 1}\nfree_bits: 1")], "takes the place of `free_bits`"),
    ("vae", [added("reduction: {reconstruction: mean, kl: sum}")], "is a `beta` of 256"),
    ("vae", [added("reduction: {reconstruction: sum, kl: mean}")], "is a `beta` of 1/256"),
    ("vae", [added("metrics: [{nll: 5}, {nll: 5}]")], "found `nll_5` again"),
    ("vae", [added("metrics: [{auroc: {source: {npz: {path: data.npz}}}}]")], "found the same one"),
    ("autoencoder", [added("sparsity: kl")], "found that of `linear`"),
    (
        "autoencoder",
        [field(CLEAN), (TARGET, NEW_TARGET + "    noise: {gaussian: 1}\n")],
        "`clean`, which the encoder does not read",
    ),
    ("autoencoder", [(PIXELS, "dtype: float32}"), added("noise: {masking: 0.1}")], "the smallest"),
    (
        "autoencoder",
        [field(CLEAN), (TARGET, NEW_TARGET), ("0, 1]}\n    c", "0, 1], augment: [flip]}\n    c")],
        "pixels of `image` but not those of its target `clean`",
    ),
    (
        "autoencoder",
        [field(CLEAN.replace("1]}", "1], augment: [flip]}")), (TARGET, NEW_TARGET)],
        "pixels of `clean` but not those of `image`",
    ),
]


@pytest.mark.parametrize(("spec", "changes", "words"), EXCLUSIONS, ids=[w for *_, w in EXCLUSIONS])
def test_what_excludes_each_other_is_o502(spec: str, changes: Sequence[Change], words: str) -> None:
    diagnostics = found(spec, *changes)
    assert {d.code for d in diagnostics} == {Code.O502}
    assert words in diagnostics[0].message
    assert diagnostics[0].help


@pytest.mark.parametrize("spec", SPECS)
def test_without_data_one_thing_is_said(spec: str) -> None:
    text = SPECS[spec]
    text = text[: text.index("data:")] + text[text.index("networks:") :]
    (diagnostic,) = compile_text(text).diagnostics
    assert diagnostic.code is Code.O501
    assert "needs `data`" in diagnostic.message


@pytest.mark.parametrize("spec", SPECS)
def test_a_broken_field_silences_what_follows_from_it(spec: str) -> None:
    metrics = added("metrics:\n  - psnr\n  - auroc: {source: {idx: {train: [x.gz]}}}")
    diagnostics = found(spec, ("scale: [0, 1]", "scale: [1, 1]"), metrics)
    assert [d.code for d in diagnostics] == [Code.S102]


def test_every_independent_mistake_is_found_at_once() -> None:
    diagnostics = found(
        "vae",
        ("{z: {shape: [B, 8]}}", "{c: {shape: [B, 8]}}"),
        (TARGET, "target: imag\n    metrics: [{probe: label}]\n"),
    )
    messages = " ".join(d.message for d in diagnostics)
    assert all(words in messages for words in ("`imag`", "`label`", "named `z`"))


@pytest.mark.parametrize("name", ["noise", "z", "fraction", "sample", "error"])
def test_a_network_may_have_any_name(name: str) -> None:
    text = VAE.replace("  decoder:\n    inputs", f"  {name}:\n    inputs")
    assert not compile_text(text.replace("decoder: decoder", f"decoder: {name}")).diagnostics


CONDITIONAL = """\
spec: v1
name: conditional
data:
  source: {npz: {path: data.npz}}
  fields:
    image: {shape: [B, 1, 16, 16], dtype: uint8, scale: [0, 1]}
    label: {shape: [B], dtype: int64, below: 10}
networks:
  encoder:
    inputs: {image: {shape: [B, 1, 16, 16]}, label: {shape: [B], dtype: int64}}
    layers:
      - {id: kind, from: label, one_hot: 10}
      - {id: pixels, from: image, flatten: {}}
      - {id: seen, from: [pixels, kind], concat: 1}
      - {id: mean, linear: 8}
      - {id: logvar, from: seen, linear: 8}
    outputs: {mean: mean, logvar: logvar}
  decoder:
    inputs: {z: {shape: [B, 8]}, label: {shape: [B], dtype: int64}}
    layers:
      - {id: kind, from: label, one_hot: 10}
      - {from: [z, kind], concat: 1}
      - linear: 256
      - reshape: [1, 16, 16]
    outputs: logits
objective:
  vae:
    encoder: encoder
    decoder: decoder
    target: image
    likelihood: bernoulli
    metrics: [psnr, {probe: label}]
"""


def test_a_conditional_vae_is_told_the_condition_by_its_programs() -> None:
    result = compile_text(CONDITIONAL)
    assert not result.diagnostics
    inputs = {name: [v.name for v in graph.inputs] for name, graph in result.programs.items()}
    assert inputs == {
        "encode": ["image", "label"],
        "decode": ["z", "label"],
        "reconstruct": ["image", "label"],
        "sample": ["noise", "label"],
        "interpolate": ["label", "start_image", "end_image", "fraction"],
        "score": ["image", "label", "noise"],
    }


def test_a_condition_without_room_for_its_labels() -> None:
    text = CONDITIONAL.replace("one_hot: 10}\n      - {from: [z", "one_hot: 9}\n      - {from: [z")
    diagnostics = compile_text(text).diagnostics
    assert [d.code for d in diagnostics] == [Code.O501]
    assert "label" in diagnostics[0].message
