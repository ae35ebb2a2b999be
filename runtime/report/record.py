"""How the run was made: plan, machine, seeds, the command that repeats it, and its spec."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from ..plan import BY_WORDS
from ..runs import PLAN, SPEC
from .markup import Html, element, joined, prose, table
from .section import LeftOut, Piece, Section
from .subject import Subject


def plan(subject: Subject) -> Piece:
    """Every decision about how steps were executed, and who took it."""
    if subject.plan is None or not subject.plan.decisions:
        return LeftOut("Plan", subject.why(PLAN))
    rows = (
        [
            item.what.replace("_", " "),
            element("b", _value(item.value)),
            prose(item.why),
            element("span", _by(item.by), class_=f"badge {_badge(item.by)}"),
        ]
        for item in subject.plan.decisions
    )
    body = table(["what", "decided", "why", "by"], rows, kind="plan")
    return Section("Plan", body, "How each step was executed, and who decided it.")


def _by(by: str) -> str:
    """Who decided, in the words of `train --plan`."""
    return {str(key): word for key, word in BY_WORDS.items()}.get(by, by)


def _badge(by: str) -> str:
    return by if by in ("spec", "netwright", "measured") else "unknown"


def _value(value: str | int | float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def environment(subject: Subject) -> Piece:
    """Where it ran, what it was seeded with, and how to repeat it."""
    command = element("pre", element("code", repeat_command(subject)))
    parts = [
        table(["", ""], _facts(subject), kind="facts"),
        element("h3", "To train it again"),
        command,
    ]
    return Section("Environment", joined(parts))


def _facts(subject: Subject) -> Iterator[tuple[str, str]]:
    record = subject.record
    yield "device", str(record.get("device") or "not recorded")
    yield from _seeds(subject)
    yield "data", str(record.get("data") or "not recorded")
    yield "spec", str(record.get("spec") or "not recorded")
    yield "spec sha256", element("code", str(record.get("spec_sha256") or "not recorded"))
    begun_with = record.get("init_from")
    if isinstance(begun_with, Mapping):
        digest = str(begun_with.get("sha256"))[:12]
        yield "initial weights", f"{begun_with.get('path')} (sha256 {digest})"
    versions = record.get("versions")
    if isinstance(versions, Mapping):
        yield "made with", " · ".join(f"{name} {version}" for name, version in versions.items())


def _seeds(subject: Subject) -> Iterator[tuple[str, str]]:
    if subject.compilation is None:
        return
    spec = subject.compilation.spec
    yield "seed", f"{spec.training.seed} for weights, order and augmentation"
    if spec.data:
        yield "seed of the split", str(spec.data.split.seed)


def repeat_command(subject: Subject) -> str:
    """The command that trains the run's own spec again, in another folder."""
    words = ["netwright", "train", str(subject.folder / SPEC)]
    words += [word for plugin in subject.plugins for word in ("--plugin", str(plugin))]
    data, device = subject.record.get("data"), subject.record.get("device")
    words += ["--data-dir", data] if isinstance(data, str) else []
    words += ["--device", device.partition(":")[0]] if isinstance(device, str) else []
    return shlex.join([*words, "-o", f"{subject.folder}-again"])


def spec_text(subject: Subject) -> Piece:
    """The spec as it was trained, to unfold."""
    if subject.spec_text is None:
        return LeftOut("Spec", subject.why(SPEC))
    lines = subject.spec_text.count("\n") + 1
    title = element("summary", f"{SPEC}: {lines:,} lines, with the chosen values of parameters")
    code: Html = element("pre", element("code", subject.spec_text))
    return Section("Spec", element("details", title, code))
