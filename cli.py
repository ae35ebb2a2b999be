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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__

if TYPE_CHECKING:
    from .compiler.diagnostics import Diagnostic
    from .compiler.driver import Compilation
    from .compiler.language.params import Choices
    from .runtime.distributed.world import World
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
        from .runtime.distributed.joining import Told, is_main

        try:
            return super().invoke(ctx)
        except NetwrightError as error:
            report(error.diagnostics)
            ctx.exit(1)
        except Told as told:
            ctx.exit(told.code)
        except KeyboardInterrupt:
            if is_main():
                click.echo("stopped", err=True)
            ctx.exit(130)
        except OSError as error:
            if error.errno == errno.EPIPE:  # `netwright ops | head`: click ends quietly
                raise
            report([_from_the_system(error)])
            ctx.exit(1)
        except (click.ClickException, click.exceptions.Exit, click.Abort) as error:
            if isinstance(error, click.ClickException) and not is_main():
                ctx.exit(error.exit_code)  # the first of several processes tells it
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


def check_ending(output: Path, endings: Iterable[str]) -> None:
    """Refuse a name whose ending tells no kind of file that is written here."""
    if output.suffix.lower() not in endings:
        *most, last = endings
        names = f"{', '.join(most)} or {last}"
        raise click.BadParameter(f"expected a name with {names}, found {output}", param_hint="-o")


def read_values(settings: Sequence[str], option: str) -> dict[str, str]:
    """What an option says that is given several times as NAME=VALUE."""
    values: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"expected NAME=VALUE, found {setting!r}", param_hint=option)
        if name in values:
            raise click.BadParameter(f"`{name}` is set twice", param_hint=option)
        values[name] = value
    return values


def read_choices(settings: Sequence[str], variant: str | None, plugins: Sequence[Path]) -> Choices:
    """Load the plug-ins and read `--set`."""
    from .compiler.language.params import Choices

    load_plugins(plugins)
    return Choices(variant, read_values(settings, "--set"))


def load_plugins(plugins: Sequence[Path]) -> None:
    """Register the operators of a user's files."""
    from .compiler.plugins import load_plugin

    for plugin in plugins:
        load_plugin(plugin)


def compiled(spec: Path, choices: Choices, *, shows: bool = True) -> Compilation:
    """A spec without errors; its warnings are printed."""
    from .compiler.driver import compile_spec

    compilation = compile_spec(spec, choices)
    if compilation.diagnostics and shows:
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

    text = apply_fixes(compilation.file.text, compilation.fixes)
    if text == compilation.file.text:
        return 0
    assert compilation.file.path
    write_text(compilation.file.path, text)
    return len(compilation.fixes)


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
    from .compiler.docstrings import first_sentence
    from .compiler.ops.base import REGISTRY
    from .compiler.reference import families, operator_page
    from .compiler.suggest import did_you_mean, word_help

    if name is None:
        width = max(map(len, REGISTRY)) + 2
        for family, operators in families().items():
            click.echo(click.style(family.replace("_", " "), bold=True))
            for operator in operators:
                click.echo(f"  {operator.name:<{width}}{first_sentence(operator)}")
        return
    if name not in REGISTRY:
        alike = [operator for operator in REGISTRY if name.lower() in operator]
        find = did_you_mean if alike else word_help
        step = find(name, alike or REGISTRY, "operator")
        raise click.BadParameter(f"no operator `{name}`: {step}", param_hint="NAME")
    click.echo(operator_page(REGISTRY[name]), nl=False)


@cli.command(
    short_help="List the settings of data, objective, training, or show some.",
    epilog=example("netwright settings training"),
)
@click.argument("name", required=False)
def settings(name: str | None) -> None:
    """List the settings of a spec's sections beside its networks, or show those of one name."""
    from .compiler.settings import terminal
    from .compiler.suggest import word_help

    if name is None:
        click.echo("\n".join(terminal.listing()))
        return
    if name not in terminal.names():
        step = word_help(name, terminal.names(), "setting")
        raise click.BadParameter(f"no setting `{name}`: {step}", param_hint="NAME")
    click.echo("\n".join(terminal.shown(name, min(100, _terminal_width()))))


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
    short_help="Show what the data of a spec holds, before training.",
    epilog=example("netwright data model.yaml -o samples.png"),
)
@spec_argument
@choice_options
@data_option
@click.option("-o", "--output", type=NEW, help="A PNG of samples and histograms to write.")
def data(
    spec: Path,
    settings: tuple[str, ...],
    variant: str | None,
    plugins: tuple[Path, ...],
    data_dir: Path | None,
    output: Path | None,
) -> None:
    """Show what a spec's data holds: sizes, ranges, classes, repeated samples, without torch."""
    from .compiler.driver import check as check_spec
    from .runtime.describe_data import describe_data

    compilation = check_spec(spec, read_choices(settings, variant, plugins))
    for line in describe_data(compilation, data_dir, output):
        click.echo(line)


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
@click.option("--tensorboard", is_flag=True, help="Also write event files: RUN/tensorboard.")
@click.option(
    "--nproc",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train with N processes on this machine, each with a GPU or its share of the cores.",
)
@click.option(
    "--max-restarts",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --nproc: go on from the last checkpoint if a process is killed, N times at most.",
)
@click.option("--plan", "plans", is_flag=True, help="Show how steps would be executed, and why.")
def train(
    spec: Path,
    settings: tuple[str, ...],
    variant: str | None,
    plugins: tuple[Path, ...],
    device: str | None,
    data_dir: Path | None,
    output: Path | None,
    resume: bool,
    tensorboard: bool,
    nproc: int | None,
    max_restarts: int | None,
    plans: bool,
) -> None:
    """Train a spec's networks; a stopped run goes on with --resume, bit for bit.

    Several processes share each batch: --nproc starts them on this machine, and on several
    machines torchrun does: torchrun ... -m netwright train SPEC.
    """
    from .runtime.distributed.joining import joined

    choices = read_choices(settings, variant, plugins)
    asked = Asked(spec, settings, variant, plugins, device, tensorboard)
    if plans:
        if output or resume or tensorboard or max_restarts is not None:
            raise click.UsageError("--plan begins no run: it takes no option of one")
        _show_plan(compiled(spec, choices), device, data_dir, nproc or 1)
        return
    if nproc is not None:
        _launch(asked, choices, data_dir, output, nproc, max_restarts or 0, resume=resume)
        return
    if max_restarts is not None:
        raise click.UsageError("--max-restarts needs --nproc; torchrun has an option of that name")
    with joined(report) as world:
        compilation = world.together(lambda: compiled(spec, choices, shows=world.is_main))
        observer = world.together(lambda: _display(tensorboard=tensorboard, world=world))
        result = _train(
            compilation, output, device, data_dir, resume=resume, observer=observer, world=world
        )
        if world.is_main:
            _tell(result, asked)
        world.wait()  # a process that ends for a signal is followed by the others at once
    if result.signal is not None:
        raise SystemExit(128 + result.signal)


def _show_plan(
    compilation: Compilation, device: str | None, data_dir: Path | None, processes: int
) -> None:
    from .runtime.planning.settle import preview_plan

    for line in preview_plan(compilation, device, data_dir, processes):
        click.echo(line)


def _train(
    compilation: Compilation,
    output: Path | None,
    device: str | None,
    data_dir: Path | None,
    *,
    resume: bool,
    observer: Observer,
    world: World,
) -> TrainResult:
    from .runtime.train import train as run_training

    return run_training(
        compilation,
        output=output,
        resume=resume,
        device=device,
        data_dir=data_dir,
        observer=observer,
        world=world,
    )


@dataclass(frozen=True)
class Asked:
    """The choices of a training command, to say it again."""

    spec: Path
    settings: Sequence[str]
    variant: str | None
    plugins: Sequence[Path]
    device: str | None
    tensorboard: bool = False

    def words(self) -> list[str]:
        words = [str(self.spec)]
        words += [word for setting in self.settings for word in ("--set", setting)]
        words += ["--variant", self.variant] if self.variant else []
        words += [word for plugin in self.plugins for word in ("--plugin", str(plugin))]
        words += ["--device", self.device] if self.device else []
        words += ["--tensorboard"] if self.tensorboard else []
        return words


def _launch(
    asked: Asked,
    choices: Choices,
    data_dir: Path | None,
    output: Path | None,
    processes: int,
    restarts: int,
    *,
    resume: bool,
) -> None:
    """Start processes that train together, and exit as they do."""
    from .runtime.distributed.joining import is_joined
    from .runtime.distributed.launch import Launch, check_processes, choose_folder, launch

    if is_joined():
        raise click.UsageError("torchrun has started the processes already: leave --nproc out")
    compilation = compiled(asked.spec, choices, shows=False)  # the first of them shows warnings
    check_processes(processes, compilation.spec.training)
    folder = choose_folder(compilation, output, resume=resume)
    words = asked.words() + (["--data-dir", str(data_dir)] if data_dir else [])
    words += ["-o", str(folder), *(["--resume"] if resume else [])]
    code = launch(
        Launch(words, folder, processes, restarts),
        warn,
    )
    if code:
        raise SystemExit(code)


def _tell(result: TrainResult, asked: Asked) -> None:
    """What a run left, or how to go on with one that a signal ended."""
    if result.signal is not None:
        _tell_stopped(result, asked)
        return
    for part, figures in result.metrics.items():
        click.echo(f"{part}: {_figures(figures)}")
    for path in result.files.values():
        click.echo(f"wrote {path}")
    click.echo(f"run: {result.folder}")


def _tell_stopped(result: TrainResult, asked: Asked) -> None:
    from .runtime.distributed.joining import train_command

    again = [*train_command(), *asked.words(), "-o", str(result.folder), "--resume"]
    click.echo(
        f"stopped at step {result.step:,} of {result.total_steps:,}; go on with:\n"
        f"  {shlex.join(again)}",
        err=True,
    )


def _display(*, tensorboard: bool, world: World) -> Observer:
    """The live display, and the writer of event files where it is asked for."""
    from .runtime.observer import Observer, Together
    from .runtime.progress import observer_for

    if not world.is_main:
        return Observer()
    if not tensorboard:
        return observer_for(sys.stderr)

    from .runtime.tensorboard import TensorBoard

    return Together(TensorBoard(), observer_for(sys.stderr))


def warn(text: str) -> None:
    """Tell what a user must not miss beside what a command prints."""
    click.echo(f"warning: {text}", err=True)


def _figures(figures: Any) -> str:
    from .runtime.number_text import figures_text

    return figures_text(figures, ", ")


@cli.command(
    short_help="Measure a run or a bundle on a part of its data.",
    epilog=example("netwright evaluate runs/digits_cnn-1 --split test"),
)
@click.argument("source", type=EXISTING)
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True
)
@click.option(
    "--judge",
    metavar="BUNDLE",
    type=EXISTING,
    help="A classifier by which new samples are judged; the spec's `judge` unless given.",
)
@plugin_option
@data_option
@device_option
def evaluate(
    source: Path,
    split: Any,
    judge: Path | None,
    plugins: tuple[Path, ...],
    data_dir: Path | None,
    device: str | None,
) -> None:
    """Measure a run, or a bundle in ONNX Runtime, on a part of its data."""
    from .runtime.evaluate import evaluate as measure

    load_plugins(plugins)
    figures = measure(source, split=split, data_dir=data_dir, device=device, judge=judge, warn=warn)
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
@click.option(
    "--stage",
    metavar="VALUE",
    help="Of a run that grows, the networks of this value; the newest unless given.",
)
@plugin_option
def export(
    run_folder: Path,
    output: Path | None,
    opset: int | None,
    with_weights: bool,
    stage: str | None,
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
        stage=stage,
        warn=warn,
    )
    for line in result.lines():
        click.echo(line)


@cli.command(
    short_help="Run a bundle on tables, images, npy or npz files.",
    epilog=example("netwright predict runs/digits_cnn-1/bundle digit.png"),
)
@click.argument("bundle", type=EXISTING)
@click.argument("inputs", nargs=-1, required=True, type=EXISTING)
@click.option("--program", default="predict", show_default=True, help="Which program to run.")
@click.option(
    "-o",
    "--output",
    type=NEW,
    help="Write the results to a .csv or .npz file instead; to a .png where they are images.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Of the noise that a program takes, such as `score`; 0 unless given.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def predict(
    bundle: Path,
    inputs: tuple[Path, ...],
    program: str,
    output: Path | None,
    seed: int | None,
    device: Any,
) -> None:
    """Run a bundle on files of the kinds it was trained on, and on npy and npz files.

    Tables are read as in training, images resized as in training, and folders searched for images.
    Neither torch nor the spec is needed.
    """
    from .runtime.predict import predict_files
    from .runtime.result_files import ENDINGS

    if output:
        check_ending(output, ENDINGS)
    for line in predict_files(
        bundle, inputs, program=program, output=output, seed=seed, device=device, warn=warn
    ):
        click.echo(line)


@cli.command(
    short_help="Let a language model go on from a prompt.",
    epilog=example("netwright generate runs/char_lstm-1/bundle --prompt 'The ' --length 300"),
)
@click.argument("bundle", type=EXISTING)
@click.option("--prompt", default="\n", help="What the text begins with; a new line by default.")
@click.option(
    "--length",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How many tokens are drawn at most.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.8,
    show_default=True,
    help="Below 1, likely tokens get likelier; 0 takes the likeliest.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Draw from so many tokens with the highest scores; 0 for all.",
)
@click.option("--stop", help="A character that ends the text.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the random numbers: the same seed, the same text.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def generate(
    bundle: Path,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int,
    stop: str | None,
    seed: int,
    device: Any,
) -> None:
    """Let an exported language model go on from a prompt, in ONNX Runtime alone."""
    from .runtime.generate import generate as generated
    from .runtime.session import load

    text = generated(
        load(bundle, device),
        prompt,
        length,
        temperature=temperature,
        top_k=top_k,
        stop=stop,
        seed=seed,
        warn=warn,
    )
    click.echo(prompt.encode(errors="surrogateescape").decode(errors="replace") + text)


@cli.command(
    short_help="Draw new samples: a picture, or arrays.",
    epilog=example("netwright sample runs/vae_digits-1/bundle -o samples.png --count 64"),
)
@click.argument("bundle", type=EXISTING)
@click.option(
    "-o",
    "--output",
    type=NEW,
    required=True,
    help="A .png with the samples side by side, or an .npz or .npy file of raw values.",
)
@click.option(
    "--count", type=click.IntRange(min=1), default=16, show_default=True, help="How many samples."
)
@click.option(
    "--given",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="What they are made for, a number or a class; values with commas between them take turns.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the noise: the same seed, the same samples.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def sample(
    bundle: Path, output: Path, count: int, settings: tuple[str, ...], seed: int, device: Any
) -> None:
    """Draw new samples by the program `sample` or `generate` of a bundle, in ONNX Runtime alone."""
    from .runtime.sample import ENDINGS, write_samples
    from .runtime.session import load

    check_ending(output, ENDINGS)
    given = read_values(settings, "--given")
    write_samples(load(bundle, device), output, count, seed=seed, given=given)
    click.echo(f"wrote {output}")


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
    from .runtime.distributed.joining import is_joined
    from .runtime.distributed.world import ALONE
    from .runtime.whole import finish, remove_run

    if is_joined():
        raise click.UsageError("`run` takes one process: use `train` and `export` with torchrun")
    compilation = compiled(spec, read_choices(settings, variant, plugins))
    if output and overwrite:
        remove_run(output)
    click.echo(f"checked {spec}: {_described(compilation)}")
    observer = _display(tensorboard=False, world=ALONE)
    result = _train(
        compilation, output, device, data_dir, resume=False, observer=observer, world=ALONE
    )
    if result.signal is not None:
        _tell_stopped(result, Asked(spec, settings, variant, plugins, device))
        raise SystemExit(128 + result.signal)
    for line in finish(result):
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
    short_help="Write one HTML page about a run.",
    name="report",
    epilog=example("netwright report runs/digits_cnn-1 -o digits.html"),
)
@click.argument("run_folder", metavar="RUN", type=EXISTING)
@click.option("-o", "--output", type=NEW, help="The page; RUN/report.html unless given.")
@plugin_option
@data_option
@device_option
def report_command(
    run_folder: Path,
    output: Path | None,
    plugins: tuple[Path, ...],
    data_dir: Path | None,
    device: str | None,
) -> None:
    """Write one HTML page about a run: curves, mistakes, network, plan; it loads nothing."""
    from .runtime.report.write import write_report

    load_plugins(plugins)
    written = write_report(
        run_folder, output=output, data_dir=data_dir, device=device, plugins=plugins
    )
    for piece in written.left_out:
        click.echo(f"left out {piece.title.lower()}: {piece.why}", err=True)
    click.echo(f"wrote {written.path}")


@cli.command(
    short_help="Set runs side by side: settings, figures, curves.",
    epilog=example("netwright compare runs/digits_cnn-1 runs/digits_cnn-2 -o compare.png"),
)
@click.argument("runs", nargs=-1, required=True, type=EXISTING)
@click.option("-o", "--output", type=NEW, help="Draw the runs' curves over one another: a PNG.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@plugin_option
def compare(
    runs: tuple[Path, ...], output: Path | None, style: str, plugins: tuple[Path, ...]
) -> None:
    """Set runs side by side: the settings that differ, how far they came, figures and curves."""
    import json

    from .runtime.compare.comparison import as_json
    from .runtime.compare.comparison import compare as compare_runs

    if output and output.suffix.lower() != ".png":
        raise click.BadParameter(f"expected a name with .png, found {output}", param_hint="-o")
    load_plugins(plugins)
    comparison = compare_runs(runs)
    if style == "json":
        click.echo(json.dumps(as_json(comparison), indent=2))
    else:
        from .runtime.compare.table import print_comparison

        print_comparison(comparison, sys.stdout)
    if output:
        from .runtime.compare.plot import draw_comparison

        draw_comparison(comparison, output)
        click.echo(f"wrote {output}", err=style == "json")


@cli.command(
    short_help="Measure simple models on a spec's data.",
    epilog=example("netwright baseline specs/digits_cnn.yaml"),
)
@spec_argument
@choice_options
@data_option
@click.option("--run", "run_folder", type=EXISTING, help="The network's run; the newest finished.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def baseline(
    spec: Path,
    settings: tuple[str, ...],
    variant: str | None,
    plugins: tuple[Path, ...],
    data_dir: Path | None,
    run_folder: Path | None,
    style: str,
) -> None:
    """Measure simple models on a spec's data, beside its network: what it has to beat."""
    import json

    from .runtime.baseline.baselines import as_json, measure_baselines

    compilation = compiled(spec, read_choices(settings, variant, plugins))
    found = measure_baselines(
        compilation, data_dir=data_dir, run=run_folder, tell=lambda text: click.echo(text, err=True)
    )
    if style == "json":
        click.echo(json.dumps(as_json(found), indent=2))
    else:
        from .runtime.baseline.table import print_baselines

        print_baselines(found, sys.stdout)


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
    try:
        cli(prog_name="netwright")
    except SystemExit as stop:
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            raise
        # A thread of the process group may outlive it, and would then abort a run that is done.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stop.code if isinstance(stop.code, int) else int(stop.code is not None))
