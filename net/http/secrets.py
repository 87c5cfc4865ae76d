"""Secrets that an app uses and never sees: it holds a placeholder, the gate knows the value.

Rules:
- A placeholder is random and made for one world; it is worth nothing outside. A program that changes or
  splits it has changed a word that means nothing.
- The value is put in one header only, only on the way to the hosts that the secret names.
- A placeholder on any other way is refused and told, also where it comes in pieces.
- What comes back from those hosts has the value covered by as many asterisks, so that an echo does not tell
  it; also where it is percent-encoded, or in the base64 of Basic credentials.
- `repr` of a secret does not show its value, and no exception or event here holds it.
"""

from __future__ import annotations

import base64
import binascii
import errno
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes

from libos.net.granting.target import Target

# Bytes: a shorter value stands in many texts by chance, which would all be covered.
LEAST_BYTES = 8
_HEADER_BYTES = frozenset((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))


def _placeholder() -> bytes:
    return f"libos-{secrets.token_hex(20)}".encode()


@dataclass(frozen=True)
class Secret:
    """One secret of a world. `header` is lower case; `to` are what the grants say by which it may go."""

    name: str
    value: bytes = field(repr=False)
    header: bytes
    to: tuple[Target, ...]
    placeholder: bytes = field(default_factory=_placeholder)

    def goes_by(self, grant: Target) -> bool:
        """Whether the value may be sent by a dial grant: one that is named, not one that covers the same."""
        return grant in self.to

    def __post_init__(self) -> None:
        """Raises ValueError where the value cannot be a header's, without telling it."""
        if len(self.value) < LEAST_BYTES:
            raise ValueError(
                f"the value of {self.name} has fewer than {LEAST_BYTES} bytes: it cannot be covered"
            )
        if not _HEADER_BYTES.issuperset(self.value) or self.value != self.value.strip():
            raise ValueError(
                f"the value of {self.name} holds what no header can: line breaks, or spaces around it"
            )


class PlaceholderError(OSError):
    """A placeholder where it may not be. `secret` is its name, `where` says where it stood."""

    def __init__(self, secret: str, where: str) -> None:
        super().__init__(errno.EACCES, f"the placeholder of {secret} in {where}")
        self.secret = secret
        self.where = where


class Secrets:
    """The secrets of one world."""

    def __init__(self, all_of_them: Sequence[Secret] = ()) -> None:
        self._secrets = tuple(all_of_them)

    def __iter__(self) -> Iterator[Secret]:
        return iter(self._secrets)

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def check(self, data: bytes, where: str) -> None:
        """Raises PlaceholderError where a placeholder stands in `data`."""
        for secret in self._secrets:
            if secret.placeholder in data:
                raise PlaceholderError(secret.name, where)

    def put(self, headers: list[tuple[bytes, bytes]], grant: Target) -> list[tuple[bytes, bytes]]:
        """Headers as they are sent by a grant: with the values where they belong. Raises PlaceholderError for
        a placeholder in any other."""
        for name, _ in headers:
            self.check(name, "the name of a header")
        return [(name, self._put(name, value, grant)) for name, value in headers]

    def _put(self, name: bytes, value: bytes, grant: Target) -> bytes:
        for secret in self._secrets:
            plain = _basic(value) if name.endswith(b"authorization") else None
            for held in (value, plain or b""):
                if secret.placeholder in held and (name != secret.header or not secret.goes_by(grant)):
                    raise PlaceholderError(secret.name, f"the header {name.decode()}")
            if secret.placeholder in value:
                value = value.replace(secret.placeholder, secret.value)
            elif plain is not None and secret.placeholder in plain:
                plain = plain.replace(secret.placeholder, secret.value)
                value = b"Basic " + base64.b64encode(plain)
        return value

    def scanner(self, where: str) -> Scanner | None:
        """What looks for placeholders in a stream; None where there are none."""
        return Scanner(self._secrets, where) if self._secrets else None

    def covers(self, grant: Target, sent: Sequence[tuple[bytes, bytes]] = ()) -> Cover | None:
        """What covers the values in what comes in by a grant; None where none goes out by it. `sent` are the
        headers with the values in them, which are covered where they hold Basic credentials."""
        words = []
        for secret in self._secrets:
            if secret.goes_by(grant):
                words += [secret.value, quote_from_bytes(secret.value, safe="").encode()]
                words += [value[6:] for name, value in sent if name == secret.header and _basic(value)]
        return Cover(tuple(dict.fromkeys(words))) if words else None


def _basic(value: bytes) -> bytes | None:
    """The user and password of Basic credentials (RFC 7617), or None."""
    if value[:6].lower() != b"basic ":
        return None
    try:
        return base64.b64decode(value[6:].strip(), validate=True)
    except binascii.Error:
        return None


class Words:
    """Finds words in a stream of blocks, also across their borders: what could be the beginning of one is
    held back until it is known."""

    def __init__(self, words: Sequence[bytes]) -> None:
        self._words = words
        self._longest = max(map(len, words))

    def held(self, data: bytes) -> int:
        """How many of the last bytes may be the beginning of a word."""
        for size in range(min(self._longest - 1, len(data)), 0, -1):
            tail = data[-size:]
            if any(word.startswith(tail) for word in self._words):
                return size
        return 0


class Scanner:
    """Looks for placeholders in what goes out. The last byte of one is never let pass."""

    def __init__(self, placeholders: Sequence[Secret], where: str) -> None:
        self._secrets = placeholders
        self._where = where
        self._words = Words([secret.placeholder for secret in placeholders])
        self._tail = b""

    def look(self, data: bytes | memoryview) -> None:
        """Judge the next bytes before they are sent. Raises PlaceholderError."""
        whole = self._tail + bytes(data)
        for secret in self._secrets:
            if secret.placeholder in whole:
                raise PlaceholderError(secret.name, self._where)

    def passed(self, data: bytes | memoryview) -> None:
        """So many of them have been sent."""
        whole = self._tail + bytes(data)
        self._tail = whole[len(whole) - self._words.held(whole) :]

    def take(self, data: bytes) -> None:
        """Judge the next block, all of which is then sent. Raises PlaceholderError."""
        self.look(data)
        self.passed(data)


class Cover:
    """Covers words in what comes in, by as many asterisks, so that no length changes."""

    def __init__(self, words: Sequence[bytes]) -> None:
        self._matches = sorted(words, key=len, reverse=True)
        self._words = Words(words)
        self._tail = b""

    def whole(self, data: bytes) -> bytes:
        """Cover them in what is complete, such as a header."""
        for word in self._matches:
            data = data.replace(word, b"*" * len(word))
        return data

    def feed(self, data: bytes) -> bytes:
        """Take the next block of a stream; gives what can be passed on: all but the beginning of a word."""
        covered = self.whole(self._tail + data)
        keep = len(covered) - self._words.held(covered)
        self._tail = covered[keep:]
        return covered[:keep]

    def rest(self) -> bytes:
        """What was held back, once the stream has ended."""
        rest, self._tail = self._tail, b""
        return rest
