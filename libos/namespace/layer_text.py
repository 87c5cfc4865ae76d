"""A layer as words of a line, and back: `layer AT NAME [ARGUMENT …]`.

    hide PATTERN …          only PATTERN …          append_only      audit      revocable      replaceable
    count [reads=N] [bytes_read=N] [writes=N] [bytes_written=N]   quota [size=N] [files=N]
    ask timeout=SECONDS
    label LABEL             type NAME
    exec [sha256=HEX …] [signed=PATH] [elf=static] [interpreter=PATH …]
    fault [seed=N] [rate=R] [errors=NAME,…] [short=R] [delay=SECONDS] [match=PATTERN …]

The names are those of the keys of a manifest. What is not written is as a manifest's key that is not said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeVar

from libos.labels import name as checked_name
from libos.labels import parse
from libos.namespace.errors import GrammarError
from libos.namespace.layers import (
    AppendOnly,
    Ask,
    Audited,
    Counted,
    Faulty,
    Hide,
    Labelled,
    Layer,
    Only,
    Quota,
    Typed,
    Vetted,
)
from libos.namespace.vetting_text import vetted_of, vetted_words

NAMES = (
    *("hide", "only", "append_only", "audit", "count", "quota", "ask", "fault", "label", "type"),
    *("exec", "revocable", "replaceable"),
)

Property = Literal["revocable", "replaceable"]
T = TypeVar("T")


def layer_words(layer: Layer) -> list[str]:
    """The words for a layer."""
    match layer:
        case Hide(patterns):
            return ["hide", *patterns]
        case Only(patterns):
            return ["only", *patterns]
        case AppendOnly() | Audited():
            return ["append_only" if isinstance(layer, AppendOnly) else "audit"]
        case Counted():
            fields = ("reads", "bytes_read", "writes", "bytes_written")
            return ["count", *_numbers(layer, fields)]
        case Quota():
            return ["quota", *_numbers(layer, ("size", "files"))]
        case Ask(timeout):
            return ["ask", f"timeout={timeout!r}"]
        case Faulty():
            return ["fault", *_fault(layer)]
        case Vetted():
            return ["exec", *vetted_words(layer)]
        case Labelled(named) | Typed(named):
            return ["label" if isinstance(layer, Labelled) else "type", named]


def _numbers(layer: object, fields: tuple[str, ...]) -> Iterator[str]:
    for name in fields:
        if (value := getattr(layer, name)) is not None:
            yield f"{name}={value}"


def _fault(layer: Faulty) -> Iterator[str]:
    for name in ("seed", "rate", "short", "delay"):
        if (value := getattr(layer, name)) != getattr(Faulty(), name):
            yield f"{name}={value!r}"
    if layer.errors != Faulty().errors:
        yield f"errors={','.join(layer.errors)}"
    yield from (f"match={pattern}" for pattern in layer.patterns)


def parse_layer(words: list[str]) -> Layer | Property:
    """The layer that words say; its name alone for a property of the mount itself. GrammarError."""
    layer, *arguments = words
    if layer not in NAMES:
        raise GrammarError(f'no layer is named "{layer}": there are {", ".join(NAMES)}')
    if layer in ("hide", "only"):
        if not arguments:
            raise GrammarError(f"{layer} takes at least one pattern")
        return Hide(tuple(arguments)) if layer == "hide" else Only(tuple(arguments))
    named = layer in ("label", "type")
    given = {} if named else _given(layer, arguments)
    try:
        return _named(layer, arguments) if named else _made(layer, given)
    except ValueError as wrong:
        raise GrammarError(f"{layer}: {wrong}") from None


def _given(name: str, arguments: list[str]) -> dict[str, list[str]]:
    """The arguments by their key; one that the layer does not have is an error."""
    keys = _KEYS.get(name, ())
    given: dict[str, list[str]] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in keys or not equals:
            takes = f"takes {', '.join(f'{each}=…' for each in keys)}" if keys else "takes nothing"
            raise GrammarError(f'{name} {takes}, and "{argument}" is none of these')
        given.setdefault(key, []).append(value)
    if repeated := [key for key in given if len(given[key]) > 1 and key not in _REPEATED]:
        raise GrammarError(f"{name} has {repeated[0]}= twice")
    return given


_REPEATED = ("match", "sha256", "interpreter")
_KEYS = {
    "count": ("reads", "bytes_read", "writes", "bytes_written"),
    "quota": ("size", "files"),
    "ask": ("timeout",),
    "exec": ("sha256", "signed", "elf", "interpreter"),
    "fault": ("seed", "rate", "errors", "short", "delay", "match"),
}


def _made(name: str, given: dict[str, list[str]]) -> Layer | Property:
    def one(key: str, kind: Callable[[str], T], default: T) -> T:
        return kind(given[key][0]) if key in given else default

    def number(key: str) -> int | None:
        return one(key, _natural, None)

    match name:
        case "append_only":
            return AppendOnly()
        case "audit":
            return Audited()
        case "count":
            return Counted(*map(number, _KEYS["count"]))
        case "quota":
            return Quota(number("size"), number("files"))
        case "ask":
            return Ask(one("timeout", _positive, Ask().timeout))
        case "exec":
            return vetted_of(given)
        case "fault":
            return Faulty(
                seed=one("seed", int, 0),
                rate=one("rate", _share, 0.0),
                errors=tuple(given["errors"][0].split(",")) if "errors" in given else Faulty().errors,
                short=one("short", _share, 0.0),
                delay=one("delay", _positive, 0.0),
                patterns=tuple(given.get("match", ())),
            )
    return "revocable" if name == "revocable" else "replaceable"


def _named(layer: str, arguments: list[str]) -> Layer:
    if len(arguments) != 1:
        raise ValueError(f"it takes one name, and {len(arguments)} stand here")
    return Labelled(str(parse(arguments[0]))) if layer == "label" else Typed(checked_name(arguments[0]))


def _natural(text: str) -> int | None:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f'"{text}" is no whole number')
    return int(text)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(f'"{text}" is no number of seconds')
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f'"{text}" is no share: write a number from 0 to 1')
    return value
