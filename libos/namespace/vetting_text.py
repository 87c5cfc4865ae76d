"""What must hold of a file that is executed, as words and back.

`sha256=none` is a list of digests with none in it, and `elf=static` an ELF file that starts no interpreter
but those that follow.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from libos.namespace.layers import Vetted

_NONE, _STATIC = "none", "static"


def sha256(text: str) -> str:
    """A digest as sha256sum(1) prints it. ValueError for anything else."""
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError(f'"{text}" is no SHA-256: write its 64 hexadecimal digits, as sha256sum prints them')
    return text


def vetted_words(layer: Vetted) -> Iterator[str]:
    """The words behind `exec`."""
    if layer.sha256 is not None:
        yield from (f"sha256={each}" for each in layer.sha256 or (_NONE,))
    if layer.signed is not None:
        yield f"signed={layer.signed}"
    if layer.interpreters is not None:
        yield f"elf={_STATIC}"
        yield from (f"interpreter={each}" for each in layer.interpreters)


def vetted_of(given: Mapping[str, list[str]]) -> Vetted:
    """What the words say, by their keys. ValueError."""
    if not given:
        raise ValueError("it takes at least one of sha256=, signed= and elf=static")
    digests = given.get("sha256")
    for each in digests or ():
        if each != _NONE:
            sha256(each)
    if given.get("elf", [_STATIC]) != [_STATIC]:
        raise ValueError(f"elf={given['elf'][0]}: write elf=static, and each interpreter as interpreter=PATH")
    signed = given["signed"][0] if "signed" in given else None
    if signed is not None and not posixpath.isabs(signed):
        raise ValueError(f'"{signed}" is not absolute: write the whole path of the key')
    return Vetted(
        None if digests is None else tuple(each for each in digests if each != _NONE),
        signed,
        tuple(given.get("interpreter", ())) if "elf" in given or "interpreter" in given else None,
    )
