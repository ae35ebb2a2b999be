"""How well simple models do on a spec's data: what its network has to beat.

They learn from the spec's training samples what the network reads, flattened, and are measured on
its test samples with its losses and metrics. data.py reads the samples, models.py has the models,
fit.py fits them, measure.py measures, network.py finds the network's figures. A time series has
naive forecasts besides (naive.py), which learn nothing. Language models are set beside n-grams
(language.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.driver import Compilation
from ...compiler.objectives.language_model import LanguageModel
from ...compiler.objectives.supervised import Supervised
from ..data.dataset import Dataset
from ..history import rounded
from ..memory import enough_memory
from ..opening import check_trainable, completed, objective_of, read_data, settings_of
from ..runs import RUNS, recorded_fingerprints
from .network import Network, network_of_run, newest_network

if TYPE_CHECKING:
    from .fit import Fitting
    from .models import Model

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Baseline:
    """One model. figures: of the test samples. seconds: of fitting it."""

    name: str
    figures: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Baselines:
    """Simple models, and the network beside them.

    name: of the spec. network: None where no run is finished. higher: figure -> whether higher is
    better. samples: that were trained on, of `total`; 0 where no models are fitted. tested: test
    samples. numbers: in a sample, as the models read it. notes: what limits the comparison.
    """

    name: str
    models: tuple[Baseline, ...]
    network: Network | None
    higher: Mapping[str, bool]
    samples: int
    total: int
    tested: int
    numbers: int
    notes: tuple[str, ...]


@enough_memory("the baselines")
def measure_baselines(
    compilation: Compilation,
    *,
    data_dir: Path | None = None,
    run: Path | None = None,
    tell: Tell = lambda text: None,
) -> Baselines:
    """Fit simple models to a spec's data and measure them as its network is measured.

    Args:
        data_dir: what the data's paths are relative to; None for the spec's folder.
        run: whose network to stand beside them; None for the newest finished one.
        tell: told what is left out, and what is about to take time.
    Raises: NetwrightError: S102: a section is missing. O501: there are no baselines for this
        objective or data. F601, F602: the data. R901, R902: the run. R906: memory.
    """
    check_trainable(compilation)
    _check_objective(compilation)
    folder = (data_dir or compilation.folder).resolve()
    dataset = _data(compilation, folder)
    compilation = completed(compilation, dataset)  # as a run's own spec is, which is compared
    network = network_of_run(compilation, run) if run else newest_network(compilation)

    of_network = list(_of_network(compilation, network, dataset, folder))
    if isinstance(compilation.spec.objective, LanguageModel):
        return _of_text(compilation, dataset, network, of_network)

    from .models import MODELS
    from .naive import error_scale, with_scaled_error

    step = network.step if network else 0
    models = list(_naive(compilation, dataset, step))
    fitting, notes = _fitting(compilation, dataset, step, needed=not models)
    for note in notes:
        tell(f"note: {note}")
    notes += of_network
    if fitting:
        models += [_measured(fitting, model, notes, tell) for model in MODELS]
    scale = error_scale(compilation, dataset)
    models = [replace(m, figures=with_scaled_error(m.figures, scale)) for m in models]
    if network:
        network = replace(network, figures=with_scaled_error(network.figures, scale))
    return Baselines(
        name=compilation.spec.name,
        models=tuple(models),
        network=network,
        higher=dict.fromkeys(models[-1].figures, False) | settings_of(compilation).figures(),
        samples=fitting.samples if fitting else 0,
        total=dataset.size("train"),
        tested=dataset.size("test"),
        numbers=fitting.numbers if fitting else 0,
        notes=tuple(notes),
    )


def _of_text(
    compilation: Compilation, dataset: Dataset, network: Network | None, notes: list[str]
) -> Baselines:
    """n-grams beside a language model."""
    from .language import ngram_figures

    total = dataset.size("train")
    return Baselines(
        name=compilation.spec.name,
        models=tuple(Baseline(*found) for found in ngram_figures(compilation, dataset)),
        network=network,
        higher={"loss": False} | objective_of(compilation).figures(),
        samples=total,
        total=total,
        tested=dataset.size("test"),
        numbers=0,
        notes=tuple(notes),
    )


def _fitting(
    compilation: Compilation, dataset: Dataset, step: int, *, needed: bool
) -> tuple[Fitting | None, list[str]]:
    """What models learn from, and its limits; None where nothing is fitted.

    needed: whether there is nothing else to measure.
    """
    from .fit import Fitting

    try:
        fitting = Fitting(compilation, dataset, step)
    except NetwrightError as error:
        if needed:
            raise
        return None, [f"no models are fitted: {error.diagnostics[0].message}"]
    return fitting, list(fitting.limits())


def _naive(compilation: Compilation, dataset: Dataset, step: int) -> Iterator[Baseline]:
    """What can be forecast of a series without learning."""
    from .naive import naive_figures

    for title, figures in naive_figures(compilation, dataset, step):
        yield Baseline(title, figures, 0.0)


def _check_objective(compilation: Compilation) -> None:
    """Only samples with targets, and texts, have baselines."""
    objective = compilation.spec.objective
    if objective and not isinstance(objective, Supervised | LanguageModel):
        raise failure(
            Code.O501,
            "a baseline expects the objective `supervised` or `language_model`, found "
            f"`{objective.name}`",
            span=compilation.located.span(("objective",)),
            help="compare its runs with one another: `netwright compare`",
        )


def _data(compilation: Compilation, folder: Path) -> Dataset:
    dataset = read_data(compilation, folder)
    if not dataset.has("test"):
        name = compilation.spec.name
        raise failure(Code.F601, f"expected test samples, found none in the data of `{name}`")
    return dataset


def _measured(fitting: Fitting, model: Model, notes: list[str], tell: Tell) -> Baseline:
    from .models import noticing, title

    name = title(model, fitting.tasks)
    tell(f"training {name} on {fitting.samples:,} samples{fitting.effort(model)}")
    began = time.perf_counter()
    with noticing(notes, name):
        predicts = fitting.fit(model)
    seconds = time.perf_counter() - began
    return Baseline(name, fitting.figures(predicts), seconds)


def _of_network(
    compilation: Compilation, network: Network | None, dataset: Dataset, folder: Path
) -> Iterator[str]:
    if network is None:
        name = compilation.spec.name
        yield (
            f"there is no finished run of `{name}` in `{RUNS}`; `netwright train` makes one, and "
            "`--run` names one that is elsewhere"
        )
        return
    if network.differs:
        yield f"the spec of the network differs: {'; '.join(network.differs)}"
    if Path(network.data) != folder:
        yield f"the network was tested on the data in `{network.data}`, the baselines on `{folder}`"
    known = recorded_fingerprints(network.folder)
    if known is not None and (changes := dataset.changes(known)):
        yield f"the data is not what the network was trained on: {'; '.join(changes)} changed"


def as_json(found: Baselines) -> dict[str, Any]:
    """The figures for machines."""
    network = found.network
    return {
        "name": found.name,
        "samples": found.samples,
        "training_samples": found.total,
        "test_samples": found.tested,
        "numbers_in_a_sample": found.numbers,
        "baselines": [
            {"model": model.name, "seconds": model.seconds, "test": rounded(model.figures)}
            for model in found.models
        ],
        "network": None if network is None else _network_json(network),
        "notes": list(found.notes),
    }


def _network_json(network: Network) -> dict[str, Any]:
    return {
        "folder": str(network.folder),
        "seconds": network.seconds,
        "test": network.figures,
        "differs": list(network.differs),
    }
