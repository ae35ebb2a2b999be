"""Saving and finding the state of a run: safetensors and JSON, written whole or not at all.

    checkpoints/00000450/
      weights/<network>.safetensors    the state dict under its own names
      averages/<network>.safetensors   their moving averages, where the spec asks for `ema`
      training.safetensors             optimizers, and tensors of the objective
      training.json                    step, position and everything else that is no tensor
      manifest.json                    sha256 of the files above; written last

A folder is named by the optimizer steps done. Pickle is neither written nor read.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.diagnostics import Code, NetwrightError, failure
from .files import inner_path, make_folder, new_folder, read_json, sha256, write_json

if TYPE_CHECKING:
    import torch

FORMAT = 2
FOLDER = "checkpoints"
WEIGHTS = "weights"
AVERAGES = "averages"
TENSORS = "training.safetensors"
DATA = "training.json"
MANIFEST = "manifest.json"

Tensors = Mapping[str, "torch.Tensor"]
Warn = Callable[[str], None]


class Damaged(Exception):  # noqa: N818 - a finding; the caller decides whether it is an error
    """Why a checkpoint can't be used."""


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on.

    weights: network -> state dict. tensors: other tensors by name. data: JSON.
    averages: network -> moving averages; empty where none are kept. folder: where it was read.
    """

    weights: Mapping[str, Tensors]
    tensors: Tensors
    data: Mapping[str, Any]
    averages: Mapping[str, Tensors] = field(default_factory=dict)
    folder: Path = Path()


def save(run: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint; one of the same step is replaced.

    Returns: its folder. Raises: NetwrightError: R903: the disk fails; nothing is half-written.
    """
    from safetensors.torch import save_file

    target = make_folder(run / FOLDER) / f"{step:08d}"
    with new_folder(target) as folder:
        for kind, networks in ((WEIGHTS, checkpoint.weights), (AVERAGES, checkpoint.averages)):
            (folder / kind).mkdir()
            for network, tensors in networks.items():
                save_file(_packed(tensors), folder / kind / f"{network}.safetensors")
        save_file(_packed(checkpoint.tensors), folder / TENSORS)
        write_json(folder / DATA, dict(checkpoint.data))
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        digests = {name: sha256(folder / name) for name in names}
        write_json(folder / MANIFEST, {"format": FORMAT, "step": step, "sha256": digests})
    return target


def _packed(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Contiguous copies on the CPU, as safetensors wants them."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def steps(run: Path) -> list[int]:
    """The steps of which there are checkpoints, the newest first."""
    folder = run / FOLDER
    if not folder.is_dir():
        return []
    found = (p.name for p in folder.iterdir() if p.is_dir() and re.fullmatch(r"\d{8,}", p.name))
    return sorted((int(name) for name in found), reverse=True)


def folder_of(run: Path, step: int) -> Path:
    return run / FOLDER / f"{step:08d}"


def newest(run: Path, warn: Warn) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are told through `warn`.

    Returns: None where the run has none at all.
    Raises: NetwrightError: R901: there are some and all of them are damaged.
    """
    found = steps(run)
    for step in found:
        try:
            return load(folder_of(run, step))
        except Damaged as reason:
            warn(f"the checkpoint of step {step} is damaged ({reason}); using the one before it")
    if found:
        raise failure(
            Code.R901,
            f"expected a whole checkpoint in `{run / FOLDER}`, found {len(found)} damaged",
            help="start again without `--resume`, in another folder (`-o`)",
        )
    return None


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint after checking every file of it.

    Raises: Damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    names = verified_files(folder)
    try:
        data = read_json(folder / DATA)
        if not isinstance(data, dict):
            raise Damaged(f"`{DATA}` holds no map")
        return Checkpoint(
            _networks(folder, names, WEIGHTS),
            load_file(folder / TENSORS),
            data,
            _networks(folder, names, AVERAGES),
            folder,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise Damaged(str(error)) from error


def _networks(folder: Path, names: Iterable[str], kind: str) -> dict[str, Tensors]:
    """Network -> the tensors of one kind."""
    from safetensors.torch import load_file

    return {
        name.removeprefix(f"{kind}/").removesuffix(".safetensors"): load_file(folder / name)
        for name in names
        if name.startswith(f"{kind}/")
    }


def verified_files(folder: Path) -> list[str]:
    """The files of a checkpoint, each with the sha256 that its manifest says.

    Raises: Damaged.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        digests = manifest["sha256"]
        if manifest["format"] != FORMAT:
            raise Damaged(f"format {manifest['format']}, not {FORMAT}")
        for name, digest in digests.items():
            if sha256(inner_path(folder, name)) != digest:
                raise Damaged(f"`{name}` was changed")
    except FileNotFoundError as error:
        raise Damaged(f"`{Path(str(error.filename)).name}` is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"`{MANIFEST}` is not readable: {error}") from error
    if {TENSORS, DATA} - digests.keys():
        raise Damaged(f"`{MANIFEST}` does not list every file")
    return list(digests)


def damage(run: Path, step: int) -> str | None:
    """Why a checkpoint can't be used; None where every file is as it was written."""
    try:
        verified_files(folder_of(run, step))
    except Damaged as reason:
        return str(reason)
    return None


def load_weights(run: Path, step: int) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of one checkpoint as they are used: their moving averages where it has some.

    Returns: network -> state dict.
    Raises: NetwrightError: R901: it is missing or damaged.
    """
    folder = folder_of(run, step)
    try:
        saved = load(folder)
    except Damaged as reason:
        raise broken(folder, reason) from reason
    return {name: {**own, **saved.averages.get(name, {})} for name, own in saved.weights.items()}


def broken(folder: Path, reason: object) -> NetwrightError:
    return failure(
        Code.R901,
        f"the checkpoint `{folder}` can't be used: {reason}",
        help="train again, or go on from an older checkpoint with `netwright train --resume`",
    )


def prune(run: Path, keep: Iterable[int]) -> None:
    """Delete every checkpoint but those of the given steps."""
    kept = set(keep)
    for step in steps(run):
        if step not in kept:
            shutil.rmtree(folder_of(run, step), ignore_errors=True)
