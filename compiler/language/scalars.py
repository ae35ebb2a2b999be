"""What a plain scalar stands for: the YAML 1.2 core schema, or two readings.

YAML 1.1 (PyYAML, older tools) and YAML 1.2 read some words and numbers differently. Where the two
differ the file has two readings and is refused, with one exception: numbers such as `1e-3`, which
YAML 1.1 takes for text, are numbers, because nobody means the text. Single letters are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from ..diagnostics import Code

Scalar = str | int | float | bool | None

LARGEST_INTEGER = 2**63 - 1
"""Integers of a spec fit in 64 bits, as a seed does."""


@dataclass(frozen=True)
class Refused:
    """Why a plain scalar has no value."""

    code: Code
    message: str
    help: str


_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TRUTH_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def read_plain(text: str) -> Scalar | Refused:
    """The value of a scalar written without quotes.

    Integers are at most 64 bits wide; floats are finite.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        return _read_number(text)
    if text.lower() in _TRUTH_WORDS:
        return _truth_word(text)
    return _two_readings(text, "a special value", f"write {quoted(text)}") if text == "=" else text


def _read_number(text: str) -> Scalar | Refused:
    if _INTEGER.fullmatch(text):
        return _integer(text)
    for pattern, refuse in _AMBIGUOUS:
        if pattern.fullmatch(text):
            return refuse(text)
    if _HEXADECIMAL.fullmatch(text):
        return _integer(text)
    return _float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str) -> int | Refused:
    value = int(text, 0) if len(text) <= 32 else None
    if value is None or abs(value) > LARGEST_INTEGER:
        return Refused(
            Code.Y004,
            f"an integer is limited to 64 bits, found {clip(text)} with {len(text)} characters",
            "write a smaller number, or put text in quotes",
        )
    return value


def _float(text: str) -> float | Refused:
    value = float(text)
    if math.isfinite(value):
        return value
    return Refused(
        Code.Y004,
        f"a number is limited to about 1.8e308, found {clip(text)}",
        "write a smaller number, or put text in quotes",
    )


def _two_readings(text: str, older: str, help: str, newer: str = "text") -> Refused:  # noqa: A002
    message = f"`{clip(text)}` has two readings: {older} in YAML 1.1, {newer} in YAML 1.2"
    return Refused(Code.Y005, message, help)


def _truth_word(text: str) -> Refused:
    value = _TRUTH_WORDS[text.lower()]
    return _two_readings(text, value, f"write `{value}`, or {quoted(text)} for the text")


def _leading_zero(text: str) -> Refused:
    digits = text.lstrip("+-").replace("_", "")
    decimal = digits.lstrip("0") or "0"
    if len(digits) > 20:
        return _two_readings(text, "an octal number", "write it without leading zeros", "decimal")
    octal = str(int(digits, 8)) if re.fullmatch("[0-7]+", digits) else "text"
    sign = "-" if text.startswith("-") else ""
    choices = dict.fromkeys(f"`{sign}{n}`" for n in (decimal, octal) if n != "text")
    return _two_readings(
        text,
        octal if octal == "text" else f"{sign}{octal}",
        f"write {' or '.join(choices)}, or {quoted(text)} for the text",
        "text" if "_" in text else f"{sign}{decimal}",
    )


def _octal(text: str) -> Refused:
    value = f"`{int(text, 8)}`" if len(text) <= 24 else "a decimal number"
    return _two_readings(text, "text", f"write {value}", "an octal number")


def _binary(text: str) -> Refused:
    digits = text.replace("_", "")
    value = f"`{int(digits, 0)}`" if len(digits) <= 66 else "a decimal number"
    return _two_readings(text, "a binary number", f"write {value}")


def _signed_hexadecimal(text: str) -> Refused:
    digits = text.replace("_", "")
    value = f"`{int(digits, 16)}`" if len(digits) <= 20 else "a decimal number"
    return _two_readings(text, "a hexadecimal number", f"write {value}")


def _grouped(text: str) -> Refused:
    plain = clip(text.replace("_", ""))
    return _two_readings(text, plain, f"write `{plain}`, or {quoted(text)} for the text")


def _sexagesimal(text: str) -> Refused:
    number = "a number of base 60"
    if len(text) <= 20 and "." not in text:
        parts = [int(part) for part in text.lstrip("+-").replace("_", "").split(":")]
        value = 0
        for part in parts:
            value = value * 60 + part
        number = f"{'-' if text.startswith('-') else ''}{value}"
    return _two_readings(text, number, f"write {quoted(text)} for the text, or the number meant")


def _date(text: str) -> Refused:
    return _two_readings(text, "a date", f"write {quoted(text)} for the text")


def _not_finite(text: str) -> Refused:
    number = "not a number" if "n" in text[-1:].lower() else "infinity"
    return Refused(
        Code.Y005,
        f"`{text}` reads as {number} or as text, and no setting takes either",
        f"leave the setting out, give it a finite number, or write {quoted(text)} for the text",
    )


_AMBIGUOUS: tuple[tuple[re.Pattern[str], Callable[[str], Refused]], ...] = (
    (re.compile(r"[-+]?0[0-9_]+"), _leading_zero),
    (re.compile(r"0o[0-7]+"), _octal),
    (re.compile(r"[-+]?0b[01_]+"), _binary),
    (re.compile(r"[-+]0x[0-9a-fA-F_]+|0x[0-9a-fA-F]*_[0-9a-fA-F_]*"), _signed_hexadecimal),
    (re.compile(r"[-+]?(?=[^_]*_)(?:[0-9]|\.[0-9])[0-9_.]*(?:[eE][-+]?[0-9]+)?"), _grouped),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), _sexagesimal),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?"), _date),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), _not_finite),
)


def quoted(text: str) -> str:
    """The scalar as text, in a message."""
    return f'`"{clip(text)}"`'


def clip(text: str, width: int = 40) -> str:
    """A value of the spec, short enough for a message."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
