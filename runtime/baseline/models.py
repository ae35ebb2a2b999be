"""The models of `baseline`, all of them scikit-learn's with its own defaults where not said.

- constant: the classes' or answers' shares among the training samples, or the mean.
- linear: logistic regression, or ridge regression for numbers (L2 of strength 1), over
  standardised numbers, with an indicator for each class of an integer.
- boosted trees: HistGradientBoosting, to which integers are categories.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .data import Layout, Task

Array = NDArray[Any]
Model = Literal["constant", "linear", "trees"]
Predict = Callable[[Array], Array]
"""Rows f32[N, C] -> what the network would give: [N, K] logits, [N, count] logits or numbers."""

MODELS: tuple[Model, ...] = ("constant", "linear", "trees")

TITLES: dict[Model, dict[str, str]] = {
    "constant": {
        "classes": "most frequent class",
        "binary": "most frequent answer",
        "values": "mean",
        "several": "constant",
    },
    "linear": {
        "classes": "logistic regression",
        "binary": "logistic regression",
        "values": "ridge regression",
        "several": "linear models",
    },
    "trees": {"several": "boosted trees"},
}
"""Model -> what it is called for each kind of task, and where there are several kinds."""

ITERATIONS = 300
"""Of logistic regression, at most."""

BOOSTS, MOST_TREES = 100, 2000
"""Rounds of boosting, and trees in all: there is one for each class in a round."""

MOST_CATEGORIES = 255
"""scikit-learn's trees tell no more apart; integers with more are plain numbers to them."""

SURE = 1e-7
"""The least probability, so that one wrong certain answer is no infinite loss."""

FEW_CELLS = 10_000_000
"""Up to this many numbers trees are grown by one thread: more of them wait for each other longer
than they work, by a factor of twenty where the cores are shared."""


NUMBER_SECONDS = 7e-9
"""What a tree takes for each number of its samples: 0.34 s for 60,000 images of 28x28 pixels."""


def title(model: Model, tasks: Sequence[Task]) -> str:
    """What a model is called for what it has to predict."""
    kinds = {task.kind for task in tasks}
    kind = kinds.pop() if len(kinds) == 1 else "several"
    return TITLES[model].get(kind, TITLES[model]["several"])


def fit(
    model: Model, task: Task, layout: Layout, rows: Array, targets: Array, seed: int
) -> Predict:
    """Fit a model to the training samples.

    Args:
        rows: f32[N, C]. targets: as `Task.read` gives them. seed: of what is drawn by chance.
    """
    if task.kind == "classes":
        keep = np.ones(len(targets), bool) if task.ignored is None else targets != task.ignored
        found = _fitted(model, task, layout, rows[keep], targets[keep], seed)
        return lambda x: np.log(np.maximum(_spread(found, x, task.count), SURE))
    each = [_fitted(model, task, layout, rows, column, seed) for column in targets.T]
    if task.kind == "binary":
        return lambda x: np.stack([_log_odds(_spread(found, x, 2)[:, 1]) for found in each], 1)
    return lambda x: np.stack([found.predict(x) for found in each], 1)


def _fitted(model: Model, task: Task, layout: Layout, rows: Array, target: Array, seed: int) -> Any:
    """An estimator after `fit`; a target with one value needs no more than a constant."""
    if len(np.unique(target)) < 2:
        model = "constant"
    estimator = _MAKERS[model](task, layout, seed)
    with _threads(rows.size):
        return estimator.fit(rows, target)


def _spread(classifier: Any, rows: Array, count: int) -> Array:
    """Probabilities [N, count]: zero for classes that no training sample has."""
    found = np.zeros((len(rows), count))
    found[:, classifier.classes_] = classifier.predict_proba(rows)
    return found


def _log_odds(probabilities: Array) -> Array:
    p = np.clip(probabilities, SURE, 1 - SURE)
    return cast(Array, np.log(p) - np.log1p(-p))


# Estimators


def _constant(task: Task, layout: Layout, seed: int) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyRegressor() if task.kind == "values" else DummyClassifier(strategy="prior")


def _linear(task: Task, layout: Layout, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [index for index, classes in enumerate(layout.classes) if not classes]
    integers = [index for index, classes in enumerate(layout.classes) if classes]
    values = [np.arange(layout.classes[index], dtype=np.float32) for index in integers]
    prepare = ColumnTransformer(
        [
            ("numbers", StandardScaler(), numbers),
            ("integers", OneHotEncoder(categories=values), integers),
        ],
        sparse_threshold=1.0 if integers else 0.0,
    )
    model = Ridge() if task.kind == "values" else LogisticRegression(max_iter=ITERATIONS)
    return make_pipeline(prepare, model)


def _trees(task: Task, layout: Layout, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor
    if task.kind != "values":
        kind = HistGradientBoostingClassifier
    categories = [0 < classes <= MOST_CATEGORIES for classes in layout.classes]
    return kind(
        max_iter=boosts(task),
        categorical_features=categories if any(categories) else None,
        random_state=seed % 2**32,
    )


_MAKERS: dict[Model, Callable[[Task, Layout, int], Any]] = {
    "constant": _constant,
    "linear": _linear,
    "trees": _trees,
}


def boosts(task: Task) -> int:
    """Rounds of boosting: fewer where there are many classes, and at least 10."""
    trees = _trees_in_round(task) if task.kind == "classes" else 1
    return max(10, min(BOOSTS, MOST_TREES // trees))


def work(tasks: Sequence[Task], cells: int) -> float:
    """Roughly the seconds that one core takes to grow the trees of all tasks.

    cells: numbers in all samples together.
    """
    return NUMBER_SECONDS * cells * sum(boosts(task) * _trees_in_round(task) for task in tasks)


def _trees_in_round(task: Task) -> int:
    return 1 if task.kind == "classes" and task.count <= 2 else task.count


def _threads(cells: int) -> AbstractContextManager[Any]:
    """One thread for few numbers; for more of them, what OpenMP is set to."""
    import threadpoolctl  # type: ignore[import-untyped]  # scikit-learn needs it itself

    most = 1 if cells <= FEW_CELLS else None
    return cast(AbstractContextManager[Any], threadpoolctl.threadpool_limits(most, "openmp"))


@contextmanager
def noticing(notes: list[str], model: str) -> Iterator[None]:
    """Turn scikit-learn's warnings into notes; one of each kind."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for category in dict.fromkeys(warning.category for warning in caught):
        text = str(next(w.message for w in caught if w.category is category)).split("\n")[0]
        if category.__name__ == "ConvergenceWarning":
            text = f"it did not settle in {ITERATIONS} iterations and could still get better"
        notes.append(f"{model}: {text}")
