import pytest
from netwright.compiler.diagnostics import Code
from netwright.compiler.ir.printer import print_graph

from .conftest import SPEC, compile_text

CLASSIFIER = "cross_entropy: {output: logits, target: label}"


def test_the_example_has_no_mistakes(found):
    assert found() == []


MISFITS = [
    ("network: net", "network: nett", "network `nett`"),
    (CLASSIFIER, "cross_entropy: {output: logit, target: label}", "output `logit`"),
    (CLASSIFIER, "cross_entropy: {output: logits, target: labels}", "field `labels`"),
    (CLASSIFIER, "cross_entropy: {output: logits, target: age}", "f32[B, 10] and target `age` f32"),
    (CLASSIFIER, "mse: {output: logits, target: label}", "f32[B, 10] and target `label` i64[B]"),
    (CLASSIFIER, "cross_entropy: {output: pixels, target: label}", "f32[B, 4, 16, 16]"),
    ("linear: 10", "linear: 12", "each of the 10 classes of `label`, found 12"),
    (
        CLASSIFIER,
        "cross_entropy: {output: logits, target: label, class_weights: [1, 2]}",
        "10 classes of `logits`, found 2",
    ),
    ("{image: {shape: [B, 3, 16, 16]}}", "{photo: {shape: [B, 3, 16, 16]}}", "field `photo`"),
    ("uint8, scale: [0, 1]}", "uint8}", "expects f32[B, 3, 16, 16], found the field `image`"),
    ("[B, 3, 16, 16], dtype", "[B, 1, 16, 16], dtype", "f32[B, 1, 16, 16] (stored as u8"),
    ("network: net", "network: {network: net, inputs: {x: image}}", "no input `x`"),
    ("network: net", "network: net\n    predict: [logit]", "output `logit`"),
    ("mae]", "mae, mean_iou]", "per pixel f32[B, K, H, W], found f32[B, 10]"),
    ("{k: 3}", "{k: 10}", "less than the 10 classes"),
    ("mae]", "mae, {f1: {output: age, target: age}}]", "no loss of that kind for `age`"),
    ("mae]", "mae, {f1: {output: age}}]", "both `output` and `target`"),
    ("dtype: bool}", "dtype: uint8}", "targets in [0, 1], found `flags` in [0, 255]"),
    ("dtype: bool}", "dtype: float32}", "targets in [0, 1], found `flags` of float32 without a r"),
    ("dtype: bool}", "dtype: int64}", "targets in [0, 1], found `flags` of int64 without a range"),
    (
        "int64, below: 10}",
        "int64, binarize: 4}",
        "as they are stored, found a field with `binarize`",
    ),
    ("dtype: bool}", "dtype: int64, below: 3}", "targets in [0, 1], found `flags` in [0, 2]"),
    (
        "dtype: bool}",
        "dtype: float32, normalize: {mean: 0, std: 1}}",
        "targets in [0, 1], found `flags` of float32 without a range",
    ),
    ("epochs: 2", "epochs: 2\nexport: {programs: [predit]}", "no program `predit`"),
    ("data.npz}", "data.npz, arrays: {imag: x}}", "the field `imag`"),
    ("{npz: {path: data.npz}}", "{idx: {train: [a, b]}}", "each of the 5 fields"),
    (
        "    flags: {",
        "    s: {shape: [B, 3], dtype: int64, lengths: age}\n    flags: {",
        "found `age` of",
    ),
]


@pytest.mark.parametrize(("old", "new", "words"), MISFITS, ids=[new for _, new, _ in MISFITS])
def test_what_does_not_fit_is_o501(found, old, new, words):
    codes = [d for d in found((old, new)) if d.code is Code.O501]
    assert codes
    assert words in codes[0].message
    assert codes[0].span is not None


def test_a_figure_to_follow_that_does_not_exist(found):
    split = ("  fields:", "  split: {validation: 0.1}\n  fields:")
    (diagnostic,) = found(split, ("epochs: 2", "epochs: 2\n  checkpoint: {best: acuracy}"))
    assert diagnostic.code is Code.O501
    assert "found `acuracy`" in diagnostic.message


@pytest.mark.parametrize(
    "field",
    [
        "float32, range: [0, 1]",
        "float32, range: [0.1, 0.9]",
        "float32, range: [0, 5], scale: [0, 1]",
        "int64, below: 2",
        "int64, classes: [cat, dog]",
        "int32, range: [0, 1]",
        "uint8, scale: [0, 1]",
        "uint8, normalize: {mean: 0, std: 1}",
        "uint8, binarize: 127",
        "float32, binarize: 0",
        "bool, scale: [0, 1]",
    ],
)
def test_fields_that_hold_answers(found, field):
    assert not found(("dtype: bool}", f"dtype: {field}}}"))


EXCLUSIONS = [
    ("epochs: 2", "epochs: 2\n  steps: 9", "2 epochs and 9 steps"),
    ("epochs: 2", "epochs: 2\n  optimizer: {sgd: {nesterov: true}}", "`momentum` above 0"),
    ("epochs: 2", "optimizers: {net: adam}", "has one optimizer"),
    ("epochs: 2", "steps: 9\n  schedule: {cosine: {warmup: 9}}", "less than the 9 steps"),
    ("epochs: 2", "epochs: 2\n  checkpoint: {best: loss}", "the split has none"),
    ("  fields:", "  split: {validation: 0.8}\n  fields:", "no samples to train on"),
    ("mae]", "mae, accuracy]", "`accuracy` twice"),
    ("steps: 10}}", "steps: 10, curve: exponential}}", "above 0, found 0 and 1"),
    ("scale: [0, 1]}", "scale: [0, 1], augment: [{shift: 2}]}", "pixels of `image`"),
    ("data.npz}", "data.npz, test_arrays: {image: x}}", "same array `label`"),
    ("data.npz}}", "data.npz, test_path: t.npz}}\n  split: {test: 0.1}", "`split.test`"),
]


@pytest.mark.parametrize(("old", "new", "words"), EXCLUSIONS, ids=[new for _, new, _ in EXCLUSIONS])
def test_what_excludes_each_other_is_o502(found, old, new, words):
    diagnostics = found((old, new))
    assert {d.code for d in diagnostics} == {Code.O502}
    assert words in diagnostics[0].message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("shape: [B], dtype: int64, below: 10", "shape: [N], dtype: int64, below: 10", Code.G301),
        ("shape: [B], dtype: int64, below: 10", "shape: [10], dtype: int64, below: 10", Code.D401),
        ("{shape: [B, 1], dtype: float32}", "{shape: [B, 1]}", Code.S102),
        ("epochs: 2", "epochs: 2\nexport: {opset: 17}", Code.X701),
        ("epochs: 2", "epochs: 2\nexport: {precision: float16}", Code.X701),
        ("supervised:", "superwised:", Code.S103),
        ("weight: 1.0", "weight: -1", Code.S102),
        (
            "image: {shape: [B, 3, 16, 16], dtype",
            "my-image: {shape: [B, 3, 16, 16], dtype",
            Code.S102,
        ),
    ],
)
def test_other_mistakes(found, old, new, code):
    assert code in {d.code for d in found((old, new))}


def test_every_independent_mistake_is_found_at_once(found):
    diagnostics = found(
        ("linear: 10", "linear: 12"),
        ("output: age", "output: years"),
        ("epochs: 2", "epochs: 2\n  steps: 3"),
    )
    assert [d.code for d in diagnostics] == [Code.O501, Code.O501, Code.O502]


def test_a_broken_field_silences_what_follows_from_it(found):
    assert [d.code for d in found(("scale: [0, 1]", "scale: [1, 1]"))] == [Code.S102]


def test_an_objective_needs_data():
    text = SPEC[: SPEC.index("data:")] + SPEC[SPEC.index("networks:") :]
    (diagnostic,) = compile_text(text).diagnostics
    assert diagnostic.code is Code.O501
    assert "needs `data`" in diagnostic.message


def test_names_of_a_program_do_not_collide(compiled):
    result = compiled(
        ("    flags:", "    image_input: {shape: [B], dtype: float32}\n    flags:"),
        ("flags: answers}", "flags: answers, flags_probabilities: answers}"),
    )
    program = result.programs["predict"]
    assert program.nodes[0].path == "image_input_"
    assert "flags_probabilities_" in program.outputs


def test_the_program(compiled):
    result = compiled(("network: net", "network: net\n    predict: [logits, age]"))
    assert (
        print_graph(result.programs["predict"])
        == """\
graph predict
  inputs
    %image: u8[B, 3, 16, 16]
  nodes
    %image_input = rescale(%image) {factor: [0.00392156862745098]} : f32[B, 3, 16, 16]
    %net.logits, %net.pixels, %net.age, %net.flags = call(%image_input) {network: net} : \
f32[B, 10], f32[B, 4, 16, 16], f32[B, 1], f32[B, 5] @net
    %probabilities = softmax(%net.logits) {axis: 1} : f32[B, 10]
  outputs
    logits = %net.logits
    probabilities = %probabilities
    age = %net.age
"""
    )


def test_several_outputs_with_probabilities(compiled):
    program = compiled().programs["predict"]
    assert list(program.outputs) == [
        "logits",
        "logits_probabilities",
        "pixels",
        "pixels_probabilities",
        "age",
        "flags",
        "flags_probabilities",
    ]
    ops = {node.path: node.op.name for node in program.nodes}
    assert ops["flags_probabilities"] == "sigmoid"


def test_labels_are_class_names(compiled):
    changed = compiled(("below: 10}", f"classes: [{', '.join('abcdefghij')}]}}"))
    assert changed.labels["logits"] == changed.labels["logits_probabilities"] == list("abcdefghij")
    assert "pixels" not in changed.labels


def test_an_input_can_be_bound_to_a_field_of_another_name(compiled):
    result = compiled(
        ("network: net", "network: {network: net, inputs: {x: image}}"),
        ("inputs: {image:", "inputs: {x:"),
    )
    assert not result.diagnostics
    assert result.programs["predict"].inputs[0].name == "image"


def test_symbolic_sizes_take_those_of_the_field(compiled):
    changes = (
        ("data:\n", "dims: {H: {min: 8}, W: {min: 8}}\ndata:\n"),
        ("inputs: {image: {shape: [B, 3, 16, 16]}}", "inputs: {image: {shape: [B, 3, H, W]}}"),
        ("id: flat, from: features, flatten: {}", "id: flat, from: features, global_avg_pool: {}"),
    )
    result = compiled(*changes)
    assert [d.code for d in result.diagnostics] == [Code.L909]
    assert str(result.programs["predict"].outputs["pixels"].type) == "f32[B, 4, 16, 16]"
    small = compiled(*changes[1:], ("data:\n", "dims: {H: {min: 32}, W: {}}\ndata:\n"))
    assert Code.O501 in {d.code for d in small.diagnostics}
