"""Running an exported program with ONNX Runtime. Torch-free.

import netwright
bundle = netwright.load("runs/digits_cnn-1/bundle")
bundle.predict(image=images)["probabilities"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..compiler.diagnostics import Code, NetwrightError, failure
from .bundle import Bounds, Manifest, Program, damaged, open_bundle
from .chunks import check_room, check_same, need_states, sizes_of, zeros
from .input_checks import Arrays, check_inputs, quoted

Device = Literal["auto", "cpu", "cuda"]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Session:
    """One program, ready to run.

    inputs, outputs: port -> dtype and shape. symbols: bounds of the symbolic sizes.
    signature: what the manifest says of the program.
    provider: what ONNX Runtime really runs it on.
    """

    def __init__(
        self,
        model: Path,
        signature: Program,
        symbols: Mapping[str, Bounds],
        device: Device = "auto",
    ) -> None:
        self.signature, self.inputs, self.outputs = signature, signature.inputs, signature.outputs
        self.symbols = {**symbols, **signature.symbols}
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
        Raises: NetwrightError: B802: an input is missing, unknown, or of another type or shape, or
            a sequence gets longer than the program has room for.
        """
        arrays = check_inputs(inputs, self.inputs, self.symbols)
        check_room(arrays, self.signature, self.symbols)
        results = self._session.run(list(self.outputs), arrays)
        return dict(zip(self.outputs, results, strict=True))

    def in_batches(self, inputs: Mapping[str, ArrayLike], size: int) -> Arrays:
        """Run over many samples, at most `size` at a time, and join the results along axis 0.

        Where `signature.mixes_batch`, the results depend on `size`: samples see those beside them.
        """
        arrays = check_inputs(inputs, self.inputs, self.symbols)
        count = len(next(iter(arrays.values())))
        parts = [
            self(**{name: array[start : start + size] for name, array in arrays.items()})
            for start in range(0, count, size)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}


ADDED_BY = {
    "predict": "name one of these; in a shell, `netwright predict` takes `--program`",
    "step": "`stream: T` in the spec's objective adds it: train and export again",
    "generate": "the objective `language_model` makes it",
    "sample": "objectives that learn what data is like make it, such as `vae`, unless `export` "
    "leaves it out",
}
"""Programs that only some bundles have -> where they come from, or what there is instead."""


class Stream:
    """A sequence that runs through a program chunk by chunk; the state is kept between calls.

    The first chunk begins with a state of zeros, which is how the whole would begin.
    """

    def __init__(self, session: Session, name: str = "step") -> None:
        """Raises: NetwrightError: B802: the program runs on whole inputs."""
        need_states(session.signature, name)
        self._session = session
        self.reset()

    def reset(self) -> None:
        """Let the next chunk be the first of another sequence, or of another batch of them."""
        self._states: Arrays = {}
        self._sizes: dict[str, int] = {}

    def __call__(self, **chunk: ArrayLike) -> Arrays:
        """Run the next chunk.

        Args: one array per input besides the states, with one step or more along the program's
            `time`; the same number of sequences in each chunk.
        Returns: output name -> array. One with time is this chunk's part of what the whole gives;
            one without is what the whole gives that ends here.
        Raises: NetwrightError: B802: an input does not fit, the batch is of another size than
            before, or the sequence gets longer than the program has room for.
        """
        signature, symbols = self._session.signature, self._session.symbols
        arrays = check_inputs(chunk, signature.own_inputs(), symbols)
        sizes = sizes_of(arrays, signature)
        check_same(self._sizes, sizes)
        results = self._session(**arrays, **(self._states or zeros(sizes, signature)))
        self._sizes = sizes
        self._states = {given: results[made] for given, made in signature.states.items()}
        return {name: results[name] for name in signature.own_outputs()}


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
                help=ADDED_BY.get(name),
            )
        if name not in self._sessions:
            self._sessions[name] = self._open(self.manifest, name)
        return self._sessions[name]

    def _open(self, manifest: Manifest, name: str) -> Session:
        program = manifest.programs[name]
        path = self.folder / program.file
        try:
            session = Session(path, program, manifest.symbols, self.device)
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

    def stream(self, program: str = "step") -> Stream:
        """Begin a sequence that comes in chunks; call the result with one chunk after the other.

        Raises: NetwrightError: B802: there is no such program, or it runs on whole inputs; B801,
            R905: as `program`.
        """
        return Stream(self.program(program), program)

    def generate(
        self,
        prompt: str,
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        stop: str | None = None,
        seed: int = 0,
    ) -> str:
        """Text that a language model puts behind a prompt; see `generate.generate`."""
        from .generate import generate

        return generate(
            self, prompt, length, temperature=temperature, top_k=top_k, stop=stop, seed=seed
        )

    def sample(
        self, count: int, *, seed: int = 0, given: Mapping[str, ArrayLike] | None = None
    ) -> Arrays:
        """New samples of a generative network; see `sample.sample`."""
        from .sample import sample

        return sample(self, count, seed=seed, given=given)

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


def make_session(model: Path | bytes, device: Device) -> Any:
    """An `onnxruntime.InferenceSession` on the device asked for.

    model: a file, or the content of one.
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
