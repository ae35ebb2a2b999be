"""The modules of vector quantization that generated files carry.

They ask nothing of the numbers on the device: whether a code is dead or the codebook new is
answered by `torch.where`, so that a step can be compiled and recorded as a CUDA graph.
"""

from __future__ import annotations

from .base import Helper

_BASE = '''class VectorQuantize(nn.Module):
    """Replace vectors by the nearest rows of `codebook` [codes, D] (van den Oord et al. 2017).

    x [B, D, ...] -> quantized [B, D, ...], indices [B, ...] and the loss of each sample [B].
    Backward, `quantized` passes its gradient on to x. Arithmetic is in float32.
    """

    def __init__(self, commitment: float) -> None:
        super().__init__()
        self.commitment = commitment

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vectors = x.float().movedim(1, -1)
        rows = vectors.detach().flatten(0, -2)
        if self.training:
            drawn = self.draw(rows)
            self.initialise(drawn, rows)
        nearest = self.nearest(rows)
        indices = nearest.view(vectors.shape[:-1])
        codes = F.embedding(indices, self.codebook)
        loss = self.loss(vectors, codes).flatten(1).mean(1)
        if self.training:
            self.learn(rows, nearest, drawn)
        # The difference is 0, and its gradient is that of x: the value is the code to the last bit.
        quantized = (x - x.detach()) + codes.detach().movedim(-1, 1).to(x.dtype)
        return quantized, indices, loss

    @torch.no_grad()
    def nearest(self, rows: Tensor) -> Tensor:
        """[N, D] -> i64 [N]: the code with the least |e|^2 - 2 x.e, which is |x - e|^2 - |x|^2."""
        distances = self.codebook.square().sum(1).repeat(len(rows), 1)
        # In place, since autocast would round any other product of matrices.
        return distances.addmm_(rows, self.codebook.T, alpha=-2).argmin(1)

    def draw(self, rows: Tensor) -> Tensor:
        """As many random rows as there are codes, no row twice before each was drawn once.

        A little noise tells codes apart that begin at equal rows, such as those of empty corners.
        """
        codes = torch.arange(len(self.codebook), device=rows.device)
        drawn = rows[torch.randperm(len(rows), device=rows.device)[codes % len(rows)]]
        return drawn + 0.01 * rows.std(0, correction=0) * torch.randn_like(drawn)

    @torch.no_grad()
    def initialise(self, drawn: Tensor, rows: Tensor) -> None:
        """Begin with vectors of the first batch, as if each code had an equal part of them."""
        is_new = (self.initialised == 0).expand(len(drawn))
        self.begin_anew(is_new, drawn, len(rows) / len(drawn))
        self.initialised.fill_(1)

    def begin_anew(self, which: Tensor, drawn: Tensor, count: float) -> None:
        """Put drawn vectors into the codes where bool `which` [codes] is true."""
        self.codebook.copy_(torch.where(which[:, None], drawn, self.codebook))

    def learn(self, rows: Tensor, nearest: Tensor, drawn: Tensor) -> None:
        """What a batch changes besides gradients."""
'''

_GRADIENT = '''class VectorQuantizeGradient(VectorQuantize):
    """Codes that the optimizer moves."""

    def __init__(self, codes: int, dim: int, commitment: float = 0.25) -> None:
        super().__init__(commitment)
        self.codebook = nn.Parameter(torch.randn(codes, dim))
        self.register_buffer("initialised", torch.tensor(0))

    def loss(self, vectors: Tensor, codes: Tensor) -> Tensor:
        """The second and the third term of equation 3."""
        to_codes = (vectors - codes.detach()).square()
        return self.commitment * to_codes + (vectors.detach() - codes).square()
'''

_EMA = '''class VectorQuantizeEma(VectorQuantize):
    """Codes that are moving averages of the vectors nearest to them (appendix A.1).

    counts [codes]: how many vectors of a batch are nearest to a code, averaged over batches.
    sums [codes, D]: the sums of these vectors, averaged likewise.
    restart: a code whose count is below this share of the mean begins anew.
    """

    def __init__(
        self,
        codes: int,
        dim: int,
        commitment: float = 0.25,
        decay: float = 0.99,
        restart: float = 0.2,
    ) -> None:
        super().__init__(commitment)
        self.decay, self.restart = decay, restart
        self.register_buffer("codebook", torch.randn(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dim))
        self.register_buffer("initialised", torch.tensor(0))

    def loss(self, vectors: Tensor, codes: Tensor) -> Tensor:
        """The third term of equation 3."""
        return self.commitment * (vectors - codes).square()

    def begin_anew(self, which: Tensor, drawn: Tensor, count: float) -> None:
        """As averages over so many vectors, all equal."""
        super().begin_anew(which, drawn, count)
        self.counts.copy_(torch.where(which, count, self.counts))
        self.sums.copy_(torch.where(which[:, None], count * drawn, self.sums))

    @torch.no_grad()
    def learn(self, rows: Tensor, nearest: Tensor, drawn: Tensor) -> None:
        """Equations 6 to 8; then dead codes begin anew."""
        ones = torch.ones_like(rows[:, 0])
        counts = torch.zeros_like(self.counts).index_add_(0, nearest, ones)
        sums = torch.zeros_like(self.sums).index_add_(0, nearest, rows)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        # A code that nothing used for long stays where it is, rather than at 0 / 0.
        counted = self.counts[:, None]
        self.codebook.copy_(torch.where(counted > 1e-6, self.sums / counted, self.codebook))
        # At the limit a new code follows its vectors quickly; one without any goes on searching.
        limit = self.restart * len(rows) / len(drawn)
        self.begin_anew(self.counts < limit, drawn, limit)
'''

_LOOKUP = '''class CodebookLookup(nn.Module):
    """Turn indices [B, ...] into the vectors of a codebook [codes, D]: [B, D, ...]."""

    def __init__(self, codes: int, dim: int, trainable: bool = False) -> None:
        super().__init__()
        codebook = torch.randn(codes, dim)
        if trainable:
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)

    def forward(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.codebook).movedim(-1, 1)
'''

_VECTOR_QUANTIZE = Helper("VectorQuantize", _BASE)
VECTOR_QUANTIZE_GRADIENT = Helper("VectorQuantizeGradient", _GRADIENT, (_VECTOR_QUANTIZE,))
VECTOR_QUANTIZE_EMA = Helper("VectorQuantizeEma", _EMA, (_VECTOR_QUANTIZE,))
CODEBOOK_LOOKUP = Helper("CodebookLookup", _LOOKUP)
