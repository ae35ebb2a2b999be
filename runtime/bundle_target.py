"""Where a bundle may be written: nothing that is not a bundle's is ever replaced. Torch-free."""

from __future__ import annotations

from pathlib import Path

from ..compiler.diagnostics import Code, NetwrightError, failure
from .bundle import MANIFEST, Manifest, is_bundle, read_manifest

SHOWN = 3
"""How many files a message names."""


def check_target(folder: Path) -> None:
    """Raises: NetwrightError: R903: something else than a bundle's own files stands there."""
    if not folder.exists():
        return
    manifest = _manifest_of(folder)
    if manifest is not None:
        _check_foreign(folder, _foreign_files(folder, manifest))
    elif not folder.is_dir() or any(folder.iterdir()):
        raise failure(
            Code.R903,
            f"expected a bundle or a new folder to write to, found `{folder}` with other content",
            help="choose another folder with `-o`",
        )


def _manifest_of(folder: Path) -> Manifest | None:
    """The manifest of a folder that is a bundle: other tools write a `manifest.json` too."""
    if not is_bundle(folder):
        return None
    try:
        return read_manifest(folder)
    except NetwrightError:
        return None


def _foreign_files(folder: Path, manifest: Manifest) -> list[str]:
    """The paths below a bundle's folder of what its manifest does not list."""
    own = {MANIFEST, *manifest.files}
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    names = [path.relative_to(folder).as_posix() for path in found]
    return [name for name in names if name not in own]


def _check_foreign(folder: Path, names: list[str]) -> None:
    if not names:
        return
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    raise failure(
        Code.R903,
        f"expected no files but its own in the bundle `{folder}`, which would be replaced, found "
        f"{shown}{more}",
        help="move them elsewhere, or choose another folder with `-o`",
    )
