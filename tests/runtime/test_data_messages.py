"""What a user reads for each mistake in data; goldens in messages/.

`pytest --update-goldens` writes them; read their diff as carefully as code.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.render import render
from netwright.runtime.data.images import Form, ImageColumn
from netwright.runtime.data.npz import read_npy
from netwright.runtime.opening import read_data
from PIL import Image

from .tiny import SEQUENCES, SPEC, compile_text

GOLDENS = Path(__file__).parent / "messages"
SOURCE = "  source: digits\n  fields: {image: {augment: [{shift: 1}, {noise: 0.05}]}}\n"
INPUT = "  classifier:\n    inputs: {image: {shape: [B, 1, 8, 8]}}\n"
NAMES = "zero, one, two, three, four, five, six, seven, eight, nine"
TABLE_LAYERS = SPEC[SPEC.index("      - conv2d") : SPEC.index("      - dropout")]

Golden = Callable[[Path, str], None]


def opened(source: str, fields: str) -> None:
    """Read the data of a spec with this source."""
    text = SPEC.replace(SOURCE, f"  source: {source}\n  fields: {fields}\n")
    read_data(compile_text(text=text), Path())


def npz(fields: str) -> None:
    image = "image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}"
    opened("{npz: {path: digits.npz}}", f"{{{image}, {fields}}}")


def f601_empty_class() -> None:
    np.savez("digits.npz", image=np.zeros((90, 8, 8), np.uint8), label=np.arange(90) % 8)
    npz(f"label: {{shape: [B], dtype: int64, classes: [{NAMES}]}}")


def f601_lost_class() -> None:
    labels = np.append(np.arange(90) % 9, 9)
    np.savez("digits.npz", image=np.zeros((91, 8, 8), np.uint8), label=labels)
    npz(f"label: {{shape: [B], dtype: int64, classes: [{NAMES}]}}")


def f601_values() -> None:
    noise = np.zeros((9, 1, 8, 8), np.float32)
    noise[7, 0, 3, 3] = np.nan
    np.savez("train.npz", image=noise, label=np.full(9, 11))
    np.savez("test.npz", image=np.zeros((3, 8, 9), np.float32), label=np.zeros(2, int))
    opened(
        "{npz: {path: train.npz, test_path: test.npz}}",
        "{image: {shape: [B, 1, 8, 8], dtype: float32}, "
        "label: {shape: [B], dtype: int64, below: 10}}",
    )


def ragged(lengths: list[int], **changed: object) -> None:
    """A spec over samples of different lengths."""
    total = sum(lengths)
    arrays = {"words": np.arange(total) % 9, "cuts": np.cumsum([0, *lengths])}
    arrays |= {"label": np.arange(len(lengths)) % 10, **changed}  # type: ignore[dict-item]
    np.savez("words.npz", **arrays)  # type: ignore[arg-type]
    text = SPEC.replace(
        SOURCE,
        "  source: {npz: {path: words.npz, ragged: {words: cuts}}}\n  fields:\n"
        "    words: {shape: [B, T], dtype: int64, below: 9, lengths: n}\n"
        "    label: {shape: [B], dtype: int64, below: 10}\n",
    )
    network = """\
    inputs: {words: {shape: [B, T], dtype: int64}, n: {shape: [B], dtype: int64}}
    layers:
      - {from: words, embedding: {size: 9, dim: 4}}
      - {from: {lengths: n}, masked_mean: {}}
      - linear: 10
"""
    start, stop = text.index("    inputs:"), text.index("    outputs:")
    text = text[:start] + network + text[stop:]
    text = text.replace("params: {width: 8}", "dims: {T: {min: 2, max: 10, multiple_of: 4}}")
    read_data(compile_text(text=text), Path())


def f601_empty_sample() -> None:
    ragged([3, 0, 4, 0])


def f601_offsets_descend() -> None:
    ragged([3, 2, 4], cuts=np.array([0, 5, 3, 9]))


def f601_offsets_end() -> None:
    ragged([3, 2, 4], cuts=np.array([0, 3, 5]))


def f601_offsets_type() -> None:
    ragged([3, 2, 4], cuts=np.array([0.0, 3.0, 9.0]))


def f601_long_samples() -> None:
    ragged([3, 9, 4, 11])


def f601_ragged_values() -> None:
    ragged([3, 2], words=np.array([0, 1, 2, 3, 9]))


def f601_ragged_shape() -> None:
    ragged([3, 2], words=np.zeros((5, 2), int))


def f601_ragged_counts() -> None:
    ragged([3, 2], label=np.arange(3))


TABLE = """\
age,hours,place
39,40,north
,38,south
n/a?,36,nroth
28,,south
"""


def table(text: str) -> None:
    """A spec with a network of columns in place of the one of images."""
    Path("people.csv").write_text(text)
    spec = SPEC.replace(
        SOURCE,
        "  source: {csv: {path: people.csv, columns: {image: [age, hours], "
        "label: place}}}\n  fields: {label: {classes: [north, south]}}\n",
    )
    spec = spec.replace("[B, 1, 8, 8]", "[B, 2]").replace("linear: 10", "linear: 2")
    spec = (
        spec.replace(TABLE_LAYERS, "")
        .replace("{top_k: 3}", "f1")
        .replace("params: {width: 8}\n", "")
    )
    read_data(compile_text(text=spec), Path())


def f601_table() -> None:
    table(TABLE)


def f601_missing_value() -> None:
    table(TABLE.replace("n/a?", "36").replace("nroth", "north"))


def f601_missing_column() -> None:
    table(TABLE.replace("age,", "Age,").replace("place", "town"))


def f601_delimiter() -> None:
    table(TABLE.replace(",", ";"))


def f601_words_for_numbers() -> None:
    table(TABLE.replace("n/a?", "old").replace("39,", "young,").replace("28,", "old,"))


def f601_other_classes() -> None:
    table(TABLE.replace("n/a?", "36").replace("nroth", "N").replace("north", "N"))


def f601_empty_table() -> None:
    table("")


def f601_no_header() -> None:
    table(TABLE.partition("\n")[2].replace("n/a?", "36"))


def f602_ragged() -> None:
    table('age,hours,place\n39,40,"nor\nth"\n\n38,36,south,7\n')


def f601_lines() -> None:
    """A text over two lines and an empty line: rows are not lines."""
    table('age,hours,place\n39,40,"nor\nth"\n\n,36,south\n,1,south\n')


def f601_decimals() -> None:
    table('age,hours,place\n"39,5",40,north\n38,"1,234.5",south\n')


def f601_arrays() -> None:
    np.savez("digits.npz", x=np.zeros((9, 8, 8), np.uint8), labels=np.arange(9))
    image = "image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}"
    label = "label: {shape: [B], dtype: int64, below: 10}"
    opened("{npz: {path: digits.npz, arrays: {image: pixels}}}", f"{{{image}, {label}}}")


def f601_stored_otherwise() -> None:
    images = np.zeros((9, 8, 8, 1), np.uint8)
    np.savez("digits.npz", image=images, label=np.eye(10)[:9])
    np.savez("test.npz", image=images, label=np.array(list("abcdefghi")))
    opened(
        "{npz: {path: digits.npz, test_path: test.npz}}",
        "{image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}, "
        "label: {shape: [B], dtype: int64, below: 10}}",
    )


def f601_labels() -> None:
    image = np.zeros((20, 8, 8), np.uint8)
    np.savez("digits.npz", image=image, label=np.arange(20) % 10 + 1)
    np.savez("test.npz", image=image, label=np.arange(20) % 10 - 1)
    opened(
        "{npz: {path: digits.npz, test_path: test.npz}}",
        "{image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}, "
        "label: {shape: [B], dtype: int64, below: 10}}",
    )


def f601_sequences() -> None:
    """An id beyond the table, a sample without a step, and one that is longer than the array."""
    tokens, n = np.arange(45).reshape(9, 5) % 12, np.full(9, 5)
    tokens[3, 1], n[4], n[6] = 14, 0, 6
    sequences(tokens, n)


def f601_long_sequence() -> None:
    sequences(np.ones((9, 5), np.int32), np.array([5, 5, 6, 5, 7, 1, 2, 3, 4], np.uint8))


def sequences(tokens: np.ndarray, n: np.ndarray) -> None:
    """A spec that classifies padded sequences of ids."""
    np.savez("texts.npz", tokens=tokens, n=n, label=np.arange(len(n)) % 3)
    read_data(compile_text(text=SEQUENCES), Path())


def f602_pickled() -> None:
    np.save("x.npy", np.array([1, "a", None], dtype=object), allow_pickle=True)
    np.save("label.npy", np.zeros(3, np.int64))
    opened(
        "{npy: {files: {image: x.npy, label: label.npy}}}",
        "{image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}, "
        "label: {shape: [B], dtype: int64, below: 10}}",
    )


def pets(*names: str) -> None:
    for name in names:
        Path("pets", name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (8, 8), number).save(Path("pets", name, f"{number}.png"))


FOLDER = "{image_folder: {path: pets, size: [8, 8], mode: grey}}"


def f601_folders() -> None:
    pets("cat", "dog", "bird")
    opened(FOLDER, "{image: {augment: [{shift: 1}]}}")


def f601_declared_folders() -> None:
    pets("cat", "dogs")
    Path("pets", "empty").mkdir()
    names = "cat, dog, empty, d, e, f, g, h, i, j"
    opened(FOLDER, f"{{label: {{classes: [{names}]}}}}")


def f601_forgotten_folder() -> None:
    pets(*"abcdefghij", "square")
    opened(FOLDER, f"{{label: {{classes: [{', '.join('abcdefghij')}]}}}}")


def f602_images() -> None:
    pets(*"abcdefghij")
    Path("pets/b/2.png").write_bytes(b"no image")
    Image.new("RGBA", (8, 8)).save("pets/c/0.png")
    content = Path("pets/d/0.png").read_bytes()
    Path("pets/d/0.png").write_bytes(content[:45])
    opened(FOLDER, "{image: {augment: [{shift: 1}]}}")


def f602_gone() -> None:
    pets("a")
    column = ImageColumn(Path("pets"), ["a/0.png", "a/1.png"], Form(1, 8, 8))
    Path("pets/a/1.png").unlink()
    column.take(np.arange(2))


def f602_cut() -> None:
    np.save("x.npy", np.zeros((9, 4), np.float32))
    column = read_npy(Path("x.npy"))
    os.truncate("x.npy", 200)
    column.whole()


def f602_folder() -> None:
    opened(FOLDER, "{image: {augment: [{shift: 1}]}}")


CASES = (
    f601_empty_class,
    f601_lost_class,
    f601_values,
    f601_table,
    f601_missing_value,
    f601_missing_column,
    f601_delimiter,
    f601_words_for_numbers,
    f601_other_classes,
    f601_empty_table,
    f601_no_header,
    f601_lines,
    f601_decimals,
    f601_arrays,
    f601_stored_otherwise,
    f601_labels,
    f601_sequences,
    f601_long_sequence,
    f601_forgotten_folder,
    f601_empty_sample,
    f601_offsets_descend,
    f601_offsets_end,
    f601_offsets_type,
    f601_long_samples,
    f601_ragged_values,
    f601_ragged_shape,
    f601_ragged_counts,
    f602_ragged,
    f602_pickled,
    f601_folders,
    f601_declared_folders,
    f602_images,
    f602_gone,
    f602_cut,
    f602_folder,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_message(
    case: Callable[[], None], golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetwrightError) as caught:
        case()
    code = case.__name__.partition("_")[0].upper()
    assert {d.code.name for d in caught.value.diagnostics} == {code}
    golden(GOLDENS / f"{case.__name__}.txt", render(list(caught.value.diagnostics), "text"))
