"""Stored weights, wherever they are: a safetensors file, a run or a bundle. Torch-free.

Only headers are read here: which tensors there are, with their shapes and element types.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...compiler.diagnostics import Code, NetwrightError, failure
from ..bundle import WEIGHTS, is_bundle, open_bundle
from ..checkpoint import AVERAGES, Damaged, broken, folder_of, verified_files
from ..checkpoint import WEIGHTS as OF_NETWORKS
from ..files import sha256
from ..runs import is_run

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
"""What torch calls the files that it pickles into."""


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies. dtype: the word of safetensors, such as `F32`."""

    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class WeightSource:
    """Tensors by their names.

    by_network: names are `<network>.<tensor>`. sha256: of the file, or of several one by one.
    """

    path: Path
    tensors: Mapping[str, Stored]
    by_network: bool
    sha256: str


def open_weights(path: Path) -> WeightSource:
    """Look into a file, the checkpoint that a run was tested with, or a bundle.

    Raises: NetwrightError: F602: it is missing, damaged or no source of weights. R901, B801: the
        run or bundle is damaged.
    """
    if not path.is_dir():
        return WeightSource(path, dict(_header(path)), by_network=False, sha256=sha256(path))
    if is_run(path):
        return _of_run(path)
    if is_bundle(path):
        return _of_bundle(path)
    raise failure(
        Code.F602,
        f"expected a safetensors file, a run or a bundle, found the folder `{path}`",
        help="name the file in it, or the folder that `netwright train` or `export` made",
    )


def _header(path: Path, prefix: str = "") -> Iterator[tuple[str, Stored]]:
    """The tensors of a file, each by its name behind a prefix."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            for key in sorted(file.keys()):
                entry = file.get_slice(key)
                stored = Stored(path, key, tuple(entry.get_shape()), entry.get_dtype())
                yield f"{prefix}{key}", stored
    except FileNotFoundError as error:
        raise failure(
            Code.F602,
            f"expected the weights file `{path}`, found no such file",
            help="paths are relative to the spec's folder; name another one with `--data-dir`",
        ) from error
    except (OSError, SafetensorError) as error:
        raise _no_safetensors(path, error) from error


def _no_safetensors(path: Path, error: Exception) -> NetwrightError:
    if path.suffix in PICKLED:
        return failure(
            Code.F602,
            f"expected a safetensors file, found `{path}`, which torch has pickled",
            notes=["a pickle can run any code when it is read, so that netwright reads none"],
            help="convert a file that you trust: `safetensors.torch.save_file("
            f'torch.load("{path.name}", weights_only=True), "{path.stem}.safetensors")`',
        )
    return failure(
        Code.F602,
        f"expected a safetensors file, found `{path}`: {error}",
        help="fetch or make the file again",
    )


def _of_run(run: Path) -> WeightSource:
    """The weights as the run would export them: their moving averages where it has some."""
    from ..export import tested_step

    step, _ = tested_step(run)
    folder = folder_of(run, step)
    try:
        names = verified_files(folder)
    except Damaged as reason:
        raise broken(folder, reason) from reason
    tensors: dict[str, Stored] = {}
    files = [
        (Path(name).stem, folder / name)
        for kind in (OF_NETWORKS, AVERAGES)
        for name in names
        if name.startswith(f"{kind}/")
    ]
    for network, file in files:
        tensors |= _header(file, f"{network}.")
    return WeightSource(run, tensors, by_network=True, sha256=_together(f for _, f in files))


def _of_bundle(folder: Path) -> WeightSource:
    opened = open_bundle(folder)
    if WEIGHTS not in opened.manifest.files:
        raise failure(
            Code.F602,
            f"expected a bundle with weights, found no `{WEIGHTS}` in `{folder}`",
            help="export it with `--with-weights`",
        )
    file = folder / WEIGHTS
    return WeightSource(folder, dict(_header(file)), by_network=True, sha256=sha256(file))


def _together(files: Iterable[Path]) -> str:
    digests = [sha256(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
