"""Block libraries: the same header as a spec's, fewer sections, mistakes told in their own file."""

from __future__ import annotations

from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Code, Diagnostic
from netwright.compiler.language.imports import ZOO

from .small import check, network, quoted

BLOCKS = "blocks: {Act: {layers: [relu]}}\n"


def imported(library: str, folder: Path) -> list[Diagnostic]:
    """What checking a spec finds that imports a library and uses a block of it."""
    (folder / "lib.yaml").write_text(library)
    text = "imports: {lib: lib.yaml}\n" + network("- lib.Act")
    return list(check(text, folder=folder).diagnostics)


def test_a_library_has_an_edition_a_name_imports_and_blocks(tmp_path: Path) -> None:
    zoo = "imports: {resnet: 'netwright:blocks/resnet.yaml'}\n"
    assert not imported(f"spec: v1\nname: lib\n{zoo}x-note: free\n{BLOCKS}", tmp_path)


@pytest.mark.parametrize("name", ["Lib", "my lib", "5", "[a]", "lib-2", '"0"'])
def test_the_name_of_a_library_is_a_name_like_a_spec_s(name: str, tmp_path: Path) -> None:
    (found,) = imported(f"spec: v1\nname: {name}\n{BLOCKS}", tmp_path)
    assert found.code is Code.S102
    assert "`name` expects a snake_case name" in found.message
    assert quoted(found) == name


@pytest.mark.parametrize("name", ["", "name:\n"])
def test_a_library_needs_a_name(name: str, tmp_path: Path) -> None:
    (found,) = imported(f"spec: v1\n{name}{BLOCKS}", tmp_path)
    assert found.code is Code.S102
    assert found.message == "a block library needs `name`"
    assert found.span
    assert found.span.file.name.endswith("lib.yaml")


@pytest.mark.parametrize(
    "section", ["summary: Blocks", "params: {n: 3}", "networks: {}", "blcks: 1"]
)
def test_a_library_has_no_other_sections(section: str, tmp_path: Path) -> None:
    (found,) = imported(f"spec: v1\nname: lib\n{section}\n{BLOCKS}", tmp_path)
    assert found.code is Code.S101
    assert quoted(found) == section.partition(":")[0]


def test_a_library_with_a_mistake_is_not_also_unused(tmp_path: Path) -> None:
    (tmp_path / "lib.yaml").write_text(f"spec: v1\nname: Lib\n{BLOCKS}")
    text = "imports: {lib: lib.yaml}\n" + network("- relu")
    assert [d.code for d in check(text, folder=tmp_path).diagnostics] == [Code.S102]


@pytest.mark.parametrize("path", sorted(ZOO.glob("blocks/*.yaml")), ids=lambda p: p.stem)
def test_the_libraries_of_the_zoo_are_read_without_mistakes(path: Path) -> None:
    text = f"imports: {{zoo: 'netwright:blocks/{path.name}'}}\n" + network("- relu")
    assert [d.code.name for d in check(text).diagnostics] == ["G303"]
