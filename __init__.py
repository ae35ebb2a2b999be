"""Netwright: neural networks from YAML specs.

    netwright.check("spec.yaml")    every mistake, as diagnostics
    netwright.compile("spec.yaml")  an ordinary torch.nn.Module
    netwright.load("bundle")        an exported bundle, run by ONNX Runtime

Importing this module imports neither torch nor ONNX Runtime; each function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from .compiler.driver import Compilation
    from .runtime.session import Bundle, Device

__version__ = "0.1.0"
__all__ = ["__version__", "check", "compile", "load", "load_plugin"]


def check(
    path: str | Path, *, variant: str | None = None, params: Mapping[str, Any] | None = None
) -> Compilation:
    """Read a spec and find every mistake in it.

    Args:
        variant: one of the spec's `variants`.
        params: values of the spec's parameters.
    Returns: a `Compilation`; `diagnostics` holds what was found, `graphs` the typed networks.
    Raises: NetwrightError: the file can't be read, or is not YAML that has one reading.
    """
    from .compiler.driver import check as check_spec

    return check_spec(path, _choices(variant, params))


def compile(  # noqa: A001 - the verb of the command line
    path: str | Path,
    *,
    variant: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Compile a spec to PyTorch and build it, with freshly initialised weights.

    Returns: the network, or an nn.ModuleDict by name where the spec has several.
    Raises: NetwrightError: the spec has errors.
    """
    from .compiler.driver import compile_spec
    from .runtime.generated import build_networks

    compilation = compile_spec(path, _choices(variant, params))
    networks = build_networks(compilation.source, list(compilation.graphs))
    if len(networks) == 1:
        return next(iter(networks.values()))
    from torch import nn

    return nn.ModuleDict(networks)


def load(path: str | Path, device: Device = "auto") -> Bundle:
    """Open an exported bundle.

    Args:
        device: `cpu`, `cuda`, or `auto` for the GPU where ONNX Runtime has one.
    Raises: NetwrightError: B801: a file of the bundle is missing or was changed.
    """
    from .runtime.session import Bundle

    return Bundle(Path(path), device)


def load_plugin(path: str | Path) -> list[str]:
    """Register the operators of a Python file; gives their names.

    Raises: NetwrightError: P951: the file can't be loaded.
    """
    from .compiler.plugins import load_plugin as load_file

    return load_file(Path(path))


def _choices(variant: str | None, params: Mapping[str, Any] | None) -> Any:
    from .compiler.language.describe import plain
    from .compiler.language.params import Choices

    return Choices(variant, {name: plain(value) for name, value in (params or {}).items()})
