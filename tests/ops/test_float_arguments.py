"""Arguments that become numbers of float32: what it can't hold is refused, what it can builds."""

from __future__ import annotations

from typing import Any

import netwright.compiler.ops
import pytest
import torch
import yaml
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Op
from netwright.compiler.ops.weights import SETTINGS
from torch import nn

from ..torch_tools import compiled, networks

assert netwright.compiler.ops  # importing it fills the registry

LARGEST = 3.4028234663852886e38
NUMBERS = [
    (cls, name)
    for cls in REGISTRY.values()
    for name, declared in cls.attributes.items()
    if "float" in declared.annotation
]
INITS = [
    {kind: {setting: 1e30}}
    for kind, taken in SETTINGS.items()
    for setting in taken
    if setting != "mode"
]


def arguments(cls: type[Op]) -> dict[str, Any]:
    """Those of the first example, written out."""
    given = yaml.safe_load(cls.examples[0].arguments) or {}
    main = next((name for name, declared in cls.attributes.items() if declared.main), "")
    return given if isinstance(given, dict) else {main: given}


@pytest.mark.parametrize(("cls", "name"), NUMBERS, ids=lambda part: getattr(part, "name", part))
@pytest.mark.parametrize("value", [1e39, -1e300, 1e-50])
def test_what_float32_cannot_hold_is_refused(cls: type[Op], name: str, value: float) -> None:
    given = [value] if cls.attributes[name].annotation.startswith("tuple") else value
    with pytest.raises(NetwrightError) as caught:
        build(cls, {**arguments(cls), name: given})
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code is Code.S102


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, 1.4e-45, 0.0])
def test_what_float32_holds_is_not(value: float) -> None:
    assert vars(build(REGISTRY["prelu"], {"init": value}))["init"] == value


def made(layer: str, shape: str = "[B, 8]", dtype: str = "float32") -> nn.Module:
    spec = (
        f"networks:\n  net:\n    inputs: {{x: {{shape: {shape}, dtype: {dtype}}}}}\n"
        f"    layers: [{{{layer}}}]\n    outputs: y\n"
    )
    assert compiled(spec)
    return networks(spec)["net"]


@pytest.mark.parametrize("layer", ["prelu", "scale"])
@pytest.mark.parametrize("value", [LARGEST, -LARGEST])
def test_the_largest_numbers_start_weights(layer: str, value: float) -> None:
    weight = next(made(f"{layer}: {{init: {value!r}}}").parameters())
    assert bool((weight == torch.tensor(value)).all())


@pytest.mark.parametrize("init", INITS, ids=str)
def test_the_widest_initial_weights_are_drawn(init: dict[str, Any]) -> None:
    module = made(f"linear: {{features: 3, init: {init}}}".replace("'", ""))
    assert all(bool(weight.isfinite().all()) for weight in module.parameters())


@pytest.mark.parametrize("init", INITS, ids=str)
@pytest.mark.parametrize("value", [1.1e30, 1e-50])
def test_wider_and_no_initial_weights_are_refused(init: dict[str, Any], value: float) -> None:
    ((kind, settings),) = init.items()
    with pytest.raises(NetwrightError) as caught:
        build(REGISTRY["linear"], {"features": 3, "init": {kind: dict.fromkeys(settings, value)}})
    assert caught.value.diagnostics[0].code is Code.S102
