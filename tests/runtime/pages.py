"""HTML pages as a browser's parser sees them, for tests."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from PIL import Image


@dataclass
class Page(HTMLParser):
    """A page as a browser's parser sees it: every element is closed, in order."""

    content: str
    ids: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        assert len(attributes) == len(attrs), "no attribute is given twice"
        self.tags.append((tag, attributes))
        self.ids += [str(attributes["id"])] if "id" in attributes else []
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += [] if self.open[-1:] == ["style"] else [data]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def named(self, tag: str, kind: str = "") -> list[dict[str, str | None]]:
        """The attributes of every element of a name and a class."""
        found = [attributes for name, attributes in self.tags if name == tag]
        return [a for a in found if kind in str(a.get("class") or "").split()] if kind else found

    def section(self, name: str) -> Page:
        """One section by its anchor."""
        cut = self.content.index(f'id="{name}"')
        start = self.content.rindex("<section", 0, cut)
        return Page(self.content[start : self.content.index("</section>", start) + 10])


def decoded(uri: object) -> Image.Image:
    head, _, content = str(uri).partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(content)))
