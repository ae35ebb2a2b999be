"""Vector quantization: vectors replaced by the nearest ones of a codebook, and read from it."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Ema, Parameter
from ..ir.shapes import DType, TensorType, elements
from .arithmetic import ONNX_DTYPES
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Op,
    Port,
    Refusal,
    Reject,
    Torch,
    attribute,
    internal,
    register,
)
from .checks import need_batch, need_float, need_integers
from .linear import static_size
from .normalization import differing, first_input
from .spatial import require_size
from .vector_quantize_torch import (
    CODEBOOK_LOOKUP,
    VECTOR_QUANTIZE_EMA,
    VECTOR_QUANTIZE_GRADIENT,
)

CODEBOOK = "codebook"
"""The key of the vectors [codes, D], by which other layers share them."""

UPDATES = ("ema", "gradient")
DECAY, COMMITMENT, RESTART = 0.99, 0.25, 0.2
"""Defaults of the operator and of its modules."""


@register
class VectorQuantize(Op):
    """Replace each vector by the nearest one of a codebook: the bottleneck of a VQ-VAE.

    The vector of a place is the numbers along axis 1. The codebook begins with vectors of the first
    batch of training. With `update: ema` a code is the moving average of the vectors that it
    replaced; one that hardly replaces any begins anew as a vector of the batch. With
    `update: gradient` the optimizer moves the codes. In evaluation nothing changes.

    Inputs:  x: f32[B, D, *]
    Outputs: quantized: f32[B, D, *]; its gradient is passed on to x as it is
             indices: i64[B, *], which code each place has, in [0, codes)
             commitment: f32[B], what the loss of a sample needs besides, with its weight in it: the
             mean over places and channels of commitment |x - sg(e)|^2 and, with `update: gradient`,
             of |sg(x) - e|^2
    Errors:  D401 x does not hold floating-point numbers, or has no fixed size on axis 1. D403 it
             may have no places. E202 `decay` is 1, or it or `restart` is given without averages.
    Source:  van den Oord et al. 2017, equation 3 and appendix A.1; random restarts: Dhariwal et al.
             2020 (Jukebox), section 3.1; codes from the first batch: Zeghidour et al. 2021,
             section III-C; ONNX MatMul, ArgMin and Gather.
    """

    codes: int = attribute(main=True, minimum=2, doc="How many vectors the codebook has.")
    update: str = attribute(
        default="ema",
        choices=UPDATES,
        doc="How codes are learned: as moving averages of the vectors that they replace, or by "
        "gradients of `commitment`.",
    )
    decay: float = attribute(
        default=DECAY,
        minimum=0,
        maximum=1,
        doc="The part of the moving averages that a batch keeps, below 1.",
    )
    commitment: float = attribute(
        default=COMMITMENT, minimum=0, doc="Weight of the loss that draws x to its codes."
    )
    restart: float = attribute(
        default=RESTART,
        minimum=0,
        maximum=1,
        doc="A code begins anew when it replaces, averaged over batches, fewer vectors of a batch "
        "than this share of the mean, which is the batch's number of vectors / codes; "
        "0 leaves dead codes dead.",
    )

    examples = (
        Example(
            "{codes: 6}",
            x="f32[B, 4, H, W]",
            quantized="f32[B, 4, H, W]",
            indices="i64[B, H, W]",
            commitment="f32[B]",
        ),
        Example(
            "{codes: 5, update: gradient, commitment: 0.5}",
            x="f32[B, 3, T]",
            quantized="f32[B, 3, T]",
            indices="i64[B, T]",
            commitment="f32[B]",
        ),
        Example(
            "{codes: 8, decay: 0.9, commitment: 1.0, restart: 0}",
            x="f32[B, 2]",
            quantized="f32[B, 2]",
            indices="i64[B]",
            commitment="f32[B]",
        ),
    )
    rejects = (
        Reject("{codes: 1}", x="f32[B, 4]", code=Code.S102),
        Reject("{codes: 8}", x="f32[B]", code=Code.D401),
        Reject("{codes: 8}", x="f32[B, D, 4]", code=Code.D401),
        Reject("{codes: 8}", x="i64[B, 4]", code=Code.D401),
        Reject("{codes: 8}", x="f32[B, 4, 0]", code=Code.D403),
        Reject("{codes: 8, decay: 1.0}", x="f32[B, 4]", code=Code.E202),
        Reject("{codes: 8, update: gradient, decay: 0.9}", x="f32[B, 4]", code=Code.E202),
        Reject("{codes: 8, update: gradient, restart: 0}", x="f32[B, 4]", code=Code.E202),
    )

    def check(self) -> None:
        if self.decay == 1:
            raise Refusal(
                Code.E202,
                f"`{self.name}` needs decay < 1, found {self.decay:g}",
                help="averages with `decay: 1` never change; 0.99 is usual",
            )
        if self.update == "gradient":
            self._refuse_averaging()

    def _refuse_averaging(self) -> None:
        """Raises: Refusal: E202: an argument of the moving averages is given."""
        given = self.arguments()
        for name in ("decay", "restart"):
            if name in given:
                raise Refusal(
                    Code.E202,
                    f"`{self.name}` with `update: gradient` has no `{name}`, found {given[name]:g}",
                    help=f"remove `{name}`, or set `update: ema`: it belongs to moving averages",
                )

    def output_ports(self) -> tuple[str, ...]:
        return ("quantized", "indices", "commitment")

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        need_float(self.name, x)
        static_size(self.name, x, 1)
        for axis in range(1, x.rank):
            require_size(self.name, x, axis, 1, "to have vectors")
        places = (x.shape[0], *x.shape[2:])
        return x, TensorType(DType.I64, places), TensorType(DType.F32, x.shape[:1])

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        dim = static_size(self.name, x, 1)
        initialised = Parameter("initialised", (), DType.I64, trainable=False, ema=Ema.COPY)
        if self.update == "gradient":
            return (Parameter(CODEBOOK, (self.codes, dim)), initialised)
        # Averaged as the encoder and the decoder are: codes follow the encoder's outputs, and a
        # codebook that ran ahead of an averaged encoder would not be the one that fits it. Counts
        # and sums are averaged too, so that their quotient stays near the codebook beside them.
        return (
            Parameter(CODEBOOK, (self.codes, dim), trainable=False),
            Parameter("counts", (self.codes,), trainable=False),
            Parameter("sums", (self.codes, dim), trainable=False),
            initialised,
        )

    def flops(self, x: TensorType) -> Dim:
        """The product with every code and its comparison, then the loss."""
        size = static_size(self.name, x, 1)
        places = elements((x.shape[0], *x.shape[2:]))
        return 2 * places * self.codes * (size + 1) + 3 * elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        size = static_size(self.name, x, 1)
        given = differing(
            commitment=(self.commitment, COMMITMENT),
            decay=(self.decay, DECAY),
            restart=(self.restart, RESTART),
        )
        helper = VECTOR_QUANTIZE_EMA if self.update == "ema" else VECTOR_QUANTIZE_GRADIENT
        return Torch(module=Construct(helper.name, (self.codes, size), given), helper=helper)

    def onnx(self, e: Emitter, x: Handle) -> tuple[Handle, ...]:
        given = first_input(e)
        vectors = _moved(e, _cast(e, x, given.dtype, DType.F32), given.rank, last=True)
        indices = self._nearest(e, vectors)
        codes = e.op("Gather", e.weight(CODEBOOK), indices, axis=0)
        quantized = _cast(e, _moved(e, codes, given.rank, last=False), DType.F32, given.dtype)
        return quantized, indices, self._loss(e, e.op("Sub", vectors, codes), given.rank)

    def _nearest(self, e: Emitter, vectors: Handle) -> Handle:
        """argmin over codes of |e|^2 - 2 x.e, as the torch module has it."""
        import numpy as np

        codebook = e.op("Transpose", e.weight(CODEBOOK), perm=[1, 0])
        norms = e.derived("norms", [CODEBOOK], lambda codes: np.square(codes).sum(1))
        doubled = e.op("Mul", e.op("MatMul", vectors, codebook), e.scalar(2.0, DType.F32))
        return e.op("ArgMin", e.op("Sub", norms, doubled), axis=-1, keepdims=0)

    def _loss(self, e: Emitter, difference: Handle, rank: int) -> Handle:
        squares = e.op("Mul", difference, difference)
        mean = e.op("ReduceMean", squares, e.ints(range(1, rank)), keepdims=0)
        weight = self.commitment + (self.update == "gradient")
        return e.op("Mul", mean, e.scalar(weight, DType.F32))


@internal
class CodebookLookup(Op):
    """Turn the indices of a vector quantization back into its vectors.

    It keeps the codebook under the key that `vector_quantize` keeps it under, so that a graph can
    give it the tensor of such a layer.

    Inputs:  indices: i64[B, *] or i32[B, *], in [0, codes)
    Outputs: y: f32[B, dim, *]
    Errors:  D401 the indices are no integers, or have no batch axis. An index outside the codebook
             is an error in torch and in ONNX Runtime when it is looked up.
    Source:  torch.nn.functional.embedding; ONNX Gather and Transpose.
    """

    codes: int = attribute(minimum=2, doc="How many vectors the codebook has.")
    dim: int = attribute(minimum=1, doc="Size of each vector.")
    trainable: bool = attribute(default=False, doc="Whether the optimizer moves the codebook.")

    ports = (Port("indices"),)
    examples = (
        Example(
            "{codes: 6, dim: 4}",
            indices="i64[B, H, W]",
            ranges={"indices": (0, 6)},
            y="f32[B, 4, H, W]",
        ),
        Example(
            "{codes: 5, dim: 3, trainable: true}",
            indices="i64[B, T]",
            ranges={"indices": (0, 5)},
            y="f32[B, 3, T]",
        ),
        Example("{codes: 8, dim: 2}", indices="i32[B]", ranges={"indices": (0, 8)}, y="f32[B, 2]"),
    )
    rejects = (
        Reject("{codes: 8, dim: 2}", indices="f32[B]", code=Code.D401),
        Reject("{codes: 8, dim: 2}", indices="i64[]", code=Code.D401),
    )

    def infer(self, indices: TensorType) -> TensorType:
        need_integers(self.name, indices)
        need_batch(self.name, indices)
        return TensorType(DType.F32, (indices.shape[0], self.dim, *indices.shape[1:]))

    def parameters(self, indices: TensorType) -> tuple[Parameter, ...]:
        return (Parameter(CODEBOOK, (self.codes, self.dim), trainable=self.trainable),)

    def torch(self, indices: TensorType) -> Torch:
        kwargs = differing(trainable=(self.trainable, False))
        return Torch(
            module=Construct(CODEBOOK_LOOKUP.name, (self.codes, self.dim), kwargs),
            # Not a call of the module, which is another one where the codebook is that of another.
            expression="F.embedding({indices}, {self}.codebook).movedim(-1, 1)",
            helper=CODEBOOK_LOOKUP,
        )

    def onnx(self, e: Emitter, indices: Handle) -> Handle:
        vectors = e.op("Gather", e.weight(CODEBOOK), indices, axis=0)
        return _moved(e, vectors, first_input(e).rank + 1, last=False)


def _moved(e: Emitter, x: Handle, rank: int, *, last: bool) -> Handle:
    """Axis 1 of a value put last, or its last axis put at 1."""
    if rank == 2:
        return x
    places = range(2, rank) if last else range(1, rank - 1)
    return e.op("Transpose", x, perm=[0, *places, 1] if last else [0, rank - 1, *places])


def _cast(e: Emitter, x: Handle, found: DType, wanted: DType) -> Handle:
    return x if found is wanted else e.op("Cast", x, to=ONNX_DTYPES[wanted])
