"""The module of Luong's attention that generated files carry.

Padding is filled before anything is computed from it: a weight of 0 would not silence an infinity.
"""

from __future__ import annotations

from .attention_torch import IS_PADDING
from .base import Helper

_LUONG = '''class LuongAttention(nn.Module):
    """Global attention of x [B, T, C] to context [B, S, K] (Luong et al. 2015): [B, T, hidden]."""

    def __init__(
        self, channels: int, context_channels: int, hidden: int, score: str = "general"
    ) -> None:
        super().__init__()
        general = score == "general"
        self.score = nn.Linear(context_channels, channels, bias=False) if general else nn.Identity()
        self.combine = nn.Linear(context_channels + channels, hidden, bias=False)

    def forward(self, x: Tensor, context: Tensor, lengths: Tensor | None = None) -> Tensor:
        padding = None if lengths is None else is_padding(context, lengths)
        if padding is not None:
            context = context.masked_fill(padding, 0.0)
        scores = x @ self.score(context).transpose(1, 2)
        if padding is not None:
            scores = scores.masked_fill(padding.transpose(1, 2), float("-inf"))
        mixed = scores.softmax(-1) @ context
        return self.combine(torch.cat([mixed, x], -1)).tanh()
'''

LUONG_ATTENTION = Helper("LuongAttention", _LUONG, (IS_PADDING,))
