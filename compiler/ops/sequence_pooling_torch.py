"""The modules of sequence pooling that generated files carry.

Padding is filled before anything is computed from it: a weight of 0 would not silence an infinity.
"""

from __future__ import annotations

from .attention_torch import IS_PADDING
from .base import Helper

_MEAN = '''class MaskedMean(nn.Module):
    """The mean of each sample's first `lengths` steps: x [B, T, ...] -> [B, ...]."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        total = x.masked_fill(is_padding(x, lengths), 0.0).sum(1)
        return total / lengths.view(-1, *[1] * (total.ndim - 1))
'''

_MAX = '''class MaskedMax(nn.Module):
    """The largest elements of each sample's first `lengths` steps: x [B, T, ...] -> [B, ...]."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x.masked_fill(is_padding(x, lengths), float("-inf")).amax(1)
'''

_LAST = '''class LastStep(nn.Module):
    """The step at `lengths - 1` of each sample: x [B, T, ...] -> [B, ...]."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x[torch.arange(len(x), device=x.device), lengths - 1]
'''

_ATTENTION = '''class AttentionPool(nn.Module):
    """The mean of x [B, T, C] over time by learned weights: softmax of query . tanh(W x + b)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, hidden)
        self.query = nn.Parameter(torch.empty(hidden).uniform_(-1, 1) / hidden**0.5)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        padding = None if lengths is None else is_padding(x, lengths)
        if padding is not None:
            x = x.masked_fill(padding, 0.0)
        scores = self.proj(x).tanh() @ self.query
        if padding is not None:
            scores = scores.masked_fill(padding.squeeze(-1), float("-inf"))
        return (scores.softmax(1).unsqueeze(1) @ x).squeeze(1)
'''

MASKED_MEAN = Helper("MaskedMean", _MEAN, (IS_PADDING,))
MASKED_MAX = Helper("MaskedMax", _MAX, (IS_PADDING,))
LAST_STEP = Helper("LastStep", _LAST)
ATTENTION_POOL = Helper("AttentionPool", _ATTENTION, (IS_PADDING,))
