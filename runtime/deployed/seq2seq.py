"""`seq2seq`: what answers cost by the ONNX files, and how many of its own are right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ...compiler.driver import Compilation
from ...compiler.objectives.seq2seq import Seq2Seq
from ..data.batches import Batches
from ..data.dataset import Dataset, Part
from ..data.homes import choose_home
from ..objectives.seq2seq import ANSWERS, AnswerMeter, Answers
from ..opening import objective_of
from ..session import Bundle
from ..spoken import in_words

CPU = torch.device("cpu")

SHOWN = 3
"""How many samples are answered to show how it is done."""


def figures(
    compilation: Compilation, bundle: Bundle, dataset: Dataset, part: Part
) -> dict[str, float]:
    """`loss`, `bits`, `accuracy` and `exact` over one part of the data, as in training."""
    settings = _settings(compilation)
    scores = settings.scores(compilation.graphs[settings.decoder.network])
    tokens, _ = settings.answer_names(list(compilation.fields))
    predict, translate = bundle.program("predict"), bundle.program("translate")
    answers, columns = Answers(settings, compilation), dataset.parts[part]
    meter = AnswerMeter(answers, scores, CPU)
    home, layout = choose_home(columns, CPU), torch.contiguous_format
    batches = Batches(columns, dataset.fields, CPU, layout, home=home)
    for batch in batches.in_order(2 * compilation.spec.training.batch):
        raw = {name: x.numpy() for name, x in batch.raw.items()}
        scored = torch.from_numpy(predict(**{n: raw[n] for n in predict.inputs})[scores])
        found = torch.from_numpy(translate(**{n: raw[n] for n in translate.inputs})[tokens])
        outputs = {scores: scored, ANSWERS: found}
        meter.update(outputs, answers.losses(scored, batch), batch)
    return meter.compute()


def demonstrate(compilation: Compilation, bundle: Bundle, dataset: Dataset) -> Iterator[str]:
    """The first test samples, as ONNX Runtime answers."""
    if "translate" not in bundle.programs:
        return
    settings, fields = _settings(compilation), compilation.fields
    session, field = bundle.program("translate"), fields[settings.target]
    first = np.arange(min(SHOWN, dataset.size("test")))
    samples = {name: column.take(first) for name, column in dataset.parts["test"].items()}
    found = session(**{name: samples[name] for name in session.inputs})
    tokens, lengths = (found[name] for name in settings.answer_names(list(fields)))
    assert field.lengths
    for row in first:
        answer = [int(token) for token in tokens[row, : lengths[row]] if token != settings.end]
        wanted = samples[settings.target][row, : samples[field.lengths][row]].tolist()
        said, true = (in_words(each, field.classes) for each in (answer, wanted))
        yield (f"translated by the ONNX file: {said} (true: {true})")


def _settings(compilation: Compilation) -> Seq2Seq:
    settings = objective_of(compilation)
    assert isinstance(settings, Seq2Seq)
    return settings
