"""What a user is told: codes, diagnostics and the sink that collects them.

Every mistake of a user ends as a `Diagnostic` with a code of the table below. Phases report into a
`Sink` and go on, so that one run shows every independent mistake. The long texts of `explain`
stand in explanations.md, and render.py is the only place that formats.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

from .source import Span

STAGE_LIMIT = 20
"""How many diagnostics of one stage are shown; the last of them counts the others."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Code(Enum):
    """Each code with one line on when it is emitted. Codes are never reused."""

    Y001 = "YAML syntax"
    Y002 = "duplicate key"
    Y003 = "anchor, alias, merge key, tag, directive or second document"
    Y004 = "size, depth, node or expansion limit"
    Y005 = "scalar with two readings"
    S101 = "unknown key"
    S102 = "missing or wrong value"
    S103 = "unknown, absent or extra operation"
    S104 = "edition not supported"
    S105 = "import not found, outside the tree or circular"
    E201 = "bad expression or unknown parameter"
    E202 = "bad value after evaluation"
    G301 = "unknown reference"
    G302 = "forward or recursive reference"
    G303 = "dead layer, unused input, parameter or block"
    G304 = "duplicate or reserved id"
    D401 = "wrong rank, role or element type"
    D402 = "merge not provably equal"
    D403 = "a dimension vanishes"
    D404 = "divisibility or element count"
    D405 = "`expect` does not hold"
    O501 = "the objective and its networks or data fields do not fit"
    O502 = "settings that exclude each other, or that nothing comes of"
    O503 = "a network cannot run one chunk of a sequence at a time"
    F601 = "the data does not hold what `fields` says"
    F602 = "a data file is missing, damaged or unreadable"
    F603 = "stored weights do not fit the networks"
    X701 = "export differs beyond the tolerance, or a precision or opset is impossible"
    X702 = "an operator cannot be exported"
    B801 = "a bundle is damaged or was changed"
    B802 = "the input of a program does not fit its signature"
    R901 = "a checkpoint is missing or damaged"
    R902 = "a checkpoint belongs to another spec or to other data"
    R903 = "a file or folder cannot be read or written"
    R904 = "training diverged"
    R905 = "the requested device, precision or plan is not possible here"
    R906 = "there is not enough memory"
    R907 = "a package that an option needs is not installed"
    R908 = "the processes of a run did not find or lost each other"
    R909 = "a run did not come to what `stop_if` asks for"
    P951 = "a plug-in cannot be loaded"
    L901 = "vanilla `rnn` over more than 100 steps"
    L902 = "convolution over an axis that has no order"
    L903 = "code of an autoencoder that is not smaller than its target"
    L904 = "activation applied twice"
    L905 = "batch norm in a discriminator with a gradient penalty"
    L906 = "convolution with a bias right before batch norm"
    L907 = "output range does not fit the data"
    L908 = "transposed convolution with a checkerboard pattern"
    L909 = "receptive field smaller than the input"
    L910 = "padding of a sequence taken for data"
    L911 = "recurrent layer over an image"
    L912 = "codes of a `vae` that follow no known distribution"
    L913 = "generator and discriminator of very different sizes"

    @property
    def severity(self) -> Severity:
        warns = self.name.startswith("L") or self is Code.G303
        return Severity.WARNING if warns else Severity.ERROR


@dataclass(frozen=True)
class Label:
    """A place that a diagnostic points at, and a few words under its carets."""

    span: Span
    text: str = ""


@dataclass(frozen=True)
class Edit:
    """Replace the characters of a span; an insertion has an empty span."""

    span: Span
    replacement: str


@dataclass(frozen=True)
class Fix:
    """A change to the spec that repairs the mistake.

    `safe` fixes keep what the spec computes and are applied by `check --fix`.
    """

    title: str
    edits: tuple[Edit, ...]
    safe: bool = False


@dataclass(frozen=True)
class Omitted:
    """How much a stage found beyond `STAGE_LIMIT`: it counts, and is not shown.

    stage: in words: "the sections", "network `classifier`".
    """

    stage: str
    errors: int = 0
    warnings: int = 0

    @property
    def total(self) -> int:
        return self.errors + self.warnings

    def __str__(self) -> str:
        counts = ((self.errors, "error"), (self.warnings, "warning"))
        parts = [f"{n} more {word}{'' if n == 1 else 's'}" for n, word in counts if n]
        verb = "is" if self.total == 1 else "are"
        return f"{' and '.join(parts)} in {self.stage} {verb} not shown; fix these first"


@dataclass(frozen=True)
class Diagnostic:
    """One message: the first label is the primary one.

    message: what was expected and what was found, with the values.
    notes: facts that led here. help: the next step, never a question.
    omitted: on the last one shown of a stage, what else it found; also told in the notes.
    """

    code: Code
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    fixes: tuple[Fix, ...] = ()
    omitted: Omitted | None = None

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None


class NetwrightError(Exception):
    """A user's mistake found where nothing can go on; carries diagnostics for the one formatter."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(f"{d.code.name}: {d.message}" for d in diagnostics))
        self.diagnostics = diagnostics


def failure(
    code: Code,
    message: str,
    *,
    span: Span | None = None,
    label: str = "",
    notes: Iterable[str] = (),
    help: str | None = None,  # noqa: A002 - the word of the field it fills
) -> NetwrightError:
    """A `NetwrightError` of one diagnostic: `raise failure(Code.F602, ...)`."""
    labels = (Label(span, label),) if span else ()
    return NetwrightError(Diagnostic(code, message, labels, tuple(notes), help))


@dataclass
class Sink:
    """Collects diagnostics, each one once.

    found: each with the stage that reported it; nothing is left out before `shown`.
    errors: how many of them are errors.
    """

    found: dict[Diagnostic, str] = field(default_factory=dict)
    errors: int = 0
    current: str = "the text"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is reported inside belongs to a stage, which has a limit of its own."""
        outer, self.current = self.current, name
        try:
            yield
        finally:
            self.current = outer

    def report(self, diagnostic: Diagnostic) -> None:
        if diagnostic in self.found:
            return
        self.found[diagnostic] = self.current
        self.errors += diagnostic.severity is Severity.ERROR

    def add(
        self,
        code: Code,
        message: str,
        span: Span | None,
        label: str = "",
        *,
        also: Iterable[Label] = (),
        notes: Iterable[str] = (),
        help: str | None = None,  # noqa: A002 - the word of the field it fills
        fixes: Iterable[Fix] = (),
    ) -> None:
        labels = ((Label(span, label),) if span else ()) + tuple(also)
        self.report(Diagnostic(code, message, labels, tuple(notes), help, tuple(fixes)))

    @property
    def diagnostics(self) -> list[Diagnostic]:
        return list(self.found)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.found)

    def drop_warnings(self, codes: Collection[str]) -> None:
        """Forget the warnings of these codes; errors stay."""
        self.found = {
            diagnostic: stage
            for diagnostic, stage in self.found.items()
            if diagnostic.code.name not in codes or diagnostic.severity is Severity.ERROR
        }

    def shown(self) -> tuple[Diagnostic, ...]:
        """At most `STAGE_LIMIT` of each stage, from the top of each file to its end.

        Errors come before warnings where there are too many, so that what has errors shows one.
        """
        ordered, stages = _from_the_top(self.found), dict[str, list[Diagnostic]]()
        for diagnostic in ordered:
            stages.setdefault(self.found[diagnostic], []).append(diagnostic)
        shown: dict[Diagnostic, Diagnostic] = {}
        for stage, diagnostics in stages.items():
            shown |= _limited(stage, diagnostics)
        return tuple(shown[diagnostic] for diagnostic in ordered if diagnostic in shown)

    def gate(self) -> None:
        """Between two phases: raise what was found if any of it is an error.

        Raises: NetwrightError: with what is shown so far, warnings included.
        """
        if self.errors:
            raise NetwrightError(*self.shown())


def _from_the_top(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By place, as people read; files in the order of their first report, what has none first."""
    files: dict[str, int] = {}

    def place(diagnostic: Diagnostic) -> tuple[int, int, int]:
        span = diagnostic.span
        if span is None:
            return -1, 0, 0
        return files.setdefault(span.file.name, len(files)), span.line, span.col

    return sorted(found, key=place)


def _limited(stage: str, found: Sequence[Diagnostic]) -> dict[Diagnostic, Diagnostic]:
    """What is shown of a stage, by what was reported."""
    ranked = sorted(found, key=lambda diagnostic: diagnostic.severity is not Severity.ERROR)
    kept, left_out = set(ranked[:STAGE_LIMIT]), ranked[STAGE_LIMIT:]
    shown = {diagnostic: diagnostic for diagnostic in found if diagnostic in kept}
    if left_out:
        errors = sum(diagnostic.severity is Severity.ERROR for diagnostic in left_out)
        omitted = Omitted(stage, errors, len(left_out) - errors)
        last = next(reversed(shown))
        shown[last] = replace(last, notes=(*last.notes, str(omitted)), omitted=omitted)
    return shown
