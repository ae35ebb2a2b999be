"""Saving and finding the state of a run: safetensors and JSON, written whole or not at all.

    checkpoints/00000450/
      weights/<network>.safetensors    the state dict under its own names
      averages/<network>.safetensors   their moving averages, where the spec asks for `ema`
      training.safetensors             optimizers, and tensors of the objective
      training.json                    step, position and everything else that is no tensor
      manifest.json                    sha256 of the files above; written last

A folder is named by the optimizer steps done. Pickle is neither written nor read. When a run goes
back to a checkpoint, `training.json` gives way to `training-again.json`, and that to it the next
time: the manifest names the one that holds.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.diagnostics import Code, NetwrightError, failure
from .files import (
    TEMPORARY,
    flush_folder,
    inner_path,
    make_folder,
    new_folder,
    read_json,
    sha256,
    write_json,
    writing,
)

if TYPE_CHECKING:
    import torch

FORMAT = 3
FOLDER = "checkpoints"
WEIGHTS = "weights"
AVERAGES = "averages"
TENSORS = "training.safetensors"
DATA = ("training.json", "training-again.json")
MANIFEST = "manifest.json"

Tensors = Mapping[str, "torch.Tensor"]
Warn = Callable[[str], None]


class Damaged(Exception):  # noqa: N818 - a finding; the caller decides whether it is an error
    """Why a checkpoint can't be used. help: what to do about it."""

    help = "train again, or go on from an older checkpoint with `netwright train --resume`"


class OtherFormat(Damaged):
    """It was written by another version of Netwright."""

    help = "use the version of Netwright that the run's `run.json` names, or train again"

    def __init__(self, found: object) -> None:
        super().__init__(f"it is of format {found}, and this version of Netwright reads {FORMAT}")
        self.found = found


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

    @property
    def step(self) -> int:
        """The optimizer steps that its folder names."""
        return int(self.folder.name)

    def tensor_names(self) -> list[str]:
        """Every tensor as `<kind>/<network>/<tensor>`, or by its name in `tensors`; sorted."""
        return sorted(
            [*_paths(WEIGHTS, self.weights), *_paths(AVERAGES, self.averages), *self.tensors]
        )


def _paths(kind: str, networks: Mapping[str, Tensors]) -> list[str]:
    return [f"{kind}/{network}/{name}" for network, own in networks.items() for name in own]


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
        write_json(folder / DATA[0], dict(checkpoint.data))
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        _write_manifest(folder, step, {name: sha256(folder / name) for name in names})
    return target


def _write_manifest(folder: Path, step: int, digests: Mapping[str, str]) -> None:
    write_json(folder / MANIFEST, {"format": FORMAT, "step": step, "sha256": digests})


def amend(saved: Checkpoint, data: Mapping[str, Any]) -> None:
    """Give a checkpoint other data beside the tensors that it has.

    A process that is killed meanwhile leaves it with the old data or with the new.

    Raises: NetwrightError: R903: the disk fails; the old data stay.
    """
    folder = saved.folder
    with writing(folder):
        digests = read_json(folder / MANIFEST)["sha256"]
        old = _data_file(digests)
        new = next(name for name in DATA if name != old)
        write_json(folder / new, dict(data))
        del digests[old]
        _write_manifest(folder, saved.step, {**digests, new: sha256(folder / new)})
        flush_folder(folder)
        (folder / old).unlink()


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


def newest(run: Path, warn: Warn, before: int | None = None) -> Checkpoint | None:
    """The newest checkpoint that is whole; damaged ones are told through `warn`.

    Args:
        before: look only at checkpoints of earlier steps than this one, which is whole.
    Returns: None where the run has none at all, or none before.
    Raises: NetwrightError: R901: there are some and all of them are damaged.
    """
    reasons: list[Damaged] = []
    for step in steps(run):
        if before is not None and step >= before:
            continue
        try:
            return load(folder_of(run, step))
        except Damaged as reason:
            warn(f"the checkpoint of step {step} is damaged ({reason}); using the one before it")
            reasons.append(reason)
    if reasons and before is None:
        raise _none_whole(run / FOLDER, reasons)
    return None


def _none_whole(folder: Path, reasons: Sequence[Damaged]) -> NetwrightError:
    others = [reason for reason in reasons if isinstance(reason, OtherFormat)]
    if len(others) == len(reasons):
        return failure(
            Code.R901,
            f"expected checkpoints of format {FORMAT} in `{folder}`, found format "
            f"{others[0].found}, of another version of Netwright",
            help="go on with the version that the run's `run.json` names, or start again without "
            "`--resume`, in another folder (`-o`)",
        )
    return failure(
        Code.R901,
        f"expected a whole checkpoint in `{folder}`, found {len(reasons)} damaged",
        help="start again without `--resume`, in another folder (`-o`)",
    )


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint after checking every file of it.

    Raises: Damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    names = verified_files(folder)
    try:
        data_file = _data_file(names)
        data = read_json(folder / data_file)
        if not isinstance(data, dict):
            raise Damaged(f"`{data_file}` holds no map")
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
    if not folder.is_dir():
        raise Damaged("it is not there")
    try:
        manifest = read_json(folder / MANIFEST)
        if manifest["format"] != FORMAT:
            raise OtherFormat(manifest["format"])
        digests = manifest["sha256"]
        for name, digest in digests.items():
            if sha256(inner_path(folder, name)) != digest:
                raise Damaged(f"`{name}` was changed")
    except FileNotFoundError as error:
        raise Damaged(f"`{Path(str(error.filename)).name}` is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"`{MANIFEST}` is not readable: {error}") from error
    if TENSORS not in digests or len(digests.keys() & set(DATA)) != 1:
        raise Damaged(f"`{MANIFEST}` does not list every file")
    return list(digests)


def _data_file(names: Iterable[str]) -> str:
    """The file among those of a checkpoint that holds its data."""
    return next(name for name in names if name in DATA)


def damage(run: Path, step: int) -> str | None:
    """Why a checkpoint can't be used; None where every file is as it was written."""
    try:
        verified_files(folder_of(run, step))
    except Damaged as reason:
        return str(reason)
    return None


def load_weights(run: Path, step: int) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of one checkpoint as they are used; see `used_weights`.

    Raises: NetwrightError: R901: it is missing or damaged.
    """
    return used_weights(load_whole(run, step))


def load_whole(run: Path, step: int) -> Checkpoint:
    """One checkpoint.

    Raises: NetwrightError: R901: it is missing or damaged.
    """
    folder = folder_of(run, step)
    try:
        return load(folder)
    except Damaged as reason:
        raise broken(folder, reason) from reason


def used_weights(saved: Checkpoint) -> dict[str, dict[str, torch.Tensor]]:
    """The weights as they are used: their moving averages where there are some.

    Returns: network -> state dict.
    """
    return {name: {**own, **saved.averages.get(name, {})} for name, own in saved.weights.items()}


def broken(folder: Path, reason: Damaged) -> NetwrightError:
    return failure(
        Code.R901, f"the checkpoint `{folder}` can't be used: {reason}", help=reason.help
    )


@contextmanager
def taken_back(saved: Checkpoint) -> Iterator[None]:
    """Within, a checkpoint that turns out to be damaged is an error: R901."""
    try:
        yield
    except Damaged as reason:
        raise broken(saved.folder, reason) from reason


def prune(run: Path, keep: Iterable[int]) -> None:
    """Delete every checkpoint but those of the given steps, as far as the system lets us."""
    kept = set(keep)
    for step in steps(run):
        if step not in kept:
            with suppress(OSError):
                _delete(folder_of(run, step))


def drop_after(run: Path, step: int) -> None:
    """Delete the checkpoints after a step, the newest first.

    Raises: NetwrightError: R903: one stays; a resumed run would go on from there.
    """
    for later in steps(run):
        if later > step:
            folder = folder_of(run, later)
            with writing(folder):
                _delete(folder)


def _delete(folder: Path) -> None:
    """Delete a folder. A process that is killed meanwhile leaves all of it, or nothing by its name.

    Raises: OSError.
    """
    aside = folder.with_name(TEMPORARY + folder.name)
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
