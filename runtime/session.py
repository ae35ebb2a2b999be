"""Running an exported program with ONNX Runtime. Torch-free.

import netwright
bundle = netwright.load("runs/digits_cnn-1/bundle")
bundle.predict(image=images)["probabilities"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..compiler.diagnostics import Code, NetwrightError, failure
from .bundle import Bounds, Manifest, Port, damaged, open_bundle

Device = Literal["auto", "cpu", "cuda"]
Arrays = dict[str, NDArray[Any]]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Session:
    """One program, ready to run.

    inputs, outputs: port -> dtype and shape. symbols: bounds of the symbolic sizes.
    provider: what ONNX Runtime really runs it on.
    """

    def __init__(
        self,
        model: Path,
        inputs: Mapping[str, Port],
        outputs: Mapping[str, Port],
        symbols: Mapping[str, Bounds],
        device: Device = "auto",
    ) -> None:
        self.inputs, self.outputs, self.symbols = inputs, outputs, symbols
        self._session = make_session(model, device)
        self.provider: str = self._session.get_providers()[0]

    @property
    def matches(self) -> bool:
        """Whether the model takes and gives what the signature says, by their names."""
        taken = {value.name for value in self._session.get_inputs()}
        given = {value.name for value in self._session.get_outputs()}
        return taken == self.inputs.keys() and given == self.outputs.keys()

    def __call__(self, **inputs: ArrayLike) -> Arrays:
        """Run the program once.

        Args: one array per input; axis 0 is the batch. Integers that fit are widened, floats are
            converted to the declared precision.
        Returns: output name -> array.
        Raises: NetwrightError: B802: an input is missing, unknown, or of another type or shape.
        """
        arrays = check_inputs(inputs, self.inputs, self.symbols)
        results = self._session.run(list(self.outputs), arrays)
        return dict(zip(self.outputs, results, strict=True))

    def in_batches(self, inputs: Mapping[str, ArrayLike], size: int) -> Arrays:
        """Run over many samples, at most `size` at a time, and join the results along axis 0."""
        arrays = check_inputs(inputs, self.inputs, self.symbols)
        count = len(next(iter(arrays.values())))
        parts = [
            self(**{name: array[start : start + size] for name, array in arrays.items()})
            for start in range(0, count, size)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}


class Bundle:
    """An exported bundle, opened and verified; sessions are made when first used.

    name, summary: of the spec. labels: output -> class names. metrics: measured before the export.
    """

    def __init__(self, folder: Path, device: Device = "auto") -> None:
        opened = open_bundle(folder)
        self.folder, self.manifest, self.device = folder, opened.manifest, device
        self._sessions: dict[str, Session] = {}

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        return self.manifest.labels

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.manifest.metrics

    @property
    def programs(self) -> Sequence[str]:
        return tuple(self.manifest.programs)

    def program(self, name: str) -> Session:
        """The session of a program.

        Raises: NetwrightError: B802: there is no such program; B801: its file is no ONNX model;
            R905: the device is not there.
        """
        if name not in self.manifest.programs:
            raise failure(
                Code.B802,
                f"expected one of the programs {quoted(self.manifest.programs)}, found `{name}`",
            )
        if name not in self._sessions:
            self._sessions[name] = self._open(self.manifest, name)
        return self._sessions[name]

    def _open(self, manifest: Manifest, name: str) -> Session:
        program = manifest.programs[name]
        path = self.folder / program.file
        try:
            session = Session(path, program.inputs, program.outputs, manifest.symbols, self.device)
        except NetwrightError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no narrower class
            text = str(error).partition("\n")[0]
            raise damaged(self.folder, f"`{program.file}` can't be loaded: {text}") from error
        if not session.matches:
            raise damaged(self.folder, f"`{program.file}` has other inputs or outputs than it says")
        return session

    def predict(self, **inputs: ArrayLike) -> Arrays:
        """Run the program `predict`; see `Session.__call__`."""
        return self.program("predict")(**inputs)

    def __repr__(self) -> str:
        return f"Bundle({str(self.folder)!r}, programs={list(self.programs)})"


def load(path: str | Path, device: Device = "auto") -> Bundle:
    """Open a bundle to run it.

    Args:
        path: the bundle's folder.
        device: `auto` takes CUDA where ONNX Runtime can use it.
    Raises: NetwrightError: B801: the bundle is damaged or was changed.
    """
    return Bundle(Path(path), device)


def make_session(model: Path, device: Device) -> Any:
    """An `onnxruntime.InferenceSession` on the device asked for.

    Raises: NetwrightError: R905: `cuda` is asked for and ONNX Runtime does not run on it.
    """
    import onnxruntime as ort

    wanted = [CPU] if device == "cpu" or not _cuda_offered() else [CUDA, CPU]
    with _quiet(ort):
        session = ort.InferenceSession(model, providers=wanted)
    if device == "cuda" and session.get_providers()[0] != CUDA:
        raise failure(
            Code.R905,
            f"expected ONNX Runtime on CUDA, found {quoted(session.get_providers())}",
            help="install onnxruntime-gpu with its CUDA and cuDNN libraries, or use `--device cpu`",
        )
    return session


def _cuda_offered() -> bool:
    import onnxruntime as ort

    return CUDA in ort.get_available_providers()


@contextmanager
def _quiet(ort: Any) -> Any:
    """Without the native library's own text on standard error: what it did is checked after."""
    ort.set_default_logger_severity(4)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)


def check_inputs(
    given: Mapping[str, ArrayLike], ports: Mapping[str, Port], symbols: Mapping[str, Bounds]
) -> Arrays:
    """Inputs as arrays of the declared types and shapes.

    Raises: NetwrightError: B802.
    """
    _check_names(given, ports)
    sizes: dict[str, tuple[int, str]] = {}
    return {name: _checked(name, given[name], port, symbols, sizes) for name, port in ports.items()}


def _check_names(given: Mapping[str, ArrayLike], ports: Mapping[str, Port]) -> None:
    missing, unknown = ports.keys() - given.keys(), given.keys() - ports.keys()
    if missing or unknown:
        raise failure(
            Code.B802,
            f"expected the inputs {quoted(ports)}, found {quoted(given) or 'none'}",
            notes=[f"`{name}` is {port}" for name, port in ports.items()],
        )


def _checked(
    name: str,
    value: ArrayLike,
    port: Port,
    symbols: Mapping[str, Bounds],
    sizes: dict[str, tuple[int, str]],
) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise failure(Code.B802, f"expected `{name}` as {port}, found no array: {error}") from error
    array = _converted(name, array, port)
    if array.ndim != len(port.shape):
        raise _unfit(name, port, array, help=_batch_help(port, array))
    for axis, (wanted, size) in enumerate(zip(port.shape, array.shape, strict=True)):
        if isinstance(wanted, int):
            if size != wanted:
                raise _unfit(name, port, array, f"axis {axis} is {size}, not {wanted}")
        else:
            _check_symbol(name, port, array, axis, symbols.get(wanted, Bounds()), sizes)
    if port.below is not None:
        _check_ids(name, array, port.below)
    return np.ascontiguousarray(array)


def _check_symbol(
    name: str,
    port: Port,
    array: NDArray[Any],
    axis: int,
    bounds: Bounds,
    sizes: dict[str, tuple[int, str]],
) -> None:
    symbol, size = str(port.shape[axis]), array.shape[axis]
    reason = bounds.refuse(size)
    if reason:
        raise _unfit(name, port, array, f"{symbol} must be {reason}")
    known, owner = sizes.setdefault(symbol, (size, name))
    if known != size:
        raise _unfit(name, port, array, f"{symbol} is {known} in `{owner}`")


def _check_ids(name: str, array: NDArray[Any], below: int) -> None:
    """ONNX Runtime stops at some unknown ids, and takes others for known ones."""
    wrong = array[(array < 0) | (array >= below)]
    if wrong.size:
        raise failure(
            Code.B802,
            f"expected numbers from 0 to {below - 1} in `{name}`, as in training, found {wrong[0]}",
            help="give the number of a class or a token that the network has learnt",
        )


def _converted(name: str, array: NDArray[Any], port: Port) -> NDArray[Any]:
    wanted = numpy_dtype(port.dtype)
    if array.dtype == wanted:
        return array
    both_floats = array.dtype.kind == "f" and port.dtype.startswith(("float", "bfloat"))
    if both_floats or (array.dtype.kind in "biuf" and np.can_cast(array.dtype, wanted, "safe")):
        return array.astype(wanted)
    if array.dtype.kind in "iu" and wanted.kind in "iu" and _fits(array, wanted):
        return array.astype(wanted)
    raise _unfit(name, port, array, help=f"convert it: `{name}.astype({port.dtype!r})`")


def _fits(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return array.size == 0 or bool(array.min() >= limits.min and array.max() <= limits.max)


def numpy_dtype(word: str) -> np.dtype[Any]:
    """numpy's dtype; bfloat16 comes from ml_dtypes, which onnx brings."""
    if word == "bfloat16":
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype(word)


def _batch_help(port: Port, array: NDArray[Any]) -> str | None:
    if array.ndim + 1 == len(port.shape):
        return "axis 0 is the batch: add it with `array[None]`"
    return None


def _unfit(
    name: str,
    port: Port,
    array: NDArray[Any],
    note: str = "",
    *,
    help: str | None = None,  # noqa: A002 - the word of the field it fills
) -> NetwrightError:
    shape = ", ".join(map(str, array.shape))
    return failure(
        Code.B802,
        f"expected `{name}` as {port}, found {array.dtype}[{shape}]",
        notes=[note] if note else [],
        help=help,
    )


def quoted(names: Iterable[str]) -> str:
    """Names as messages list them: "`a`, `b`"."""
    return ", ".join(f"`{name}`" for name in names)
