"""The head of a message as bytes: what is refused before it is parsed. Pure.

h11 reads a few things that are allowed to be read and that servers read differently; what follows a
difference is a second request that only one of both has seen. So a head has one form here, or none:

- lines end with CRLF, and none begins with a space (obs-fold: RFC 9112, section 5.2);
- a header's name is a token without `_`, which servers that make variables of headers take for `-`, and `:`
  follows it at once;
- there is one Content-Length at most, one number; one Transfer-Encoding at most, `chunked`; never both;
- a request has one Host, and HTTP/1.0 or HTTP/1.1 for its version.
"""

from __future__ import annotations

import re
from collections import Counter

# Bytes of a head. Servers take 8 KiB (Apache, nginx) to 64 KiB.
MOST_BYTES = 64 * 1024
MOST_HEADERS = 256
END = b"\r\n\r\n"

_NAME = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_REQUEST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ (HTTP/[0-9]\.[0-9])")
_STATUS = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}( [\t\x20-\x7e\x80-\xff]*)?")
# Names that say how long a message is or whom it is for: twice is a contradiction, even with equal values.
_ONCE = (b"content-length", b"transfer-encoding", b"host", b"authorization", b"content-type")


class HostileError(ValueError):
    """A message that is not carried; the text says why, `status` is what its sender is told."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def check_request(head: bytes) -> None:
    """Judge a request's head, without its last empty line. Raises HostileError."""
    first, fields = _split(head)
    match = _REQUEST.fullmatch(first)
    if match is None:
        raise HostileError("the request line is malformed")
    if match[1] not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise HostileError("only HTTP/1.1 is spoken here", 505)
    if b"host" not in _checked(fields):
        raise HostileError("the request has no Host")


def check_response(head: bytes) -> None:
    """Judge a response's head, without its last empty line. Raises HostileError."""
    first, fields = _split(head)
    if not _STATUS.fullmatch(first):
        raise HostileError("the status line is malformed")
    _checked(fields)


def _split(head: bytes) -> tuple[bytes, list[bytes]]:
    lines = head.split(b"\r\n")
    if any(b"\n" in line or b"\r" in line for line in lines):
        raise HostileError("a line does not end with CRLF")
    if len(lines) > MOST_HEADERS + 1:
        raise HostileError(f"there are more than {MOST_HEADERS} headers", 431)
    return lines[0], lines[1:]


def _checked(fields: list[bytes]) -> dict[bytes, bytes]:
    found: Counter[bytes] = Counter()
    values: dict[bytes, bytes] = {}
    for line in fields:
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            raise HostileError("a header goes on in a second line")
        if not colon or not _NAME.fullmatch(name):
            raise HostileError("a header's name is malformed")
        if not _VALUE.fullmatch(value):
            raise HostileError("a header's value holds a control character")
        found[name.lower()] += 1
        values[name.lower()] = value.strip(b" \t")
    for name in _ONCE:
        if found[name] > 1:
            raise HostileError(f"there are {found[name]} headers {name.decode()}")
    _check_length(values)
    return values


def _check_length(values: dict[bytes, bytes]) -> None:
    length, coding = values.get(b"content-length"), values.get(b"transfer-encoding")
    if length is not None and not re.fullmatch(rb"[0-9]{1,18}", length):
        raise HostileError("Content-Length is no number")
    if coding is not None and coding.lower() != b"chunked":
        raise HostileError("the only Transfer-Encoding that is carried is chunked", 501)
    if length is not None and coding is not None:
        raise HostileError("there are both Content-Length and Transfer-Encoding")
