"""What a person asks about: a path, an address, a system call, a limit. Pure.

A word that begins with "/" is a path, "limits.KEY" or a key of [limits] is a limit, the name of a system call
is one, and the rest is an address: tcp!HOST!PORT, HOST:PORT, a URL, or a HOST alone.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from libos.errors import ManifestError
from libos.manifest.limiting import KEYS

Subject = Literal["path", "address", "host", "call", "limit"]


@dataclass(frozen=True)
class Question:
    """What is asked about. Of a path `mode` is "ro", "rw" or "cow", "" where it was not said; of a limit it
    is the value."""

    subject: Subject
    what: str
    mode: str = ""


def question(word: str) -> Question:
    """The question that a word is. Raises ManifestError."""
    if word.startswith("/"):
        path, mode = _moded(word)
        return Question("path", posixpath.normpath("/" + path.lstrip("/")), mode)
    key, equals, value = word.removeprefix("limits.").partition("=")
    if key in KEYS and (equals or word.startswith("limits.") or key not in _calls()):
        return Question("limit", key, value)
    if word.startswith("limits."):
        raise ManifestError(f'"{key}" is no limit: write one of {", ".join(KEYS)}')
    if word in _calls():
        return Question("call", word)
    return _address(word)


def _moded(word: str) -> tuple[str, str]:
    path, colon, mode = word.rpartition(":")
    return (path, mode) if colon and mode in ("ro", "rw", "cow") else (word, "")


def _calls() -> frozenset[str]:
    from libos.syscalls.tables import group_of

    return frozenset(group_of())


def _address(word: str) -> Question:
    from libos.net.address import check_host
    from libos.net.granting.target import parse_target

    said = word
    if "://" in word:
        said = _of_url(word)
    elif "!" not in word:
        host, colon, port = word.rpartition(":")
        if not colon or not port.isdigit() or (":" in host and not host.startswith("[")):
            try:
                return Question("host", check_host(word.strip("[]")))
            except ValueError:
                raise ManifestError(_UNKNOWN.format(word)) from None
        said = f"tcp!{host.strip('[]')}!{port}"
    try:
        return Question("address", str(parse_target(said)))
    except ValueError as error:
        raise ManifestError(str(error) if "!" in word else _UNKNOWN.format(word)) from None


def _of_url(word: str) -> str:
    """The address that a URL leads to."""
    try:
        url = urlsplit(word)
        port = url.port
    except ValueError as error:
        raise ManifestError(f'"{word}" is no URL: {error}') from None
    if url.scheme not in _PORTS or not url.hostname:
        raise ManifestError(f'"{word}" is no URL of the web: write https://HOST/, or tcp!HOST!PORT')
    return f"tcp!{url.hostname}!{_PORTS[url.scheme] if port is None else port}"


# Of URLs, RFC 9110 section 4.2 and RFC 6455 section 3.
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_UNKNOWN = '"{}" is neither a path (/…), an address (tcp!HOST!PORT), a system call, nor a limit (memory)'
