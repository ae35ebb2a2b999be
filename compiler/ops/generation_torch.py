"""The functions of programs that generate tokens, as generated files carry them."""

from __future__ import annotations

from .base import Helper

DRAW_TOKEN = Helper(
    "draw_token",
    '''def draw_token(scores, random, temperature, top_k):
    """Draw tokens i64 [B] by scores [B, K] with random numbers [B] in [0, 1); top_k 0 means all."""
    k = min(int(top_k), scores.shape[1]) if top_k > 0 else scores.shape[1]
    highest = scores.topk(k).values
    scaled = (scores - highest[:, :1]) / temperature.clamp(min=1e-8)
    scaled = torch.where(scores >= highest[:, -1:], scaled, -torch.inf)
    summed = scaled.softmax(1).cumsum(1)
    total = summed[:, -1:]
    below = (summed <= random[:, None] * total).sum(1)
    return torch.minimum(below, (summed < total).sum(1))
''',
)

APPEND_TOKEN = Helper(
    "append_token",
    '''def append_token(tokens, lengths, done, token, stop, step):
    """Write token [B] at a step of tokens [B, N], for samples that are not done."""
    here = (torch.arange(tokens.shape[1], device=tokens.device) == step) & ~done[:, None]
    return torch.where(here, token[:, None], tokens), lengths + ~done, done | (token == stop)
''',
)
