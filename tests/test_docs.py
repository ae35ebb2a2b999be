"""The documents: their examples check, their links lead somewhere, generated pages are current."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import netwright.compiler.ops  # noqa: F401 - fills the registry
import pytest
import yaml
from netwright.compiler import explanations, reference
from netwright.compiler.diagnostics import Code, Sink
from netwright.compiler.driver import check_source, compile_spec
from netwright.compiler.language.evaluate import FAILED, Origins
from netwright.compiler.language.loader import load
from netwright.compiler.language.validate import Validator
from netwright.compiler.objectives.augmentations import AUGMENTATIONS
from netwright.compiler.objectives.autoencoder import SPARSITIES
from netwright.compiler.objectives.code_metrics import CODE_METRICS
from netwright.compiler.objectives.corruptions import CORRUPTIONS
from netwright.compiler.objectives.data import Data
from netwright.compiler.objectives.likelihoods import LIKELIHOODS
from netwright.compiler.objectives.losses import LOSSES
from netwright.compiler.objectives.metrics import METRICS
from netwright.compiler.objectives.optimizers import OPTIMIZERS
from netwright.compiler.objectives.registry import OBJECTIVES
from netwright.compiler.objectives.schedules import LR_SCHEDULES
from netwright.compiler.objectives.section import OneKey
from netwright.compiler.objectives.sources import SOURCES
from netwright.compiler.objectives.training import Training
from netwright.compiler.ops.base import REGISTRY
from netwright.compiler.plugins import load_plugin
from netwright.compiler.render import render
from netwright.compiler.settings import manual as settings
from netwright.compiler.source import SourceFile
from netwright.runtime.data.cells import NOTHING

from .codes import diagnostics_of

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "compiler" / "README.md",
    ROOT / "runtime" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

FOLDERS = {
    path.name for folder in (ROOT, ROOT / "compiler", ROOT / "runtime") for path in folder.iterdir()
}
"""What a path in a page may begin with: it is then relative to the page, or to the root."""


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    fenced = rf"^```{language}\n(.*?)^```$"
    return re.findall(fenced, page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


SPECS = [
    pytest.param(page, text, id=f"{name_of(page)}:{re.findall(r'^name: (.*)$', text, re.M)[0]}")
    for page in PAGES
    if page.name != "diagnostics.md"  # its wrong examples are wrong; tests of their own try them
    for text in blocks(page, "yaml")
    if text.startswith("spec: v1")
]


def test_there_are_examples() -> None:
    assert len(SPECS) > 10


@pytest.mark.parametrize(("page", "text"), SPECS)
def test_whole_specs_compile(page: Path, text: str) -> None:
    found = diagnostics_of(text, ROOT)
    assert not found, render(found, "text")
    source = check_source(SourceFile(page.name, text), ROOT).source
    compile(source, page.name, "exec")


FRAGMENTS = [
    pytest.param(text, id=f"{name_of(page)}: {text.splitlines()[1].strip()[:40]}")
    for page in PAGES
    if page.name != "diagnostics.md"
    for text in blocks(page, "yaml")
    if not text.startswith("spec: v1")
]
FRAGMENT_MODELS = {"data": Data, "training": Training}
OBJECTIVE = OneKey(OBJECTIVES, "objective")


def test_there_are_fragments_of_each_section() -> None:
    shown = {text.partition(":")[0] for (text,) in (param.values for param in FRAGMENTS)}
    assert shown == {*FRAGMENT_MODELS, "objective"}


@pytest.mark.parametrize("text", FRAGMENTS)
def test_fragments_of_specs_are_valid(text: str) -> None:
    """As far as they can be without the rest of a spec."""
    sink = Sink()
    located = load(SourceFile("fragment.yaml", text), sink)
    assert located, render(list(sink), "text")
    validator = Validator(located, sink, Origins())
    for key, value in located.data.items():
        if key == "objective":  # the rest it says of networks and data that are not there
            assert validator.choose(OBJECTIVE, value, (key,)) is not FAILED
            continue
        section = validator.read(FRAGMENT_MODELS[key], value, (key,))
        assert section, render(list(sink), "text")
        for problem in section.problems():
            problem.report((key,), located.span, sink)
    assert not list(sink), render(list(sink), "text")


def test_the_spec_of_the_readme_is_the_demo() -> None:
    """Its comments differ, and its outputs are recorded from `make demo`."""
    shown = next(text for text in blocks(README, "yaml") if "name: digits_cnn" in text)
    demo = (ROOT / "specs" / "digits_cnn.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(shown) == yaml.safe_load(demo)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    paths = re.findall(r"`((?:\w+/)*\w+\.(?:py|md|yaml|toml|txt))`", text)
    named = [p for p in paths if p.split("/")[0] in FOLDERS and "CODE" not in p]
    missing = [
        p for p in [*links, *named] if not any((b / p).exists() for b in (page.parent, ROOT))
    ]
    assert not missing


def test_the_guide_to_the_language_names_every_choice() -> None:
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    names = [*SOURCES, *AUGMENTATIONS, *LOSSES, *METRICS, *OPTIMIZERS, *LR_SCHEDULES]
    names += [*OBJECTIVES, *LIKELIHOODS, *CORRUPTIONS, *SPARSITIES, *CODE_METRICS]
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_the_guide_to_the_language_names_every_word_for_nothing() -> None:
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    assert [word for word in NOTHING if word and f"`{word}`" not in text] == []


@pytest.mark.parametrize("family", ["cnn", "mlp"])
def test_the_hints_of_a_template_lead_to_a_spec_without_mistakes(family: str) -> None:
    text = (ROOT / "specs" / "templates" / f"{family}.yaml").read_text(encoding="utf-8")
    section = re.findall(r"^  #   ((?:source|fields): .*?\}\})(?:  |$)", text, re.MULTILINE)
    inputs, classes = re.findall(r"with `(.*?)` and `(.*?)` to match", text)[0]
    changed = text.replace("  source: digits\n", "".join(f"  {line}\n" for line in section))
    changed = re.sub(r"^    inputs: .*$", f"    {inputs}", changed, flags=re.MULTILINE)
    changed = changed.replace("classes: 10", classes).replace("NAME", "mine")
    assert [line.partition(":")[0] for line in section] == ["source", "fields"]
    assert diagnostics_of(changed, ROOT) == []


def test_the_hints_of_the_recurrent_template_lead_to_a_spec_without_mistakes() -> None:
    text = (ROOT / "specs" / "templates" / "rnn.yaml").read_text(encoding="utf-8")
    section = re.findall(r"^  #   ((?:source|fields|  \w+): ?.*)$", text, re.MULTILINE)
    inputs, read = re.findall(r"with `(inputs: .*?)`, with\n  # `(from: .*?)` at the", text)[0]
    changed = re.sub(
        r"^  source: .*$", "\n".join(f"  {line}" for line in section), text, flags=re.MULTILINE
    )
    changed = re.sub(r"^    inputs: .*$", f"    {inputs}", changed, flags=re.MULTILINE)
    changed = changed.replace("{id: memory, gru", f"{{id: memory, {read}, gru")
    changed = changed.replace("    stream: T\n", "").replace("NAME", "mine")
    assert len(section) == 5
    assert diagnostics_of(changed, ROOT) == []


def test_the_hints_of_the_template_of_a_vae_lead_to_a_spec_without_mistakes() -> None:
    text = (ROOT / "specs" / "templates" / "vae.yaml").read_text(encoding="utf-8")
    section = re.findall(r"^  #   ((?:source|fields): .*)$", text, re.MULTILINE)
    inputs, pixels, shape = re.findall(r"with `(.*?)`, `(.*?)` and `(.*?)` to match", text)[0]
    changed = text.replace("  source: digits\n", "".join(f"  {line}\n" for line in section))
    changed = changed.replace("inputs: {image: {shape: [B, 1, 8, 8]}}", inputs)
    changed = changed.replace("pixels: 64", pixels).replace("reshape: {to: [1, 8, 8]}", shape)
    changed = changed.replace(", {probe: label}", "").replace("NAME", "mine")
    assert len(section) == 2
    assert diagnostics_of(changed, ROOT) == []


def test_the_map_of_the_runtime_has_every_file() -> None:
    runtime = ROOT / "runtime"
    text = (runtime / "README.md").read_text(encoding="utf-8")
    files = [path.name for path in runtime.glob("*.py") if path.name != "__init__.py"]
    assert [name for name in files if f"`{name}`" not in text] == []
    for package in (path.parent for path in runtime.glob("*/__init__.py")):
        if f"`{package.name}/`" not in text:
            inside = [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
            assert [x for x in inside if f"`{package.name}/{x}`" not in text] == []


def headings(page: Path) -> set[str]:
    """What links may end in after `#`: the headings as GitHub spells their anchors."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_headings(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    targets = {file: headings(page.parent / file if file else page) for file, _ in links}
    assert [f"{file}#{place}" for file, place in links if place not in targets[file]] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_codes_exist(page: Path) -> None:
    named = set(re.findall(r"\b[YSEGDOFXBRPL]\d{3}\b", page.read_text(encoding="utf-8")))
    assert named <= set(Code.__members__)


def test_operator_reference_is_current() -> None:
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert page == reference.manual(), "run `make docs`"


def test_settings_reference_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings.manual(), "run `make docs`"


def test_diagnostics_reference_is_current() -> None:
    page = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    assert page == explanations.manual(), "run `make docs`"


@pytest.fixture
def registry() -> Iterator[None]:
    """Take out of the registry what a test puts in."""
    known = set(REGISTRY)
    yield
    for name in set(REGISTRY) - known:
        del REGISTRY[name]


def test_the_plugin_of_the_readme_compiles(tmp_path: Path, registry: None) -> None:
    source = next(text for text in blocks(README, "python") if "@register" in text)
    plugin = tmp_path / "my_ops.py"
    plugin.write_text(source, encoding="utf-8")
    assert load_plugin(plugin) == ["snake"]
    spec = tmp_path / "spec.yaml"
    digits = (ROOT / "specs" / "digits_cnn.yaml").read_text(encoding="utf-8")
    spec.write_text(digits.partition("expect:")[0].replace("- relu\n", "- snake: 0.5\n"))
    compilation = compile_spec(spec)
    tensors = compilation.graphs["classifier"].tensors()
    assert {"snake_0", "snake_1", "snake_2"} <= tensors.keys()
    assert "x = x + torch.sin(self.snake_2 * x) ** 2 / self.snake_2" in compilation.source
