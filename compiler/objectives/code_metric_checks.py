"""Whether what is measured of encoders and decoders can be measured of the data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..diagnostics import Code
from ..ir.proofs import at_least
from ..ir.shapes import DType, TensorType
from ..source import Key
from ..suggest import did_you_mean
from .base import Context
from .code_metrics import Auroc, CodeMetric, Probe, Ssim
from .fields import Field
from .losses import INTEGERS
from .problem import Problem, repeats
from .source import Source

if TYPE_CHECKING:
    from .encoder_decoder import EncoderDecoder

WINDOW = 11
"""Pixels across that `ssim` looks at at once."""


def check_code_metrics(settings: EncoderDecoder, context: Context, path: Key) -> None:
    """Report metrics that do not fit; `path` leads to the objective."""
    for problem in _repeated(settings):
        context.report(problem, path)
    for index, metric in enumerate(settings.metrics):
        place = (*path, "metrics", index)
        for problem in _misfits(metric, settings, context):
            context.report(problem, place)
        if isinstance(metric, Auroc):
            for problem in _of_source(metric.source, context):
                context.report(problem, (*place, metric.name, "source", metric.source.name))


def _repeated(settings: EncoderDecoder) -> Iterator[Problem]:
    labels = [metric.label for metric in settings.metrics]
    for index, first in repeats(labels):
        yield Problem(
            Code.O502,
            f"`metrics` expects each once, found `{labels[index]}` again",
            ("metrics", index),
            help="remove it",
            also=(("metrics", first), "first here"),
        )


def _misfits(metric: CodeMetric, settings: EncoderDecoder, context: Context) -> Iterator[Problem]:
    if metric.needs_density and not settings.has_density:
        yield Problem(
            Code.O501,
            f"`{metric.name}` needs an objective that says how likely samples are, found "
            f"`{settings.name}`",
            help="remove it, or train a `vae`",
        )
    if metric.needs_images and settings.target in context.fields:
        yield from _of_images(metric, settings.target, context)
    if isinstance(metric, Probe) and metric.field not in context.broken:
        yield from _of_probe(metric.field, context)


# Images


def _of_images(metric: CodeMetric, target: str, context: Context) -> Iterator[Problem]:
    field = context.fields[target]
    kind = field.network_type(context.dims)
    if not _is_image(kind):
        yield Problem(
            Code.O501,
            f"`{metric.name}` needs images f32[B, C, H, W] of 1 or 3 channels, found `{target}` "
            f"{kind}",
            help=f"remove `{metric.name}`; `mse` is measured in any case",
        )
    elif isinstance(metric, Ssim) and not all(at_least(s, WINDOW) is True for s in kind.shape[2:]):
        yield Problem(
            Code.O501,
            f"`{metric.name}` needs images of at least {WINDOW}x{WINDOW} pixels, found `{target}` "
            f"{kind}",
            help=f"remove `{metric.name}`; `psnr` takes images of any size",
        )
    elif not has_ends(field):
        yield Problem(
            Code.O501,
            f"`{metric.name}` needs the smallest and the largest value of `{target}`, which "
            "nothing tells",
            help=f"give the field `{target}` a `range`, or remove `{metric.name}`",
        )


def _is_image(kind: TensorType) -> bool:
    return kind.rank == 4 and kind.shape[1] in (1, 3)


def has_ends(field: Field) -> bool:
    """Whether it is known how small and how large values are that networks see.

    Where mean and deviation are still to be measured, it will be if the raw range is known.
    """
    if field.awaits_data:
        return field.raw_range is not None
    return all(map(math.isfinite, field.interval()))


# Labels


def _of_probe(name: str, context: Context) -> Iterator[Problem]:
    if name not in context.fields:
        yield Problem(
            Code.O501,
            f"`probe` names the data field `{name}`, which does not exist",
            help=did_you_mean(name, context.fields, "field"),
        )
        return
    kind = context.fields[name].raw_type(context.dims)
    if kind.rank != 1 or kind.dtype not in (*INTEGERS, DType.U8):
        yield Problem(
            Code.O501,
            f"`probe` needs one label for each sample, integers [B], found `{name}` {kind}",
            help="name the field with the labels",
        )


# Another source


def _of_source(source: Source, context: Context) -> Iterator[Problem]:
    """What is wrong with the source of the other samples, and why it has no such fields."""
    if source == context.source:
        yield Problem(
            Code.O502,
            "`auroc` tells samples of the data from those of another source, found the same one",
            help="name a source of samples that are unlike those of the data, or remove `auroc`",
        )
        return
    # Fields with mistakes are there too: a source that counts its files counts them.
    named = [*context.fields, *sorted(context.broken)]
    yield from source.problems([n for n in named if n not in source.derived(context.fields)])
    known = source.known_fields()
    for name, field in context.fields.items():
        yield from source.field_problems(name, field)
        if known:
            yield from _differing(source, known.get(name), name, field, context)


def _differing(
    source: Source, known: Field | None, name: str, field: Field, context: Context
) -> Iterator[Problem]:
    if known is None:
        yield Problem(
            Code.O501,
            f"`auroc` expects a source with the data's fields, found `{source.name}`, which has no "
            f"`{name}`",
            help=f"choose a source with `{name}`, or bring both sources to the same names",
        )
    elif not _alike(known, field):
        here, there = field.raw_type(context.dims), known.raw_type(context.dims)
        yield Problem(
            Code.O501,
            f"`auroc` expects `{name}` as the data has it, {here}, found {there} in the source "
            f"`{source.name}`",
            help="choose a source whose samples have the same sizes and element type",
        )


def _alike(known: Field, field: Field) -> bool:
    one, other = known.shape or [], field.shape or []
    sizes = zip(one, other, strict=False)
    fixed = [(a, b) for a, b in sizes if isinstance(a, int) and isinstance(b, int)]
    return known.dtype == field.dtype and len(one) == len(other) and all(a == b for a, b in fixed)
