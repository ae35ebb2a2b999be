"""The page about a run: what stands in it, that it loads nothing, and what is left out."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime import checkpoint
from netwright.runtime.observer import Observer, Progress
from netwright.runtime.report import probe
from netwright.runtime.report.numbers import figure_text, short_text
from netwright.runtime.report.pictures import class_color
from netwright.runtime.report.write import Report, write_report
from netwright.runtime.session import load
from netwright.runtime.train import TrainResult, train
from safetensors.torch import load_file

from .pages import Page, decoded
from .tiny import compile_text


def report_of(run: Path, output: Path, **choices: object) -> tuple[Report, Page]:
    written = write_report(run, output=output / "page.html", **choices)
    assert written.path == output / "page.html"
    return written, Page(written.path.read_text(encoding="utf-8"))


def left_out(report: Report) -> dict[str, str]:
    return {piece.title: piece.why for piece in report.left_out}


PLAN = [
    {"what": "precision", "value": "fp32", "why": "a `CPU` has no faster", "by": "netwright"},
    {"what": "optimizer", "value": "fused", "why": "0.1 ms < 0.2 ms", "by": "measured"},
]


@pytest.fixture
def run(finished: TrainResult, tmp_path: Path) -> Path:
    """A finished run that a test may damage, with everything that one can have."""
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    names = ("conv2d_0.weight", "batch_norm_0.weight", "batch_norm_0.bias", "linear_0.weight")
    with (folder / "gradients.jsonl").open("w") as file:
        for step in range(1, 70, 2):
            norms = {f"classifier.{name}": 10.0 ** -(place + 1) for place, name in enumerate(names)}
            norms["classifier.linear_0.bias"] = None if step == 9 else 0.0
            file.write(json.dumps({"step": step, "norms": norms}) + "\n")
    (folder / "plan.json").write_text(json.dumps({"format": 1, "decisions": PLAN}))
    return folder


SECTIONS = [
    "curves", "confusion", "worst-mistakes", "network", "first-layer-filters", "gradient-norms",
    "plan", "environment", "spec",
]  # fmt: skip


def test_a_fresh_run_leaves_nothing_out(finished: TrainResult, tmp_path: Path) -> None:
    """With the plan and the gradients that training itself recorded."""
    report, page = report_of(finished.folder, tmp_path)
    assert report.left_out == ()
    assert page.ids == SECTIONS
    assert "began " in page.text
    assert "whole gradient norm" in page.section("gradient-norms").text
    assert "clip_norm 1 " in page.section("gradient-norms").text


def test_a_whole_run_has_every_section(run: Path, tmp_path: Path) -> None:
    report, page = report_of(run, tmp_path)
    assert report.left_out == ()
    assert page.ids == SECTIONS
    links = [link["href"] for link in page.named("a")]
    assert links == [f"#{name}" for name in SECTIONS]


def test_the_page_loads_nothing_and_runs_nothing(run: Path, tmp_path: Path) -> None:
    _, page = report_of(run, tmp_path)
    assert not {"script", "link", "iframe", "object", "embed", "form"} & {t for t, _ in page.tags}
    for _, attributes in page.tags:
        assert str(attributes.get("src", "data:image/")).startswith("data:image/")
        assert str(attributes.get("href", "#")).startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    outside = re.sub(r"data:image/[^\"]*", "", page.content)
    assert not re.findall(r"url\(|@import|https?://", outside)
    policy = [m for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy[0]["content"]).startswith("default-src 'none'")
    assert "prefers-color-scheme: dark" in page.content
    assert "width=device-width" in page.content


def test_the_head_tells_the_figures_that_count(run: Path, tmp_path: Path) -> None:
    _, page = report_of(run, tmp_path)
    summary = json.loads((run / "summary.json").read_text())
    record = json.loads((run / "run.json").read_text())
    head = page.content.partition("</header>")[0].partition("<header>")[2]
    shown = Page(f"<header>{head}</header>").text
    assert "tiny_digits finished" in shown
    assert record["spec_sha256"][:12] in shown
    for figure in ("accuracy", "top_3", "loss"):
        assert figure_text(summary["metrics"]["test"][figure]) in shown
    assert f"steps {summary['total_steps']:,} 4 epochs" in shown


def test_when_a_run_began(run: Path, tmp_path: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "began": "2026-03-01T09:05:00+02:00"}))
    _, page = report_of(run, tmp_path)
    assert "began 1 March 2026, 07:05 UTC" in page.text
    (run / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k != "began"}))
    os.utime(run / "run.json", (1_750_000_000, 1_750_000_000))
    _, page = report_of(run, tmp_path)
    assert "run.json dated 15 June 2025, 15:06 UTC" in page.text


def test_curves_show_every_figure(run: Path, tmp_path: Path) -> None:
    _, page = report_of(run, tmp_path)
    curves = page.section("curves")
    charts = [chart["aria-label"] for chart in curves.named("svg")]
    assert charts == [
        "loss: training, validation", "accuracy: validation", "top_3: validation",
        "learning rate: last", "throughput: samples/s",
    ]  # fmt: skip
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(curves.named("circle")) == 6 * len(history)
    assert "tested" in curves.text  # the spec keeps the best epoch
    for record in history:
        assert figure_text(record["validation"]["accuracy"]) in curves.text


def test_several_records_an_epoch_are_drawn_over_steps(run: Path, tmp_path: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    records = [{**json.loads(line), "epoch": 1} for line in lines]
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    _, page = report_of(run, tmp_path)
    curves = page.section("curves")
    assert "step train loss" in curves.text
    assert "epoch" not in curves.text


def test_the_worst_mistakes_are_those_of_the_exported_program(
    run: Path, bundle: Path, tmp_path: Path
) -> None:
    """Another way to the same ranking: ONNX Runtime's probabilities of all test samples."""
    from netwright.runtime.opening import read_data

    test = read_data(compile_text(), tmp_path).parts["test"]
    every = np.arange(len(test["label"]))
    labels = test["label"].take(every)
    chances = load(bundle).predict(image=test["image"].take(every))["probabilities"]
    losses = -np.log(chances[every, labels])
    worst = np.argsort(-losses, kind="stable")[:24]
    _, page = report_of(run, tmp_path)
    shown = page.section("worst-mistakes")
    assert [float(x) for x in re.findall(r"loss (\S+) sample", shown.text)] == pytest.approx(
        losses[worst].tolist(), rel=1e-3
    )
    wrong = chances[worst].argmax(axis=1) != labels[worst]
    assert len(shown.named("li", "wrong")) == wrong.sum()
    assert 1 < wrong.sum() < 24, "the fixture learns something, and not everything"
    assert f"{wrong.sum()} of these are wrong" in shown.text
    pictures = [decoded(image["src"]) for image in shown.named("img")]
    for place, picture in zip(worst, pictures, strict=True):
        stored = test["image"].take(np.array([place]))[0, 0]
        assert np.array_equal(np.asarray(picture), np.round(stored / 16 * 255))


def test_the_command_on_the_page_trains_the_same_weights(run: Path, tmp_path: Path) -> None:
    _, page = report_of(run, tmp_path)
    command = re.search(r"<pre><code>(netwright train .*?)</code>", page.content)
    assert command
    words = shlex.split(command[1].replace("&#x27;", "'"))
    result = CliRunner().invoke(cli, words[1:])
    assert result.exit_code == 0, result.output
    again = Path(words[words.index("-o") + 1])
    assert again.parent == tmp_path
    for step in checkpoint.steps(run)[:1]:
        name = "weights/classifier.safetensors"
        old, new = (load_file(checkpoint.folder_of(r, step) / name) for r in (run, again))
        assert all(bool((old[key] == new[key]).all()) for key in old)


def test_network_filters_gradients_plan_and_environment(run: Path, tmp_path: Path) -> None:
    _, page = report_of(run, tmp_path)
    network = page.section("network")
    (diagram,) = network.named("img")
    svg = base64.b64decode(str(diagram["src"]).partition(",")[2]).decode()
    assert svg.startswith("<svg ")
    assert "conv2d_0 conv2d [B, 8, 8, 8] 72" in network.text

    filters = page.section("first-layer-filters").named("img")
    weights = load_file(next((run / "checkpoints").glob("*/weights/classifier.safetensors")))
    assert len(filters) == len(weights["conv2d_0.weight"]) == 8
    assert all(decoded(image["src"]).size == (3, 3) for image in filters)

    gradients = page.section("gradient-norms")
    heat = decoded(gradients.named("img")[1]["src"])
    assert heat.size == (35, 3), "a column for each record, a row for each layer"
    assert "conv2d_0 batch_norm_0 linear_0" in gradients.text
    rows = np.asarray(heat)[:, 0, :3].astype(int)
    assert rows[0].tolist() == [253, 231, 36], "the largest norm has viridis's last colour"
    assert rows[0].sum() > rows[1].sum() > rows[2].sum()

    plan = page.section("plan").text
    assert "precision fp32 a CPU has no faster rule" in plan
    assert "optimizer fused 0.1 ms < 0.2 ms measured" in plan

    environment = page.section("environment").text
    assert "seed 3 for weights, order and augmentation" in environment
    assert re.search(r"netwright \S+ · python 3\.\d+\.\d+ · torch", environment)
    assert (run / "spec.yaml").read_text() in "".join(page.section("spec").words)


def test_many_layers_are_put_together(run: Path, tmp_path: Path) -> None:
    names = [f"classifier.part{i // 10}.conv{i}.weight" for i in range(100)]
    record = {"step": 1, "norms": dict.fromkeys(names, 2.0)}
    (run / "gradients.jsonl").write_text(json.dumps(record) + "\n")
    _, page = report_of(run, tmp_path)
    shown = page.section("gradient-norms")
    assert decoded(shown.named("img")[1]["src"]).size == (1, 10)
    assert "part0 part1" in shown.text
    assert f"norm {short_text(math.sqrt(100 * 2.0**2))}" in shown.text


def test_large_data_is_looked_at_in_part(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "MOST_SAMPLES", 30)
    _, page = report_of(run, tmp_path)
    assert re.search(r"among 30 evenly drawn of \d+ test", page.section("highest-losses").text)


EVIL = """</style><script>alert("1")</script> & 'more'"""


def test_nothing_of_a_spec_becomes_markup(tmp_path: Path) -> None:
    names = [
        "<script>",
        "</section>",
        "&amp;",
        '"quoted"',
        "it's",
        "</style>",
        "a<b",
        "x",
        "y",
        "z",
    ]
    fields = f"{{image: {{}}, label: {{classes: {json.dumps(names)}}}}}"
    changes = {
        "  fields: {image: {augment: [{shift: 1}, {noise: 0.05}]}}\n": f"  fields: {fields}\n",
        "name: tiny_digits\n": f"name: tiny_digits\nsummary: {json.dumps(EVIL)}\n",
        "epochs: 4": "epochs: 1",
    }
    result = train(compile_text(changes), output=tmp_path / "run", device="cpu")
    report, page = report_of(result.folder, tmp_path)
    assert {"Plan", "Gradient norms"} >= left_out(report).keys()
    assert not page.named("script")
    assert page.content.count("</style>") == 1
    assert [i for i in page.ids if i in SECTIONS] == page.ids
    assert EVIL in "".join(page.words)
    matrix = "".join(page.section("confusion").words)
    assert all(name in matrix for name in names)


def test_nothing_of_a_damaged_record_becomes_markup(run: Path, tmp_path: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    evil = {key: EVIL for key in record if key not in ("format", "spec_sha256")}
    (run / "run.json").write_text(json.dumps({**record, **evil, "versions": {EVIL: EVIL}}))
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    line["validation"] = {EVIL: 1.0, "huge": 10**400, "text": "x", "surrogate \ud800": 0.5}
    (run / "metrics.jsonl").write_text(2 * (json.dumps(line) + "\n"))
    (run / "gradients.jsonl").write_text(
        json.dumps({"step": 1, "norms": {EVIL: 0.5, "a.b": "text", "c.d": 10**400}}) + "\n[1]\n{}"
    )
    decision = {"what": EVIL, "value": EVIL, "why": EVIL, "by": EVIL}
    (run / "plan.json").write_text(json.dumps({"format": 1, "decisions": [decision]}))
    _, page = report_of(run, tmp_path)
    assert not page.named("script")
    assert page.content.count("</style>") == 1
    assert page.ids.count("plan") == 1


# Less than a whole run


GONE = {
    "metrics.jsonl": {"Curves"},
    "summary.json": {"Confusion"},
    "spec.yaml": {"Results", "Network", "First-layer filters", "Spec"},
    "gradients.jsonl": {"Gradient norms"},
    "plan.json": {"Plan"},
    "checkpoints": {"Samples", "First-layer filters"},
    "model.py": set(),
}


@pytest.mark.parametrize("name", GONE)
def test_what_is_missing_is_left_out(name: str, run: Path, tmp_path: Path) -> None:
    path = run / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    report, page = report_of(run, tmp_path)
    assert left_out(report).keys() == GONE[name]
    told = page.section("left-out").text if GONE[name] else ""
    assert all(title in told for title in GONE[name])


DAMAGED = {**GONE, "spec.yaml": GONE["spec.yaml"] - {"Spec"}}


@pytest.mark.parametrize("content", ["", "{", "[]", "\0\ud800", '{"format": 1, "step": "x"}'])
@pytest.mark.parametrize("name", [name for name in GONE if name != "checkpoints"])
def test_what_is_damaged_is_left_out(name: str, content: str, run: Path, tmp_path: Path) -> None:
    (run / name).write_bytes(content.encode("utf-8", "surrogatepass"))
    report, _ = report_of(run, tmp_path)
    assert left_out(report).keys() == DAMAGED[name]


def test_a_damaged_checkpoint_is_told(run: Path, tmp_path: Path) -> None:
    for path in (run / "checkpoints").glob("*/weights/*"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    report, page = report_of(run, tmp_path)
    assert left_out(report).keys() == {"Samples", "First-layer filters"}
    assert "R901" in page.section("left-out").text
    assert {"curves", "confusion", "network"} <= set(page.ids)


def test_an_edited_spec_is_not_taken_for_the_trained_one(run: Path, tmp_path: Path) -> None:
    spec = (run / "spec.yaml").read_text()
    (run / "spec.yaml").write_text(spec.replace("kernel: 3", "kernel: 5"))
    report, page = report_of(run, tmp_path)
    assert left_out(report).keys() == {"Results", "Network", "First-layer filters"}
    told = page.section("left-out")
    assert told.text.count("R902") == 1, "one reason is told once"


class StopAfter(Observer):
    """Asks the run to stop, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self._step = step

    def progress(self, progress: Progress) -> None:
        if progress.step >= self._step:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_stopped_run_shows_validation_samples(tmp_path: Path) -> None:
    observer = StopAfter(18)
    result = train(compile_text(), output=tmp_path / "run", device="cpu", observer=observer)
    assert result.signal == signal.SIGINT
    report, page = report_of(result.folder, tmp_path)
    assert left_out(report)["Confusion"] == "the run was not finished, and nothing tested"
    assert f"The run was stopped at step {result.step} of 68, by SIGINT." in page.text
    assert re.search(r"validation, at step \d+", page.text)
    assert re.search(r"among all \d+ validation samples", page.section("worst-mistakes").text)


def test_a_stopped_run_does_not_look_at_its_test_samples(tmp_path: Path) -> None:
    changes = {"  split: {validation: 0.2}\n": "", "  checkpoint: {best: accuracy}\n": ""}
    observer = StopAfter(25)
    compilation = compile_text(changes)
    result = train(compilation, output=tmp_path / "run", device="cpu", observer=observer)
    report, page = report_of(result.folder, tmp_path)
    assert "only a finished one looks at its test samples" in left_out(report)["Samples"]
    assert "No validation samples were set aside." in page.text
    assert "worst-mistakes" not in page.ids


def test_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError) as caught:
        write_report(tmp_path)
    assert [d.code for d in caught.value.diagnostics] == [Code.R901]


def test_the_command_writes_beside_the_run(run: Path) -> None:
    (run / "plan.json").unlink()
    result = CliRunner().invoke(cli, ["report", str(run)])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"wrote {run / 'report.html'}\n"
    assert result.stderr == "left out plan: the run has no `plan.json`\n"
    Page((run / "report.html").read_text(encoding="utf-8"))


# Other kinds of outputs


NUMBERS = """\
spec: v1
name: slope
data:
  source: {npz: {path: data.npz}}
  fields:
    x: {shape: [B, 3], dtype: float32}
    y: {shape: [B], dtype: float32, range: [0, 200], scale: [-1, 1]}
  split: {test: 0.3}
networks:
  line: {inputs: {x: {shape: [B, 3]}}, layers: [{linear: 1}, {squeeze: 1}], outputs: guess}
objective:
  supervised: {network: line, losses: [{mse: {output: guess, target: y}}], metrics: [mae]}
training: {batch: 16, epochs: 2, optimizer: {sgd: {lr: 1e-9}}, device: cpu}
"""


@pytest.fixture
def slope(tmp_path: Path) -> Path:
    """A run of a regression that has learned nothing, so that its guesses are near 100."""
    x = np.zeros((60, 3), np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=np.linspace(0, 200, 60, dtype=np.float32))
    compilation = compile_text(text=NUMBERS, folder=tmp_path)
    return train(compilation, output=tmp_path / "run", device="cpu").folder


def test_numbers_are_told_in_the_units_of_the_data(slope: Path, tmp_path: Path) -> None:
    report, page = report_of(slope, tmp_path)
    assert "Confusion" not in left_out(report), "there is nothing to confuse"
    assert len(page.section("predicted-and-true").named("circle")) == 18
    shown = page.section("largest-errors").text
    pairs = re.findall(r"predicted (\S+) true (\S+) off by (\S+) ", shown)
    assert len(pairs) == 18
    state = max((slope / "checkpoints").glob("*/weights/line.safetensors"))
    guess = 100 * (1 + float(load_file(state)["linear_0.bias"]))
    for predicted, true, off in pairs:
        assert float(predicted) == pytest.approx(guess, rel=1e-3)
        assert float(off) == pytest.approx(abs(guess - float(true)), rel=1e-2, abs=0.1)
    offs = [float(off) for _, _, off in pairs]
    assert offs == sorted(offs, reverse=True)
    assert not page.section("largest-errors").named("li", "wrong")


def test_data_that_is_gone_is_told(slope: Path, tmp_path: Path) -> None:
    (tmp_path / "data.npz").unlink()
    report, page = report_of(slope, tmp_path)
    assert left_out(report)["Samples"].startswith("F602")
    assert "network" in page.ids
    (tmp_path / "other").mkdir()
    np.savez(
        tmp_path / "other" / "data.npz", x=np.ones((20, 3), np.float32), y=np.ones(20, np.float32)
    )
    report, page = report_of(slope, tmp_path, data_dir=tmp_path / "other")
    assert "Samples" not in left_out(report)


PIXELS = """\
spec: v1
name: halves
data:
  source: {npz: {path: data.npz}}
  fields:
    image: {shape: [B, 3, 8, 12], dtype: uint8, scale: [0, 1]}
    side: {shape: [B, 8, 12], dtype: int64, classes: [ground, bright]}
  split: {test: 0.5}
networks:
  marker:
    inputs: {image: {shape: [B, 3, 8, 12]}}
    layers: [{conv2d: {channels: 2, kernel: 3}}]
    outputs: scores
objective:
  supervised:
    network: marker
    losses: [{cross_entropy: {output: scores, target: side, ignore: 9}}]
    metrics: [mean_iou]
training: {batch: 4, epochs: 2, device: cpu}
"""


def test_pixels_are_shown_beside_truth_and_prediction(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, (12, 8, 12))
    side[:, 0] = 9
    image = np.repeat(side[:, None] * 100, 3, axis=1).astype(np.uint8)
    np.savez(tmp_path / "data.npz", image=image, side=side)
    compilation = compile_text(text=PIXELS, folder=tmp_path)
    run = train(compilation, output=tmp_path / "run", device="cpu").folder
    report, page = report_of(run, tmp_path)
    assert not left_out(report).keys() - {"Plan", "Gradient norms"}
    shown = page.section("worst-mistakes")
    pictures = [decoded(picture["src"]) for picture in shown.named("img")]
    assert [picture.mode for picture in pictures] == 6 * ["RGB", "RGBA", "RGBA"]
    assert "ground bright" in shown.text
    truth, guess = (np.asarray(picture) for picture in pictures[1:3])
    assert truth.shape == guess.shape == (8, 12, 4)
    assert not truth[0, :, 3].any(), "ignored pixels are transparent"
    assert not guess[0, :, 3].any()
    colors = {class_color(0), class_color(1)}
    assert {f"#{r:02x}{g:02x}{b:02x}" for r, g, b, _ in truth[1:].reshape(-1, 4)} == colors
    assert "pixels of test samples" in page.section("confusion").text
    (sheet,) = {picture.size for picture in map(decoded, _sources(page, "first-layer-filters"))}
    assert sheet == (3, 3)


def _sources(page: Page, section: str) -> Iterator[object]:
    return (image["src"] for image in page.section(section).named("img"))


# Tables


TABLE = """\
spec: v1
name: leaves
data:
  source: {csv: {path: leaves.csv, columns: {sizes: [length, width]}}}
  fields: {site: {classes: [sun, shade, both]}, kind: {classes: [oak, elm]}}
  split: {validation: 0.2, test: 0.4}
networks:
  net:
    inputs: {sizes: {shape: [B, 2]}, site: {shape: [B], dtype: int64}}
    layers:
      - {id: where, one_hot: {classes: 3}, from: site}
      - {concat: {axis: 1}, from: [sizes, where]}
      - linear: 2
    outputs: logits
objective:
  supervised:
    network: net
    losses: [{cross_entropy: {output: logits, target: kind}}]
    metrics: [accuracy]
training: {batch: 16, epochs: 40, optimizer: {adam: {lr: 0.1}}, device: cpu}
"""


def test_a_table_is_told_by_its_columns_and_words(tmp_path: Path) -> None:
    rows = [
        f"{3.25 + 6 * (index % 2)},{index / 8},{('sun', 'shade', 'both')[index % 3]},"
        f"{('oak', 'elm')[index % 2]}\n"
        for index in range(60)
    ]
    (tmp_path / "leaves.csv").write_text("length,width,site,kind\n" + "".join(rows))
    run = train(compile_text(text=TABLE, folder=tmp_path), output=tmp_path / "run").folder
    report, page = report_of(run, tmp_path)
    assert left_out(report) == {}, "a network without convolutions has no filters to leave out"
    assert "worst-mistakes" not in page.ids, "most of the answers are right"
    shown = page.section("highest-losses").text
    assert re.search(r"length (3|9)\.25 width [\d.]+ site (sun|shade|both) ", shown)
    assert "The network is that after step" in shown


def test_frozen_parameters_are_not_counted_as_trained(tmp_path: Path) -> None:
    frozen = 'clip_norm: 1.0\n  parameters: [{match: "classifier.conv2d_0.**", freeze: true}]'
    compilation = compile_text({"clip_norm: 1.0": frozen, "epochs: 4": "epochs: 1"})
    run = train(compilation, output=tmp_path / "run", device="cpu").folder
    _, page = report_of(run, tmp_path)
    head = page.text[: page.text.index("Curves")]
    assert "1.31 k trained" in head
    assert "1,378 parameters, 1,306 of them trained, and 17 numbers in buffers" in page.text
    done = CliRunner().invoke(cli, ["compare", str(run)], env={"COLUMNS": "80"})
    assert re.search(r"parameters\s+1,378\s+of these trained\s+1,306\s", done.stdout)
