"""Expressions: `$name` or `$( ... )`, always a whole scalar.

The text is parsed with `ast`, checked against an allow-list of nodes and walked by our own
evaluator, arithmetic.py: nothing is ever executed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..diagnostics import Code
from ..suggest import did_you_mean
from .arithmetic import (
    ARITHMETIC,
    COMPARISONS,
    TRUTH,
    ExpressionError,
    Result,
    check_limits,
    evaluate,
    show,
)
from .scalars import clip

__all__ = ["Expression", "ExpressionError", "Result", "is_expression", "parse", "show"]

LENGTH_LIMIT = 200
DEPTH_LIMIT = 50


def is_expression(value: object) -> bool:
    """Whether a scalar of a spec is an expression: a text that starts with `$`."""
    return isinstance(value, str) and value.startswith("$")


@dataclass(frozen=True)
class Expression:
    """A parsed expression. names: what `evaluate` needs from its environment."""

    text: str
    tree: ast.expr = field(repr=False, compare=False)
    names: frozenset[str] = field(compare=False)

    def evaluate(self, env: Mapping[str, Any]) -> Result:
        """The value where every name has the value of `env`.

        Raises: ExpressionError: E201 a name is not in `env`; E202 the result is no value, with the
            numbers that led to it.
        """
        for name in sorted(self.names - env.keys()):
            raise _unknown(name, self.text, env)
        try:
            result: Result = evaluate(self.tree, env)
            check_limits(result, self.tree, self.text)
        except ExpressionError as error:
            message = error.message + self._where(env)
            raise ExpressionError(error.code, message, error.help) from None
        return result

    def _where(self, env: Mapping[str, Any]) -> str:
        """The values of the names: `, where classes = 10 and width = 64`."""
        told = [name for name in sorted(self.names) if name != str(env[name])]
        values = [f"{name} = {show(env[name])}" for name in told]
        if not values or self.text[1:] in self.names:
            return ""
        *most, last = values
        return f", where {', '.join(most)} and {last}" if most else f", where {last}"


@lru_cache(maxsize=2048)
def parse(text: str) -> Expression:
    """Parse `$name` or `$( ... )`.

    Raises: ExpressionError: E201: the text is not an expression of the language.
    """
    if len(text) > LENGTH_LIMIT:
        raise ExpressionError(
            Code.E201,
            f"an expression has at most {LENGTH_LIMIT} characters, found {len(text)}",
            "give a part of it a name under `params`",
        )
    tree = _tree(text, _inner(text))
    _check_depth(tree, text)
    return Expression(text, tree, frozenset(_names(tree)))


# Parsing


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_WORDS = ("and", "or", "not", "if", "else")
_ALIEN = re.compile(r"[^A-Za-z0-9_ .+\-*/%<>=!()]")
_NUMBER_FORM = re.compile(r"\b(?:[0-9][0-9_]*_[0-9_]*|0[oObB]\w+)")


def _inner(text: str) -> str:
    """The part of an expression that Python's parser reads."""
    body = text[1:]
    if _NAME.fullmatch(body):
        return body
    if not (body.startswith("(") and body.endswith(")")):
        raise ExpressionError(
            Code.E201,
            f"an expression is `$name` or `$( ... )` over the whole scalar, found `{clip(text)}`",
            _form_help(body),
        )
    inner = body[1:-1].strip()
    call = next((c for c in _CALL.finditer(inner) if c.group(1) not in _WORDS), None)
    if call:
        message = f"an expression has no functions, found `{clip(call.group())}` in `{clip(text)}`"
        raise ExpressionError(Code.E201, message, _ALLOWED)
    alien = _ALIEN.search(inner)
    if alien:
        raise ExpressionError(Code.E201, *_alien(alien.group(), text))
    number = _NUMBER_FORM.search(inner)
    if number:
        message = f"numbers of an expression are decimal digits, found `{number.group()}`"
        raise ExpressionError(Code.E201, message, "write it as a decimal number")
    return inner


def _form_help(body: str) -> str:
    braced = re.fullmatch(r"\{(.*)\}", body)
    if braced:
        return f"write `$({braced.group(1).strip() or 'name'})`"
    if body.startswith("("):
        return "the last sign of an expression is the `)` that closes `$(`"
    return "write `$( ... )` around all of it" if body else "write a name behind `$`"


def _alien(sign: str, text: str) -> tuple[str, str]:
    shown = clip(text)
    if sign in "'\"":
        return f"an expression has no texts, found {sign} in `{shown}`", _ALLOWED
    if sign in "[]{},":
        return f"an expression has no lists, maps or indices, found `{sign}` in `{shown}`", _ALLOWED
    if sign == "&" or sign == "|":
        word = "and" if sign == "&" else "or"
        return f"an expression has no `{sign}`, found it in `{shown}`", f"write `{word}`"
    if sign == "^":
        return f"an expression has no `^`, found it in `{shown}`", "write `**` for a power"
    return f"an expression has no `{sign}`, found it in `{shown}`", _ALLOWED


_ALLOWED = (
    "use names, numbers, + - * / // % **, comparisons, `and`, `or`, `not` and `x if c else y`"
)


def _tree(text: str, inner: str) -> ast.expr:
    if not inner:
        raise ExpressionError(Code.E201, f"an expression is empty: `{clip(text)}`", _ALLOWED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `1if x else 2` warns, and means what it says
            return ast.parse(inner, mode="eval").body
    except SyntaxError:
        raise ExpressionError(Code.E201, *_syntax(text, inner)) from None
    except (RecursionError, MemoryError, ValueError):
        raise _too_deep(text) from None


def _syntax(text: str, inner: str) -> tuple[str, str]:
    shown = clip(text, 80)
    if inner.count("(") != inner.count(")"):
        return f"the parentheses of `{shown}` do not match", "close each `(` with a `)`"
    if re.search(r"(?<![=!<>])=(?!=)", inner):
        return f"`=` stands in `{shown}`, where only comparisons can", "write `==` to compare"
    if re.search(r"!(?!=)", inner):
        return f"`!` stands in `{shown}`", "write `not`"
    return f"`{shown}` cannot be read as an expression", _ALLOWED


def _too_deep(text: str) -> ExpressionError:
    return ExpressionError(
        Code.E201,
        f"an expression is limited to {DEPTH_LIMIT} levels of nesting: `{clip(text)}`",
        "give a part of it a name under `params`",
    )


_REFUSED: dict[type[ast.AST], str] = {
    ast.Call: "no functions",
    ast.Attribute: "no attributes",
    ast.Subscript: "no indices",
    ast.Lambda: "no functions",
    ast.NamedExpr: "no assignments",
    ast.Tuple: "no lists",
    ast.Starred: "no `*` before a name",
    ast.Await: "no `await`",
    ast.Yield: "no `yield`",
    ast.YieldFrom: "no `yield`",
    ast.GeneratorExp: "no loops",
}


def _check_depth(tree: ast.expr, text: str) -> None:
    """Refuse nodes outside the language, and nesting that the evaluator should not follow."""
    level: list[ast.AST] = [tree]
    for _ in range(DEPTH_LIMIT):
        for node in level:
            _check_node(node, text)
        level = [child for node in level for child in _operands(node)]
        if not level:
            return
    raise _too_deep(text)


def _operands(node: ast.AST) -> list[ast.AST]:
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _check_node(node: ast.AST, text: str) -> None:
    match node:
        case ast.Name() | ast.IfExp() | ast.BoolOp():
            return
        case ast.Constant(value=bool() | int() | float()):
            return
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not()):
            return
        case ast.Compare(ops=ops) if all(type(op) in COMPARISONS for op in ops):
            return
    what = _REFUSED.get(type(node), "no such sign or word")
    shown = clip(ast.unparse(node) if isinstance(node, ast.expr) else text)
    raise ExpressionError(Code.E201, f"an expression has {what}, found `{shown}`", _ALLOWED)


def _names(tree: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - TRUTH.keys()


def _unknown(name: str, text: str, env: Mapping[str, Any]) -> ExpressionError:
    inside = "" if text == f"${name}" else f" in `{clip(text, 80)}`"
    return ExpressionError(
        Code.E201,
        f"`{name}`{inside} is neither a parameter nor a dimension here",
        did_you_mean(name, sorted(env), "name"),
    )
