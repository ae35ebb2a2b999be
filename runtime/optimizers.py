"""torch's optimizers from the settings of compiler/objectives/optimizers.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..compiler.objectives.optimizers import Adam, AdamW, Optimizer, RmsProp, Sgd

if TYPE_CHECKING:
    import torch

Parameters = Iterable["torch.Tensor"]


def make_optimizer(settings: Optimizer, parameters: Parameters) -> torch.optim.Optimizer:
    """An optimizer over the parameters, in torch's fused form where it has one."""
    return _MAKERS[type(settings)](settings, list(parameters))


def _adamw(settings: Any, parameters: Parameters) -> torch.optim.Optimizer:
    from torch.optim import AdamW as Torch

    return Torch(parameters, **_adam_arguments(settings))


def _adam(settings: Any, parameters: Parameters) -> torch.optim.Optimizer:
    from torch.optim import Adam as Torch

    return Torch(parameters, **_adam_arguments(settings))


def _adam_arguments(settings: Adam | AdamW) -> dict[str, Any]:
    return {
        "lr": settings.lr,
        "betas": tuple(settings.betas),
        "eps": settings.eps,
        "weight_decay": settings.weight_decay,
        "fused": True,
    }


def _sgd(settings: Any, parameters: Parameters) -> torch.optim.Optimizer:
    from torch.optim import SGD

    return SGD(
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _rmsprop(settings: Any, parameters: Parameters) -> torch.optim.Optimizer:
    from torch.optim import RMSprop

    return RMSprop(
        parameters,
        lr=settings.lr,
        alpha=settings.alpha,
        eps=settings.eps,
        momentum=settings.momentum,
        centered=settings.centered,
        weight_decay=settings.weight_decay,
        foreach=True,
    )


_MAKERS: dict[type[Optimizer], Callable[[Any, Parameters], torch.optim.Optimizer]] = {
    AdamW: _adamw,
    Adam: _adam,
    Sgd: _sgd,
    RmsProp: _rmsprop,
}


def pack_state(
    optimizer: torch.optim.Optimizer, names: Mapping[torch.Tensor, str]
) -> dict[str, torch.Tensor]:
    """What an optimizer remembers, as `<parameter>/<what>` -> tensor.

    names: every parameter that it moves -> its name.
    """
    return {
        f"{names[parameter]}/{key}": value
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
        if value is not None
    }


def unpack_state(
    optimizer: torch.optim.Optimizer,
    names: Mapping[torch.Tensor, str],
    packed: Mapping[str, torch.Tensor],
) -> None:
    """Give back what `pack_state` took, in each parameter's own memory format.

    torch's fused kernels walk through memory, so that a state of another layout would be read in
    another order than its parameter.
    """
    import torch

    described = optimizer.state_dict()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    described["state"] = {
        index: _of(names[parameter], packed) for index, parameter in enumerate(parameters)
    }
    optimizer.load_state_dict(described)
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape and value.dtype == parameter.dtype and value.ndim:
                state[key] = torch.empty_like(parameter).copy_(value).detach()


def _of(name: str, packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    prefix = f"{name}/"
    return {key[len(prefix) :]: value for key, value in packed.items() if key.startswith(prefix)}
