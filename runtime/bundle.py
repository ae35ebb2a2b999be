"""What a bundle is, and opening one that nobody vouches for. Torch-free.

A bundle is a folder with `manifest.json`, the spec and one ONNX file per program. Opening it checks
the format's version, that every file is a plain one inside the folder, and its sha256.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.objectives.fields import Normalize
from .files import inner_path, read_json, sha256

FORMAT = 1
"""The version of the layout that this code writes and reads."""

BUNDLE = "bundle"
"""The folder of a run's bundle, unless another is asked for."""

MANIFEST = "manifest.json"
SPEC = "spec.yaml"
WEIGHTS = "weights.safetensors"
LARGEST_MANIFEST = 16 << 20

Metrics = dict[str, dict[str, float | None]]
"""Part of the data -> figure -> value; None where the figure has no value."""


class Strict(BaseModel):
    """Base of what a manifest holds: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class FileRecord(Strict):
    """A file of the bundle: its size in bytes and its sha256 in hexadecimal."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Port(Strict):
    """An input or output of a program.

    dtype: numpy's word (`uint8`, `float32`, `int64`).
    shape: numbers, names of symbols (`B`), and for outputs printed formulas (`2*H`).
    range: the smallest and largest value of an input, where the spec says so; of an output that is
        like samples of a field, where they are known.
    below: an input's labels or ids are from 0 to less than this.
    classes: the names of the labels 0, 1, 2, ... of an input.
    lengths: the input that says how many elements of this one, or of this answer, are real, along
        axis 1.
    noise: the distribution of an input that is drawn: `normal` for the standard normal one,
        `uniform` for numbers from 0 to below 1.
    """

    dtype: str = Field(pattern=r"^(float(16|32|64)|bfloat16|int(32|64)|uint8|bool)$")
    shape: list[int | str]
    range: list[float] | None = Field(default=None, min_length=2, max_length=2)
    below: int | None = Field(default=None, ge=1)
    classes: list[str] | None = Field(default=None, min_length=1)
    lengths: str | None = None
    noise: Literal["normal", "uniform"] | None = None

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @model_serializer(mode="wrap")
    def _known(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}


class Bounds(Strict):
    """What sizes a symbol may take, limits included."""

    min: int = 1
    max: int | None = None
    multiple_of: int = Field(default=1, ge=1)

    def refuse(self, size: int) -> str | None:
        """Why a size is not allowed, or None where it is."""
        if size < self.min:
            return f"at least {self.min}"
        if self.max is not None and size > self.max:
            return f"at most {self.max}"
        return f"a multiple of {self.multiple_of}" if size % self.multiple_of else None


class Program(Strict):
    """One ONNX file with its signature.

    time: the size along which it runs one chunk of a sequence at a time; empty for the others.
    states: input -> the output that it becomes for the next chunk; each begins as zeros.
    symbols: bounds of sizes where they are not those of the manifest.
    mixes_batch: whether what it gives for a sample depends on the others of its batch.
    """

    file: str
    inputs: dict[str, Port] = Field(min_length=1)
    outputs: dict[str, Port] = Field(min_length=1)
    time: str = ""
    states: dict[str, str] = {}
    symbols: dict[str, Bounds] = {}
    mixes_batch: bool = False

    def own_inputs(self) -> dict[str, Port]:
        """The inputs besides states."""
        return {name: port for name, port in self.inputs.items() if name not in self.states}

    def own_outputs(self) -> dict[str, Port]:
        """The outputs besides states."""
        carried = set(self.states.values())
        return {name: port for name, port in self.outputs.items() if name not in carried}

    @model_validator(mode="after")
    def _states_exist(self) -> Program:
        unknown = self.states.keys() - self.inputs.keys()
        unknown |= set(self.states.values()) - self.outputs.keys()
        if unknown:
            raise ValueError(f"states name {', '.join(sorted(unknown))}, which do not exist")
        return self

    @model_validator(mode="after")
    def _lengths_are_inputs(self) -> Program:
        for name, port in (*self.inputs.items(), *self.outputs.items()):
            if port.lengths is None:
                continue
            if port.lengths not in self.inputs or len(port.shape) < 2:
                raise ValueError(f"`{name}` can't have lengths in `{port.lengths}`")
        return self


class Probabilities(Strict):
    """What the numbers of an output in [0, 1] are.

    scores: the output that they are made of, by softmax or sigmoid.
    exclusive: one class is true of those along `axis`; else each number answers yes or no.
    """

    scores: str
    exclusive: bool
    axis: Literal[1, -1] = 1


class ImageForm(Strict):
    """What training made of every image file: size (height, width), fit and mode as in the spec."""

    size: list[Annotated[int, Field(ge=1)]] = Field(min_length=2, max_length=2)
    fit: Literal["resize", "crop", "pad"]
    mode: Literal["rgb", "grey"]


ColumnName = Annotated[str, Field(min_length=1)]


class TableForm(Strict):
    """Where inputs stand in a table.

    columns: input -> its column, or columns side by side.
    delimiter, decimal: of CSV files.
    missing: what training did about rows that lack a value; a number stands in its place.
    """

    columns: dict[str, ColumnName | Annotated[list[ColumnName], Field(min_length=1)]]
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    missing: Literal["error", "drop"] | float = "error"


class SeriesForm(Strict):
    """Where the past stands in the rows of a time series: settings of the source `series`."""

    columns: list[ColumnName] = Field(min_length=1)
    window: int = Field(ge=1)
    time: ColumnName | None = None
    group: ColumnName | None = None
    missing: Literal["error", "previous"] = "error"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."


class Reading(Strict):
    """How files become inputs, which is how they became samples in training.

    source: what the spec calls the kind of its data: `csv`, `image_folder`; empty if unknown.
    images: inputs that were image files. table: where they were columns. series: where they were
        rows that follow each other in time.
    arrays: input -> its array in `.npz` files, where their names differ.
    ragged: input of samples of different lengths -> the array of their offsets.
    """

    source: str = ""
    images: dict[str, ImageForm] = {}
    table: TableForm | None = None
    series: SeriesForm | None = None
    arrays: dict[str, str] = {}
    ragged: dict[str, str] = {}


class Manifest(Strict):
    """The content of `manifest.json`.

    files: every file but the manifest itself. symbols: bounds of the symbolic sizes.
    reading: how files become inputs.
    labels: output -> the names of its classes, in order. probabilities: outputs that are such.
    statistics: field -> the mean and deviation that training measured for its `normalize`; the
        programs contain them.
    parity: how torch and ONNX Runtime were compared. metrics: measured before the export.
    stage: of a spec that grows, the value of its parameter that this is of; empty otherwise.
    step: of the checkpoint that was exported, for losses whose weights change over time.
    total_steps: those that the run planned; None where that is not known.
    outcome: how the run came to its end, in words; empty where no run is known.
    versions: what made the bundle.
    """

    format: int
    name: str
    summary: str = ""
    spec_sha256: str
    files: dict[str, FileRecord]
    programs: dict[str, Program]
    symbols: dict[str, Bounds] = {}
    reading: Reading = Reading()
    labels: dict[str, list[str]] = {}
    probabilities: dict[str, Probabilities] = {}
    statistics: dict[str, Normalize] = {}
    parity: dict[str, Any] = {}
    stage: str = ""
    metrics: Metrics = {}
    step: int = Field(default=0, ge=0)
    total_steps: int | None = Field(default=None, ge=0)
    outcome: str = ""
    versions: dict[str, str] = {}


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle whose files are what its manifest says."""

    folder: Path
    manifest: Manifest


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a bundle, whatever its state."""
    return (folder / MANIFEST).is_file() and not (folder / "run.json").exists()


def open_bundle(folder: Path) -> OpenedBundle:
    """Open a bundle and check all of it.

    Raises: NetwrightError: B801: no bundle, another format, or a file that is missing, was changed
        or lies outside.
    """
    manifest = read_manifest(folder)
    for name, record in manifest.files.items():
        _check_file(folder, name, record)
    for name in (SPEC, *(program.file for program in manifest.programs.values())):
        if name not in manifest.files:
            raise damaged(folder, f"`{name}` is no file of the manifest")
    return OpenedBundle(folder, manifest)


def _bundle_of(folder: Path) -> str:
    """The next step for a folder that is no bundle: it may be the run that has one."""
    own = folder / BUNDLE
    if is_bundle(own):
        return f"name the bundle in it: `{own}`"
    return "make one with `netwright export`"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest alone, without looking at the files it names."""
    path = folder / MANIFEST
    if path.is_symlink():
        raise damaged(folder, f"`{MANIFEST}` is a symbolic link")
    if not path.is_file():
        raise failure(
            Code.B801,
            f"expected a bundle, found no `{MANIFEST}` in `{folder}`",
            help=_bundle_of(folder),
        )
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise ValueError(f"larger than {LARGEST_MANIFEST} bytes")
        data = read_json(path)
    except (OSError, ValueError) as error:
        raise damaged(folder, f"`{MANIFEST}` can't be read: {error}") from error
    _check_format(folder, data)
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise damaged(folder, f"`{MANIFEST}`: {place}: {first['msg']}") from error


def _check_format(folder: Path, data: Any) -> None:
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise failure(
            Code.B801,
            f"expected a bundle of format {FORMAT}, found format {version} in `{folder}`",
            help="a newer netwright made it; update netwright",
        )
    if version != FORMAT:
        raise damaged(folder, f"`{MANIFEST}` names no known format")


def _check_file(folder: Path, name: str, record: FileRecord) -> None:
    try:
        path = inner_path(folder, name)
    except ValueError as error:
        raise damaged(folder, str(error)) from error
    if not path.is_file():
        raise damaged(folder, f"`{name}` is missing")
    size = path.stat().st_size
    if size != record.bytes:
        raise damaged(folder, f"`{name}` has {size} bytes, the manifest says {record.bytes}")
    found = sha256(path)
    if found != record.sha256:
        raise damaged(
            folder,
            f"`{name}` has the sha256 {found[:12]}..., recorded is {record.sha256[:12]}...",
        )


def damaged(folder: Path, what: str) -> NetwrightError:
    return failure(
        Code.B801,
        f"the bundle `{folder}` is damaged or was changed: {what}",
        help="export it again, or fetch a fresh copy",
    )
