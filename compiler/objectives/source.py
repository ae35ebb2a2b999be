"""What a data source is: settings, and which fields it is known to hold.

runtime/data reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from .fields import Field
from .problem import Problem
from .section import Section

Path = Annotated[str, Setting(min_length=1)]


class Source(Section):
    """Where samples come from. Paths are relative to the spec's folder."""

    name: ClassVar[str]

    is_ordered: ClassVar[bool] = False
    """Whether its samples follow each other in time: parts are then cut off at the end, later
    samples for later use, and never drawn by chance."""

    @property
    def has_test(self) -> bool:
        """Whether the source brings test samples of its own."""
        return False

    def known_fields(self) -> dict[str, Field]:
        """The fields that the source always holds, fully described; else none."""
        return {}

    def merged(self, given: Mapping[str, Field]) -> dict[str, Field]:
        """Every field by name: what the source knows, overridden by what the spec gives."""
        known = self.known_fields()
        return {name: override(known.get(name), given.get(name)) for name in {**known, **given}}

    def paths(self) -> list[str]:
        """Every file and folder it reads, as the spec names them."""
        return []

    def problems(self, fields: list[str]) -> Iterator[Problem]:
        """Settings that do not fit the declared fields."""
        yield from ()

    def derived(self, fields: Mapping[str, Field]) -> set[str]:
        """The names of fields that are made of others, and that nothing is stored for."""
        return set()

    def field_problems(self, name: str, field: Field) -> Iterator[Problem]:
        """What a field of the spec lacks that the settings need."""
        yield from ()


def override(known: Field | None, given: Field | None) -> Field:
    """A field of the source with settings of the spec; these replace what they exclude, too."""
    if known is None or given is None:
        field = given or known
        assert field is not None
        return field
    settings = {key: getattr(given, key) for key in given.model_fields_set}
    replaced = {_OPPOSITES[key] for key in settings if key in _OPPOSITES}
    kept = {key: getattr(known, key) for key in known.model_fields_set - replaced}
    return type(known)(**{**kept, **settings})


_OPPOSITES = {
    "scale": "normalize",
    "normalize": "scale",
    "below": "classes",
    "classes": "below",
}


def strangers(key: str, named: Mapping[str, object], fields: list[str]) -> Iterator[Problem]:
    """A setting by fields, `key`, that names what `fields` does not have."""
    for name in named:
        if name not in fields:
            yield Problem(
                Code.O501,
                f"`{key}` names the field `{name}`, which `fields` does not have",
                (key, name),
                help=f"the fields are {', '.join(f'`{f}`' for f in fields)}",
            )


def same_place(path: str, test_path: str | None) -> Iterator[Problem]:
    """Training and testing on the same samples tells nothing."""
    if path == test_path:
        yield Problem(
            Code.O502,
            f"`path` and `test_path` are both `{path}`: the network would be tested on what it "
            "was trained on",
            ("test_path",),
            help="remove `test_path`, and `split` sets test samples aside",
        )
