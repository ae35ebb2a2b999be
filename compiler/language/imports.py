"""Finds and reads the block libraries that a spec imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..diagnostics import Code, NetwrightError, Sink
from ..source import Key, Located, SourceFile
from ..suggest import did_you_mean
from .blocks import Block, BlockReader
from .describe import describe
from .layers import ALIAS
from .loader import load, read_source
from .schema import EDITION, LIBRARY_SECTIONS

PACKAGED = "netwright:"
"""What an import of the packaged zoo starts with: `netwright:blocks/resnet.yaml`."""

ZOO = Path(__file__).resolve().parents[2] / "specs"


@dataclass
class Importer:
    """Reads libraries, each once, and refuses paths that leave the tree and cycles.

    tree: the folder that paths may not leave: the spec's own, or the packaged zoo.
    packaged: files of the zoo, imported as such. failed: aliases whose library has mistakes.
    """

    sink: Sink
    read: dict[Path, dict[str, Block]] = field(default_factory=dict)
    sources: dict[Path, SourceFile] = field(default_factory=dict)
    active: list[Path] = field(default_factory=list)
    packaged: set[Path] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def blocks(self, located: Located, tree: Path) -> dict[str, Block]:
        """The blocks of every import of a document as `alias.Block`."""
        imports = located.data.get("imports")
        if imports is None:
            return {}
        if not isinstance(imports, Mapping):
            found = describe(imports)
            self._report(located, ("imports",), f"`imports` expects a map, found {found}")
            return {}
        result: dict[str, Block] = {}
        for alias, target in imports.items():
            path: Key = ("imports", alias)
            if not ALIAS.match(str(alias)) or not isinstance(target, str):
                self._report(
                    located, path, "an import expects a lower-case name and the path of a library"
                )
                self.failed.add(str(alias))
                continue
            errors = self.sink.errors
            library = self._library(located, path, target, tree)
            if self.sink.errors > errors:
                self.failed.add(str(alias))
            result |= {f"{alias}.{name}": block for name, block in library.items()}
        return result

    def texts(self) -> dict[Path, str]:
        """The libraries that a copy of the spec needs beside it, by their paths.

        Those of the packaged zoo, imported as such, are found wherever the copy lies.
        """
        return {
            path: source.text for path, source in self.sources.items() if path not in self.packaged
        }

    def _library(self, located: Located, path: Key, target: str, tree: Path) -> dict[str, Block]:
        file, root = self._resolve(located, target, tree)
        if not file.resolve().is_relative_to(root.resolve()):
            self._missing(located, path, f"import `{target}` leaves the spec's folder tree")
            return {}
        file = file.resolve()
        if file in self.active:
            chain = " -> ".join(p.name for p in [*self.active, file])
            self._missing(located, path, f"import `{target}` is circular: {chain}")
            return {}
        if file in self.read:
            return self.read[file]
        if not file.is_file():
            self._missing(located, path, f"import `{target}` is not found")
            return {}
        if target.startswith(PACKAGED) or located.file.path in self.packaged:
            self.packaged.add(file)
        self.read[file] = self._read(file, root, target)
        return self.read[file]

    def _resolve(self, located: Located, target: str, tree: Path) -> tuple[Path, Path]:
        if target.startswith(PACKAGED):
            return ZOO / target.removeprefix(PACKAGED), ZOO
        folder = located.file.path.parent if located.file.path else tree
        return folder / target, tree

    def _read(self, file: Path, root: Path, shown: str) -> dict[str, Block]:
        try:
            source = read_source(file, shown if shown.startswith(PACKAGED) else str(_short(file)))
        except NetwrightError as error:
            for diagnostic in error.diagnostics:
                self.sink.report(diagnostic)
            return {}
        self.sources[file] = source
        library = load(source, self.sink)
        if library is None:
            return {}
        self._check_sections(library)
        self.active.append(file)
        imported = self.blocks(library, root)
        self.active.pop()
        return BlockReader(library, self.sink, imported, frozenset(self.failed)).read(
            library.data.get("blocks", {})
        )

    def _check_sections(self, library: Located) -> None:
        check_edition(library, self.sink)
        for key in library.data:
            if key not in LIBRARY_SECTIONS and not str(key).startswith("x-"):
                self.sink.add(
                    Code.S101,
                    f"unknown section `{key}` in a block library",
                    library.key((key,)),
                    help=did_you_mean(str(key), LIBRARY_SECTIONS, "section"),
                )

    def _missing(self, located: Located, path: Key, message: str) -> None:
        self.sink.add(
            Code.S105,
            message,
            located.span(path),
            help="paths are relative to the file that imports and stay inside the spec's folder; "
            f"the packaged zoo is `{PACKAGED}blocks/...`",
        )

    def _report(self, located: Located, path: Key, message: str) -> None:
        self.sink.add(Code.S102, message, located.span(path))


def check_edition(located: Located, sink: Sink) -> None:
    """Every file says which edition of the language it is written in."""
    edition: Any = located.data.get("spec")
    if edition is None:
        sink.add(
            Code.S102,
            "the file needs `spec`, the edition of the language",
            located.span(()),
            help=f"write `spec: {EDITION}` as the first line",
        )
    elif edition != EDITION:
        sink.add(
            Code.S104,
            f"edition `{edition}` is not supported, expected `{EDITION}`",
            located.span(("spec",)),
            help=f"write `spec: {EDITION}`",
        )


def _short(file: Path) -> Path:
    try:
        return file.relative_to(Path.cwd())
    except ValueError:
        return file
