"""`netwright sample`: new samples, which a bundle draws of noise. Torch-free."""

from __future__ import annotations

import io
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..compiler.diagnostics import Code, failure
from .conditions import Given, read_conditions, repeated
from .files import write_bytes
from .input_checks import Arrays, quoted
from .memory import enough_memory
from .noise import NoiseSource, sizes_in
from .result_files import npz_bytes
from .sheet import check_count, check_images, draw_sheet

if TYPE_CHECKING:
    from .bundle import Port
    from .session import Bundle, Session

PROGRAMS = ("sample", "generate")
"""What draws samples: of a `vae`, of a `gan`."""

BATCH = 64
"""How many samples are made at once."""

MOST = 10_000_000
"""How many may be asked for: they are kept in memory until they are written."""


def sample(
    bundle: Bundle, count: int, *, seed: int = 0, given: Mapping[str, Given] | None = None
) -> Arrays:
    """New samples, by output: [count, ...] in raw units.

    Args:
        seed: of the noise, by numpy's PCG64; of the same seed, fewer samples are the first of more.
        given: what the samples are made for, by input, such as `{"label": 3}`: one value for all,
            or an array along the batch, which repeats. Classes may be called by their names.
    Raises: NetwrightError: B802: the bundle has no program that draws samples, or a condition is
        missing, unknown, or does not fit.
    """
    session = _session(bundle)
    return _made(session, count, seed, read_conditions(session.inputs, given or {}))


def _session(bundle: Bundle) -> Session:
    """The program that draws samples: a language model's `generate` takes no noise."""
    for name in PROGRAMS:
        if name in bundle.programs and any(p.noise for p in bundle.program(name).inputs.values()):
            return bundle.program(name)
    return bundle.program(PROGRAMS[0])


def _made(session: Session, count: int, seed: int, conditions: Arrays) -> Arrays:
    """conditions: input -> values along the batch, as many as there are different ones."""
    count = operator.index(count)
    if not 1 <= count <= MOST:
        raise failure(Code.B802, f"expected `count` from 1 to {MOST:,}, found {count:,}")
    with enough_memory("sampling"):
        arrays = repeated(conditions, count, session.inputs, session.symbols)
        sizes = {"B": count, **sizes_in(arrays, {name: session.inputs[name] for name in arrays})}
        noise = NoiseSource(session.inputs, seed).draw(sizes)
        return session.in_batches({**arrays, **noise}, BATCH)


def write_samples(
    bundle: Bundle,
    output: Path,
    count: int,
    *,
    seed: int = 0,
    given: Mapping[str, Given] | None = None,
) -> None:
    """Write new samples as a picture or as arrays.

    In a picture, samples made for different values stand in columns, one for each value.

    Args: output: a name that ends with one of `ENDINGS`. The others are those of `sample`.
    Raises: NetwrightError: B802: see `sample`. R903: the outputs are of another kind, or the disk.
    """
    session, ending = _session(bundle), output.suffix.lower()
    _check_output(ending, session.outputs, count)
    conditions = read_conditions(session.inputs, given or {})
    found = _made(session, count, seed, conditions)
    different = max((len(x) for x in conditions.values() if x.ndim), default=1)
    write_bytes(output, ENDINGS[ending](found, session.outputs, different))


def _check_output(ending: str, outputs: Mapping[str, Port], count: int) -> None:
    if ending == ".png":
        check_images(outputs)
        check_count(count)
    if ending == ".npy" and len(outputs) > 1:
        raise failure(
            Code.R903,
            f"expected one output to write as an array, found {quoted(outputs)}",
            help="write them by their names: `-o samples.npz`",
        )


def _picture(found: Arrays, outputs: Mapping[str, Port], different: int) -> bytes:
    ((name, images),) = found.items()
    return draw_sheet(images, outputs[name].range, different if different > 1 else None)


def _named(found: Arrays, outputs: Mapping[str, Port], different: int) -> bytes:
    return npz_bytes(found)


def _single(found: Arrays, outputs: Mapping[str, Port], different: int) -> bytes:
    content, (array,) = io.BytesIO(), found.values()
    np.save(content, array)
    return content.getvalue()


ENDINGS: dict[str, Callable[[Arrays, Mapping[str, Port], int], bytes]] = {
    ".png": _picture,
    ".npz": _named,
    ".npy": _single,
}
"""How the name of a file of samples may end, and what writes it.

It is told how many different values the samples were made for.
"""
