"""Changing the size or the arrangement of spatial axes: upsampling and shuffling."""

from __future__ import annotations

from fractions import Fraction

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import TensorType, elements
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Op,
    Refusal,
    Reject,
    Torch,
    Window,
    attribute,
    register,
)
from .linear import static_size
from .spatial import compact, require_rank
from .streaming import same_axis


@register
class Upsample(Op):
    """Make an image or a sequence `scale` times as large.

    `nearest` repeats elements; `bilinear` interpolates between the centres of elements, as torch
    does with align_corners=False.

    Inputs:  x: f32[B, C, H, W]; `nearest` also f32[B, C, L] and f32[B, C, D, H, W]
    Outputs: y: f32[B, C, scale H, scale W]
    Errors:  D401 x has other axes; D404 there is not one scale for each axis.
    Source:  torch.nn.Upsample; ONNX Resize.
    """

    scale: tuple[int, ...] = attribute(
        main=True, minimum=1, doc="How many times as large, one number or one per axis."
    )
    mode: str = attribute(
        default="nearest", choices=("nearest", "bilinear"), doc="How new elements are made."
    )

    examples = (
        Example("{scale: 2}", x="f32[B, 3, H, W]", y="f32[B, 3, 2*H, 2*W]"),
        Example("{scale: 3}", x="f32[B, 2, T]", y="f32[B, 2, 3*T]"),
        Example("{scale: [1, 2, 2]}", x="f32[B, 2, 3, 5, 3]", y="f32[B, 2, 3, 10, 6]"),
        Example("{scale: 2, mode: bilinear}", x="f32[B, 3, H, 5]", y="f32[B, 3, 2*H, 10]"),
        Example("{scale: [3, 2], mode: bilinear}", x="f32[B, 2, 7, 1]", y="f32[B, 2, 21, 2]"),
    )
    rejects = (
        Reject("{scale: 2}", x="f32[B, 8]", code=Code.D401),
        Reject("{scale: 2}", x="u8[B, 3, 8, 8]", code=Code.D401),
        Reject("{scale: 2, mode: bilinear}", x="f32[B, 3, 8]", code=Code.D401),
        Reject("{scale: [2, 2]}", x="f32[B, 3, 8]", code=Code.D404),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, *((3, 4, 5) if self.mode == "nearest" else (4,)))
        if len(self.scale) not in (1, x.rank - 2):
            raise Refusal(
                Code.D404,
                f"`{self.name}` needs one scale, or one per axis behind the channels, "
                f"found {len(self.scale)} scales for {x}",
                label=f"{x.rank - 2} {'axis' if x.rank == 3 else 'axes'} behind the channels",
            )
        sizes = (size * scale for size, scale in zip(x.shape[2:], self._scales(x), strict=True))
        return x.with_shape((*x.shape[:2], *sizes))

    def _scales(self, x: TensorType) -> tuple[int, ...]:
        return self.scale * (x.rank - 2) if len(self.scale) == 1 else self.scale

    def flops(self, x: TensorType) -> Dim:
        """Three interpolations of two operations each for a bilinear element."""
        return 0 if self.mode == "nearest" else 6 * elements(self.infer(x).shape)

    def window(self, x: TensorType) -> Window:
        extent = 1 if self.mode == "nearest" else 2
        return tuple((extent, Fraction(1, scale)) for scale in self._scales(x))

    def torch(self, x: TensorType) -> Torch:
        factor = compact(self._scales(x))
        kwargs = {"scale_factor": factor, "mode": self.mode}
        return Torch(
            module=Construct("nn.Upsample", (), kwargs),
            expression="F.interpolate({x}, scale_factor={factor}, mode={mode})",
            numbers={"factor": factor, "mode": self.mode},
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        import numpy as np

        given = e.inputs[0]
        assert given is not None
        scales = e.array(np.array([1, 1, *self._scales(given)], dtype=np.float32))
        how = (
            {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            if self.mode == "nearest"
            else {"coordinate_transformation_mode": "half_pixel"}
        )
        mode = "nearest" if self.mode == "nearest" else "linear"
        return e.op("Resize", x, None, scales, mode=mode, **how)


@register
class PixelShuffle(Op):
    """Turn groups of channels into finer pixels: sub-pixel upsampling.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, C / factor^2, factor H, factor W]
    Errors:  D401 x has other axes, or its channels are symbolic; D404 factor^2 does not divide C.
    Source:  Shi et al. 2016; torch.nn.PixelShuffle; ONNX DepthToSpace in CRD order.
    """

    factor: int = attribute(main=True, minimum=1, doc="How many times as large.")

    examples = (
        Example("{factor: 2}", x="f32[B, 8, H, W]", y="f32[B, 2, 2*H, 2*W]"),
        Example("{factor: 3}", x="f32[B, 9, 2, 3]", y="f32[B, 1, 6, 9]"),
    )
    rejects = (
        Reject("{factor: 2}", x="f32[B, 8]", code=Code.D401),
        Reject("{factor: 2}", x="f32[B, C, 8, 8]", code=Code.D401),
        Reject("{factor: 2}", x="f32[B, 6, 8, 8]", code=Code.D404),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, 4)
        channels, many = static_size(self.name, x, 1), self.factor**2
        _need_multiple(self.name, x, channels, many, f"factor {self.factor}")
        sizes = (size * self.factor for size in x.shape[2:])
        return x.with_shape((x.shape[0], channels // many, *sizes))

    def window(self, x: TensorType) -> Window:
        return ((1, Fraction(1, self.factor)),) * 2

    def torch(self, x: TensorType) -> Torch:
        return Torch(
            module=Construct("nn.PixelShuffle", (self.factor,)),
            expression="F.pixel_shuffle({x}, {factor})",
            numbers={"factor": self.factor},
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("DepthToSpace", x, blocksize=self.factor, mode="CRD")


@register
class ChannelShuffle(Op):
    """Deal the channels of each group out over all groups, so that grouped layers mix.

    Channel g n + i of `groups` groups of n channels moves to i groups + g.

    Inputs:  x: f32[B, C, *], at least one axis behind C
    Outputs: y: f32[B, C, *]
    Errors:  D401 x has other axes, or its channels are symbolic; D404 `groups` does not divide C.
    Source:  Zhang et al. 2018 (ShuffleNet); torch.nn.ChannelShuffle; ONNX Gather.
    """

    stream_axis = same_axis
    groups: int = attribute(main=True, minimum=1, doc="Number of groups; it divides the channels.")

    examples = (
        Example("{groups: 2}", x="f32[B, 6, H, W]", y="f32[B, 6, H, W]"),
        Example("{groups: 3}", x="f32[B, 6, 4]", y="f32[B, 6, 4]"),
    )
    rejects = (
        Reject("{groups: 2}", x="f32[B, 6]", code=Code.D401),
        Reject("{groups: 2}", x="f32[B, C, 4, 4]", code=Code.D401),
        Reject("{groups: 4}", x="f32[B, 6, 4, 4]", code=Code.D404),
    )

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, 3, 4, 5)
        channels = static_size(self.name, x, 1)
        _need_multiple(self.name, x, channels, self.groups, f"{self.groups} groups")
        return x

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct("nn.ChannelShuffle", (self.groups,)))

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        given = e.inputs[0]
        assert given is not None
        channels = static_size(self.name, given, 1)
        each = channels // self.groups
        order = [group * each + place for place in range(each) for group in range(self.groups)]
        return e.op("Gather", x, e.ints(order), axis=1)


def _need_multiple(op: str, x: TensorType, channels: int, of: int, why: str) -> None:
    """Raises: Refusal: D404: the channels are no multiple of a number."""
    if channels % of:
        raise Refusal(
            Code.D404,
            f"`{op}` with {why} needs channels that are a multiple of {of}, "
            f"found {channels} in {x}",
            label=f"{channels} channels",
        )
