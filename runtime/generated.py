"""Runs generated source: what trains is the very text that `compile` leaves on disk."""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType

from torch import Tensor, nn

Source = str | ModuleType
"""Generated text, or the module that `load_source` made of it."""


def load_source(source: str, filename: str = "model.py") -> ModuleType:
    """Execute generated source as a module.

    Its lines are entered into `linecache`, so that tracebacks and debuggers show them, and the
    module into `sys.modules`, so that its classes can be inspected. The same text is executed once.

    Args:
        filename: what tracebacks call the file.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    name = f"netwright_generated_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    shown = f"<netwright {digest}>/{filename}"
    linecache.cache[shown] = (len(source), None, source.splitlines(keepends=True), shown)
    module = ModuleType(name)
    module.__file__ = shown
    sys.modules[name] = module
    try:
        exec(compile(source, shown, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def build_networks(source: Source, names: Iterable[str]) -> dict[str, nn.Module]:
    """Build networks with freshly initialised weights, in the order of their names.

    A network whose weights are tied to those of others gets these; they are among the results.

    Raises: KeyError: the source holds no network of a name.
    """
    classes = _module(source).NETWORKS
    built: dict[str, nn.Module] = {}
    for name in names:
        _build(name, classes, built)
    return built


def build_program(source: Source, name: str, networks: Mapping[str, nn.Module]) -> nn.Module:
    """Build a program over networks that exist.

    Raises: KeyError: the source holds no such program, or the networks lack one that it calls.
    """
    made = _module(source).PROGRAMS[name]
    program: nn.Module = made(**{needed: networks[needed] for needed in _needed(made)})
    return program


def by_name(results: Tensor | tuple[Tensor, ...], names: Iterable[str]) -> dict[str, Tensor]:
    """What a network or program gave, by the names of its outputs; one alone is no tuple."""
    tensors = results if isinstance(results, tuple) else (results,)
    return dict(zip(names, tensors, strict=True))


def _module(source: Source) -> ModuleType:
    return source if isinstance(source, ModuleType) else load_source(source)


def _build(
    name: str, classes: Mapping[str, type[nn.Module]], built: dict[str, nn.Module]
) -> nn.Module:
    if name not in built:
        made = classes[name]
        built[name] = made(**{needed: _build(needed, classes, built) for needed in _needed(made)})
    return built[name]


def _needed(made: type[nn.Module]) -> list[str]:
    """The networks that a constructor takes."""
    if made.__init__ is nn.Module.__init__:
        return []
    return list(inspect.signature(made).parameters)
