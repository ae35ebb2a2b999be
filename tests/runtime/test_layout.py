"""Layouts: tensors and kernels of the rank that a layout is for are brought into it, no others."""

from __future__ import annotations

import pytest
import torch
from netwright.runtime.planning.layout import arrange, fitting, formatted
from torch import nn

LAYOUTS = [torch.contiguous_format, torch.channels_last, torch.channels_last_3d]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)], ids=len)
def test_a_tensor(layout: torch.memory_format, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    found = formatted(x, layout)
    assert torch.equal(found, x)
    ranks = {torch.channels_last: 4, torch.channels_last_3d: 5}
    is_meant = ranks.get(layout) == len(shape)
    assert found.is_contiguous() is not is_meant
    assert not is_meant or found.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_network_with_kernels_of_both_kinds(layout: torch.memory_format) -> None:
    network = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3), nn.Linear(3, 4)])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    arrange(network, layout)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    plane, volume = network[0].weight, network[1].weight
    is_plane, is_volume = layout is torch.channels_last, layout is torch.channels_last_3d
    assert plane.is_contiguous(memory_format=torch.channels_last) is is_plane
    assert volume.is_contiguous(memory_format=torch.channels_last_3d) is is_volume


def test_kernels_of_one_channel_make_results_in_the_layout() -> None:
    """Else all layers behind them would bring what they get into their own layout, each time."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3))
    arrange(network, torch.channels_last)
    made = network(torch.randn(2, 1, 8, 8))
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_the_layout_that_fits() -> None:
    assert fitting({"conv2d", "linear"}) == fitting({"conv_transpose2d"}) == "channels_last"
    assert fitting({"conv3d", "relu"}) == "channels_last_3d"
    assert fitting({"conv2d", "conv3d"}) == "channels_last"
    assert fitting({"conv1d", "linear"}) == "contiguous"
