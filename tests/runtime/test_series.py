"""Time series as windows: what is read, what is set aside, and what a user reads of mistakes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.objectives.series_source import Series
from netwright.compiler.render import render
from netwright.runtime.advice import advice
from netwright.runtime.baseline.baselines import Baselines, measure_baselines
from netwright.runtime.data import shipped_series
from netwright.runtime.data.dataset import Dataset
from netwright.runtime.data.raw import RawData
from netwright.runtime.data.series import read_series
from netwright.runtime.data.windows import Windows
from netwright.runtime.describe_data import describe_data
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.inspect import describe
from netwright.runtime.opening import read_data
from netwright.runtime.predict import predict_files
from netwright.runtime.report.numbers import short_text
from netwright.runtime.report.write import write_report
from netwright.runtime.runs import read_run
from netwright.runtime.train import train

from .tiny import compile_text

GOLDENS = Path(__file__).parent / "messages"
SPEC = """\
spec: v1
name: power
dims: {T: {min: 1}}
data:
  source:
    series: {path: power.csv, columns: [load, heat], forecast: load, window: 6, horizon: 3}
  fields: {past: {normalize: training}, future: {normalize: training}}
  split: {validation: 0.2, test: 0.2}
networks:
  net:
    inputs: {past: {shape: [B, T, 2]}}
    layers:
      - {id: memory, gru: 4}
      - {from: memory.last, linear: 3}
      - unsqueeze: 2
    outputs: forecast
objective:
  supervised:
    network: net
    losses: [{mse: {output: forecast, target: future}}]
    metrics: [mae]
training: {batch: 16, epochs: 20, optimizer: {adamw: {lr: 0.02}}}
"""
SOURCE = "path: power.csv, columns: [load, heat], forecast: load, window: 6, horizon: 3"

Golden = Callable[[Path, str], None]


def power(rows: int = 80) -> str:
    """A daily swing of load and another one of heat, an hour a row."""
    hours = np.arange(rows)
    load, heat = 500 + 100 * np.sin(hours / 4), 20 + 5 * np.cos(hours / 4)
    times = np.datetime64("2024-01-01T00", "m") + hours * 60
    lines = (f"{t},{a:.3f},{b:.3f}" for t, a, b in zip(times, load, heat, strict=True))
    return "time,load,heat\n" + "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, **settings) -> RawData:
    """The windows of a file, of two steps and one ahead unless said otherwise."""
    Path("s.csv").write_text(text)
    given = {"path": ["s.csv"], "columns": ["v"], "window": 2, "horizon": 1} | settings
    source = Series(**given)
    return read_series(source, source.known_fields(), Path())


def table(*times: object) -> str:
    return "t,v\n" + "".join(f"{time},{number}\n" for number, time in enumerate(times))


def windows(raw: RawData) -> list[list[float]]:
    """Past and future of each sample, of the first column."""
    past, future = (raw.train[name].whole()[:, :, 0] for name in ("past", "future"))
    return np.concatenate([past, future], axis=1).tolist()


# Reading


def test_windows_of_a_series() -> None:
    assert windows(read(table(*range(5)))) == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert windows(read(table(*range(7)), stride=3)) == [[0, 1, 2], [3, 4, 5]]


def test_a_window_is_called_by_its_first_line() -> None:
    assert read(table(*range(5))).train["future"].where(1) == "the window from line 3 of `s.csv`"


def test_past_and_future_of_several_columns() -> None:
    text = "a,b,c\n1,10,100\n2,20,200\n3,30,300\n"
    raw = read(text, columns=["c", "a"], forecast=["b"])
    assert raw.train["past"].whole().tolist() == [[[100, 1], [200, 2]]]
    assert raw.train["future"].whole().tolist() == [[[30]]]


def test_windows_are_no_copies() -> None:
    """A window of a thousand rows costs a thousand times the rows if it is copied."""
    raw = read(table(*range(5000)), window=1000)
    past, future = raw.train["past"], raw.train["future"]
    assert past.nbytes == 4000 * 1000 * 4
    assert past._rows is future._rows
    assert past._rows.nbytes == 5000 * 4


def test_groups_and_files_are_series_of_their_own() -> None:
    text = "g,v\na,1\nb,10\na,2\nb,20\na,3\nb,30\nb,40\nc,5\n"
    raw = read(text, group="g")
    assert windows(raw) == [[1, 2, 3], [10, 20, 30], [20, 30, 40]]
    assert raw.notes == ("left out 1 of 3 series with fewer than 3 rows: `c`",)
    Path("other.csv").write_text("v\n7\n8\n9\n")
    raw = read(table(*range(4)), path=["s.csv", "other.csv"])
    assert windows(raw) == [[0, 1, 2], [1, 2, 3], [7, 8, 9]]
    assert raw.train["past"].where(2) == "the window from line 2 of `other.csv`"


def test_a_parquet_file_with_dates() -> None:
    times = pa.array(np.arange("2024-01", "2024-06", dtype="datetime64[M]").astype("datetime64[D]"))
    pq.write_table(pa.table({"t": times, "v": [1.0, 2.0, 3.0, 4.0, 5.0]}), "s.parquet")
    raw = read("", path=["s.parquet"], time="t")
    assert len(windows(raw)) == 3
    assert raw.train["past"].where(0) == "the window from row 1 of `s.parquet`"


def test_a_decimal_comma() -> None:
    text = "t;v\n0,5;1,5\n1,0;2,5\n1,5;3,5\n"
    raw = read(text, delimiter=";", decimal=",", time="t")
    assert windows(raw) == [[1.5, 2.5, 3.5]]


@pytest.mark.parametrize(
    "times",
    [
        range(1700, 1704),
        [1959.25, 1959.5, 1959.75, 1960.0],
        [0.1, 0.2, 0.30000000000000004, 0.4],
        ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"],
        ["2024-01", "2024-04", "2024-07", "2024-10"],
        ["2023-12-31", "2024-01-01", "2024-01-02", "2024-01-03"],
        ["2024-01-01 23:30", "2024-01-01 23:45", "2024-01-02 00:00", "2024-01-02 00:15"],
        ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z", "2024-01-01T02:00Z", "2024-01-01T03:00Z"],
        ["20240228", "20240229", "20240301", "20240302"],
        ["2020-02-29", "2021-02-28", "2022-02-28", "2023-02-28"],
    ],
    ids=lambda times: str(times[0]),
)
def test_even_times(times: list[object]) -> None:
    assert len(windows(read(table(*times), time="t"))) == 2


def test_previous_values_stand_in_for_missing_ones() -> None:
    raw = read("t,v\n1,5\n2,\n3,NA\n6,9\n7,1\n", time="t", missing="previous", horizon=5)
    assert windows(raw) == [[5, 5, 5, 5, 5, 9, 1]]
    assert raw.notes == ("put the last value before it in place of 4 missing values",)


def test_a_shipped_series() -> None:
    pytest.importorskip("statsmodels")
    raw = read("", path=[], dataset="sunspots", columns=["SUNACTIVITY"], time="YEAR")
    assert raw.train["past"].shape == (307, 2, 1)
    assert windows(raw)[0] == [5, 11, 16]


# Parts


def data(text: str, source: str = SOURCE, split: str = "{validation: 0.2, test: 0.2}") -> Dataset:
    Path("power.csv").write_text(text)
    changed = SPEC.replace(SOURCE, source).replace("{validation: 0.2, test: 0.2}", split)
    return read_data(compile_text(text=changed), Path())


def test_no_value_is_trained_on_and_tested() -> None:
    """Rows of loads that no other row has: targets of a part are no part of earlier ones."""
    found = data(power())
    seen = {
        part: {name: set(column.whole()[:, :, 0].ravel().tolist()) for name, column in own.items()}
        for part, own in found.parts.items()
    }
    earlier = seen["train"]["past"] | seen["train"]["future"]
    assert not earlier & (seen["validation"]["future"] | seen["test"]["future"])
    assert not (seen["validation"]["past"] | seen["validation"]["future"]) & seen["test"]["future"]
    # 72 windows: the last 14 test, 2 reach across, 20% of the other 56 validate, 2 reach across.
    assert [found.size(part) for part in ("train", "validation", "test")] == [43, 11, 14]


def test_each_series_is_cut_at_its_end() -> None:
    found = Windows(np.array([0, 1, 2, 3, 10, 11, 20]), np.array([0, 0, 0, 0, 1, 1, 2]), 2, 2)
    first, last = found.cut(0.25)
    assert last.tolist() == [3, 5]
    assert first.tolist() == [0, 1, 6]  # 2 and 4 end behind the first row that is forecast later


def test_past_and_future_share_the_statistics_of_the_training_rows() -> None:
    found = data(power())
    rows = np.unique(np.concatenate([found.parts["train"][n].whole()[:, :, 0].ravel()
                                     for n in ("past", "future")]))  # fmt: skip
    assert len(rows) == 43 + 8
    past, future = (found.fields[name].normalize for name in ("past", "future"))
    assert past.mean[0] == future.mean[0] == pytest.approx(rows.mean(), rel=1e-6)
    assert past.std[0] == future.std[0] == pytest.approx(rows.std(), rel=1e-6)
    assert len(past.mean) == 2


# From a file to a program


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. Not to be changed."""
    folder = tmp_path_factory.mktemp("power")
    (folder / "power.csv").write_text(power())
    compilation = compile_text(text=SPEC, folder=folder)
    return train(compilation, output=folder / "run", device="cpu").folder


def test_the_program_takes_and_gives_raw_units(run: Path, power_bundle: Path) -> None:
    statistics = read_run(run)["statistics"]
    assert statistics["past"]["mean"][0] == statistics["future"]["mean"][0]
    figures = evaluate(run)
    assert figures == pytest.approx(evaluate(power_bundle, data_dir=run.parent), rel=1e-4)
    assert figures["mae"] < 40
    found = data(power())
    past = found.parts["test"]["past"].whole()
    session = ort.InferenceSession(power_bundle / "predict.onnx")
    (forecast,) = session.run(["forecast"], {"past": past})
    error = np.abs(forecast - found.parts["test"]["future"].whole()).mean()
    assert error == pytest.approx(figures["mae"], rel=1e-4)


def test_a_program_for_a_past_of_any_length(tmp_path: Path) -> None:
    Path("power.csv").write_text(power())
    text = SPEC.replace("past: {normalize", "past: {shape: [B, T, 2], normalize")
    run = train(compile_text(text=text), output=tmp_path / "run", device="cpu").folder
    session = ort.InferenceSession(export_run(run).folder / "predict.onnx")
    for steps in (1, 30):
        past = np.full((2, steps, 2), [500, 20], np.float32)
        assert session.run(["forecast"], {"past": past})[0].shape == (2, 3, 1)


def test_data_and_advice_speak_of_columns_and_of_training(tmp_path: Path) -> None:
    Path("power.csv").write_text(power())
    text = SPEC.replace(
        "  fields: {past: {normalize: training}, future: {normalize: training}}\n", ""
    )
    compilation = compile_text(text=text)
    lines = list(describe_data(compilation, Path(), Path("sheet.png")))
    assert lines[-1] == "wrote sheet.png"
    assert [line.split()[0] for line in lines if "deviation" in line and "  load" in line]
    assert "    past: {normalize: training}" in lines
    (warning,) = advice(compilation, read_data(compilation, Path()))
    assert warning.endswith("write `past: {normalize: training}` in `fields`")


def test_changed_data_is_named(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    Path("power.csv").write_text(power().replace("500.000", "501.000"))
    with pytest.raises(NetwrightError, match="`past`, `future` of the training samples in `power"):
        train(
            compile_text(text=SPEC, folder=tmp_path), output=copy, resume=True, device="cpu",
            data_dir=tmp_path,
        )  # fmt: skip


def test_each_column_is_forecast_in_its_own_units(tmp_path: Path) -> None:
    Path("power.csv").write_text(power())
    text = SPEC.replace(", forecast: load", "").replace("linear: 3", "linear: 6")
    text = text.replace("unsqueeze: 2", "reshape: [3, 2]")
    run = train(compile_text(text=text), output=tmp_path / "run", device="cpu").folder
    bundle = export_run(run).folder
    assert evaluate(run) == pytest.approx(evaluate(bundle, data_dir=tmp_path), rel=1e-4)
    past = data(power()).parts["test"]["past"].whole()
    session = ort.InferenceSession(bundle / "predict.onnx")
    (forecast,) = session.run(["forecast"], {"past": past})
    assert np.abs(forecast[..., 0] - 500).max() < 200
    assert np.abs(forecast[..., 1] - 20).max() < 10


@pytest.fixture(scope="module")
def power_bundle(run: Path) -> Path:
    return export_run(run).folder


def test_the_end_of_a_table_is_forecast(run: Path, power_bundle: Path) -> None:
    rows = power().splitlines(keepends=True)
    Path("newest.csv").write_text("".join(rows[0:1] + rows[-10:]))
    (line,) = predict_files(power_bundle, [Path("newest.csv")])
    past = np.array([[float(cell) for cell in row.split(",")[1:]] for row in rows[-6:]], np.float32)
    session = ort.InferenceSession(power_bundle / "predict.onnx")
    (forecast,) = session.run(["forecast"], {"past": past[None]})
    assert line == "newest.csv: forecast " + ", ".join(f"{value:.4g}" for value in forecast.ravel())
    assert [*predict_files(power_bundle, [Path("newest.csv")], output=Path("next.csv"))]
    header, values = Path("next.csv").read_text().splitlines()
    assert header == "file,forecast 0,forecast 1,forecast 2"
    assert [float(v) for v in values.split(",")[1:]] == pytest.approx(forecast.ravel(), rel=1e-6)
    assert "  past from the last 6 rows of tables, columns `load`, `heat`" in describe(power_bundle)


def test_each_series_of_a_table_is_named_in_the_answers(tmp_path: Path) -> None:
    _, *rows = power().splitlines()
    lines = [f"{row},{site}" for site in ("north", "south") for row in rows]
    (tmp_path / "power.csv").write_text("time,load,heat,site\n" + "\n".join(lines) + "\n")
    text = SPEC.replace("window: 6", "window: 6, time: time, group: site").replace(": 20", ": 1")
    folder = train(compile_text(text=text, folder=tmp_path), output=tmp_path / "run").folder
    bundle = export_run(folder).folder
    list(predict_files(bundle, [tmp_path / "power.csv"], output=Path("next.csv")))
    header, *answers = Path("next.csv").read_text().splitlines()
    assert header == "file,series,forecast 0,forecast 1,forecast 2"
    assert [answer.split(",")[1] for answer in answers] == ["north", "south"]
    described = describe(bundle)
    assert "  times from the column `time`" in described
    assert "  a series for each word in the column `site`" in described
    (tmp_path / "empty.csv").write_text("time,load,heat,site\n")
    with pytest.raises(NetwrightError, match=r"at least the 6 rows .* found 0"):
        list(predict_files(bundle, [tmp_path / "empty.csv"]))


def test_a_table_that_is_too_short_to_forecast(power_bundle: Path) -> None:
    Path("newest.csv").write_text(power(4))
    with pytest.raises(NetwrightError, match="at least the 6 rows") as caught:
        list(predict_files(power_bundle, [Path("newest.csv")]))
    assert caught.value.diagnostics[0].code is Code.F601
    Path("newest.csv").write_text(power(8).replace("load", "power"))
    with pytest.raises(NetwrightError, match="a column `load`"):
        list(predict_files(power_bundle, [Path("newest.csv")]))


def test_the_report_shows_forecasts_and_their_errors(run: Path) -> None:
    page = write_report(run, output=Path("report.html")).path.read_text()
    assert [title for title in ("Forecasts", "Errors by steps ahead", "Largest errors")
            if f">{title}</h" not in page] == []  # fmt: skip
    mae = evaluate(run)["mae"]
    assert f"network, mean {short_text(mae)}" in page
    assert "last value, mean" in page
    first = 80 - 9 + 1 - 14 + 2  # rows, less a window, less the 14 test windows, and the header
    assert f"Window from line {first} of power.csv" in page
    assert "Predicted and true" not in page


def test_a_chart_shows_past_truth_and_forecast_in_raw_units(run: Path) -> None:
    page = write_report(run, output=Path("report.html")).path.read_text()
    tested = data(power()).parts["test"]
    past, future = (tested[name].whole()[0, :, 0] for name in ("past", "future"))
    assert f"past {short_text(float(past[0]))} at steps from now -5" in page
    assert f"truth {short_text(float(future[2]))} at steps from now 3" in page


# Baselines


def baselines(source: str, rows: int = 80) -> Baselines:
    Path("power.csv").write_text(power(rows))
    changed = SPEC.replace(SOURCE, source)
    if "horizon: 40" in source:
        changed = changed.replace("linear: 3", "linear: 40")
    return measure_baselines(compile_text(text=changed))


def test_naive_forecasts_stand_beside_the_models() -> None:
    found = baselines(f"{SOURCE}, season: 5")
    figures = {model.name: model.figures for model in found.models}
    names = ["last value", "last 5 values", "mean", "ridge regression", "boosted trees"]
    assert list(figures) == names
    tested = data(power()).parts["test"]
    past, future = (tested[name].whole()[:, :, :1] for name in ("past", "future"))
    off = np.abs(past[:, -1:] - future).mean()
    assert figures["last value"]["mae"] == pytest.approx(off, rel=1e-5)
    off = np.abs(past[:, 1:4] - future).mean()
    assert figures["last 5 values"]["mae"] == pytest.approx(off, rel=1e-5)
    load = np.array([float(line.split(",")[1]) for line in power().split()[1:]])[:51]
    scale = np.abs(load[5:] - load[:-5]).mean()
    assert figures["mean"]["mase"] == pytest.approx(figures["mean"]["mae"] / scale, rel=1e-5)


def test_a_long_horizon_has_naive_forecasts_alone() -> None:
    found = baselines(SOURCE.replace("horizon: 3", "horizon: 40"), rows=300)
    assert [model.name for model in found.models] == ["last value"]
    assert "no models are fitted: a baseline for `mse` expects at most 32 numbers" in found.notes[0]


def test_what_is_not_read_has_no_naive_forecast() -> None:
    source = SOURCE.replace("[load, heat]", "heat")
    Path("power.csv").write_text(power())
    changed = SPEC.replace(SOURCE, source).replace("[B, T, 2]", "[B, T, 1]")
    found = measure_baselines(compile_text(text=changed))
    assert [model.name for model in found.models] == ["mean", "ridge regression", "boosted trees"]


# Mistakes


def hours(*lacking: int) -> str:
    lines = power(30).splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines) if number not in lacking)


TIMED = f"{SOURCE}, time: time"


def f601_series_gap() -> None:
    data(hours(7, 8, 20), TIMED)


def f601_series_missing() -> None:
    lines = power(30).splitlines(keepends=True)
    lines[3], lines[9] = "2024-01-01T02:00,,21\n", "2024-01-01T08:00,?,NaN\n"
    data("".join(lines), TIMED)


def f601_series_text() -> None:
    data(power(30).replace("500.000", "low"))


def f601_series_infinite() -> None:
    data(power(30).replace("500.000", "1e60"))


def f601_series_unsorted() -> None:
    lines = power(30).splitlines(keepends=True)
    data("".join([lines[0], *reversed(lines[1:])]), TIMED)


def f601_series_twice() -> None:
    data(power(30).replace("2024-01-01T05:00", "2024-01-01T04:00"), TIMED)


def f601_series_uneven() -> None:
    data(power(30).replace("T05:00", "T05:20"), TIMED)


def f601_series_far() -> None:
    """A slip of a hundred years, which would be filled in hour by hour."""
    text = power(30).replace("2024-01-02T05:00", "2124-01-02T05:00")
    data(text, f"{TIMED}, missing: previous")


def f601_series_no_time() -> None:
    data(power(30).replace("2024-01-01T05:00", "01/02/2024"), TIMED)


def f601_series_endless() -> None:
    """No time is infinite or NaN, though both are numbers."""
    lines = [f"{row},{row},1\n" for row in range(30)]
    lines[4] = "nan,4,1\n"
    data("".join(["time,load,heat\n", *lines]), f"{TIMED}, missing: previous")


def f601_series_short() -> None:
    data(power(8))


def f601_series_column() -> None:
    data(power(30).replace("load", "Load"))


def f601_series_delimiter() -> None:
    data(power(30).replace(",", ";"))


def f601_series_one_window() -> None:
    data(power(9))


def f601_series_split() -> None:
    data(power(11))


def f601_series_first() -> None:
    data(power(30).replace("500.000", ""), f"{SOURCE}, missing: previous")


def f601_series_one_behind_the_other() -> None:
    data(power(30) + power(30).partition("\n")[2], f"{SOURCE}, time: time")


def f601_series_no_rows() -> None:
    data("load,heat,site\n", f"{SOURCE}, group: site")


def f601_series_group() -> None:
    data("load,heat,site\n1,2,a\n3,4,\n", f"{SOURCE}, group: site")


MISTAKES = [value for name, value in list(globals().items()) if name.startswith("f601_")]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.__name__)
def test_message(case: Callable[[], None], golden: Golden) -> None:
    with pytest.raises(NetwrightError) as caught:
        case()
    assert {d.code.name for d in caught.value.diagnostics} == {"F601"}
    golden(GOLDENS / f"{case.__name__}.txt", render(list(caught.value.diagnostics), "text"))


def test_a_package_that_is_not_there(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped_series, "PACKAGE", "no_such_package")
    assert find_spec("no_such_package") is None
    with pytest.raises(NetwrightError) as caught:
        read("", path=[], dataset="sunspots")
    golden(GOLDENS / "r907_series.txt", render(list(caught.value.diagnostics), "text"))
