"""Whether generator, discriminator and data of a `gan` fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ..diagnostics import Code, Label
from ..ir.graph import Graph
from ..ir.shapes import DType, TensorType
from ..ops.base import Op
from ..suggest import listing
from .base import Context
from .binding import bind_inputs
from .endings import last_change
from .fields import Field
from .gradient_penalties import GradientPenalty
from .padding import check_padding
from .problem import Problem, repeats
from .two_networks import TwoNetworkChecks, as_field, same_sizes

if TYPE_CHECKING:
    from .gan import Gan

LATENT = "z"
"""The generator's input that takes the latent code, and what `inputs` calls it."""

FADE_PLACE = ("training", "grow", "fade", "input")
"""Where the name of the fade stands in a spec."""

PROBABILITIES = ("sigmoid", "hardsigmoid", "softmax")
"""Activations that make probabilities of scores."""


class GanChecks(TwoNetworkChecks):
    """Reports everything that does not fit; what one mistake leads to stays silent."""

    roles: ClassVar[tuple[str, str]] = ("generator", "discriminator")
    _settings: Gan

    def run(self) -> None:
        generator, discriminator = self.found()
        if generator is None or discriminator is None or not self.are_two():
            return
        fits = [
            self._real_fits() and self._takes_real(discriminator),
            self._takes_code(generator),
        ]
        if not all(fits):
            return
        settings = self._settings
        if not self._fade_is_free():
            return
        if not self.names_are_free(settings.own_names(self.graphs), settings.reads(self._context)):
            return
        made = self._generator_types(generator)
        judged = self._discriminator_types(discriminator)
        if made is not None:
            self._makes_real(generator, made)
        if judged is not None:
            self._gives_scores(discriminator, judged)
        self._check_penalties(discriminator)
        self._check_judge()
        self._check_augmentation()

    # The fade

    def _fade_is_free(self) -> bool:
        """Whether the fade has a name of its own, and its inputs one number for each sample."""
        settings, name = self._settings, self._settings.fade
        if name is None:
            return True
        if name == LATENT or name in self._context.fields:
            holder = "the latent code" if name == LATENT else "a data field"
            self._context.misfit(
                f"`fade` expects an input with a name of its own, found that of {holder}, `{name}`",
                FADE_PLACE,
                "rename the input",
            )
            return False
        sources = (
            settings.generator_sources(self.graphs),
            settings.discriminator_sources(self.graphs),
        )
        return all(
            self._takes_fade(role, port)
            for role, source in zip(self.roles, sources, strict=True)
            for port in source
            if source[port] == name
        )

    def _takes_fade(self, role: str, port: str) -> bool:
        graph = self.graphs[self._used(role).network]
        kind = next(value.type for value in graph.inputs if value.name == port)
        if kind.rank == 1 and kind.dtype == DType.F32:
            return True
        return self.misfit(
            f"the {role} expects the fade in an input f32[B], found `{port}` {kind}",
            role,
            f"write `inputs: {{{port}: {{shape: [B]}}}}`, and `reshape` it where it is used",
        )

    def _with_fade(self, context: Context) -> Context:
        """What inputs are bound to, the fade among them."""
        name = self._settings.fade
        if name is None:
            return context
        fade = Field(shape=["B"], dtype="float32")
        return replace(context, fields={**context.fields, name: fade})

    # The data

    @property
    def _real_type(self) -> TensorType:
        """Of real samples as networks see them."""
        return self._context.fields[self._settings.real].network_type(self._context.dims)

    def _real_fits(self) -> bool:
        name, field = self._settings.real, self.found_field("real")
        if field is None:
            return False
        if field.lengths is not None:
            return self.misfit(
                f"{self._settings.title} expects samples of one size, found `{name}` with "
                "`lengths`",
                "real",
                "name another field, or cut its samples to one size and remove `lengths`",
            )
        if field.binarize is not None:
            return self.misfit(
                f"{self._settings.title} expects real samples that a generator can reach step by "
                f"step, found `{name}` with `binarize`",
                "real",
                f"remove `binarize` of the field `{name}`",
            )
        kind = self._real_type
        if kind.rank < 2 or not kind.dtype.is_float:
            return self.misfit(
                f"{self._settings.title} expects real samples f32[B, ...], found `{name}` {kind}",
                "real",
                f"add `scale: [-1, 1]` to the field `{name}`, and end the generator with `tanh`"
                if kind.rank > 1
                else "name a field with an axis besides the batch",
            )
        return True

    # The generator

    def _takes_code(self, generator: Graph) -> bool:
        """Whether one input of the generator takes the latent code, and none the real samples."""
        settings = self._settings
        sources = settings.generator_sources(self.graphs)
        takes = [port for port, name in sources.items() if name == LATENT]
        if len(takes) != 1:
            found = listing(takes or list(sources)) or "none"
            first = next(iter(sources), "code")
            return self.misfit(
                f"the generator expects one input that takes the latent code, named `{LATENT}`, "
                f"found {found}",
                "generator",
                f"name one input `{LATENT}`, or bind one: `generator: {{network: "
                f"{generator.name}, inputs: {{{first}: {LATENT}}}}}`",
            )
        if settings.real in sources.values():
            return self.misfit(
                f"the generator expects a latent code and conditions alone, found an input for "
                f"`{settings.real}`, which it is to make",
                "generator",
                "remove the input",
            )
        return self._is_code(takes[0], settings.latent_type(self.graphs))

    def _is_code(self, port: str, kind: TensorType) -> bool:
        fixed = all(isinstance(size, int) for size in kind.shape[1:])
        if kind.rank >= 2 and kind.dtype.is_float and fixed:
            return True
        return self.misfit(
            f"the generator expects a latent code f32[B, ...] of fixed sizes, found `{port}` "
            f"{kind}",
            "generator",
            f"write `inputs: {{{port}: {{shape: [B, 128]}}}}`",
        )

    def _generator_types(self, generator: Graph) -> dict[str, TensorType] | None:
        settings = self._settings
        code = as_field(settings.latent_type(self.graphs))
        name = f"{generator.name}.{LATENT}"
        context = replace(self._context, fields={**self._context.fields, name: code})
        sources = settings.generator_sources(self.graphs).items()
        bound = {port: name if source == LATENT else source for port, source in sources}
        place = (*self._path, "generator")
        context = self._with_fade(context)
        types = bind_inputs(generator, bound, [settings.real], context, place)
        if types is not None:
            check_padding(generator, bound, context)
        return types

    def _makes_real(self, generator: Graph, types: Mapping[str, TensorType]) -> bool:
        settings, wanted = self._settings, self._real_type
        if len(types) != 1:
            return self.misfit(
                f"the generator expects one output, the samples, found {listing(list(types))}",
                "generator",
                "leave out the others",
            )
        ((output, kind),) = types.items()
        if same_sizes(kind, wanted):
            return True
        return self.misfit(
            f"the generator expects to make `{settings.real}` {wanted}, found the output "
            f"`{output}` {kind}",
            "generator",
            "change the layers so that both sizes are equal",
            also=self.maker(generator.name, output),
        )

    # The discriminator

    def _takes_real(self, discriminator: Graph) -> bool:
        settings = self._settings
        fields = settings.discriminator_sources(self.graphs)
        takes = [port for port, name in fields.items() if name == settings.real]
        if len(takes) == 1:
            return True
        first = next(iter(fields), "x")
        return self.misfit(
            f"the discriminator expects one input that takes `{settings.real}`, found "
            f"{listing(takes or list(fields)) or 'none'}",
            "discriminator",
            f"name one input `{settings.real}`, or bind one: `discriminator: {{network: "
            f"{discriminator.name}, inputs: {{{first}: {settings.real}}}}}`",
        )

    def _discriminator_types(self, discriminator: Graph) -> dict[str, TensorType] | None:
        settings, place = self._settings, (*self._path, "discriminator")
        context = self._with_fade(self._context)
        types = bind_inputs(discriminator, settings.discriminator.inputs, (), context, place)
        if types is not None:
            check_padding(discriminator, settings.discriminator_sources(self.graphs), context)
        return types

    def _gives_scores(self, discriminator: Graph, types: Mapping[str, TensorType]) -> bool:
        if len(types) != 1:
            return self.misfit(
                f"the discriminator expects one output, the score, found {listing(list(types))}",
                "discriminator",
                "leave out the others",
            )
        ((output, kind),) = types.items()
        one = kind.rank == 1 or (kind.rank > 1 and kind.shape[1] == 1)
        if not one or not kind.dtype.is_float:
            return self.misfit(
                f"the discriminator expects a score f32[B, 1] of each sample, or of each of its "
                f"patches f32[B, 1, ...], found `{output}` {kind}",
                "discriminator",
                "end it with a layer such as `linear: 1`",
                also=self.maker(discriminator.name, output),
            )
        return self._is_open(discriminator, output)

    def _is_open(self, discriminator: Graph, output: str) -> bool:
        """Whether the score has no ends where the loss wants none."""
        loss, node = self._settings.loss, last_change(discriminator, output)
        if node is None or node.op.name not in PROBABILITIES or not loss.wants_scores:
            return True
        return self.misfit(
            f"{loss.title} expects a score without limits, found that of `{node.op.name}` in "
            "[0, 1]",
            "discriminator",
            f"remove `{node.op.name}`"
            + ("" if "wasserstein" in loss.name or loss.name == "hinge" else "; the loss has one"),
            also=self.maker(discriminator.name, output),
        )

    # The settings

    def _check_penalties(self, discriminator: Graph) -> None:
        """What is given twice, what a loss cannot do without, and what torch cannot do."""
        settings = self._settings
        if settings.regularizers:
            self._check_layers(discriminator)
        names = [penalty.name for penalty in settings.regularizers]
        for index, _ in repeats(names):
            message = f"`regularizers` expects each kind once, found `{names[index]}` again"
            step = "remove one of them"
            self.excluded(Problem(Code.O502, message, ("regularizers", index), help=step))
        if settings.loss.name == "wasserstein_gp" and GradientPenalty.name not in names:
            message = f"{settings.loss.title} expects the regularizer `{GradientPenalty.name}`"
            found = f", found {listing(names)}" if names else ", found none"
            step = f"add `regularizers: [{GradientPenalty.name}]`"
            self.excluded(Problem(Code.O502, message + found, ("loss",), help=step))

    def _check_judge(self) -> None:
        for problem in self._settings.judge.problems() if self._settings.judge else ():
            self._context.report(problem, (*self._path, "judge"))

    def _check_augmentation(self) -> None:
        settings, augment = self._settings, self._settings.augment
        if augment is None:
            return
        for problem in augment.problems():
            self._context.report(problem, (*self._path, "augment"))
        kind = self._real_type
        if kind.rank != 4:
            self.misfit(
                f"`augment` expects images f32[B, C, H, W], found `{settings.real}` {kind}",
                "augment",
                "remove it; a penalty such as `r1` holds the discriminator back, too",
            )
        elif augment.adaptive and not settings.loss.has_middle:
            self.excluded(
                Problem(
                    Code.O502,
                    "`adaptive` expects a loss whose scores tell real samples by their sign, found "
                    f"`{settings.loss.name}`",
                    ("augment", "adaptive"),
                    help="choose `non_saturating` or `hinge`, or give a `probability`",
                )
            )

    def _check_layers(self, discriminator: Graph) -> None:
        """Whether the gradient by the samples has a gradient in all layers."""
        for node in discriminator.nodes:
            if isinstance(node.op, Op) and not node.op.twice_differentiable:
                self.misfit(
                    f"`regularizers` expect layers whose gradient can be differentiated, found "
                    f"`{node.op.name}`",
                    "regularizers",
                    "replace the layer, or use `weight_norm: spectral` in place of penalties",
                    also=(Label(node.span, "torch has no kernel for it"),) if node.span else (),
                )
                return
