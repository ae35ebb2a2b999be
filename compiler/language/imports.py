"""Finds and reads the block libraries that a spec imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..diagnostics import Code, NetwrightError, Sink
from ..source import Key, Located, SourceFile
from .blocks import Block, BlockReader
from .describe import describe
from .header import check_library_header
from .layers import ALIAS
from .loader import load, read_source

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
        shown = target if target.startswith(PACKAGED) else str(_short(file))
        with self.sink.stage(f"library `{shown}`"):
            self.read[file] = self._read(file, root, shown)
        return self.read[file]

    def _resolve(self, located: Located, target: str, tree: Path) -> tuple[Path, Path]:
        if target.startswith(PACKAGED):
            return ZOO / target.removeprefix(PACKAGED), ZOO
        folder = located.file.path.parent if located.file.path else tree
        return folder / target, tree

    def _read(self, file: Path, root: Path, shown: str) -> dict[str, Block]:
        try:
            source = read_source(file, shown)
        except NetwrightError as error:
            for diagnostic in error.diagnostics:
                self.sink.report(diagnostic)
            return {}
        self.sources[file] = source
        library = load(source, self.sink)
        if library is None:
            return {}
        check_library_header(library, self.sink)
        self.active.append(file)
        imported = self.blocks(library, root)
        self.active.pop()
        return BlockReader(library, self.sink, imported, frozenset(self.failed)).read(
            library.data.get("blocks", {})
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


def _short(file: Path) -> Path:
    try:
        return file.relative_to(Path.cwd())
    except ValueError:
        return file
