"""A file to text: size, encoding and characters are checked before YAML is looked at."""

from __future__ import annotations

from pathlib import Path

from ..diagnostics import Code, NetwrightError, Sink, failure
from ..source import SourceFile, Span
from ..suggest import did_you_mean
from .characters import first_refused

BYTE_LIMIT = 256 * 1024

_TOO_LARGE_HELP = "move blocks to a library and import it, or keep data in files of its own"


def read_source(path: Path, shown: str | None = None) -> SourceFile:
    """Read a spec's text.

    Args:
        shown: the name that messages show; the path itself if not given.
    Raises: NetwrightError: R903 the file cannot be read; Y004 it holds more than 256 KiB; Y001 it
        is not UTF-8, starts with a byte order mark or holds control characters.
    """
    name = shown if shown is not None else str(path)
    data = _read_bytes(path, name)
    if len(data) > BYTE_LIMIT:
        raise failure(Code.Y004, *_too_large(name), help=_TOO_LARGE_HELP)
    file = SourceFile(name, _decode(name, data), path)
    sink = Sink()
    check_text(file, sink)
    if sink.errors:
        raise NetwrightError(*sink)
    return file


def _too_large(name: str) -> tuple[str]:
    return (f"a spec is limited to {BYTE_LIMIT // 1024} KiB, found more in `{name}`",)


def _read_bytes(path: Path, name: str) -> bytes:
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "a device or pipe"
            message = f"a spec is a YAML file, found {kind}: `{name}`"
            raise failure(Code.R903, message, help=_specs_beside(path))
        with path.open("rb") as stream:
            return stream.read(BYTE_LIMIT + 1)
    except FileNotFoundError:
        message = f"a spec is a YAML file, found no file `{name}`"
        raise failure(Code.R903, message, help=_specs_beside(path)) from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise failure(
            Code.R903,
            f"`{name}` cannot be read: {reason}",
            help="make the file readable for this user, or give another path",
        ) from None


def _specs_beside(path: Path) -> str:
    """What stands where the file was looked for."""
    folder = path if path.is_dir() else path.parent
    try:
        names = sorted(p.name for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    except (OSError, ValueError):
        return "give the path of a spec, such as `specs/model.yaml`"
    if not names:
        return "give the path of a spec; `netwright init` writes one to start from"
    return did_you_mean(path.name, names, "spec")


def _decode(name: str, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        encoding = "UTF-8 with a byte order mark" if data[0] == 0xEF else "UTF-16"
        raise failure(
            Code.Y001,
            f"a spec is plain UTF-8 text, found {encoding} in `{name}`",
            help="save the file as UTF-8 without a byte order mark",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        file = SourceFile(name, data.decode("utf-8", errors="replace"))
        raise failure(
            Code.Y001,
            f"a spec is UTF-8 text, found the byte 0x{data[error.start]:02x} in `{name}`",
            span=_point(file, len(before)),
            label="not UTF-8",
            help="save the file as UTF-8",
        ) from None


def check_text(file: SourceFile, sink: Sink) -> None:
    """Report what `read_source` refuses in a text that came from elsewhere."""
    if len(file.text) > BYTE_LIMIT or len(file.text.encode("utf-8", "replace")) > BYTE_LIMIT:
        sink.add(Code.Y004, *_too_large(file.name), None, help=_TOO_LARGE_HELP)
        return
    refused = first_refused(file.text)
    if refused:
        index, message, help_text = refused
        sink.add(Code.Y001, message, _point(file, index, 1), help=help_text)


def _point(file: SourceFile, index: int, width: int = 1) -> Span:
    start = file.text.rfind("\n", 0, index) + 1
    line, col = file.text.count("\n", 0, index) + 1, index - start + 1
    return Span(file, line, col, line, col + width)
