"""The module of a convolution that sees no later step, as generated files carry it."""

from __future__ import annotations

from .base import Helper


def causal_conv1d(normalized: Helper | None) -> Helper:
    """The class that stands for nn.Conv1d, or for its form with a normalised weight."""
    base = normalized.name if normalized else "nn.Conv1d"
    name = f"Causal{base.removeprefix('nn.')}"
    return Helper(
        name,
        f'''class {name}({base}):
    """{base} with zeros before the first step alone: an output sees no later input."""

    def forward(self, x: Tensor) -> Tensor:
        before = self.dilation[0] * (self.kernel_size[0] - 1)
        return super().forward(F.pad(x, (before, 0)))
''',
        needs=(normalized,) if normalized else (),
    )
