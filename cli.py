"""The command line: the only place that prints or exits.

Commands import what they need when they run, so that `--help` takes a moment and the commands that
need no torch never load it.
"""

from __future__ import annotations

import errno
import gc
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from . import __version__

if TYPE_CHECKING:
    from .compiler.diagnostics import Diagnostic
    from .compiler.driver import Compilation
    from .compiler.language.params import Choices
    from .runtime.observer import Observer
    from .runtime.train import TrainResult

FORMATS = ("text", "json", "sarif", "github")
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Place(click.Path):
    """A path whose name is text: specs, runs and bundles write it down in UTF-8."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        path = super().convert(value, param, ctx)
        try:
            str(path).encode()
        except UnicodeEncodeError:
            self.fail(f"expected a name in UTF-8, found {str(path)!r}", param, ctx)
        return path


EXISTING = Place(exists=True, path_type=Path)
FOLDER = Place(exists=True, file_okay=False, path_type=Path)
NEW = Place(path_type=Path)


class Commands(click.Group):
    """Turns a user's mistake into diagnostics and exit code 1, whichever command finds it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of their use, not of the alphabet

    def invoke(self, ctx: click.Context) -> Any:
        from .compiler.diagnostics import NetwrightError

        try:
            return super().invoke(ctx)
        except NetwrightError as error:
            report(error.diagnostics)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            ctx.exit(130)
        except OSError as error:
            if error.errno == errno.EPIPE:  # `netwright ops | head`: click ends quietly
                raise
            report([_from_the_system(error)])
            ctx.exit(1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            report([_from_a_plugin(error)])
            ctx.exit(1)


def _from_a_plugin(error: Exception) -> Diagnostic:
    """What an operator of the user's own did wrong; a fault of ours goes on as it is."""
    from .compiler.plugins import failure_in_plugin

    found = failure_in_plugin(error)
    if found is None:
        raise error
    return found


def _from_the_system(error: OSError) -> Diagnostic:
    """What the system refused where nothing narrower tells it, such as a full standard output."""
    from .compiler.diagnostics import Code, Diagnostic

    place = f" `{error.filename}`" if error.filename else ""
    reason = error.strerror or str(error)
    return Diagnostic(Code.R903, f"expected to read or write{place}, found: {reason}")


def report(diagnostics: Iterable[Diagnostic], style: str = "text") -> None:
    """Print diagnostics: text on standard error, the other formats on standard output."""
    from .compiler.render import render

    stream = sys.stdout if style != "text" else sys.stderr
    color = style == "text" and stream.isatty() and "NO_COLOR" not in os.environ
    width = max(60, min(120, _terminal_width()))
    text = render(list(diagnostics), style, color=color, width=width)
    click.echo(text, file=stream, nl=not text.endswith("\n"), color=color or None)


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def example(text: str) -> str:
    """The epilog of a command's help."""
    return f"\b\nExample:\n  {text}"


# Options that several commands take


def spec_argument(command: Any) -> Any:
    return click.argument("spec", type=EXISTING)(command)


def plugin_option(command: Any) -> Any:
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        type=EXISTING,
        help="Python file with operators of your own; its code is run.",
    )(command)


def choice_options(command: Any) -> Any:
    """--set, --variant and --plugin: how a spec is read."""
    command = plugin_option(command)
    command = click.option("--variant", help="Choose one of the spec's variants.")(command)
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a parameter of the spec; may be given several times.",
    )(command)


def device_option(command: Any) -> Any:
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        help="Where to compute; the spec's `training.device` unless given.",
    )(command)


def data_option(command: Any) -> Any:
    return click.option("--data-dir", type=FOLDER, help="What the data's paths are relative to.")(
        command
    )


def read_choices(settings: Sequence[str], variant: str | None, plugins: Sequence[Path]) -> Choices:
    """Load the plug-ins and read `--set`."""
    from .compiler.language.params import Choices

    load_plugins(plugins)
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"expected NAME=VALUE, found {setting!r}", param_hint="--set")
        if name in values:
            raise click.BadParameter(f"`{name}` is set twice", param_hint="--set")
        values[name] = value
    return Choices(variant, values)


def load_plugins(plugins: Sequence[Path]) -> None:
    """Register the operators of a user's files."""
    from .compiler.plugins import load_plugin

    for plugin in plugins:
        load_plugin(plugin)


def compiled(spec: Path, choices: Choices) -> Compilation:
    """A spec without errors; its warnings are printed."""
    from .compiler.driver import compile_spec

    compilation = compile_spec(spec, choices)
    if compilation.diagnostics:
        report(compilation.diagnostics)
    return compilation


@click.group(cls=Commands, context_settings=CONTEXT, epilog=example("netwright init my_model"))
@click.version_option(__version__, prog_name="netwright")
def cli() -> None:
    """Neural networks from YAML: checked first, trained as PyTorch, exported as proven ONNX."""


# Specs


@cli.command(
    short_help="Write a commented spec that trains at once.",
    epilog=example("netwright init my_model --family mlp"),
)
@click.argument("name")
@click.option("--family", default="cnn", show_default=True, help="Which kind of network to begin.")
@click.option("-o", "--output", type=NEW, help="The file; NAME.yaml unless given.")
def init(name: str, family: str, output: Path | None) -> None:
    """Write a commented spec that trains at once, and the schema that editors complete it with."""
    from .runtime.init import write_spec

    for path in write_spec(name, family, output or Path(f"{name}.yaml")):
        click.echo(f"wrote {path}")
    click.echo(f"next: netwright run {output or f'{name}.yaml'}")


@cli.command(epilog=example("netwright check model.yaml --deny warnings --format github"))
@click.argument("specs", nargs=-1, required=True, type=EXISTING)
@choice_options
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--deny", type=click.Choice(["warnings"]), help="Fail on warnings too.")
@click.option("--fix", is_flag=True, help="Apply the safe fixes to the files.")
@click.option("--networks-only", is_flag=True, help="Pass over data, objective and training.")
def check(
    specs: tuple[Path, ...],
    settings: tuple[str, ...],
    variant: str | None,
    plugins: tuple[Path, ...],
    style: str,
    deny: str | None,
    fix: bool,
    networks_only: bool,
) -> None:
    """Find every mistake in specs, without torch and without data."""
    from .compiler.diagnostics import NetwrightError

    found: list[Diagnostic] = []
    try:
        choices = read_choices(settings, variant, plugins)
        for spec in specs:
            found += _check_one(spec, choices, networks_only=networks_only, fix=fix)
    except NetwrightError as error:  # a plug-in, or a fix that cannot be written
        found += error.diagnostics
    if found or style != "text":
        report(found, style)
    errors = [d for d in found if d.severity == "error"]
    if not found and style == "text":
        click.echo(f"{len(specs)} specs, no mistakes" if len(specs) > 1 else "no mistakes")
    if errors or (found and deny):
        raise SystemExit(1)


def _check_one(spec: Path, choices: Choices, *, networks_only: bool, fix: bool) -> list[Diagnostic]:
    from .compiler.diagnostics import NetwrightError
    from .compiler.driver import check as check_spec

    try:
        compilation = check_spec(spec, choices, networks_only=networks_only)
    except NetwrightError as error:
        return list(error.diagnostics)
    fixed = _apply_fixes(compilation) if fix else 0
    if not fixed:
        return list(compilation.diagnostics)
    click.echo(f"fixed {fixed} in {spec}", err=True)
    return _check_one(spec, choices, networks_only=networks_only, fix=False)


def _apply_fixes(compilation: Compilation) -> int:
    """Rewrite the spec with its safe fixes; how many there were."""
    from .compiler.fixes import apply_fixes
    from .runtime.files import write_text

    fixes = [
        fix
        for diagnostic in compilation.diagnostics
        for fix in diagnostic.fixes
        if fix.safe and all(edit.span.file == compilation.file for edit in fix.edits)
    ]
    text = apply_fixes(compilation.file.text, fixes)
    if text == compilation.file.text:
        return 0
    assert compilation.file.path
    write_text(compilation.file.path, text)
    return len(fixes)


@cli.command(
    short_help="Write PyTorch source, graphs, summaries and diagrams.",
    name="compile",
    epilog=example("netwright compile model.yaml -o build"),
)
@spec_argument
@choice_options
@click.option("-o", "--output", type=NEW, required=True, help="Folder for the files.")
@click.option(
    "--print-after", metavar="PASS", help="Also print the graphs after a pass, or `elaborate`."
)
def compile_command(
    spec: Path,
    settings: tuple[str, ...],
    variant: str | None,
    plugins: tuple[Path, ...],
    output: Path,
    print_after: str | None,
) -> None:
    """Write readable PyTorch source, the typed graph, a summary and a diagram."""
    from .compiler.print_after import graphs_after
    from .runtime.artifacts import write_compiled

    compilation = compiled(spec, read_choices(settings, variant, plugins))
    if print_after:
        for text in graphs_after(compilation, print_after):
            click.echo(text)
    for path in write_compiled(compilation, output):
        click.echo(f"wrote {path}")


@cli.command(
    short_help="Bring specs into canonical layout; comments stay.",
    epilog=example("netwright fmt specs/*.yaml --check"),
)
@click.argument("specs", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; fail if one would change."
)
def fmt(specs: tuple[Path, ...], only_check: bool) -> None:
    """Bring specs into canonical order and layout; comments stay."""
    from .compiler.language.formatter import format_source
    from .compiler.language.loader import read_source
    from .runtime.files import write_text

    changed = 0
    for spec in specs:
        source = read_source(spec)
        text = format_source(source)
        if text == source.text:
            continue
        changed += 1
        if only_check:
            click.echo(f"would change {spec}")
        else:
            write_text(spec, text)
            click.echo(f"changed {spec}")
    if only_check and changed:
        raise SystemExit(1)


@cli.command(
    short_help="Print the JSON Schema that editors check specs with.",
    epilog=example("netwright schema > netwright.schema.json"),
)
def schema() -> None:
    """Print the JSON Schema that editors complete and check specs with."""
    import json

    from .compiler.language.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=1))


@cli.command(epilog=example("netwright ops conv2d"))
@click.argument("name", required=False)
def ops(name: str | None) -> None:
    """List the operators, or show the page of one."""
    from .compiler.ops.base import REGISTRY
    from .compiler.reference import families, operator_page, summary_line
    from .compiler.suggest import did_you_mean

    if name is None:
        for family, operators in families().items():
            click.echo(click.style(family.replace("_", " "), bold=True))
            for operator in operators:
                click.echo(f"  {operator.name:<22}{summary_line(operator)}")
        return
    if name not in REGISTRY:
        alike = [operator for operator in REGISTRY if name.lower() in operator]
        step = did_you_mean(name, alike or REGISTRY, "operator")
        raise click.BadParameter(f"no operator `{name}`: {step}", param_hint="NAME")
    click.echo(operator_page(REGISTRY[name]), nl=False)


@cli.command(
    short_help="Explain a diagnostic and how to repair it.",
    epilog=example("netwright explain D402"),
)
@click.argument("code")
def explain(code: str) -> None:
    """Explain a diagnostic: what it means, why it matters, how to repair it."""
    from .compiler.diagnostics import Code
    from .compiler.explanations import explain as explanation
    from .compiler.suggest import did_you_mean

    if code.upper() not in Code.__members__:
        names = list(Code.__members__)
        raise click.BadParameter(
            f"no code `{code}`: {did_you_mean(code.upper(), names, 'code')}", param_hint="CODE"
        )
    click.echo(explanation(Code[code.upper()]))


# Runs


@cli.command(
    short_help="Train a spec's networks, or go on with --resume.",
    epilog=example("netwright train model.yaml --set width=64 -o runs/wide"),
)
@spec_argument
@choice_options
@device_option
@data_option
@click.option("-o", "--output", type=NEW, help="The run's folder; runs/NAME-N unless given.")
@click.option("--resume", is_flag=True, help="Go on with the run in -o, or with the newest one.")
def train(
    spec: Path,
    settings: tuple[str, ...],
    variant: str | None,
    plugins: tuple[Path, ...],
    device: str | None,
    data_dir: Path | None,
    output: Path | None,
    resume: bool,
) -> None:
    """Train a spec's networks; a stopped run goes on with --resume, bit for bit."""
    compilation = compiled(spec, read_choices(settings, variant, plugins))
    result = _train(compilation, output, device, data_dir, resume=resume)
    if result.signal is not None:
        _stopped(result, spec, settings, variant, plugins, device)
    for part, figures in result.metrics.items():
        click.echo(f"{part}: {_figures(figures)}")
    for path in result.files.values():
        click.echo(f"wrote {path}")
    click.echo(f"run: {result.folder}")


def _train(
    compilation: Compilation,
    output: Path | None,
    device: str | None,
    data_dir: Path | None,
    *,
    resume: bool,
) -> TrainResult:
    """Train with a live display."""
    from .runtime.train import train as run_training

    return run_training(
        compilation,
        output=output,
        resume=resume,
        device=device,
        data_dir=data_dir,
        observer=_display(),
    )


def _stopped(
    result: TrainResult,
    spec: Path,
    settings: Sequence[str],
    variant: str | None,
    plugins: Sequence[Path],
    device: str | None,
) -> NoReturn:
    """A signal ended the run: say how to go on with the same choices, and exit as shells expect."""
    again = ["netwright", "train", str(spec)]
    again += [word for setting in settings for word in ("--set", setting)]
    again += ["--variant", variant] if variant else []
    again += [word for plugin in plugins for word in ("--plugin", str(plugin))]
    again += ["--device", device] if device else []
    again += ["-o", str(result.folder), "--resume"]
    click.echo(
        f"stopped at step {result.step:,} of {result.total_steps:,}; go on with:\n"
        f"  {shlex.join(again)}",
        err=True,
    )
    raise SystemExit(128 + (result.signal or 0))


def _display() -> Observer:
    from .runtime.progress import observer_for

    return observer_for(sys.stderr)


def _figures(figures: Any) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


@cli.command(
    short_help="Measure a run or a bundle on a part of its data.",
    epilog=example("netwright evaluate runs/digits_cnn-1 --split test"),
)
@click.argument("source", type=EXISTING)
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True
)
@plugin_option
@data_option
@device_option
def evaluate(
    source: Path,
    split: Any,
    plugins: tuple[Path, ...],
    data_dir: Path | None,
    device: str | None,
) -> None:
    """Measure a run, or a bundle in ONNX Runtime, on a part of its data."""
    from .runtime.evaluate import evaluate as measure

    load_plugins(plugins)
    figures = measure(source, split=split, data_dir=data_dir, device=device)
    click.echo(f"{split}: {_figures(figures)}")


@cli.command(
    short_help="Write ONNX programs, proven equal to torch.",
    epilog=example("netwright export runs/digits_cnn-1 -o digits"),
)
@click.argument("run_folder", metavar="RUN", type=EXISTING)
@click.option("-o", "--output", type=NEW, help="The bundle's folder; RUN/bundle unless given.")
@click.option("--opset", type=int, help="ONNX opset: 18, 20 or 22; the spec's unless given.")
@click.option(
    "--with-weights", is_flag=True, help="Add weights.safetensors: each tensor by its name."
)
@plugin_option
def export(
    run_folder: Path,
    output: Path | None,
    opset: int | None,
    with_weights: bool,
    plugins: tuple[Path, ...],
) -> None:
    """Write ONNX programs, after proving that they compute what torch computes."""
    from .runtime.export import export_run

    load_plugins(plugins)
    result = export_run(
        run_folder,
        output=output,
        opset=opset,
        with_weights=with_weights,
    )
    for line in result.lines():
        click.echo(line)


@cli.command(
    short_help="Run a bundle on images, npy or npz files.",
    epilog=example("netwright predict runs/digits_cnn-1/bundle digit.png"),
)
@click.argument("bundle", type=EXISTING)
@click.argument("inputs", nargs=-1, required=True, type=EXISTING)
@click.option("--program", default="predict", show_default=True, help="Which program to run.")
@click.option("-o", "--output", type=NEW, help="Write the results as npz instead of printing them.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def predict(
    bundle: Path, inputs: tuple[Path, ...], program: str, output: Path | None, device: Any
) -> None:
    """Run a bundle on images, npy or npz files; neither torch nor the spec is needed."""
    from .runtime.predict import predict_files

    for line in predict_files(bundle, inputs, program=program, output=output, device=device):
        click.echo(line)


@cli.command(
    short_help="All of it, from check to a prediction by the ONNX file.",
    epilog=example("netwright run specs/digits_cnn.yaml"),
)
@spec_argument
@choice_options
@device_option
@data_option
@click.option("-o", "--output", type=NEW, help="The run's folder; runs/NAME-N unless given.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is in -o already.")
def run(
    spec: Path,
    settings: tuple[str, ...],
    variant: str | None,
    plugins: tuple[Path, ...],
    device: str | None,
    data_dir: Path | None,
    output: Path | None,
    overwrite: bool,
) -> None:
    """All of it: check, compile, train, evaluate, export with proof, predict from the ONNX file."""
    from .runtime.whole import finish, remove_run

    compilation = compiled(spec, read_choices(settings, variant, plugins))
    if output and overwrite:
        remove_run(output)
    click.echo(f"checked {spec}: {_described(compilation)}")
    result = _train(compilation, output, device, data_dir, resume=False)
    if result.signal is not None:
        _stopped(result, spec, settings, variant, plugins, device)
    for line in finish(compilation, result):
        click.echo(line)


def _described(compilation: Compilation) -> str:
    parts = [
        f"{name} {graph.parameter_count():,} parameters"
        for name, graph in compilation.graphs.items()
    ]
    return ", ".join(parts)


@cli.command(epilog=example("netwright inspect runs/digits_cnn-1/bundle"))
@click.argument("path", type=EXISTING)
def inspect(path: Path) -> None:
    """Show what is in a run, a bundle or an ONNX file."""
    from .runtime.inspect import describe

    click.echo(describe(path))


@cli.command(
    short_help="Print the completion script of a shell.",
    epilog=example('eval "$(netwright completion bash)"'),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes netwright's commands in a shell."""
    from click.shell_completion import get_completion_class

    generator = get_completion_class(shell)
    assert generator
    click.echo(generator(cli, {}, "netwright", "_NETWRIGHT_COMPLETE").source())


def main() -> None:
    """Run the command that the arguments name."""
    # What a command loads stays until its end: looking for garbage among it took 8% of a `check`.
    gc.set_threshold(20_000, 20, 20)
    # The models are ours alone; looking through all installed packages for plug-ins took 3%.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    cli(prog_name="netwright")
