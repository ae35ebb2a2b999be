"""`predict`: a bundle on files of the kinds that training reads. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler.diagnostics import Code, NetwrightError, failure
from .answer_lines import answer_lines
from .bundle import Port
from .chunks import need_whole
from .input_checks import Arrays, check_inputs, real_steps
from .input_files import Place, Reader, Samples
from .memory import enough_memory
from .noise import NoiseSource, given_ports, sizes_in
from .result_files import Answers, check_output, write_answers
from .session import Device, Session, load

BATCH = 64
"""How many samples run at once, which bounds the memory."""

Warn = Callable[[str], None]


def predict_files(
    bundle: Path,
    inputs: Sequence[Path],
    *,
    program: str = "predict",
    output: Path | None = None,
    seed: int | None = None,
    device: Device = "auto",
    warn: Warn = lambda text: None,
) -> Iterator[str]:
    """Run a program on files, each on its own.

    Args:
        inputs: what training read, as the bundle remembers it: tables, images or folders of them;
            `.npy` for a program with one input, `.npz` with its inputs by name.
        output: a `.csv`, `.npz` or `.png` file for all results, joined; None to show them as lines.
        seed: of the noise that a program takes beside the files; None for 0, or where it takes
            none.
        warn: told of the first value of each input that its field does not allow, of what was
            left out of a file, and of answers that depend on the samples beside them.
    Returns: the lines to print: a line per sample, or where the results were written.
    Raises: NetwrightError: B801: the bundle. B802: an input does not fit, or the program runs in
        chunks. F601, F602: a table, as
        in training. R903: it can't be read, or the results not be written. R905: the device.
    """
    opened = load(bundle, device)
    session = opened.program(program)
    need_whole(session.signature, program)
    noise = _noise(session, program, seed)
    if output is not None:
        check_output(output, session.outputs)
    if session.signature.mixes_batch:
        warn(
            f"what `{program}` gives for a sample depends on the samples beside it: each file is "
            f"run by itself, {BATCH} samples at a time"
        )
    reader = Reader(session, opened.manifest.reading, BATCH, warn)
    ranges = _Ranges(given_ports(session.inputs), warn)
    found: list[Answers] = []
    for path in inputs:
        for samples in reader.read(path):
            results = _results(session, samples, noise)
            ranges.look(samples)
            _warn_of_nonsense(results, samples.file, warn)
            if output is None:
                lines = answer_lines(results, opened.manifest, _lengths(session, samples))
                yield from map(_line, samples.places, lines)
            else:
                lengths = _lengths(session, samples) if samples.is_ragged else {}
                found.append(Answers(samples.places, results, lengths))
    if output is not None:
        write_answers(output, found, opened.manifest, session.outputs)
        yield f"wrote {output}"


def _line(place: Place, answer: str) -> str:
    return f"{place.text}: {answer}"


def _lengths(session: Session, samples: Samples) -> Arrays:
    """Output -> how long each answer is, for those along the steps of a padded input."""
    return {
        name: np.asarray(samples.arrays[port.lengths])
        for name, port in session.outputs.items()
        if port.lengths is not None
    }


def _noise(session: Session, program: str, seed: int | None) -> NoiseSource:
    """What draws the noise of a program that files are given to besides."""
    found = NoiseSource(session.inputs, seed or 0)
    if not given_ports(session.inputs):
        raise failure(
            Code.B802,
            f"expected a program that takes samples, found `{program}`, which takes noise alone",
            help="`netwright sample` runs it",
        )
    if seed is not None and not found.ports:
        raise failure(
            Code.B802,
            f"expected a program with noise to draw by a seed, found `{program}`, which takes none",
            help="leave `--seed` out",
        )
    return found


def _results(session: Session, samples: Samples, noise: NoiseSource) -> Arrays:
    """What the program answers; a mistake in an array names its file."""
    try:
        with enough_memory("the prediction"):
            return session.in_batches(_with_noise(session, samples.arrays, noise), BATCH)
    except NetwrightError as error:
        note = f"read from `{samples.file}`"
        told = [replace(problem, notes=(*problem.notes, note)) for problem in error.diagnostics]
        raise NetwrightError(*told) from error


def _with_noise(session: Session, arrays: Arrays, noise: NoiseSource) -> Arrays:
    if not noise.ports:
        return arrays
    ports = given_ports(session.inputs)
    checked = check_inputs(arrays, ports, session.symbols)  # before their sizes are relied on
    return {**checked, **noise.draw(sizes_in(checked, ports))}


def _warn_of_nonsense(results: Arrays, file: Path, warn: Warn) -> None:
    """Inputs are finite, so that an answer which is not tells that they are far too large."""
    for name, values in results.items():
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            warn(
                f"expected finite numbers in the output `{name}`, found others for "
                f"{int((~finite).sum()):,} of {len(values):,} samples in `{file}`; values that are "
                "far from those of training overflow"
            )


class _Ranges:
    """Looks for values that the network was not trained on, and tells the first of each input."""

    def __init__(self, ports: Mapping[str, Port], warn: Warn) -> None:
        self._limits = {name: port.range for name, port in ports.items() if port.range}
        self._ports = ports
        self._warn = warn

    def look(self, samples: Samples) -> None:
        """samples: inputs that fit the ports."""
        for name, (low, high) in list(self._limits.items()):
            values: Any = np.asarray(samples.arrays[name])
            if (counted := self._ports[name].lengths) is not None:
                values = values[real_steps(values, samples.arrays[counted])]
            wrong = values[(values < low) | (high < values)]
            if wrong.size:
                del self._limits[name]
                self._warn(
                    f"expected values of `{name}` from {low:g} to {high:g}, as in training, found "
                    f"{wrong[0]:g} in `{samples.file}`; what the network answers to others means "
                    "little"
                )
