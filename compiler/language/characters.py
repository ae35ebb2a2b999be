"""Characters that have no place in a spec: invisible ones, and line ends of other systems.

YAML counts U+0085, U+2028 and U+2029 as line ends, editors do not, so that lines would be counted
in two ways; marks of writing direction make a line read differently from what it says.
"""

from __future__ import annotations

import re
import unicodedata

_REFUSED = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    "|[\u2028\u2029\ufeff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
    "|\r(?!\n)"
)


def first_refused(text: str) -> tuple[int, str, str] | None:
    """The index of the first character that a spec may not hold, a message and a help text."""
    found = _REFUSED.search(text)
    if not found:
        return None
    character = found.group()
    if character == "\r":
        message = "a line ends with a line feed, found a lone carriage return"
        return found.start(), message, "save the file with the line ends of Unix or Windows"
    name = unicodedata.name(character, "a control character").lower()
    message = f"a spec is visible text, found U+{ord(character):04X} ({name})"
    return found.start(), message, "remove the character"
