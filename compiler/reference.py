"""The operator reference, generated from the operators' classes."""

from __future__ import annotations

from collections import defaultdict

from .docstrings import documentation
from .language.param_values import write_value
from .ops.base import REGISTRY, REQUIRED, Attribute, Op


def families() -> dict[str, list[type[Op]]]:
    """Every operator by its family, both in alphabetical order."""
    found: dict[str, list[type[Op]]] = defaultdict(list)
    for name in sorted(REGISTRY):
        found[REGISTRY[name].family].append(REGISTRY[name])
    return dict(sorted(found.items()))


def operator_page(cls: type[Op]) -> str:
    """One operator: what it does, its inputs, outputs, arguments and an example."""
    ports = ", ".join(port.name + ("?" if port.optional else "") for port in cls.ports) or "none"
    lines = [f"### `{cls.name}`", "", "```text", documentation(cls), "```", ""]
    lines.append(f"Ports in: {ports}.")
    if cls.attributes:
        lines += ["", "| argument | default | meaning |", "|---|---|---|"]
        lines += [_row(name, declared) for name, declared in cls.attributes.items()]
    if cls.examples:
        example = cls.examples[0]
        stated = {**example.types, **example.outputs}
        types = "; ".join(f"{port}: {kind}" for port, kind in stated.items())
        lines += ["", f"Example: `{cls.name}: {example.arguments}` with {types}."]
    return "\n".join(lines) + "\n"


def _row(name: str, declared: Attribute) -> str:
    default = notation(declared.default)
    doc = declared.doc
    if declared.choices:
        doc += " One of " + ", ".join(f"`{choice}`" for choice in declared.choices) + "."
    main = " (main)" if declared.main else ""
    return f"| `{name}`{main} | {default} | {doc} |"


def notation(value: object) -> str:
    """A default in the notation of specs."""
    if value is REQUIRED:
        return "required"
    return "none" if value is None else f"`{write_value(value)}`"


def manual() -> str:
    """docs/operators.md."""
    parts = [
        "# Operators",
        "",
        "Generated from the classes in `compiler/ops/` by `make docs`; do not edit.",
        "An argument marked (main) may be written alone: `linear: 10`. Axes are counted with the",
        "batch axis as 0. A port marked `?` is optional.",
        "",
    ]
    for family, operators in families().items():
        parts += [f"## {family.replace('_', ' ').capitalize()}", ""]
        parts += [operator_page(cls) for cls in operators]
    return "\n".join(parts)
