"""The reference of settings: every model has its page, and says what it takes in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.language.schema import SECTIONS, LintModel
from netwright.compiler.objectives.augmentations import AUGMENTATIONS
from netwright.compiler.objectives.losses import LOSSES
from netwright.compiler.objectives.metrics import METRICS
from netwright.compiler.objectives.numbers import Decay, Range, Rate
from netwright.compiler.objectives.optimizers import OPTIMIZERS, Optimizer
from netwright.compiler.objectives.registry import OBJECTIVES
from netwright.compiler.objectives.schedules import LR_SCHEDULES, Schedule
from netwright.compiler.objectives.section import OneKey, Section
from netwright.compiler.objectives.sources import SOURCES
from netwright.compiler.settings.manual import manual
from netwright.compiler.settings.pages import Page, pages
from netwright.compiler.settings.words import words
from pydantic import Field

REGISTRIES = (SOURCES, AUGMENTATIONS, OBJECTIVES, LOSSES, METRICS, OPTIMIZERS, LR_SCHEDULES)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: next(iter(r)))
def test_everything_in_a_registry_has_a_page_with_all_its_keys(
    registry: Mapping[str, type[Section]],
) -> None:
    for name, model in registry.items():
        page = pages()[name]
        assert page.model is model
        assert {setting.key for setting in page.settings} == set(model.model_fields)
        assert f" `{name}`\n" in manual()


def test_each_section_beside_the_networks_has_a_page() -> None:
    told = {page.name for page in pages().values() if not page.depth}
    about_layers = {"spec", "name", "summary", "imports", "variants", "blocks", "networks"}
    assert told == set(SECTIONS) - about_layers | {"numbers"}


@pytest.fixture
def new_optimizer() -> Iterator[None]:
    class Lion(Optimizer):
        """The sign of an average. Source: Chen et al. 2023."""

        name: ClassVar[str] = "lion"
        cautious: bool = Field(default=False, description="Move with the gradient alone.")

    pages.cache_clear()
    OPTIMIZERS["lion"] = Lion
    yield
    del OPTIMIZERS["lion"]
    pages.cache_clear()


def test_a_new_optimizer_is_told_at_once(new_optimizer: None) -> None:
    text = manual()
    assert "| [`lion`](#lion) | The sign of an average. |" in text
    assert "#### `lion`\n\nThe sign of an average. Source: Chen et al. 2023.\n" in text
    assert "| `cautious` | `true` or `false` | `false` | Move with the gradient alone. |" in text


PAGES = [pytest.param(page, id=page.name) for page in pages().values()]


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_says_what_it_means(page: Page) -> None:
    for setting in page.settings:
        assert setting.meaning.endswith("."), setting


@pytest.mark.parametrize("page", PAGES)
def test_a_shorthand_is_told(page: Page) -> None:
    """What may be written as something else than a map says so in its messages and on its page."""
    plain = [value for value in ("word", 3, 0.5, True) if is_taken(page.model, value)]
    assert bool(plain) <= (page.model.expects != Section.expects), plain


def is_taken(model: type[Section], value: Any) -> bool:
    return isinstance(model.desugar(value), Mapping)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (bool, "`true` or `false`"),
        (str | None, "text"),
        (Literal["cpu", "cuda"], "`cpu` or `cuda`"),
        (Annotated[int, Field(ge=0, le=256)], "whole number from 0 to 256"),
        (Annotated[int, Field(ge=0, lt=2**63)], "whole number from 0"),
        (Annotated[float, Field(gt=0, lt=1)] | None, "number above 0 to below 1"),
        (Annotated[float, Field(le=1)], "number up to 1"),
        (Annotated[str, Field(min_length=1, max_length=1)], "one character"),
        (list[Annotated[float, Field(ge=0)]], "list of numbers from 0"),
        (Annotated[list[int], Field(min_length=2, max_length=2)], "2 whole numbers"),
        (dict[str, str | list[str]], "texts or lists of texts by name"),
        (Rate, "number or schedule above 0"),
        (Annotated[list[Decay], Field(min_length=2, max_length=2)],
         "2 numbers or schedules from 0 to below 1"),
        (Schedule, "number or schedule"),
        (Annotated[Schedule, Range(ge=0, le=1)] | None, "number or schedule from 0 to 1"),
        (Annotated[Section, OneKey({}, "loss")], "loss"),
        (list[Annotated[Section, OneKey({}, "loss")]], "list of losses"),
        (dict[str, Annotated[Section, OneKey({}, "optimizer")]], "optimizers by name"),
        (LintModel | None, "map from codes to reasons"),
        (list[Section], "list of maps"),
    ],
)  # fmt: skip
def test_words(kind: Any, expected: str) -> None:
    assert words(kind) == expected


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["settings", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_lists_every_page() -> None:
    listed = [line.split()[0] for line in run().splitlines()]
    assert listed == list(pages())
    assert re.search(r"^    muon +Momentum made orthogonal", run(), re.MULTILINE)


def test_the_command_shows_a_page() -> None:
    text = run("early_stopping")
    assert text.startswith("training: early_stopping\n\nEnd the run when a figure")
    assert "It is written as a whole number or a map." in text
    assert "  figure     text; default `loss`\n" in text
    assert "  patience   whole number from 1; required\n" in text
    assert "More pages: digits" not in run("source")  # they are listed as choices
    assert "More pages: optimizer, adamw" in run("training")


def test_the_command_shows_a_key_wherever_it_stands() -> None:
    text = run("momentum")
    assert "training: optimizer: sgd\n  momentum  number or schedule from 0 to below 1" in text
    assert "training: optimizer: rmsprop\n" in text


@pytest.mark.parametrize(
    ("name", "step"),
    [("trainin", "`training`"), ("adam_w", "`adamw`"), ("clipnorm", "`clip_norm`")],
)
def test_a_misspelt_name_is_answered(name: str, step: str) -> None:
    done = CliRunner().invoke(cli, ["settings", name])
    assert done.exit_code == 2
    assert f"no setting `{name}`: a setting with a similar name exists: {step}" in done.output


@pytest.mark.parametrize(
    ("command", "name", "step"),
    [
        ("settings", "learning_rate", "a setting of this meaning exists: `lr`"),
        ("ops", "dense", "an operator of this meaning exists: `linear`"),
        ("ops", "ReLU", "an operator with a similar name exists: `relu`"),
    ],
)
def test_names_of_other_tools_are_answered(command: str, name: str, step: str) -> None:
    done = CliRunner().invoke(cli, [command, name])
    assert done.exit_code == 2
    assert f" `{name}`: {step}" in done.output
