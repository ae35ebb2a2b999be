"""Forecasts of a time series beside the truth, and how errors grow with the steps ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.losses import Loss
from ...compiler.objectives.series_source import Series as SeriesSource
from ..naive import naive_forecasts
from ..number_text import counted
from .answers import Array
from .chart import Frame, Series, line_chart
from .markup import Html, element, joined
from .numbers import short_text
from .probe import Probe, Sweep
from .scales import axis_of, count_axis
from .section import Piece, Section
from .state import after_step

SHOWN = 6
"""How many windows are drawn, of those at even distances and of those with the largest errors."""

COLUMNS = 3
"""How many columns have charts of their own."""

LOOKED_AT = 2000
"""How many windows errors are averaged over."""

CHUNK = 256
"""Windows that the network is asked about at a time."""

BACK = 3
"""Up to this many times the horizon, and `LEAST_BACK` steps, the past is drawn."""

LEAST_BACK = 24

TRUTH, FORECAST, SEASONAL, LAST, PAST = 0, 1, 2, 3, 6
"""The colours of lines."""


@dataclass(frozen=True)
class _Windows:
    """Some windows in the units of the data; the first axis is theirs.

    past: [n, window, C]; truth and forecast: [n, horizon, columns]. indices: which ones.
    """

    indices: NDArray[np.int64]
    past: Array
    truth: Array
    forecast: Array


def forecasts(probe: Probe, sweep: Sweep) -> list[Piece]:
    """Windows at even distances, errors by the steps ahead, and the windows with the largest.

    Nothing where the data is no series, or where no loss compares with `future`.
    """
    data = probe.compilation.spec.data
    loss = next((item.loss for item in probe.settings.losses if item.loss.target == "future"), None)
    if data is None or not isinstance(data.source, SeriesSource) or loss is None:
        return []
    source, even = data.source, _even(probe.size, SHOWN)
    shown = _charts(probe, source, _answers(probe, loss, even))
    errors = _errors(source, _answers(probe, loss, _even(probe.size, LOOKED_AT)))
    worst = _answers(probe, loss, _worst(sweep, source))
    note = (
        f"{counted(len(even), f'{probe.part} window')} at even distances, in the units of the "
        "data. Step 0 is the last one that the network reads. The network is that "
        f"{after_step(probe.step)}."
    )
    largest = _charts(probe, source, worst)
    return [
        Section("Forecasts", joined([_grid(shown), _part("Errors by steps ahead", errors)]), note),
        Section("Largest errors", _grid(largest), _about_worst(probe, sweep, len(worst.indices))),
    ]


def _grid(charts: Iterator[Html]) -> Html:
    return element("div", joined(charts), class_="charts")


def _part(title: str, charts: Iterator[Html]) -> Html:
    return joined([element("h3", title), _grid(charts)])


def _about_worst(probe: Probe, sweep: Sweep, count: int) -> str:
    return (
        f"The {counted(count, 'window')} with the highest loss among {len(sweep.indices):,} "
        f"{probe.part} windows, each at least a horizon away from the others."
    )


def _even(total: int, most: int) -> NDArray[np.int64]:
    """Indices at even distances, the first and the last among them."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).round().astype(np.int64))


def _worst(sweep: Sweep, source: SeriesSource) -> NDArray[np.int64]:
    """The windows with the highest losses, less those that overlap with a higher one."""
    apart, chosen = -(-source.horizon // source.stride), list[int]()
    losses = np.nan_to_num(sweep.losses, nan=-np.inf)
    for place in np.argsort(-losses, kind="stable"):
        index = int(sweep.indices[place])
        if all(abs(index - other) >= apart for other in chosen):
            chosen.append(index)
        if len(chosen) == SHOWN:
            break
    return np.array(chosen, np.int64)


def _answers(probe: Probe, loss: Loss, indices: NDArray[np.int64]) -> _Windows:
    """What the network forecasts for these windows."""
    pieces = np.split(indices, range(CHUNK, len(indices), CHUNK))
    found = [probe.answers(piece) for piece in pieces]
    return _Windows(
        indices,
        np.concatenate([one.raw["past"] for one in found]),
        np.concatenate([one.raw["future"] for one in found]),
        np.concatenate([one.outputs[loss.output] for one in found]),
    )


# Windows


def _charts(probe: Probe, source: SeriesSource, windows: _Windows) -> Iterator[Html]:
    for place, index in enumerate(windows.indices.tolist()):
        for column, name in enumerate(source.targets[:COLUMNS]):
            title = probe.name_of(index).replace("`", "").removeprefix("the ").capitalize()
            titled = title if len(source.targets) == 1 else f"{name}: {title.lower()}"
            known = source.columns.index(name) if name in source.columns else None
            past = None if known is None else windows.past[place, :, known]
            truth, forecast = windows.truth[place, :, column], windows.forecast[place, :, column]
            yield _window(titled, past, truth, forecast)


def _window(title: str, past: Array | None, truth: Array, forecast: Array) -> Html:
    """One window; truth and forecast begin at its last known value, where that is read."""
    horizon = len(truth)
    shown = np.zeros(0) if past is None else past[-max(BACK * horizon, LEAST_BACK) :]
    now = len(shown) - 1
    steps = [float(step) for step in range(-now, horizon + 1)] if len(shown) else []
    steps = steps or [float(step) for step in range(1, horizon + 1)]
    last = shown[-1:].tolist()
    lead: list[float | None] = [None] * max(now, 0)
    lines = [
        Series("truth", [*lead, *last, *truth.tolist()], TRUTH),
        Series("forecast", [*lead, *last, *forecast.astype(float).tolist()], FORECAST),
    ]
    if len(shown):
        before: list[float | None] = [*shown.tolist(), *[None] * horizon]
        lines.insert(0, Series("past", before, PAST))
    values = [value for line in lines for value in line.values if value is not None]
    frame = Frame(count_axis(steps), axis_of(values), "steps from now")
    mark = (0.0, "now") if len(shown) else None
    return line_chart(title, steps, lines, frame, mark=mark, tells_last=False)


# Errors


def _errors(source: SeriesSource, windows: _Windows) -> Iterator[Html]:
    """For each column the mean absolute error at each step ahead, and that of naive forecasts."""
    lines = [("network", windows.forecast, FORECAST)]
    for naive in naive_forecasts(source):
        tone = LAST if naive.season == 1 else SEASONAL
        lines.append((naive.title, naive(windows.past, source.horizon), tone))
    steps = [float(step) for step in range(1, source.horizon + 1)]
    for column, name in enumerate(source.targets[:COLUMNS]):
        series = [
            _error(title, forecast[..., column], windows.truth[..., column], tone)
            for title, forecast, tone in lines
        ]
        values = [value for line in series for value in line.values if value is not None]
        frame = Frame(
            count_axis(steps), axis_of(values, floor=0.0), "steps ahead", "mean absolute error"
        )
        yield line_chart(name, steps, series, frame, tells_last=False)


def _error(title: str, forecast: Array, truth: Array, tone: int) -> Series:
    """forecast, truth: [n, horizon]. The line's name tells its mean over the whole horizon."""
    errors = np.abs(forecast.astype(np.float64) - truth).mean(axis=0)
    return Series(f"{title}, mean {short_text(float(errors.mean()))}", errors.tolist(), tone)
