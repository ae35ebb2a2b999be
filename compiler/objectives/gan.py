"""Make samples that a second network cannot tell from real ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.graph import Graph, Value
from ..ir.shapes import TensorType
from ..ops.generation import Full
from ..ops.merge import Mul
from ..ops.rescale import Rescale
from ..ops.shape import Reshape
from ..source import Key
from .adversarial_losses import ADVERSARIAL_LOSSES, AdversarialLoss
from .base import Context, Labels, Noise, Objective
from .binding import field_name
from .density import NOISE
from .fields import Field
from .gan_checks import LATENT, GanChecks
from .gradient_penalties import PENALTIES, Penalty
from .id_room import with_room
from .judge import Judge
from .judged_augmentation import PROBABILITY, JudgedAugmentation
from .network_use import NetworkUse
from .problem import Problem
from .program import ProgramBuilder
from .schedules import Schedule
from .section import OneKey
from .training import Training
from .watching import following

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
"""Its roles, and those of the optimizers."""


TRUNCATION = "truncation"
"""The input of `generate` that draws latent codes towards 0."""


class Generator(NetworkUse):
    """The generator, and what its inputs take: the latent code, or data fields."""

    title: ClassVar[str] = "`generator`"

    inputs: dict[str, str] = Setting(
        default={},
        description="Input -> data field, or `z` for the latent code, which the input named `z` "
        "takes by itself.",
    )


class Gan(Objective):
    """Two networks against each other: one makes samples, the other tells them from real ones.

    Each step trains the discriminator, on a batch of real samples and as many generated ones; at
    each `discriminator_steps`-th step the generator is trained, too. They have an optimizer each:
    `optimizers: {generator: ..., discriminator: ...}`. `training.steps` counts the steps of the
    discriminator. A data field that both networks read, such as a label, is a condition, and
    generated samples get those of the batch.

    Losses say little of how good samples are; a `judge` tells. Figures: `discriminator.loss` and
    `generator.loss` as in training, without penalties, the mean scores `real` and `fake`, and those
    of the `judge`.

    Programs: `generate` makes samples, in raw units, of `noise` (standard normal, or uniform from 0
    to below 1, which the generator sees as -1 to 1); `discriminate` gives the scores of raw
    samples. With `truncation`, `generate` takes that factor, too (Karras et al. 2019, appendix B,
    for the latent code itself).

    Source: Goodfellow et al. 2014; the losses and regularizers name theirs.
    """

    name: ClassVar[str] = "gan"
    title: ClassVar[str] = "the objective `gan`"
    optimizer_roles: ClassVar[tuple[str, ...]] = (GENERATOR, DISCRIMINATOR)
    program_names: ClassVar[tuple[str, ...]] = ("generate", "discriminate")
    takes_fade: ClassVar[bool] = True

    generator: Generator = Setting(description="The network that makes samples.")
    discriminator: NetworkUse = Setting(description="The network that tells which are real.")
    real: str = Setting(description="The data field that the generator learns to make.")
    latent: Literal["normal", "uniform"] = Setting(
        default="normal", description="Where latent codes come from: N(0, 1), or -1 to 1 evenly."
    )
    truncation: bool = Setting(
        default=False,
        description="Let `generate` take `truncation`, a factor from 0 to 1 for each sample that "
        "draws its latent code towards 0: less of it gives more usual samples, and more alike.",
    )
    loss: Annotated[AdversarialLoss, OneKey(ADVERSARIAL_LOSSES, "adversarial loss")] = Setting(
        description="What both networks play for."
    )
    regularizers: list[Annotated[Penalty, OneKey(PENALTIES, "regularizer")]] = Setting(
        default=[], description="What holds the discriminator smooth."
    )
    discriminator_steps: int = Setting(
        default=1, ge=1, le=1000, description="Steps of the discriminator to one of the generator."
    )
    augment: JudgedAugmentation | None = Setting(
        default=None, description="Change samples at random before the discriminator sees them."
    )
    judge: Judge | None = Setting(
        default=None, description="How good generated samples are, beside real ones."
    )

    @property
    def differentiates_twice(self) -> bool:
        return bool(self.regularizers)

    @property
    def lazy(self) -> str:
        names = [f"`{penalty.name}`" for penalty in self.regularizers if penalty.every > 1]
        return ", ".join(names)

    def schedules(self) -> dict[str, Schedule]:
        """Its numbers that may change during the run, by the names that losses have."""
        weights = {penalty.name: penalty.schedule() for penalty in self.regularizers}
        fixed = self.augment is not None and self.augment.adaptive is None
        chance = {PROBABILITY: self.augment.probability} if self.augment and fixed else {}
        return {**weights, **self.loss.schedules(), **chance}

    def networks(self) -> dict[str, str]:
        return {
            GENERATOR: self.generator.network,
            DISCRIMINATOR: self.discriminator.network,
        }

    def generator_graph(self, graphs: Mapping[str, Graph]) -> Graph:
        return graphs[self.generator.network]

    def discriminator_graph(self, graphs: Mapping[str, Graph]) -> Graph:
        return graphs[self.discriminator.network]

    def generator_sources(self, graphs: Mapping[str, Graph]) -> dict[str, str]:
        """Input of the generator -> data field, `z` or the fade, in the order of the inputs."""
        inputs = self.generator_graph(graphs).inputs
        return {v.name: field_name(v.name, self.generator.inputs) for v in inputs}

    def discriminator_sources(self, graphs: Mapping[str, Graph]) -> dict[str, str]:
        """Input of the discriminator -> data field or the fade, in the order of the inputs."""
        inputs = self.discriminator_graph(graphs).inputs
        return {v.name: field_name(v.name, self.discriminator.inputs) for v in inputs}

    @property
    def fade(self) -> str | None:
        """What sources call the fade of `training.grow`; None where nothing fades."""
        return self._fade

    def judged_fields(self, graphs: Mapping[str, Graph]) -> list[str]:
        """The data fields that the discriminator reads."""
        sources = self.discriminator_sources(graphs).values()
        return [name for name in dict.fromkeys(sources) if name != self._fade]

    def conditions(self, graphs: Mapping[str, Graph]) -> list[str]:
        """The data fields that the generator reads."""
        sources = self.generator_sources(graphs).values()
        return [name for name in dict.fromkeys(sources) if name not in (LATENT, self._fade)]

    def latent_type(self, graphs: Mapping[str, Graph]) -> TensorType:
        """Of the generator's input that takes the latent code."""
        sources, inputs = self.generator_sources(graphs), self.generator_graph(graphs).inputs
        return next(value.type for value in inputs if sources[value.name] == LATENT)

    def score(self, graphs: Mapping[str, Graph]) -> str:
        """The output of the discriminator."""
        return next(iter(self.discriminator_graph(graphs).outputs))

    def reads(self, context: Context) -> set[str]:
        graphs = context.graphs
        return {*self.conditions(graphs), *self.judged_fields(graphs), self.real}

    def figures(self) -> dict[str, bool]:
        return self.judge.figures() if self.judge else {}

    def judged(self) -> tuple[str, Judge] | None:
        return (self.real, self.judge) if self.judge else None

    def inputs_only(self, graphs: Mapping[str, Graph]) -> list[str]:
        read = (*self.conditions(graphs), *self.judged_fields(graphs))
        return [name for name in dict.fromkeys(read) if name != self.real]

    def label_rules(self, context: Context) -> dict[str, Labels]:
        graphs = context.graphs
        rules = with_room({}, self.generator_graph(graphs), self.generator_sources(graphs))
        read = self.discriminator_sources(graphs)
        rules = with_room(rules, self.discriminator_graph(graphs), read)
        return {name: rule for name, rule in rules.items() if name not in (LATENT, self._fade)}

    def check(self, context: Context, path: Key) -> None:
        GanChecks(self, context, path).run()

    def own_names(self, graphs: Mapping[str, Graph]) -> set[str]:
        """What programs call inputs and outputs that are no data fields."""
        return {NOISE, self.score(graphs), *([TRUNCATION] if self.truncation else [])}

    def training_problems(self, training: Training, context: Context) -> Iterator[Problem]:
        for path, figure in training.followed():
            if figure == "loss" or not self.judge:
                yield Problem(
                    Code.O502,
                    f"`{following(path)}` expects a figure that tells how good a network is, and "
                    "the losses of a `gan` are those of two networks against each other, found "
                    f"`{figure}`",
                    path,
                    help="remove it, and the last state is kept"
                    if not self.judge
                    else "follow `coverage` or another figure of the `judge`",
                )
        if self._fade is not None and not self._fades(context.graphs):
            yield Problem(
                Code.O501,
                f"`fade` expects an input `{self._fade}` of the generator or the discriminator, "
                "found none",
                ("grow", "fade", "input"),
                help=f"add `{self._fade}: {{shape: [B]}}` to the `inputs` of a network",
            )
        if training.steps is not None and training.steps < self.discriminator_steps:
            yield Problem(
                Code.O502,
                f"`discriminator_steps: {self.discriminator_steps}` expects at least as many "
                f"`steps`, found {training.steps}: the generator would never be trained",
                ("steps",),
                help=f"raise `steps` to {self.discriminator_steps} or more",
            )

    def _fades(self, graphs: Mapping[str, Graph]) -> bool:
        """Whether a network takes the fade."""
        sources = (self.generator_sources(graphs), self.discriminator_sources(graphs))
        return any(self._fade in source.values() for source in sources)

    # Programs

    def programs(self, context: Context) -> dict[str, Graph]:
        return {"generate": self._generate(context), "discriminate": self._discriminate(context)}

    def _generate(self, context: Context) -> Graph:
        b, graphs = ProgramBuilder("generate", context), context.graphs
        code = self._code(b, b.input(NOISE, self.latent_type(graphs)))
        if self.truncation:
            code = _truncated(b, code)
        ready = {LATENT: code} | {name: b.field(name) for name in self.conditions(graphs)}
        sources = self.generator_sources(graphs).values()
        ready |= self._faded(b, code, sources)
        read = [ready[name] for name in sources]
        (made,) = b.call(self.generator_graph(graphs), read).values()
        field = context.fields[self.real]
        made = b.raw(field, made, f"{self.real}_raw") if field.is_transformed else made
        return b.graph({self.real: made})

    def _code(self, b: ProgramBuilder, noise: Value) -> Value:
        """The latent code that noise stands for."""
        if self.latent == "normal":
            return noise
        return b.apply("code", Rescale(shift=(0.5,), factor=(2.0,)), noise)[0]

    def _discriminate(self, context: Context) -> Graph:
        b, graphs = ProgramBuilder("discriminate", context), context.graphs
        sources = self.discriminator_sources(graphs).values()
        ready = {name: b.field(name) for name in self.judged_fields(graphs)}
        ready |= self._faded(b, ready[self.real], sources)
        found = b.call(self.discriminator_graph(graphs), [ready[name] for name in sources])
        return b.graph(found)

    def _faded(self, b: ProgramBuilder, like: Value, sources: Collection[str]) -> dict[str, Value]:
        """The fade as programs have it: 1 for each sample of `like`. Empty where none reads it."""
        if self._fade is None or self._fade not in sources:
            return {}
        return {self._fade: b.apply("shown", Full(value=1, shape=like.type.shape[:1]), like)[0]}

    def noise_inputs(self, program: str) -> dict[str, Noise]:
        return {NOISE: self.latent} if program == "generate" else {}

    def other_inputs(
        self, fields: Mapping[str, Field], graphs: Mapping[str, Graph]
    ) -> dict[str, Field]:
        factor = Field(shape=["B"], dtype="float32", range=[0, 1])
        return {TRUNCATION: factor} if self.truncation else {}

    def imitated(self, fields: Mapping[str, Field]) -> dict[str, str]:
        return {self.real: self.real}


def _truncated(b: ProgramBuilder, code: Value) -> Value:
    """A latent code [B, ...], drawn towards 0 by a factor for each sample."""
    factor = b.input(TRUNCATION, TensorType(code.type.dtype, code.type.shape[:1]))
    (along,) = b.apply("factor", Reshape(to=(1,) * (code.type.rank - 1)), factor)
    return b.apply("truncated", Mul(broadcast=True), code, along)[0]
