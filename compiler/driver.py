"""Runs the phases in order: text, located tree, spec, typed graphs, objective, lints, programs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from .diagnostics import Diagnostic, Edit, Fix, NetwrightError, Severity, Sink
from .fixes import apply_fixes
from .growing import compile_stages
from .ir.graph import Graph
from .ir.verifier import verify
from .language.loader import load, read_source
from .language.meaning import meaning
from .language.param_values import write_value
from .language.params import Choices
from .language.spec import Spec, SpecReader
from .lints.base import LintContext
from .lints.runner import run_lints, suppress
from .objectives.base import Context
from .objectives.fields import Field
from .objectives.resolving import resolve_fields
from .objectives.run_settings import check_export, check_training
from .objectives.unread_fields import check_unread
from .source import Key, Located, SourceFile


@dataclass(frozen=True)
class Compilation:
    """What a spec compiles to.

    graphs: the networks that have no mistakes. programs: what the objective yields; empty where
    there is no objective or where there are errors. fields: the data fields by name.
    labels: program output -> names of its classes.
    diagnostics: what is shown of each stage. fixes: the safe ones of the spec's own file, those of
    diagnostics that are not shown included.
    chosen: whether a variant or parameters were set from outside.
    stages: of a spec with `training.grow`, what it compiles to for each of the parameter's values,
        the last of which is the spec's own; empty without, and of a stage itself.
    stage: the number of the stage that this is; None of what is none.
    """

    file: SourceFile
    folder: Path
    located: Located
    spec: Spec
    graphs: Mapping[str, Graph]
    programs: Mapping[str, Graph]
    fields: Mapping[str, Field]
    labels: Mapping[str, list[str]]
    diagnostics: tuple[Diagnostic, ...]
    fixes: tuple[Fix, ...] = ()
    chosen: bool = False
    stages: tuple[Compilation, ...] = ()
    stage: int | None = None

    @property
    def has_errors(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self.diagnostics)

    @cached_property
    def source(self) -> str:
        """The Python file: PyTorch modules of the networks and programs."""
        from .backends.torch_source import generate  # `check` has no need of it

        spec = self.spec
        return generate(
            self.graphs,
            self.programs,
            title=spec.summary or spec.name,
            origin=self.file.name,
            note=self.source_note,
        )

    @property
    def source_note(self) -> str:
        """What the source says of means and deviations that only the data tells."""
        waiting = [f"`{name}`" for name, field in self.fields.items() if field.awaits_data]
        if not waiting or not self.programs:
            return ""
        return (
            f"Programs normalize {' and '.join(waiting)} by mean 0 and deviation 1, which stand in "
            "place of those of the training samples: the model.py of a run has these."
        )

    @cached_property
    def resolved(self) -> str:
        """The spec's text with the chosen values of its parameters in place of the defaults.

        That of a stage is the text of the spec that it is a stage of.
        """
        edits = []
        for name in sorted(self.spec.chosen & self.spec.params.keys()):
            path: Key = ("params", name, "value")
            span = self.located.spans.get(path) or self.located.spans[("params", name)]
            declared = self.located.data["params"][name]
            default = declared["value"] if isinstance(declared, Mapping) else declared
            value = self._value_of(name)
            if default != value:
                edits.append(Edit(span, write_value(value)))
        return apply_fixes(
            self.file.text, [Fix("chosen values", (edit,), safe=True) for edit in edits]
        )

    def _value_of(self, name: str) -> Any:
        """The value of a parameter in the spec of which this is, or may be, a stage."""
        grow = self.spec.training.grow
        if grow and self.stage is not None and name == grow.param:
            return grow.values[-1]
        return self.spec.params[name]

    @cached_property
    def spec_hash(self) -> str:
        """sha256 of what the resolved spec and every library that it imports say, in hexadecimal.

        Layout and comments do not count; see language/meaning.py.
        """
        texts = [self.resolved, *self.spec.imported]
        meanings = [meaning(SourceFile(self.file.name, text)) for text in texts]
        return hashlib.sha256("\n".join(meanings).encode()).hexdigest()

    @property
    def libraries(self) -> dict[str, str]:
        """The texts of imported libraries by their path relative to the spec's folder."""
        root = self.folder.resolve()
        return {
            path.relative_to(root).as_posix(): text for path, text in self.spec.libraries.items()
        }


def check(
    path: Path | str, choices: Choices | None = None, *, networks_only: bool = False
) -> Compilation:
    """Read a spec and find every mistake in it.

    Args:
        path: the spec's file.
        choices: the variant and the parameters that are set from outside.
        networks_only: pass over the sections that tie the networks to data and training.
    Returns: what could be compiled, with the diagnostics; a spec with errors has no programs.
    Raises: NetwrightError: the file can't be read, or its text can't be understood as YAML.
    """
    path = Path(path)
    return check_source(read_source(path), path.parent, choices, networks_only=networks_only)


def check_source(
    file: SourceFile,
    folder: Path,
    choices: Choices | None = None,
    *,
    networks_only: bool = False,
) -> Compilation:
    """The same for a text; `folder` is where its relative paths begin."""
    sink = Sink()
    located = load(file, sink)
    sink.gate()
    assert located
    with sink.stage("the sections"):
        spec = SpecReader(located, sink, choices or Choices(), networks_only).read(folder)
    graphs = {name: graph for name, graph in spec.graphs.items() if graph}
    for graph in graphs.values():
        verify(graph)
    chosen = choices is not None and bool(choices.variant or choices.values)
    stage = choices.stage if choices else None
    found = Compilation(
        file, folder, located, spec, graphs, {}, {}, {}, (), chosen=chosen, stage=stage
    )
    return _bind(found, sink, choices or Choices())


def _stage(whole: Compilation, choices: Choices, number: int, value: str) -> Compilation:
    """A stage of a spec that grows, for the value of its parameter."""
    grow = whole.spec.training.grow
    assert grow
    values = {**choices.values, grow.param: value}
    return check_source(whole.file, whole.folder, Choices(choices.variant, values, number))


def compile_spec(path: Path | str, choices: Choices | None = None) -> Compilation:
    """`check`, for those who need a spec without errors.

    Raises: NetwrightError: with every diagnostic if there is an error.
    """
    compilation = check(path, choices)
    if compilation.has_errors:
        raise NetwrightError(*compilation.diagnostics)
    return compilation


def _bind(compilation: Compilation, sink: Sink, choices: Choices) -> Compilation:
    """Tie the networks to data and objective: checks, lints, programs."""
    spec, span = compilation.spec, compilation.located.span
    with sink.stage("data, objective and training"):
        fields, broken = (
            resolve_fields(spec.data, spec.dims, span, sink) if spec.data else ({}, frozenset())
        )
        source = spec.data.source if spec.data else None
        is_stage = compilation.stage is not None
        context = Context(
            compilation.graphs, fields, spec.dims, span, sink, broken, source, is_stage
        )
        _check_sections(spec, context)
    stages: tuple[Compilation, ...] = ()
    if spec.training.grow and compilation.stage is None:
        with sink.stage("the stages of `grow`"):
            stages = compile_stages(compilation, sink, partial(_stage, compilation, choices))
    with sink.stage("the lints"):
        _lint(compilation, context)
    programs: Mapping[str, Graph] = {}
    labels: Mapping[str, list[str]] = {}
    if spec.objective and not sink.errors:
        programs, labels = spec.objective.programs(context), spec.objective.labels(context)
        for program in programs.values():
            verify(program)
    bound = replace(
        compilation,
        programs=programs,
        fields=fields,
        labels=labels,
        diagnostics=sink.shown(),
        fixes=_safe_fixes(sink, compilation.file),
    )
    last = (replace(bound, stage=len(stages)),) if stages else ()
    return replace(bound, stages=(*stages, *last))


def _safe_fixes(sink: Sink, file: SourceFile) -> tuple[Fix, ...]:
    return tuple(
        fix
        for diagnostic in sink
        for fix in diagnostic.fixes
        if fix.safe and all(edit.span.file == file for edit in fix.edits)
    )


def _check_sections(spec: Spec, context: Context) -> None:
    """What the sections say of themselves and of each other; what failed before stays silent."""
    objective = spec.objective
    check_training(spec.training, objective, spec.data, context)
    check_export(spec.export, objective, context)
    if objective:
        failed = {name for name, graph in spec.graphs.items() if graph is None}
        if not failed & set(objective.networks().values()) and "data" not in spec.broken:
            objective.check(context, ("objective", objective.name))
            for problem in (
                () if context.sink.errors else objective.training_problems(spec.training, context)
            ):
                context.report(problem, ("training",))
            if spec.data and not context.sink.errors:
                check_unread(objective, spec.data, context)


def _lint(compilation: Compilation, context: Context) -> None:
    """Warnings, less those that the spec gives a reason for; with errors no lint runs yet."""
    spec, located, sink = compilation.spec, compilation.located, context.sink
    sound = not sink.errors
    if sound:
        read = spec.objective, context.fields, spec.training
        run_lints(LintContext(compilation.graphs, located, *read), sink)
    suppress(sink, spec.lint, located, complete=sound and not compilation.chosen)
