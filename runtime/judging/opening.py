"""From a spec that has a judge to what judges, before a run begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...compiler.diagnostics import Code, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.fields import Field
from ...compiler.objectives.judge import Judge
from ..data.dataset import Dataset
from ..opening import objective_of
from ..runs import JUDGE
from .classifier import Classifier
from .judge import SampleJudge
from .seeing import Plain, Sight


def open_judge(
    compilation: Compilation, dataset: Dataset, device: torch.device
) -> SampleJudge | None:
    """What judges the samples of a spec's network; None where nothing does.

    Raises: NetwrightError: F601: a part of the data has too few samples. F602: the classifier is
        missing. B801: it is damaged. B802: it is no classifier of such samples.
    """
    found = objective_of(compilation).judged()
    if found is None:
        return None
    name, settings = found
    _check_sizes(settings, dataset)
    field = compilation.fields[name]
    return SampleJudge(settings, name, _sight(settings, name, field, dataset.folder, device))


def judge_record(judge: SampleJudge | None) -> dict[str, Any]:
    """What `run.json` says of the classifier by which the run is judged; empty without one."""
    if judge is None or not isinstance(judge.sight, Classifier):
        return {}
    sight = judge.sight
    about = {"path": str(sight.path), "sha256": sight.sha256, "classes": list(sight.classes)}
    return {JUDGE: about}


def _sight(settings: Judge, name: str, field: Field, folder: Path, device: torch.device) -> Sight:
    if settings.classifier is None:
        return Plain(field, device)
    return Classifier(folder / settings.classifier, name, field, device)


def _check_sizes(settings: Judge, dataset: Dataset) -> None:
    for part in ("validation", "test"):
        if dataset.has(part) and dataset.size(part) <= settings.k:
            raise failure(
                Code.F601,
                f"`judge` expects more than {settings.k} real samples for its `k` nearest "
                f"neighbours, found {dataset.size(part)} {part} samples",
                help="set more samples aside with `split`, or lower `k`",
            )
