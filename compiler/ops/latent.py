"""Latent codes in programs: drawing them, going between them, their distance from the prior."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.shapes import TensorType
from .base import (
    Emitter,
    Example,
    Handle,
    Helper,
    Op,
    Port,
    Reject,
    Torch,
    attribute,
    internal,
)
from .checks import need_alike, need_elements, need_float

NEARLY_PARALLEL = 0.9995
"""From this cosine on, an arc and its chord are the same to float32, and the arc divides by 0."""

_INTERPOLATE = Helper(
    "interpolate",
    f'''def interpolate(start: Tensor, end: Tensor, fraction: Tensor) -> Tensor:
    """Go from one code to another along the arc between them: spherical interpolation.

    start, end: [B, ...]. fraction: [B], 0 at `start`. Codes in nearly the same or in opposite
    directions are joined by a line.
    """
    a, b = start.flatten(1), end.flatten(1)
    lengths = (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-12)
    cosine = ((a * b).sum(1) / lengths).clamp(-1, 1)
    angle = cosine.acos()
    is_line = cosine.abs() > {NEARLY_PARALLEL}
    sine = torch.where(is_line, torch.ones_like(angle), angle.sin())
    of_start = torch.where(is_line, 1 - fraction, ((1 - fraction) * angle).sin() / sine)
    of_end = torch.where(is_line, fraction, (fraction * angle).sin() / sine)
    return (of_start[:, None] * a + of_end[:, None] * b).view_as(start)
''',
)


@internal
class DrawLatent(Op):
    """Draw from a normal distribution of independent elements: z = mean + exp(logvar / 2) noise.

    Inputs:  mean, logvar: f32[B, *]
             noise: f32[B, *], standard normal
    Outputs: z: f32[B, *]
    Errors:  D402 shapes differ. D401 other element types.
    Source:  the reparameterisation of Kingma and Welling 2014, section 2.4.
    """

    ports = (Port("mean"), Port("logvar"), Port("noise"))
    examples = (
        Example(
            "{}",
            mean="f32[B, 3]",
            logvar="f32[B, 3]",
            noise="f32[B, 3]",
            outputs={"z": "f32[B, 3]"},
        ),
    )
    rejects = (
        Reject("{}", mean="f32[B, 3]", logvar="f32[B, 4]", noise="f32[B, 3]", code=Code.D402),
        Reject("{}", mean="i64[B, 3]", logvar="f32[B, 3]", noise="f32[B, 3]", code=Code.D401),
    )

    def output_ports(self) -> tuple[str, ...]:
        return ("z",)

    def infer(self, mean: TensorType, logvar: TensorType, noise: TensorType) -> TensorType:
        need_float(self.name, mean, logvar, noise)
        need_alike(self.name, mean, logvar, noise)
        return mean

    def torch(self, *inputs: TensorType) -> Torch:
        return Torch(expression="{mean} + (0.5 * {logvar}).exp() * {noise}")

    def onnx(self, e: Emitter, mean: Handle, logvar: Handle, noise: Handle) -> Handle:
        deviation = e.op("Exp", e.op("Mul", logvar, e.scalar(0.5)))
        return e.op("Add", mean, e.op("Mul", deviation, noise))


@internal
class Interpolate(Op):
    """The code that lies between two others: on the arc from one to the other, or on the line.

    Inputs:  start, end: f32[B, *]
             fraction: f32[B], 0 at `start` and 1 at `end`
    Outputs: z: f32[B, *]
    Errors:  D402 shapes differ. D401 other element types.
    Source:  Shoemake 1985 (spherical linear interpolation); for latent codes White 2016.
    """

    spherical: bool = attribute(default=True, doc="Along the arc rather than the line.")

    ports = (Port("start"), Port("end"), Port("fraction"))
    examples = (
        Example(
            "{}", start="f32[B, 5]", end="f32[B, 5]", fraction="f32[B]", outputs={"z": "f32[B, 5]"}
        ),
        Example(
            "{spherical: false}",
            start="f32[B, 2, 4, 4]",
            end="f32[B, 2, 4, 4]",
            fraction="f32[B]",
            outputs={"z": "f32[B, 2, 4, 4]"},
        ),
        Example(
            "{}",
            start="f32[B, 2, 4]",
            end="f32[B, 2, 4]",
            fraction="f32[B]",
            outputs={"z": "f32[B, 2, 4]"},
        ),
    )
    rejects = (
        Reject("{}", start="f32[B, 3]", end="f32[B, 4]", fraction="f32[B]", code=Code.D402),
        Reject("{}", start="f32[B, 3]", end="i64[B, 3]", fraction="f32[B]", code=Code.D401),
    )

    def output_ports(self) -> tuple[str, ...]:
        return ("z",)

    def infer(self, start: TensorType, end: TensorType, fraction: TensorType) -> TensorType:
        need_float(self.name, start, end, fraction)
        need_alike(self.name, start, end)
        return start

    def torch(self, start: TensorType, end: TensorType, fraction: TensorType) -> Torch:
        if self.spherical:
            return Torch(expression="interpolate({start}, {end}, {fraction})", helper=_INTERPOLATE)
        shape = ", ".join(["-1", *["1"] * (start.rank - 1)])
        return Torch(expression=f"{{start}}.lerp({{end}}, {{fraction}}.view({shape}))")

    def onnx(self, e: Emitter, start: Handle, end: Handle, fraction: Handle) -> Handle:
        given = e.inputs[0]
        assert given is not None
        behind = e.ints(list(range(1, given.rank)))
        if not self.spherical:
            step = e.op("Mul", e.op("Sub", end, start), e.op("Unsqueeze", fraction, behind))
            return e.op("Add", start, step)
        of_start, of_end = _arc(e, start, end, fraction, behind)
        return e.op(
            "Add",
            e.op("Mul", e.op("Unsqueeze", of_start, behind), start),
            e.op("Mul", e.op("Unsqueeze", of_end, behind), end),
        )


def _arc(
    e: Emitter, start: Handle, end: Handle, fraction: Handle, behind: Handle
) -> tuple[Handle, Handle]:
    """How much of each end there is in a point of the arc, f32[B] both."""
    lengths = e.op(
        "Mul",
        e.op("ReduceL2", start, behind, keepdims=0),
        e.op("ReduceL2", end, behind, keepdims=0),
    )
    product = e.op("ReduceSum", e.op("Mul", start, end), behind, keepdims=0)
    cosine = e.op("Div", product, e.op("Max", lengths, e.scalar(1e-12)))
    cosine = e.op("Clip", cosine, e.scalar(-1.0), e.scalar(1.0))
    angle, rest = e.op("Acos", cosine), e.op("Sub", e.scalar(1.0), fraction)
    is_line = e.op("Greater", e.op("Abs", cosine), e.scalar(NEARLY_PARALLEL))
    sine = e.op("Where", is_line, e.scalar(1.0), e.op("Sin", angle))
    parts = [e.op("Div", e.op("Sin", e.op("Mul", part, angle)), sine) for part in (rest, fraction)]
    of_start, of_end = (
        e.op("Where", is_line, line, arc) for line, arc in zip((rest, fraction), parts, strict=True)
    )
    return of_start, of_end


@internal
class KlNormal(Op):
    """How far normal distributions are from the standard normal one, in nats.

    kl = 1/2 sum (mean^2 + exp(logvar) - logvar - 1), over all elements of a sample.

    Inputs:  mean, logvar: f32[B, *], of one axis or more besides the batch
    Outputs: kl: f32[B], at least 0
    Errors:  D402 shapes differ. D401 other element types or axes.
    Source:  Kingma and Welling 2014, appendix B.
    """

    ports = (Port("mean"), Port("logvar"))
    examples = (
        Example("{}", mean="f32[B, 3]", logvar="f32[B, 3]", outputs={"kl": "f32[B]"}),
        Example("{}", mean="f32[B, 2, 4, 4]", logvar="f32[B, 2, 4, 4]", outputs={"kl": "f32[B]"}),
    )
    rejects = (
        Reject("{}", mean="f32[B, 3]", logvar="f32[B, 4]", code=Code.D402),
        Reject("{}", mean="f32[B]", logvar="f32[B]", code=Code.D401),
        Reject("{}", mean="i64[B, 3]", logvar="f32[B, 3]", code=Code.D401),
    )

    def output_ports(self) -> tuple[str, ...]:
        return ("kl",)

    def infer(self, mean: TensorType, logvar: TensorType) -> TensorType:
        need_float(self.name, mean, logvar)
        need_elements(self.name, mean)
        need_alike(self.name, mean, logvar)
        return mean.with_shape(mean.shape[:1])

    def torch(self, mean: TensorType, logvar: TensorType) -> Torch:
        terms = "{mean}.square() + {logvar}.exp() - {logvar} - 1"
        return Torch(expression=f"0.5 * ({terms}).flatten(1).sum(1)")

    def onnx(self, e: Emitter, mean: Handle, logvar: Handle) -> Handle:
        spread = e.op("Sub", e.op("Exp", logvar), e.op("Add", logvar, e.scalar(1.0)))
        terms = e.op("Add", e.op("Mul", mean, mean), spread)
        return e.op("Mul", summed(e, terms), e.scalar(0.5))


def summed(e: Emitter, terms: Handle) -> Handle:
    """The sum over all elements of each sample: f32[B]."""
    return e.op("ReduceSum", e.op("Flatten", terms, axis=1), e.ints([1]), keepdims=0)
