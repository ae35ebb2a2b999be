"""Between text and tokens, as a bundle knows them. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..compiler.diagnostics import Code, failure
from ..compiler.objectives.text_sources import BYTES, UNKNOWN

Ids = NDArray[np.int64]


class Vocabulary:
    """What each token says.

    characters: by token, `UNKNOWN` among them where any other character has a token too; None
        where tokens are bytes of UTF-8.
    """

    def __init__(self, characters: Sequence[str] | None) -> None:
        self.characters = characters
        self._known = {character: token for token, character in enumerate(characters or ())}

    @property
    def size(self) -> int:
        return BYTES if self.characters is None else len(self.characters)

    def encode(self, text: str) -> Ids:
        """The tokens of a text, i64[T].

        Raises: NetwrightError: B802: a character has no token.
        """
        if self.characters is None:
            # What a command line could not decode comes as surrogates, and goes as it came.
            said = text.encode(errors="surrogateescape")
            return np.frombuffer(said, np.uint8).astype(np.int64)
        other = self._known.get(UNKNOWN)
        found = [self._known.get(character, other) for character in text]
        if None in found:
            place = found.index(None)
            raise failure(
                Code.B802,
                f"expected characters that the network has learnt, found {text[place]!r} at "
                f"position {place}",
                notes=[f"it knows {self._shown()}"],
                help="leave it out, or train with `unknown: id`",
            )
        return np.array(found, np.int64)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; bytes that are no UTF-8 become U+FFFD, as unknown characters do."""
        if self.characters is None:
            return bytes(int(token) for token in tokens).decode(errors="replace")
        said = (self.characters[int(token)] for token in tokens)
        return "".join("\ufffd" if character == UNKNOWN else character for character in said)

    def _shown(self) -> str:
        known = [c for c in self.characters or () if c != UNKNOWN]
        return f"{len(known)}: {''.join(c if c.isprintable() else repr(c)[1:-1] for c in known)}"


def in_words(tokens: Iterable[int], names: Sequence[str] | None) -> str:
    """Tokens as people read them, with spaces between: by their names, where they have some."""
    known = names or ()
    return " ".join(known[token] if token < len(known) else str(token) for token in tokens)
