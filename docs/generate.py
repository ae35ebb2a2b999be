"""Writes the generated pages: `python docs/generate.py`, called by `make docs`."""

from pathlib import Path

import netwright.compiler.ops  # noqa: F401 - fills the registry
from netwright.compiler import explanations, reference
from netwright.compiler.settings import manual as settings

PAGES = {
    "operators.md": reference.manual,
    "settings.md": settings.manual,
    "diagnostics.md": explanations.manual,
}


def main() -> None:
    folder = Path(__file__).parent
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
