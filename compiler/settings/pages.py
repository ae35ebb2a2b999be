"""The pages of the reference: one for each section of a spec, and for each thing to choose in it.

They are found by walking the models, so that a new source, optimizer or objective has its page as
soon as it is in its registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from typing import Annotated, Any

from pydantic.fields import FieldInfo

from ..diagnostics import Code, Severity
from ..docstrings import first_sentence, paragraphs
from ..language.schema import DimModel, ExpectModel, LintModel, ParamModel
from ..objectives.base import Objective
from ..objectives.data import Data
from ..objectives.export import Export
from ..objectives.registry import OBJECTIVES
from ..objectives.schedules import Schedule
from ..objectives.section import OneKey, Section
from ..objectives.training import Training
from ..reference import notation
from .words import annotated, choice_of, section_of, words

SECTIONS: dict[str, Any] = {
    "numbers": Schedule,
    "params": dict[str, ParamModel],
    "dims": dict[str, DimModel],
    "data": Data,
    "objective": Annotated[Objective, OneKey(OBJECTIVES, "objective")],
    "training": Training,
    "export": Export,
    "expect": ExpectModel,
    "lint": LintModel,
}
"""The sections of a spec that say nothing about layers, and before them the numbers in all."""


@dataclass(frozen=True)
class Setting:
    """One key. value: what it takes, in words. page: the name of the page that says more."""

    key: str
    value: str
    default: str
    meaning: str
    page: str | None = None


@dataclass(frozen=True)
class Page:
    """A section, or a thing to choose.

    model: the class that it tells of. path: the names of the pages above it, and its own.
    choices: the names of pages below, where one of them is chosen.
    """

    path: tuple[str, ...]
    model: type[Section]
    settings: tuple[Setting, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def depth(self) -> int:
        """How many pages it stands below."""
        return len(self.path) - 1

    @property
    def summary(self) -> str:
        return first_sentence(self.model)

    @property
    def text(self) -> list[str]:
        """Its paragraphs."""
        has_words = self.model.expects != Section.expects
        short = [f"It is written as {self.model.expects}."] if has_words else []
        return [*paragraphs(self.model), *short]


@cache
def pages() -> dict[str, Page]:
    """Every page by its name; one that belongs to another stands right below it."""
    book = _Book()
    for name, kind in SECTIONS.items():
        book.enter(name, kind)
    return {name: page for name, page in book.pages.items() if page is not None}


def below(page: Page) -> list[Page]:
    """The pages that belong to one, and those that belong to them."""
    book = list(pages().values())
    after = book[book.index(page) + 1 :]
    return list(takewhile(lambda other: other.depth > page.depth, after))


def settings_called(key: str) -> Iterator[tuple[Page, Setting]]:
    """Every setting of a name, with the page where it stands."""
    for page in pages().values():
        for setting in page.settings:
            if setting.key == key:
                yield page, setting


@dataclass
class _Book:
    """Collects pages. names: of what has a page already, models and registries, by identity."""

    pages: dict[str, Page | None] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def enter(self, key: str, kind: Any, above: tuple[str, ...] = ()) -> str | None:
        """Make the page of what an annotation holds, if it has none yet.

        Returns: its name; None where it is a plain value.
        """
        found, model = choice_of(kind), section_of(kind)
        thing = found[0].registry if found else model
        if thing is None:
            return None
        if id(thing) in self.names:
            return self.names[id(thing)]
        name = f"{above[-1]}.{key}" if key in self.pages else key
        self.names[id(thing)] = name
        self.pages[name] = None  # its place, before those of the pages below it
        path = (*above, name)
        if found:
            self.pages[name] = self._choice(path, *found)
        elif model:
            self.pages[name] = self._section(path, model)
        return name

    def _choice(self, path: tuple[str, ...], choice: OneKey, base: type[Section]) -> Page:
        chosen = [self.enter(word, model, path) for word, model in choice.registry.items()]
        return Page(path, base, choices=tuple(word for word in chosen if word))

    def _section(self, path: tuple[str, ...], model: type[Section]) -> Page:
        settings = _lints() if model is LintModel else self._settings(path, model)
        return Page(path, model, tuple(settings))

    def _settings(self, path: tuple[str, ...], model: type[Section]) -> Iterator[Setting]:
        for name, info in model.model_fields.items():
            key, kind = info.alias or name, annotated(info)
            more = self.enter(key, kind, path)
            if any(isinstance(m, OneKey) and m.inline for m in info.metadata):
                key = f"<{key}>"  # the name of the choice stands in place of the key
            yield Setting(key, words(kind), _default(info), info.description or "", more)


def _lints() -> Iterator[Setting]:
    """The codes that `lint` takes."""
    for code in Code:
        if code.severity is Severity.WARNING:
            yield Setting(code.name, "reason", "none", f"{code.value[0].upper()}{code.value[1:]}.")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = _written(info.default)
    is_nothing = value is None or (value in ([], {}) and not isinstance(info.default, Section))
    return "none" if is_nothing else notation(value)


def _written(value: Any) -> Any:
    """A default as a spec would write it: a section by its name, or as {} for all its defaults."""
    if isinstance(value, Schedule) and value.is_constant:
        return _written(value.start)
    if isinstance(value, Section):
        assert value == type(value)(), "a default that differs from its section's own"
        return getattr(value, "name", {})
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [_written(item) for item in value] if isinstance(value, list) else value
