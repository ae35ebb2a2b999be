"""Measuring what was trained on a part of its data: a run in torch, or a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.driver import Compilation, compile_spec
from ..compiler.objectives.field_checks import unmeasured
from ..compiler.objectives.fields import with_statistics
from ..compiler.objectives.judge import Judge
from .bundle import SPEC, Manifest, damaged, is_bundle
from .data.dataset import Dataset, Part
from .memory import enough_memory
from .opening import check_trainable, measured, named, objective_of, open_run, read_data
from .outcome import outcome_of
from .runs import read_run
from .stages import find_stage

if TYPE_CHECKING:
    from .session import Device

Warn = Callable[[str], None]


@enough_memory("the evaluation")
def evaluate(
    source: Path,
    *,
    split: Part = "test",
    data_dir: Path | None = None,
    device: str | None = None,
    judge: Path | None = None,
    warn: Warn = lambda text: None,
) -> dict[str, float]:
    """The losses and metrics of a run or a bundle.

    Args:
        source: a run's folder or a bundle. split: which samples.
        data_dir: what the data's paths are relative to; a run remembers it, a bundle does not.
        device: `auto`, `cpu` or `cuda`; None for what the spec says.
        judge: the bundle of a classifier by which samples are judged that the network makes, in
            place of the one that its spec names.
        warn: told where a run did not finish, and the state of which step is measured.
    Returns: figure -> value, losses averaged over the samples.
    Raises: NetwrightError: B801: the bundle; R901, R902: the run; F601, F602: the data;
        R905: the device; R906: memory. B802: the judge takes other samples, or there are none.
    """
    if is_bundle(source):
        return _evaluate_bundle(source, split, data_dir, device, judge)
    return _evaluate_run(source, split, data_dir, device, judge, warn)


def _judged_by(compilation: Compilation, classifier: Path | None) -> Compilation:
    """A compilation whose spec names another classifier to judge by, where one is given."""
    if classifier is None:
        return compilation
    objective = objective_of(compilation)
    if "judge" not in type(objective).model_fields:
        raise failure(
            Code.B802,
            f"`--judge` expects a network that makes samples, found one of {objective.title}",
            help="leave it out",
        )
    found = objective.judged()
    settings = found[1] if found else Judge()
    changed = settings.model_copy(update={"classifier": str(classifier.resolve())})
    told = objective.model_copy(update={"judge": changed})
    return replace(compilation, spec=replace(compilation.spec, objective=told))


def _data(compilation: Compilation, folder: Path, split: Part) -> Dataset:
    check_trainable(compilation)
    dataset = read_data(compilation, folder)
    if not dataset.has(split):
        raise failure(
            Code.F601,
            f"expected {split} samples, found none in the data of `{compilation.spec.name}`",
            help="set some aside with `data: {split: {validation: 0.1}}`",
        )
    return dataset


def _evaluate_run(
    run: Path,
    split: Part,
    data_dir: Path | None,
    device: str | None,
    classifier: Path | None,
    warn: Warn,
) -> dict[str, float]:
    recorded = read_run(run).get("data")
    compilation = _judged_by(open_run(run), classifier)
    folder = data_dir or (Path(recorded) if isinstance(recorded, str) else run)
    dataset = _data(compilation, folder, split)

    from .checkpoint import load_whole
    from .device import choose_device
    from .export import tested_step
    from .job import make_job
    from .judging.opening import open_judge
    from .measure import measure
    from .planning.choose import evaluation_plan
    from .planning.kernels import kernels
    from .snapshot import use

    chosen = choose_device(device or compilation.spec.training.device)
    plan = evaluation_plan(compilation, dataset, chosen)
    judge = open_judge(compilation, dataset, chosen)
    job = make_job(compilation, dataset, chosen, run, plan, judge=judge)
    step, _ = tested_step(run)
    if limits := outcome_of(run).limits(step):
        warn(limits)
    use(load_whole(run, step), job.graphs, job.objective, run)
    batches = {"train": job.train, "validation": job.validation, "test": job.test}[split]
    assert batches is not None
    with kernels(plan), closing(job):
        found = measure(job.objective, batches, 2 * job.settings.batch, job.figures(), step)
        return {**found, **job.closing(batches), **job.judged(batches, ends=True).figures}


def _evaluate_bundle(
    folder: Path,
    split: Part,
    data_dir: Path | None,
    device: str | None,
    classifier: Path | None,
) -> dict[str, float]:
    from .session import load

    bundle = load(folder, _session_device(device))
    compilation = _with_labels(_compiled(folder, bundle.manifest), bundle.labels)
    compilation = _with_statistics(compilation, folder, bundle.manifest)
    compilation = _judged_by(compilation, classifier)
    dataset = _bundle_data(compilation, folder, data_dir, split)

    from .deployed.registry import deployed

    return deployed(compilation).figures(compilation, bundle, dataset, split)


def _compiled(folder: Path, manifest: Manifest) -> Compilation:
    """A bundle's spec; of one that grows, the stage that the bundle is of."""
    compilation = compile_spec(folder / SPEC)
    return find_stage(compilation, manifest.stage) if manifest.stage else compilation


def _bundle_data(
    compilation: Compilation, folder: Path, data_dir: Path | None, split: Part
) -> Dataset:
    """What a bundle is measured on, which it does not know itself: paths are of one machine."""
    try:
        return _data(compilation, data_dir or folder, split)
    except NetwrightError as error:
        if data_dir is not None:
            raise
        lost = "a bundle does not know where its data is: name the folder with `--data-dir`"
        told = (replace(d, help=lost) if d.code is Code.F602 else d for d in error.diagnostics)
        raise NetwrightError(*told) from error


def _with_labels(compilation: Compilation, labels: Mapping[str, Sequence[str]]) -> Compilation:
    """A bundle's spec with the names of classes that its outputs have."""
    return named(compilation, objective_of(compilation).named_fields(labels, compilation.graphs))


def _with_statistics(compilation: Compilation, folder: Path, manifest: Manifest) -> Compilation:
    """A bundle's spec with the means and deviations that its programs contain."""
    if lost := unmeasured(with_statistics(compilation.fields, manifest.statistics)):
        raise damaged(folder, f"its manifest lacks the mean and deviation of `{lost}`")
    return measured(compilation, manifest.statistics)


def _session_device(word: str | None) -> Device:
    return "cuda" if word == "cuda" else "cpu" if word == "cpu" else "auto"
