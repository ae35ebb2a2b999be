"""`init`: a commented spec that trains at once, and the schema for editors. Torch-free."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..compiler.diagnostics import Code, failure
from ..compiler.language.json_schema import json_schema
from ..compiler.suggest import did_you_mean
from .files import write_text

TEMPLATES = Path(__file__).resolve().parents[1] / "specs" / "templates"
SCHEMA = "netwright.schema.json"
MODELINE = f"# yaml-language-server: $schema={SCHEMA}\n"


def families() -> list[str]:
    """The kinds of networks that `init` knows."""
    return sorted(path.stem for path in TEMPLATES.glob("*.yaml"))


def write_spec(name: str, family: str, path: Path) -> list[Path]:
    """Write a new spec, and beside it the JSON Schema that its first line names.

    Returns: the files that were written.
    Raises: NetwrightError: S102: the name or the family; R903: the file exists or can't be written.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise failure(
            Code.S102,
            f"a spec's name expects snake_case, found `{name}`",
            help="use lower-case letters, digits and underscores",
        )
    if family not in families():
        raise failure(
            Code.S102,
            f"unknown family `{family}`",
            help=did_you_mean(family, families(), "family"),
        )
    if path.exists():
        raise failure(
            Code.R903, f"`{path}` exists already", help="choose another name, or remove the file"
        )
    template = (TEMPLATES / f"{family}.yaml").read_text(encoding="utf-8")
    text = template.replace("name: NAME", f"name: {name}").replace("FILE", path.name)
    write_text(path, MODELINE + text)
    schema = path.with_name(SCHEMA)
    write_text(schema, json.dumps(json_schema(), indent=1) + "\n")
    return [path, schema]
