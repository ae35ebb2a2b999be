"""Data sources in specs: what they know of their fields, and settings that do not go together."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from netwright.compiler.diagnostics import Code
from netwright.compiler.driver import check_source
from netwright.compiler.language.json_schema import json_schema
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.sources import SOURCES, Csv, ImageFolder
from netwright.compiler.source import SourceFile

from ..codes import diagnostics_of

VALIDATOR = jsonschema.Draft7Validator(json_schema())
SPEC = """\
spec: v1
name: any
data:
  source: {SOURCE}
{FIELDS}networks:
  net: {inputs: {x: {shape: [B, 2]}}, layers: [{linear: 3}], outputs: y}
"""


def spec(source: str, fields: str = "") -> str:
    given = f"  fields: {{{fields}}}\n" if fields else ""
    return SPEC.replace("{SOURCE}", source).replace("{FIELDS}", given)


def fields_of(source: str, fields: str = "") -> dict[str, Field]:
    compilation = check_source(SourceFile("any.yaml", spec(source, fields)), Path())
    assert not compilation.has_errors, compilation.diagnostics
    return dict(compilation.fields)


def test_a_table_tells_shapes_and_types() -> None:
    source = "{csv: {path: a.csv, columns: {x: [a, b], y: c, z: [d]}}}"
    found = fields_of(source, "y: {classes: [low, high]}, w: {}, t: {dtype: int32}")
    assert {name: (field.shape, field.dtype) for name, field in found.items()} == {
        "x": (["B", 2], "float32"),
        "y": (["B"], "int64"),
        "z": (["B", 1], "float32"),
        "w": (["B"], "float32"),
        "t": (["B"], "int32"),
    }


def test_a_table_needs_no_fields() -> None:
    assert list(fields_of("{parquet: {path: a.parquet, columns: {x: [a, b], y: c}}}")) == ["x", "y"]


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ("size: [32, 48]", ["B", 3, 32, 48]),
        ("size: 32", ["B", 3, 32, 32]),
        ("size: [32, 48], mode: grey, fit: crop", ["B", 1, 32, 48]),
    ],
)
def test_an_image_folder_knows_its_fields(settings: str, shape: list[int | str]) -> None:
    found = fields_of(f"{{image_folder: {{path: pets, {settings}}}}}")
    assert found["image"].shape == shape
    assert found["image"].scale == [0, 1]
    assert found["label"].class_total is None
    named = fields_of(f"{{image_folder: {{path: pets, {settings}}}}}", "label: {classes: [a, b]}")
    assert named["label"].class_total == 2


def test_an_image_folder_without_labels() -> None:
    source = "{image_folder: {path: photos, size: 32, labels: none}}"
    assert list(fields_of(source)) == ["image"]


@pytest.mark.parametrize(
    ("source", "fields", "code", "words"),
    [
        ("{image_folder: {path: a}}", "", Code.S102, "needs `size`"),
        ("{image_folder: {path: a, size: [8, 8], test_path: a}}", "", Code.O502, "both `a`"),
        ("{image_folder: {path: a, size: [8, 8, 3]}}", "", Code.S102, "at most 2 items"),
        ("{image_folder: {path: a, size: [8, 0]}}", "", Code.S102, "at least 1"),
        ("{image_folder: {path: a, size: 8, fit: squeeze}}", "", Code.S102, "`crop`"),
        ("{image_folder: {path: a, size: 8, labels: none}}", "label: {}", Code.O501, "no field"),
        ("{csv: {path: a}}", "", Code.S102, "needs `fields`"),
        ("{csv: {path: a, test_path: a, columns: {x: b}}}", "", Code.O502, "both `a`"),
        ("{csv: {path: a, columns: {x: []}}}", "", Code.S102, "the name of a column"),
        ("{csv: {path: a, columns: {x: [1]}}}", "", Code.S102, "as texts"),
        ("{csv: {path: a, columns: {x: b}, missing: drops}}", "", Code.S103, "`drops`"),
        ("{csv: {path: a, columns: {x: b}, missing: {fill: no thing}}}", "", Code.S102, "a number"),
        ("{csv: {path: a, columns: {x: b}, delimiter: ab}}", "", Code.S102, "`delimiter`"),
        ("{parquet: {path: a, columns: {x: b}, delimiter: x}}", "", Code.S101, "`delimiter`"),
        ("{csv: {path: a}}", "x: {classes: [a, b], dtype: float32}", Code.O502, "integers"),
        ("{npy: {files: {x: a.npy}}}", "y: {shape: [B], dtype: uint8}", Code.O501, "names the"),
        ("{npy: {files: {}}}", "x: {shape: [B], dtype: uint8}", Code.S102, "`files`"),
        (
            "{npy: {files: {x: a.npy}}}",
            "x: {shape: [B], dtype: uint8}, y: {shape: [B], dtype: uint8}",
            Code.O501,
            "none for `y`",
        ),
        (
            "{npy: {files: {x: a.npy}, test_files: {x: a.npy}}}",
            "x: {shape: [B], dtype: uint8}",
            Code.O502,
            "train and test on the same file",
        ),
        (
            "{npz: {path: a.npz, test_path: a.npz}}",
            "x: {shape: [B], dtype: uint8}",
            Code.O502,
            "both `a.npz`",
        ),
        (
            "{sequential_image: {images: digits, field: label}}",
            "image: {}",
            Code.O501,
            "`field` expects images, found `label` of shape [B]",
        ),
        (
            "{sequential_image: {images: digits, field: picture}}",
            "image: {}",
            Code.O501,
            "`field` names `picture`",
        ),
        ("{text: {window: 8}}", "", Code.S102, "needs `train`"),
        ("{text: {train: []}}", "", Code.S102, "`train`"),
        ("{text: {train: [a], window: 0}}", "", Code.S102, "at least 1"),
        ("{text: {train: [a], unit: word}}", "", Code.S102, "`character`"),
        ("{text: {train: [a]}}", "label: {}", Code.O501, "no field `label`"),
        ("{text: {train: [a, b], test: [c, b]}}", "", Code.O502, "both name `b`"),
        ("{text: {train: [a], unit: byte, unknown: id}}", "", Code.O502, "all 256 bytes"),
        ("{text: {train: [a], package: {name: x}}}", "", Code.S102, "needs `version`"),
        ("{text: {train: [a], package: {name: ../x, version: '1'}}}", "", Code.S102, "`../x`"),
        (
            "{text: {train: [a], package: {name: x, version: '1', sha256: '12'}}}",
            "",
            Code.S102,
            "64 hexadecimal digits",
        ),
        (
            "{text: {train: [a/../../b], package: {name: x, version: '1'}}}",
            "",
            Code.S102,
            "`a/../../b`, which leads out of it",
        ),
        (
            "{text: {train: [a], test: [/etc/b], package: {name: x, version: '1'}}}",
            "",
            Code.S102,
            "`test` expects files of the package `x`",
        ),
    ],
)
def test_settings_that_are_wrong(
    source: str, fields: str, code: Code, words: str, tmp_path: Path
) -> None:
    found = diagnostics_of(spec(source, fields), tmp_path)
    assert code in {d.code for d in found if words in d.message}, found
    assert all(d.span for d in found)


def test_paths_are_those_of_the_spec() -> None:
    assert Csv(path="a", test_path="b").paths() == ["a", "b"]
    assert ImageFolder(path="a", size=[1, 1]).paths() == ["a"]


DOCUMENTS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    text
    for page in sorted(DOCUMENTS.glob("*.md"))
    for text in re.findall(r"^```yaml\n(data:\n.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    if page.name != "diagnostics.md"  # its wrong examples are wrong
]


def test_there_is_an_example_of_each_source() -> None:
    shown = " ".join(EXAMPLES)
    assert {name for name in SOURCES if f"{name}:" not in shown} <= {"digits"}


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split()[2])
def test_the_examples_in_the_documents_are_right(text: str, tmp_path: Path) -> None:
    whole = f"spec: v1\nname: any\n{text}{SPEC[SPEC.index('networks:') :]}"
    assert not diagnostics_of(whole, tmp_path)
    assert VALIDATOR.is_valid(yaml.safe_load(whole))


@pytest.mark.parametrize(
    ("source", "valid"),
    [
        ("{image_folder: {path: a, size: 8}}", True),
        ("{image_folder: {path: a, size: [8, 8], fit: squeeze}}", False),
        ("{csv: {path: a, columns: {x: [a, b], y: c}, missing: {fill: 0}}}", True),
        ("{csv: {path: a, missing: drop}}", True),
        ("{csv: {path: a, missing: drops}}", False),
        ("{npy: {path: a}}", False),
    ],
)
def test_the_schema_for_editors_knows_the_sources(source: str, valid: bool) -> None:
    assert VALIDATOR.is_valid(yaml.safe_load(spec(source))) is valid


# Samples of different lengths


TOKENS = "tokens: {shape: [B, 9], dtype: int64, below: 5, lengths: n}"


def test_lengths_need_no_array_of_their_own() -> None:
    found = fields_of("{npz: {path: a.npz, ragged: {tokens: cuts}}}", TOKENS)
    assert (found["n"].shape, found["n"].dtype) == (["B"], "int64")
    short = f"{TOKENS}, n: {{dtype: int32}}"
    found = fields_of("{npz: {path: a.npz, ragged: {tokens: cuts}}}", short)
    assert (found["n"].shape, found["n"].dtype) == (["B"], "int32")


@pytest.mark.parametrize(
    ("settings", "fields", "code", "message"),
    [
        ("ragged: {x: cuts}", TOKENS, "O501", "`ragged` names the field `x`, which"),
        ("ragged: {tokens: cuts}", TOKENS.replace(", lengths: n", ""), "O501", "needs `lengths`"),
        ("ragged: {tokens: cuts}", TOKENS.replace("[B, 9]", "[B]"), "O502", "with an axis 1"),
        ("ragged: {tokens: cuts}, arrays: {n: m}", TOKENS, "O502", "`n` holds the lengths of `tok"),
        ("ragged: {tokens: cuts}", f"{TOKENS}, n: {{dtype: float32}}", "O501", "field of integers"),
        ("ragged: {tokens: c}, test_ragged: {tokens: d}", TOKENS, "O502", "expects test samples"),
        ("test_path: b.npz, test_ragged: {tokens: d}", TOKENS + ", n: {shape: [B], dtype: int64}",
         "O502", "whose training samples have one length"),
        ("ragged: {tokens: c}, test_arrays: {tokens: d}", TOKENS, "O501", "expects the offsets"),
        ("ragged: {tokens: c}, test_arrays: {z: d}, test_ragged: {tokens: e}", TOKENS, "O502",
         "would train and test on the same array `tokens`"),
    ],
)  # fmt: skip
def test_settings_of_ragged_that_do_not_fit(
    settings: str, fields: str, code: str, message: str
) -> None:
    text = spec(f"{{npz: {{path: a.npz, {settings}}}}}", fields)
    found = check_source(SourceFile("any.yaml", text), Path()).diagnostics
    assert any(d.code.name == code and message in d.message for d in found), found


def test_test_samples_with_their_own_offsets_are_fine() -> None:
    fields_of("{npz: {path: a.npz, test_path: b.npz, ragged: {tokens: cuts}}}", TOKENS)
    settings = "test_arrays: {tokens: d}, ragged: {tokens: c}, test_ragged: {tokens: e}"
    fields_of(f"{{npz: {{path: a.npz, {settings}}}}}", TOKENS)


def test_images_have_one_size() -> None:
    text = spec(
        "{sequential_image: {images: {npz: {path: a.npz, ragged: {image: cuts}}}}}",
        "image: {shape: [B, 4, 1], dtype: uint8, lengths: n}, n: {shape: [B], dtype: int64}",
    )
    found = check_source(SourceFile("any.yaml", text), Path()).diagnostics
    assert "expects images of one size, found `image` in `ragged`" in found[0].message
