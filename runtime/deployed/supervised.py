"""`supervised`: the outputs of `predict`, judged as those of the network in torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.diagnostics import Code, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.fields import Field
from ...compiler.objectives.losses import Loss
from ...compiler.objectives.pairs import PLAIN
from ...compiler.objectives.supervised import Supervised
from ...compiler.objectives.units import raw_field
from ..data.batches import Batches
from ..data.dataset import Dataset, Part
from ..data.homes import choose_home
from ..data.orders import usual_order
from ..data.preprocess import Preprocess
from ..data.restore import compared
from ..metrics import Figures
from ..numbers import numbers_at
from ..objectives.supervised import Judge, weights_of
from ..opening import class_names, pairs_of, settings_of
from ..session import Bundle, Session

CPU = torch.device("cpu")


SHOWN = 3
"""How many samples are predicted to show how it is done."""

STEPS = 8
"""How many steps or numbers of a sample are told."""

Array = NDArray[Any]
Arrays = Mapping[str, Array]


def figures(
    compilation: Compilation, bundle: Bundle, dataset: Dataset, part: Part
) -> dict[str, float]:
    """Losses and metrics of `predict` over one part of the data.

    Losses whose weights change over time have those of the exported checkpoint's step.

    Raises: NetwrightError: B802: the program leaves out what a loss needs.
    """
    session, settings = bundle.program("predict"), settings_of(compilation)
    _check_outputs(session, settings)
    pairs = pairs_of(compilation)
    judge = Judge(settings, CPU, pairs)
    meter = Figures(settings, compilation.fields, CPU, pairs=pairs)
    scaled = _Scaled(settings, compilation.fields)
    numbers = numbers_at(weights_of(settings), bundle.manifest.step)
    columns, layout = dataset.parts[part], torch.contiguous_format
    home, order = choose_home(columns, CPU), usual_order(columns)
    batches = Batches(columns, dataset.fields, CPU, layout, home=home, order=order)
    for batch in batches.in_order(2 * compilation.spec.training.batch):
        results = session(**{name: batch.raw[name].numpy() for name in session.inputs})
        outputs = {name: scaled(name, torch.from_numpy(x)) for name, x in results.items()}
        meter.update(outputs, judge(outputs, batch, numbers), batch, judge.masses(batch))
    return meter.compute(numbers)


def _check_outputs(session: Session, settings: Supervised) -> None:
    missing = {item.loss.output for item in settings.losses} - session.outputs.keys()
    if missing:
        raise failure(
            Code.B802,
            f"expected the program `predict` to give {', '.join(sorted(missing))}, which its "
            "spec leaves out",
            help="evaluate the run instead",
        )


def demonstrate(compilation: Compilation, bundle: Bundle, dataset: Dataset) -> Iterator[str]:
    """The first test samples, as ONNX Runtime answers."""
    if "predict" not in bundle.programs:
        return
    session = bundle.program("predict")
    first = np.arange(min(SHOWN, dataset.size("test")))
    samples = {name: column.batch(first) for name, column in dataset.parts["test"].items()}
    results = session(**{name: samples[name] for name in session.inputs})
    for loss in (item.loss for item in settings_of(compilation).losses):
        if loss.output in results and (told := _told(compilation, loss, results, samples)):
            yield f"predicted from the ONNX file: {told}"
            return
    for name, array in results.items():
        yield f"predicted from the ONNX file: {name} {list(array.shape)}"


def _told(compilation: Compilation, loss: Loss, results: Arrays, samples: Arrays) -> str | None:
    """Answers and the truth in words; None where they are no few ones.

    One class a sample for all of them; of the first sample the classes of its first steps, or its
    first numbers.
    """
    answers, true = results[loss.output], samples[loss.target]
    if loss.kind == "values":
        true = compared(true[:1], compilation.fields[loss.target])
        return f"{_numbers(answers[0])} (true: {_numbers(true[0])})"
    if loss.kind != "classes":
        return None
    pair = pairs_of(compilation).get((loss.output, loss.target), PLAIN)
    names = class_names(compilation, answers.shape[pair.axis])
    found = answers.argmax(axis=pair.axis)
    if found.ndim > 2:
        return None
    if found.ndim == 2:
        real = int(samples[pair.lengths][0]) if pair.lengths else found.shape[1]
        found, true = found[0, : min(real, STEPS)], true[0, : min(real, STEPS)]
    return f"{_words(found, names)} (true: {_words(true, names)})"


def _words(labels: Array, names: Sequence[str]) -> str:
    return ", ".join(names[i] if i < len(names) else f"label {i}" for i in labels.tolist())


def _numbers(values: Array) -> str:
    flat = values.ravel()
    more = ", ..." if flat.size > STEPS else ""
    return ", ".join(f"{value:.4g}" for value in flat[:STEPS].tolist()) + more


class _Scaled:
    """Outputs of the program as the network gave them: losses compare scaled numbers."""

    def __init__(self, settings: Supervised, fields: Mapping[str, Field]) -> None:
        losses = [item.loss for item in settings.losses]
        found = {loss.output: raw_field(loss, fields) for loss in losses}
        # Probabilities are compared, not what a threshold makes of them.
        self._rules = {n: Preprocess(field.unbinarized, CPU) for n, field in found.items() if field}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        return self._rules[name](x) if name in self._rules else x
