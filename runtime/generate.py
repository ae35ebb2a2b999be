"""`netwright generate`: text by the program `generate` of a bundle. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..compiler.diagnostics import Code, failure
from ..compiler.ops.generation import NO_TOKEN
from .spoken import Ids, Vocabulary

if TYPE_CHECKING:
    from .session import Bundle, Session

Warn = Callable[[str], None]

PROGRAM, PROMPT = "generate", "prompt"


def vocabulary_of(bundle: Bundle) -> Vocabulary:
    """What the tokens of a bundle say.

    Raises: NetwrightError: B802: it generates nothing, or its tokens are no text.
    """
    port = bundle.program(PROGRAM).inputs[PROMPT]
    if bundle.manifest.reading.source != "text":
        raise failure(
            Code.B802,
            f"expected a bundle that was trained on text, found one of the data source "
            f"`{bundle.manifest.reading.source}`",
            help='give its tokens to the program: `bundle.program("generate")(prompt=...)`',
        )
    return Vocabulary(port.classes)


def generate(
    bundle: Bundle,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    stop: str | None = None,
    seed: int = 0,
    warn: Warn = lambda text: None,
) -> str:
    """Text that goes on from a prompt, without the prompt.

    Args:
        length: how many tokens are drawn at most, >= 1.
        temperature: >= 0; below 1, likely tokens get likelier; 0 takes the likeliest.
        top_k: draw from so many tokens with the highest scores; 0 for all.
        stop: a token that ends the text; it is left out.
        seed: of the random numbers, by numpy's PCG64.
        warn: told where the text ends because the network can see no more tokens.
    Raises: NetwrightError: B802: the prompt or `stop` has characters that the network never saw,
        or the bundle generates no text.
    """
    _check_settings(temperature, top_k)
    vocabulary, session = vocabulary_of(bundle), bundle.program(PROGRAM)
    ended = NO_TOKEN if stop is None else _one(vocabulary, stop)
    given = vocabulary.encode(prompt)
    tokens = draw(session, given, length, temperature, top_k, ended, seed)
    if len(tokens) and tokens[-1] == ended:
        return vocabulary.decode(tokens[:-1])
    if len(tokens) < length:
        total = len(given) + len(tokens)
        warn(f"the text ends after {len(tokens)} tokens: the network sees at most {total} in all")
    return vocabulary.decode(tokens)


def _check_settings(temperature: float, top_k: int) -> None:
    if not temperature >= 0 or top_k < 0:
        name, found = ("top_k", top_k) if top_k < 0 else ("temperature", temperature)
        raise failure(
            Code.B802,
            f"expected `{name}` of 0 or more, found {found}",
            help="0 draws from all tokens" if name == "top_k" else "0 takes the likeliest token",
        )


def draw(
    session: Session,
    prompt: Ids,
    length: int,
    temperature: float,
    top_k: int,
    stop: int,
    seed: int,
) -> Ids:
    """The tokens behind a prompt, i64[at most length].

    Raises: NetwrightError: B802: the prompt is empty, or longer than the network can read.
    """
    _check_size(session, len(prompt))
    random = np.random.Generator(np.random.PCG64(seed)).random((length, 1), np.float32)
    found = session(
        prompt=prompt[None],
        random=random,
        temperature=np.array(temperature, np.float32),
        top_k=np.array(top_k, np.int64),
        stop=np.array(stop, np.int64),
    )
    drawn: Ids = found["tokens"][0, : int(found["lengths"][0])]
    return drawn


def _check_size(session: Session, size: int) -> None:
    if size == 0:
        raise failure(
            Code.B802,
            "expected a prompt of at least one token, found none",
            help="begin with a character of the texts that it learnt, such as a new line",
        )
    most = session.symbols[str(session.inputs[PROMPT].shape[1])].max
    if most is not None and size > most:
        raise failure(
            Code.B802,
            f"expected a prompt of at most {most:,} tokens, found {size:,}",
            help=f"give its end alone: the network sees at most {most + 1:,} tokens in all",
        )


def _one(vocabulary: Vocabulary, stop: str) -> int:
    unit = "byte" if vocabulary.characters is None else "character"
    size = len(stop.encode() if unit == "byte" else stop)
    if size != 1:
        raise failure(
            Code.B802,
            f"expected one token to stop at, found {stop!r} with {size}",
            help=f"name one {unit}; shells write a new line as $'\\n'",
        )
    return int(vocabulary.encode(stop)[0])
