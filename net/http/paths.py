"""The path of a request in one spelling, and the ways in which servers may read it. Pure.

Rules:
- A path is normalized before it is compared, and what is sent is what was compared: percent-encoded
  unreserved characters are decoded, other escapes get capitals, dot segments are removed (RFC 3986, sections
  6.2.2 and 5.2.4).
- Servers differ in `%2F` and in `//`. Such a path keeps its spelling and has several readings; who decides
  asks about each of them, and refuses where they are decided differently.
- What has no one meaning is refused: a backslash, a fragment, control characters, an escape of an escape
  (`%252e`), `..` above the root or beside what has several readings, a segment `..;x`.
"""

from __future__ import annotations

import re
import string

_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_ESCAPE = re.compile(r"%(.{0,2})", re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
# What RFC 3986 lets stand in a path, and what browsers leave in it.
_PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/|^`{}\[\]\"<>-]*")


class AmbiguousPathError(ValueError):
    """A path that has no one meaning; the text says why."""


def normalized(path: str) -> str:
    """The one spelling of an absolute path without its query. Raises AmbiguousPathError."""
    if not path.startswith("/"):
        raise AmbiguousPathError("the path does not begin with /")
    if not _PLAIN.fullmatch(path):
        raise AmbiguousPathError("the path holds a character that must be percent-encoded")
    path = _ESCAPE.sub(_decoded, path)
    if re.search(r"%25[0-9A-Fa-f]{2}", path):
        raise AmbiguousPathError("the path holds an escape of an escape")
    return _without_dots(path)


def readings(path: str) -> tuple[str, ...]:
    """The ways in which servers may read a normalized path, the plain one first."""
    decoded = path.replace("%2F", "/")
    return tuple(dict.fromkeys((path, decoded, _collapsed(path), _collapsed(decoded))))


def _decoded(escape: re.Match[str]) -> str:
    if not _HEX.fullmatch(escape[1]):
        raise AmbiguousPathError("the path holds a % that is no escape")
    number = int(escape[1], 16)
    if number < 0x20 or number == 0x7F:
        raise AmbiguousPathError("the path holds an encoded control character")
    if number == ord("\\"):
        raise AmbiguousPathError("the path holds an encoded backslash")
    char = chr(number)
    return char if char in _UNRESERVED else f"%{number:02X}"


def _without_dots(path: str) -> str:
    segments = path.split("/")[1:]
    # As some servers do, a segment is looked at without its parameters, and split at %2F too.
    dots = [
        part for segment in segments for part in segment.split("%2F") if part.split(";")[0] in (".", "..")
    ]
    if not dots:
        return path
    if any(";" in part for part in dots):
        raise AmbiguousPathError("the path holds a dot segment with parameters")
    if "%2F" in path or "//" in path:
        raise AmbiguousPathError("the path holds dot segments beside %2F or //")
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if not kept:
                raise AmbiguousPathError("the path leads above the root")
            kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _collapsed(path: str) -> str:
    return re.sub("/{2,}", "/", path)
