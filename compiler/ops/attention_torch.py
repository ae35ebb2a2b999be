"""The attention modules that generated files carry.

Padding is filled before anything is computed from it: a weight of 0 would not silence an infinity.
"""

from __future__ import annotations

from .base import Helper

_SELF = '''class SelfAttention(nn.Module):
    """Multi-head self-attention over x [B, T, C]; tensors named as in nn.MultiheadAttention."""

    def __init__(
        self,
        channels: int,
        heads: int,
        causal: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.causal, self.dropout = heads, causal, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels)) if bias else None
        self.out_proj = nn.Linear(channels, channels, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is not None:
            x = x.masked_fill(is_padding(x, lengths), 0.0)
        packed = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = packed.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if lengths is None else length_mask(lengths, x.shape[1], self.causal)
        y = F.scaled_dot_product_attention(
            q, k, v, mask, self.dropout * self.training, self.causal and mask is None
        )
        return self.out_proj(y.transpose(1, 2).flatten(2))
'''

_CROSS = '''class CrossAttention(nn.Module):
    """Multi-head attention of x [B, T, C] to context [B, S, K]; named as nn.MultiheadAttention."""

    def __init__(
        self,
        channels: int,
        context_channels: int,
        heads: int,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.packed = context_channels == channels
        if self.packed:
            self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
            nn.init.xavier_uniform_(self.in_proj_weight)
        else:
            self.q_proj_weight = nn.Parameter(torch.empty(channels, channels))
            self.k_proj_weight = nn.Parameter(torch.empty(channels, context_channels))
            self.v_proj_weight = nn.Parameter(torch.empty(channels, context_channels))
            for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                nn.init.xavier_uniform_(weight)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels)) if bias else None
        self.out_proj = nn.Linear(channels, channels, bias=bias)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, context: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is not None:
            context = context.masked_fill(is_padding(context, lengths), 0.0)
        if self.packed:
            weights = self.in_proj_weight.chunk(3)
        else:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(source, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for source, weight, bias in zip((x, context, context), weights, biases)
        )
        mask = None if lengths is None else length_mask(lengths, context.shape[1])
        y = F.scaled_dot_product_attention(q, k, v, mask, self.dropout * self.training)
        return self.out_proj(y.transpose(1, 2).flatten(2))
'''

_SELF_2D = '''class SelfAttention2d(SelfAttention):
    """Multi-head self-attention between the places of x [B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2).transpose(1, 2)
        return super().forward(places).transpose(1, 2).reshape(x.shape)
'''

IS_PADDING = Helper(
    "is_padding",
    '''def is_padding(x, lengths):
    """bool [B, T, 1, ...]: which steps of x [B, T, ...] lie behind the end of their sample."""
    behind = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
    return behind.view(*behind.shape, *[1] * (x.ndim - 2))
''',
)
LENGTH_MASK = Helper(
    "length_mask",
    '''def length_mask(lengths, size, causal=False):
    """bool [B, 1, 1 or size, size]: whether a query may look at a key, of `size` positions."""
    positions = torch.arange(size, device=lengths.device)
    mask = positions < lengths[:, None, None, None]
    return mask & (positions <= positions[:, None]) if causal else mask
''',
)
CACHED_ATTENTION = Helper(
    "attend_to_cache",
    '''def attend_to_cache(layer, x, keys, values, seen):
    """Causal attention of x [B, T, C] to itself and to the `seen` steps before it.

    keys, values: [B, N, C] of these steps; returned with those of x behind them.
    """
    q, k, v = F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, dim=-1)
    places = seen + torch.arange(x.shape[1], device=x.device)
    keys, values = keys.index_copy(1, places, k), values.index_copy(1, places, v)
    mask = torch.arange(keys.shape[1], device=x.device) <= places[:, None]
    q, k, v = (part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in (q, keys, values))
    y = F.scaled_dot_product_attention(q, k, v, mask)
    return layer.out_proj(y.transpose(1, 2).flatten(2)), keys, values
''',
)
SELF_ATTENTION = Helper("SelfAttention", _SELF, (IS_PADDING, LENGTH_MASK))
CROSS_ATTENTION = Helper("CrossAttention", _CROSS, (IS_PADDING, LENGTH_MASK))
SELF_ATTENTION_2D = Helper("SelfAttention2d", _SELF_2D, (SELF_ATTENTION,))
