"""The commands as a user calls them: what they print and where, what they write, how they exit."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result
from netwright.cli import cli
from netwright.compiler.language.loader import load, read_source
from netwright.compiler.ops.base import REGISTRY
from netwright.compiler.passes.pipeline import PIPELINE

COMMANDS = list(cli.commands)
ENVIRONMENT = {**os.environ, "COLUMNS": "100"}

SPEC = """\
spec: v1
name: tiny
params: {width: 4}
variants: {wide: {width: 6}}
data:
  source: digits
  split: {validation: 0.1}
networks:
  classifier:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers:
      - conv2d: {channels: $width, kernel: 3, stride: 2, bias: false}
      - batch_norm
      - relu
      - flatten
      - linear: 10
    outputs: logits
objective:
  supervised:
    network: classifier
    losses: [{cross_entropy: {output: logits, target: label}}]
    metrics: [accuracy]
training: {seed: 0, batch: 128, epochs: 2, optimizer: {adamw: {lr: 1e-2}}, device: cpu}
"""

BROKEN = SPEC.replace("- relu", "- rleu").replace("stride: 2", "stirde: 2")
FIXABLE = SPEC.replace("stride: 2, bias: false}", "stride: 2}  # keep me").replace(
    "      - linear: 10\n", "      - linear: 10  # ten digits\n      - softmax\n"
)

PLUGIN = '''\
from netwright.compiler.ir.shapes import TensorType
from netwright.compiler.ops.base import Op, Torch, attribute, register


@register
class Double(Op):
    """Multiply by a number.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  none.
    Source:  this test.
    """

    factor: float = attribute(default=2.0, main=True, above=0.0, doc="What to multiply with.")

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression="{x} * {factor}", numbers={"factor": self.factor})
'''

ONNX_RULE = """
    def onnx(self, e, x):
        return e.op("Mul", x, e.scalar(self.factor))
"""

Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test works in a folder of its own with `tiny.yaml` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    Path("tiny.yaml").write_text(SPEC)
    return tmp_path


def invoke(*arguments: str) -> Result:
    """Call a command in this process; plug-ins that it loads are forgotten again."""
    known = dict(REGISTRY)
    result = CliRunner().invoke(cli, arguments, prog_name="netwright")
    for name in REGISTRY.keys() - known:
        del REGISTRY[name]
    broken = result.exception
    assert broken is None or isinstance(broken, SystemExit), repr(broken)
    return result


def succeed(*arguments: str) -> str:
    """The standard output of a command that must succeed."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def process(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Call a command as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", "netwright", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=ENVIRONMENT,
    )


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_of_its_command(command: str) -> None:
    text = succeed(command, "--help")
    assert "Example:" in text
    assert f"netwright {command}" in text.partition("Example:")[2]


def test_the_list_of_commands_is_not_cut_off() -> None:
    text = succeed("--help")
    listed = text.partition("Commands:")[2]
    assert all(f"\n  {command} " in listed for command in COMMANDS)
    assert "..." not in listed


def test_the_version() -> None:
    from netwright import __version__

    assert succeed("--version") == f"netwright, version {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    script = succeed("completion", shell)
    assert "_NETWRIGHT_COMPLETE" in script
    interpreter = shutil.which(shell)
    if interpreter:
        syntax = subprocess.run([interpreter, "-n"], input=script, text=True, check=False)
        assert syntax.returncode == 0


def test_completion_completes() -> None:
    words = {**ENVIRONMENT, "_NETWRIGHT_COMPLETE": "bash_complete"}
    words |= {"COMP_WORDS": "netwright ex", "COMP_CWORD": "1"}
    code = "from netwright.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=words
    )
    assert {line.partition(",")[2] for line in done.stdout.split()} == {"explain", "export"}


# init


@pytest.mark.parametrize("family", ["cnn", "gan", "mlp", "rnn", "vae"])
def test_init_writes_a_spec_that_checks_and_fits_its_schema(family: str) -> None:
    printed = succeed("init", "fresh", "--family", family)
    assert "next: netwright run fresh.yaml" in printed
    assert succeed("check", "fresh.yaml") == "no mistakes\n"
    text = Path("fresh.yaml").read_text()
    modeline, schema = re.match(r"# yaml-language-server: \$(schema)=(\S+)\n", text).groups()
    assert modeline == "schema"
    assert "#" in text.partition("\n")[2], "the spec has comments"
    rules = json.loads(Path(schema).read_text())
    jsonschema.Draft7Validator.check_schema(rules)
    validator = jsonschema.Draft7Validator(rules)
    validator.validate(_data(Path("fresh.yaml")))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**_data(Path("fresh.yaml")), "trainning": {}})
    assert succeed("fmt", "--check", "fresh.yaml") == ""


def _data(spec: Path) -> dict[str, object]:
    """A spec as plain data, by our own reader: PyYAML takes 1e-3 for text."""
    from netwright.compiler.diagnostics import Sink

    located = load(read_source(spec), Sink())
    assert located
    return json.loads(json.dumps(located.data))


def test_init_leaves_what_exists() -> None:
    result = invoke("init", "tiny")
    assert result.exit_code == 1
    assert "R903" in result.stderr
    assert Path("tiny.yaml").read_text() == SPEC


# check


def test_check_exits_with_what_it_found() -> None:
    Path("broken.yaml").write_text(BROKEN)
    clean, wrong, usage = process("check", "tiny.yaml"), process("check", "broken.yaml"), process()
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "no mistakes\n", "")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "error[S103]: unknown operation `rleu`" in wrong.stderr
    assert "error[S101]: unknown argument `stirde`" in wrong.stderr
    assert wrong.stderr.endswith("2 errors\n")
    assert usage.returncode == 2


def test_check_takes_several_specs() -> None:
    Path("broken.yaml").write_text(BROKEN)
    Path("again.yaml").write_text("networks: [")
    assert succeed("check", "tiny.yaml", "tiny.yaml") == "2 specs, no mistakes\n"
    result = invoke("check", "broken.yaml", "tiny.yaml", "again.yaml")
    assert result.exit_code == 1
    assert "broken.yaml:14" in result.stderr
    assert "again.yaml:1" in result.stderr


def test_json_of_what_was_found() -> None:
    Path("broken.yaml").write_text(BROKEN)
    assert json.loads(succeed("check", "tiny.yaml", "--format", "json")) == []
    result = invoke("check", "broken.yaml", "--format", "json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [item["code"] for item in found] == ["S101", "S103"]
    span = next(span for span in found[1]["spans"] if span["primary"])
    place = [span[key] for key in ("file", "line", "col", "end_line", "end_col")]
    assert place == ["broken.yaml", 14, 9, 14, 13]


def test_sarif_of_what_was_found() -> None:
    Path("broken.yaml").write_text(BROKEN)
    report = json.loads(invoke("check", "broken.yaml", "--format", "sarif").stdout)
    assert report["version"] == "2.1.0"
    assert [result["ruleId"] for result in report["runs"][0]["results"]] == ["S101", "S103"]
    assert (
        json.loads(succeed("check", "tiny.yaml", "--format", "sarif"))["runs"][0]["results"] == []
    )


def test_github_annotations_of_what_was_found() -> None:
    Path("broken.yaml").write_text(BROKEN)
    lines = invoke("check", "broken.yaml", "--format", "github").stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("::error file=broken.yaml,line=1") for line in lines)


@pytest.mark.parametrize("style", ["json", "sarif"])
@pytest.mark.parametrize("name", ["nothing.py", "broken.yaml"])
def test_machine_formats_hold_every_failure(style: str, name: str) -> None:
    """What stops a check, such as a plug-in that fails, is in the report as well."""
    Path(name).write_text("[")
    arguments = ["tiny.yaml", "--plugin", name] if name.endswith(".py") else [name]
    result = invoke("check", *arguments, "--format", style)
    assert result.exit_code == 1
    assert re.search("P951|Y001", json.dumps(json.loads(result.stdout)))


def test_warnings_fail_only_where_they_are_denied() -> None:
    Path("fixable.yaml").write_text(FIXABLE)
    lenient, strict = (
        invoke("check", "fixable.yaml"),
        invoke("check", "fixable.yaml", "--deny", "warnings"),
    )
    assert (lenient.exit_code, strict.exit_code) == (0, 1)
    assert "L904" in lenient.stderr
    assert "L906" in lenient.stderr


def test_fix_repairs_and_keeps_comments() -> None:
    spec = Path("fixable.yaml")
    spec.write_text(FIXABLE)
    result = invoke("check", "fixable.yaml", "--fix", "--deny", "warnings")
    assert result.exit_code == 0, result.output
    assert "fixed 2 in fixable.yaml" in result.stderr
    text = spec.read_text()
    assert "softmax" not in text
    assert "bias: false" in text
    assert "# keep me" in text
    assert "# ten digits" in text
    again = invoke("check", "fixable.yaml", "--fix")
    assert (again.stdout, again.stderr, spec.read_text()) == ("no mistakes\n", "", text)


def test_fix_leaves_what_has_no_safe_fix() -> None:
    Path("broken.yaml").write_text(BROKEN)
    assert invoke("check", "broken.yaml", "--fix").exit_code == 1
    assert Path("broken.yaml").read_text() == BROKEN


def test_networks_only_passes_over_the_rest() -> None:
    Path("rest.yaml").write_text(SPEC.replace("accuracy", "acuracy"))
    assert invoke("check", "rest.yaml").exit_code == 1
    assert succeed("check", "rest.yaml", "--networks-only") == "no mistakes\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["--set", "width=8"], 0, "no mistakes"),
        (["--variant", "wide"], 0, "no mistakes"),
        (["--variant", "wide", "--set", "width=8"], 0, "no mistakes"),
        (["--set", "widht=8"], 1, "`width`"),
        (["--set", "width=eight"], 1, "expects a whole number"),
        (["--set", "width=0"], 1, "at least 1"),
        (["--set", "width=$(1 + 1)"], 1, "E202"),
        (["--variant", "wdie"], 1, "`wide`"),
        (["--set", "width"], 2, "NAME=VALUE"),
        (["--set", "=8"], 2, "NAME=VALUE"),
        (["--set", "width=8", "--set", "width=9"], 2, "set twice"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else None,
)
def test_choices(arguments: list[str], exit_code: int, words: str) -> None:
    result = invoke("check", "tiny.yaml", *arguments)
    assert result.exit_code == exit_code
    assert words in result.output


# compile, fmt, schema, ops, explain


def test_compile_writes_source_graphs_summaries_and_diagrams() -> None:
    printed = succeed("compile", "tiny.yaml", "--set", "width=5", "-o", "build")
    written = {line.removeprefix("wrote ") for line in printed.splitlines()}
    assert written == {str(path) for path in Path("build").iterdir()}
    assert {"model.py", "classifier.svg", "classifier.summary.txt"} <= {
        path.name for path in Path("build").iterdir()
    }
    assert "f32[B, 5, 4, 4]" in Path("build/classifier.graph.txt").read_text()


def test_the_compiled_source_needs_torch_alone() -> None:
    succeed("compile", "tiny.yaml", "-o", "build")
    tree = ast.parse(Path("build/model.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {n.module if isinstance(n, ast.ImportFrom) else n.names[0].name for n in imports}
    names = {str(module).partition(".")[0] for module in modules}
    assert names - sys.stdlib_module_names == {"torch"}
    use = (
        "import sys; sys.modules['netwright'] = None; sys.path.insert(0, 'build')\n"
        "import model, torch\n"
        "print(list(model.Classifier()(torch.zeros(2, 1, 8, 8)).shape))"
    )
    done = subprocess.run(
        [sys.executable, "-c", use], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert done.stdout == "[2, 10]\n", done.stderr


OPERATORS_AFTER: dict[str, set[str]] = {"objective": set(), "fold_batch_norm": {"conv2d"}}
"""The program calls its network until `inline_calls`."""

PHASES = dict.fromkeys(["elaborate", "objective", *(run.__name__ for run in PIPELINE)])


@pytest.mark.parametrize("name", PHASES)
def test_print_after(name: str) -> None:
    printed = succeed("compile", "tiny.yaml", "-o", "build", "--print-after", name)
    assert printed.startswith(("graph ", f"# after {name}\ngraph "))
    seen = {operator for operator in ("conv2d", "batch_norm") if f" = {operator}(" in printed}
    assert seen == OPERATORS_AFTER.get(name, {"conv2d", "batch_norm"})


def test_print_after_an_unknown_pass() -> None:
    result = invoke("compile", "tiny.yaml", "-o", "build", "--print-after", "fold_batchnorm")
    assert result.exit_code == 1
    assert "`fold_batch_norm`" in result.stderr
    assert not Path("build").exists()


def test_fmt_rewrites_once() -> None:
    untidy = SPEC.replace("name: tiny\n", "").replace("data:", "# who\nname:   tiny\ndata:", 1)
    Path("tiny.yaml").write_text(untidy)
    before = invoke("fmt", "--check", "tiny.yaml")
    assert (before.exit_code, before.stdout) == (1, "would change tiny.yaml\n")
    assert Path("tiny.yaml").read_text() == untidy
    assert succeed("fmt", "tiny.yaml") == "changed tiny.yaml\n"
    assert Path("tiny.yaml").read_text().startswith("spec: v1\n")
    assert "# who" in Path("tiny.yaml").read_text()
    assert succeed("fmt", "tiny.yaml") == ""
    assert succeed("fmt", "--check", "tiny.yaml") == ""


def test_schema_is_draft_7() -> None:
    rules = json.loads(succeed("schema"))
    jsonschema.Draft7Validator.check_schema(rules)
    jsonschema.validate(_data(Path("tiny.yaml")), rules)


def test_ops_lists_all_and_shows_each() -> None:
    listed = succeed("ops")
    for name in REGISTRY:
        assert re.search(rf"^  {name} ", listed, re.MULTILINE), name
    page = succeed("ops", "conv2d")
    assert "kernel" in page
    assert "Example:" in page


def test_ops_suggests() -> None:
    near, part = invoke("ops", "con2vd"), invoke("ops", "conv")
    assert (near.exit_code, part.exit_code) == (2, 2)
    assert "`conv2d`" in near.stderr
    assert "`conv_transpose2d`" in part.stderr
    assert "`relu`" not in part.stderr


def test_explain() -> None:
    assert succeed("explain", "D402") == succeed("explain", "d402")
    assert "What it means" in succeed("explain", "D402")
    result = invoke("explain", "D40")
    assert result.exit_code == 2
    assert "D401" in result.stderr


# Mistakes with files

MISTAKES = [
    (["check", "none.yaml"], 2, "does not exist"),
    (["check", "folder"], 1, "found a folder"),
    (["check", "binary.yaml"], 1, "UTF-8"),
    (["check", "empty.yaml"], 1, "spec: v1"),
    (["check", "tiny.yaml", "--plugin", "none.py"], 2, "does not exist"),
    (["check", "tiny.yaml", "--plugin", "folder"], 1, "P951"),
    (["check", "tiny.yaml", "--plugin", "binary.yaml"], 1, "P951"),
    (["check", "tiny.yaml", "--format", "xml"], 2, "'xml'"),
    (["check", "tiny.yaml", "--deny", "errors"], 2, "'errors'"),
    (["fmt", "folder"], 1, "found a folder"),
    (["fmt", "binary.yaml"], 1, "UTF-8"),
    (["compile", "tiny.yaml"], 2, "--output"),
    (["compile", "tiny.yaml", "-o", "binary.yaml"], 1, "R903"),
    (["compile", "tiny.yaml", "-o", "binary.yaml/build"], 1, "R903"),
    (["compile", "folder", "-o", "build"], 1, "found a folder"),
    (["init", "Two Words"], 1, "snake_case"),
    (["init", "fresh", "--family", "cnm"], 1, "`cnn`"),
    (["init", "fresh", "-o", "none/fresh.yaml"], 1, "R903"),
    (["train", "binary.yaml"], 1, "UTF-8"),
    (["train", "tiny.yaml", "--data-dir", "none"], 2, "does not exist"),
    (["train", "tiny.yaml", "--data-dir", "binary.yaml"], 2, "is a file"),
    (["train", "tiny.yaml", "--device", "tpu"], 2, "'tpu'"),
    (["train", "tiny.yaml", "-o", "binary.yaml"], 1, "R903"),
    (["train", "tiny.yaml", "-o", "full"], 1, "R903"),
    (["train", "tiny.yaml", "--resume"], 1, "R901"),
    (["train", "tiny.yaml", "--resume", "-o", "folder"], 1, "R901"),
    (["train", "networks.yaml"], 1, "netwright init"),
    (["train", "missing_data.yaml"], 1, "F602"),
    (["run", "folder"], 1, "found a folder"),
    (["run", "tiny.yaml", "-o", "full", "--overwrite"], 1, "R903"),
    (["evaluate", "folder"], 1, "R901"),
    (["evaluate", "tiny.yaml"], 1, "R901"),
    (["evaluate", "folder", "--split", "tset"], 2, "'tset'"),
    (["export", "folder"], 1, "R901"),
    (["export", "tiny.yaml"], 1, "R901"),
    (["export", "folder", "--opset", "new"], 2, "not a valid integer"),
    (["predict", "folder", "tiny.yaml"], 1, "error["),
    (["predict", "folder"], 2, "INPUTS"),
    (["inspect", "folder"], 1, "R903"),
    (["inspect", "tiny.yaml"], 1, "R903"),
    (["explain"], 2, "CODE"),
    (["completion", "tcsh"], 2, "'tcsh'"),
    (["chekc", "tiny.yaml"], 2, "'check'"),
    (["check", "tiny.yaml", "--frmat", "json"], 2, "--format"),
]


@pytest.fixture
def wrong_files() -> None:
    Path("folder").mkdir()
    Path("full").mkdir()
    Path("full/other.txt").write_text("not a run")
    Path("empty.yaml").write_text("")
    Path("binary.yaml").write_bytes(bytes(range(256)) * 8)
    sections = SPEC.partition("objective:")[0].replace(
        "data:\n  source: digits\n  split: {validation: 0.1}\n", ""
    )
    Path("networks.yaml").write_text(sections)
    source = "  source: {idx: {train: [a.gz, b.gz], test: [a.gz, b.gz]}}\n  fields:\n"
    image = "    image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}\n"
    label = "    label: {shape: [B], dtype: int64, below: 10}\n"
    missing = SPEC.replace("  source: digits\n", source + image + label)
    Path("missing_data.yaml").write_text(missing)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    MISTAKES,
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
@pytest.mark.usefixtures("wrong_files")
def test_mistakes_are_told(arguments: list[str], exit_code: int, words: str) -> None:
    """Never a traceback: `invoke` refuses whatever is no orderly end."""
    result = invoke(*arguments)
    assert result.exit_code == exit_code, result.output
    assert words in result.stderr
    assert result.stdout == ""
    assert Path("full/other.txt").read_text() == "not a run"


def test_an_unreadable_name_is_refused() -> None:
    done = process("init", "fresh", "-o", os.fsdecode(b"caf\xe9.yaml"))
    assert done.returncode == 2
    assert "UTF-8" in done.stderr
    assert not list(Path().glob("caf*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_standard_output_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "netwright", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


# Runs


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """`netwright run`, once for all tests that look at what it left. Not to be changed."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "tiny.yaml").write_text(SPEC)
    return folder / "run", invoke("run", str(folder / "tiny.yaml"), "-o", str(folder / "run"))


def test_run_does_all_of_it(done: tuple[Path, Result]) -> None:
    run, result = done
    assert result.exit_code == 0, result.output
    said = result.stdout
    assert said.startswith("checked ")
    for beginning in (
        "test: loss ",
        "torch and ONNX Runtime agree",
        "program predict: image uint8",
    ):
        assert f"\n{beginning}" in said
    for key in ("bundle", "source", "curves", "confusion"):
        assert Path(re.search(rf"^{key}: (.*)$", said, re.MULTILINE)[1]).exists(), key
    assert "epoch 2/2" in result.stderr
    assert run.is_dir()


def test_the_printed_lines_of_python_run(done: tuple[Path, Result]) -> None:
    lines = done[1].stdout.partition("alone:\n")[2]
    code = "\n".join(line.strip() for line in lines.splitlines())
    check = "import sys; assert not {'torch', 'netwright'} & sys.modules.keys()"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_train_says_what_it_made() -> None:
    said = succeed("train", "tiny.yaml")
    assert "test: loss " in said
    assert "run: runs/tiny-1\n" in said
    for path in re.findall(r"^wrote (.*)$", said, re.MULTILINE):
        assert Path(path).is_file()
    assert "run: runs/tiny-2\n" in succeed("train", "tiny.yaml", "--variant", "wide")
    assert "value: 6" in Path("runs/tiny-2/spec.yaml").read_text().replace("width: 6", "value: 6")


def test_a_run_is_replaced_only_on_demand(done: tuple[Path, Result]) -> None:
    shutil.copytree(done[0], "mine")
    refused = invoke("run", "tiny.yaml", "-o", "mine")
    assert refused.exit_code == 1
    assert "R903" in refused.stderr
    assert Path("mine/bundle").is_dir()
    assert "bundle: mine/bundle" in succeed("run", "tiny.yaml", "-o", "mine", "--overwrite")


def test_evaluate_measures_runs_and_bundles_alike(done: tuple[Path, Result]) -> None:
    run = succeed("evaluate", str(done[0]))
    bundle = succeed("evaluate", str(done[0] / "bundle"))
    assert run.startswith("test: loss ")
    figures = [list(map(float, re.findall(r"\d\.\d+", text))) for text in (run, bundle)]
    assert figures[0] == pytest.approx(figures[1], abs=1e-3)
    assert succeed("evaluate", str(done[0]), "--split", "validation").startswith("validation: ")


def test_export_takes_a_folder_an_opset_and_weights(done: tuple[Path, Result]) -> None:
    said = succeed("export", str(done[0]), "-o", "out", "--opset", "18", "--with-weights")
    assert "agree" in said
    assert {path.name for path in Path("out").iterdir()} == {
        "manifest.json",
        "predict.onnx",
        "spec.yaml",
        "weights.safetensors",
    }
    assert "ai.onnx 18" in succeed("inspect", "out/predict.onnx")
    wrong = invoke("export", str(done[0]), "-o", "other", "--opset", "3")
    assert wrong.exit_code == 1
    assert "X701" in wrong.stderr
    assert not Path("other").exists()


def test_predict_reads_images_and_arrays(done: tuple[Path, Result]) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 16, (3, 1, 8, 8), dtype=np.uint8)
    np.save("three.npy", pixels)
    np.savez("named.npz", image=pixels[:1])
    Image.fromarray(pixels[0, 0]).save("one.png")
    bundle = str(done[0] / "bundle")
    lines = succeed("predict", bundle, "three.npy", "named.npz", "one.png").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *(f"three.npy[{i}]" for i in range(3)),
        "named.npz",
        "one.png",
    ]
    answers = {line.partition(":")[2] for line in (lines[0], lines[3], lines[4])}
    assert len(answers) == 1, "the same image three times"
    assert succeed("predict", bundle, "three.npy", "-o", "out.npz") == "wrote out.npz\n"
    assert np.load("out.npz")["probabilities"].shape == (3, 10)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (np.zeros((1, 1, 8, 8), np.float32), "B802"),
        (np.zeros((8, 8), np.uint8), "B802"),
        (np.zeros((1, 3, 8, 8), np.uint8), "B802"),
        (b"not an array", "R903"),
    ],
    ids=["float", "axes", "channels", "text"],
)
def test_predict_refuses_what_does_not_fit(
    done: tuple[Path, Result], content: np.ndarray | bytes, code: str
) -> None:
    if isinstance(content, bytes):
        Path("input.npy").write_bytes(content)
    else:
        np.save("input.npy", content)
    result = invoke("predict", str(done[0] / "bundle"), "input.npy")
    assert result.exit_code == 1
    assert code in result.stderr


def test_a_changed_bundle_is_refused(done: tuple[Path, Result]) -> None:
    shutil.copytree(done[0] / "bundle", "bundle")
    model = Path("bundle/predict.onnx")
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    np.save("input.npy", np.zeros((1, 1, 8, 8), np.uint8))
    for arguments in (["predict", "bundle", "input.npy"], ["inspect", "bundle"]):
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "B801" in result.stderr


def test_inspect_shows_runs_bundles_and_models(done: tuple[Path, Result]) -> None:
    assert "run of tiny" in succeed("inspect", str(done[0]))
    bundle = succeed("inspect", str(done[0] / "bundle"))
    assert "image: uint8[B, 1, 8, 8]" in bundle
    model = succeed("inspect", str(done[0] / "bundle" / "predict.onnx"))
    assert "Gemm 1" in model


# Plug-ins


def test_an_operator_of_a_users_own_trains_and_is_exported() -> None:
    Path("my_ops.py").write_text(PLUGIN + ONNX_RULE)
    Path("own.yaml").write_text(SPEC.replace("- relu", "- double: 0.5"))
    unknown = invoke("check", "own.yaml")
    assert unknown.exit_code == 1
    assert "S103" in unknown.stderr
    assert "bundle: run/bundle" in succeed("run", "own.yaml", "--plugin", "my_ops.py", "-o", "run")
    assert "x * 0.5" in Path("run/model.py").read_text()
    plain = invoke("export", "run", "-o", "again")
    assert (plain.exit_code, "S103" in plain.stderr) == (1, True)
    succeed("export", "run", "-o", "again", "--plugin", "my_ops.py")
    assert succeed("evaluate", "run", "--plugin", "my_ops.py").startswith("test: ")


def test_export_says_which_rule_is_missing() -> None:
    Path("my_ops.py").write_text(PLUGIN)
    Path("own.yaml").write_text(SPEC.replace("- relu", "- double: 0.5"))
    succeed("train", "own.yaml", "--plugin", "my_ops.py", "-o", "run")
    result = invoke("export", "run", "--plugin", "my_ops.py")
    assert result.exit_code == 1
    assert "X702" in result.stderr
    assert "`double`" in result.stderr
    assert "onnx" in result.stderr
    assert not Path("run/bundle").exists()


def test_a_method_that_fails_is_told_with_its_line() -> None:
    Path("my_ops.py").write_text(PLUGIN.replace("return x\n", "return x.halved\n"))
    Path("own.yaml").write_text(SPEC.replace("- relu", "- double: 0.5"))
    result = invoke("check", "own.yaml", "--plugin", "my_ops.py")
    assert result.exit_code == 1
    assert "P951" in result.stderr
    assert "my_ops.py:18: return x.halved" in result.stderr


# Signals

EPOCHS = 20
LONG = SPEC.replace("epochs: 2", f"epochs: {EPOCHS}")


def interrupted(*arguments: str, when: Callable[[], bool]) -> tuple[int, str, str]:
    """Start a command, send it Ctrl-C as soon as `when` holds, and wait for its end."""
    with subprocess.Popen(
        [sys.executable, "-m", "netwright", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as child:
        deadline = time.monotonic() + 120
        while not when() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    return child.returncode, out, err


def test_ctrl_c_saves_and_resume_finishes() -> None:
    Path("tiny.yaml").write_text(LONG)
    choices = ["--set", "width=5", "--device", "cpu"]
    code, out, err = interrupted(
        "train",
        "tiny.yaml",
        *choices,
        "-o",
        "runs/my run",
        when=Path("runs/my run/metrics.jsonl").exists,
    )
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    again = re.search(r"go on with:\n  netwright (.*)\n", err)
    assert again, err
    assert again[1] == "train tiny.yaml --set width=5 --device cpu -o 'runs/my run' --resume"
    assert list(Path("runs/my run/checkpoints").iterdir())
    resumed = invoke("train", "tiny.yaml", *choices, "-o", "runs/my run", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "going on at step" in resumed.stderr
    assert f"epoch {EPOCHS}/{EPOCHS}" in resumed.stderr
    lines = Path("runs/my run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, EPOCHS + 1))
