"""The messages of 9P2000.L as bytes and back; pure.

- A frame is size[4] kind[1] tag[2] and the fields of its kind, little-endian; the size counts itself.
- What is decoded is exactly what was encoded: fields that end early, bytes left over, an unknown kind, a
  string or a list beyond its bound are a MalformedError, never anything else.
- Names are single path components: empty, ".", "/", NUL and more than 255 bytes are malformed, and so is
  ".." (a client of this package never walks up; the kernel does that by itself).
"""

from __future__ import annotations

import struct

from libos.fs.node import NAME_MAX, TARGET_MAX
from libos.fs.p9.messages import FIELDS, Message, Qid

# Names in one walk: MAXWELEM of walk(5), Plan 9.
WALK_MAX = 16
# Bytes of a frame before its fields.
HEADER = 7


class MalformedError(ValueError):
    """Bytes that are no message."""


_NUMBERS = {letter: struct.Struct("<" + letter) for letter in "BHIQ"}
_QID = struct.Struct("<BIQ")
_HEADER = struct.Struct("<IBH")


def is_name(name: bytes) -> bool:
    """Whether it is one path component that leads to a file below."""
    return 0 < len(name) <= NAME_MAX and name not in (b".", b"..") and b"/" not in name and b"\0" not in name


def encode(tag: int, message: Message) -> bytes:
    """The whole frame. MalformedError for fields that do not fit their kind."""
    form = FIELDS[message.kind]
    if len(form) != len(message.fields):
        raise MalformedError(f"kind {message.kind} has {len(form)} fields, not {len(message.fields)}")
    try:
        body = b"".join(map(_encoded, form, message.fields))
        return _HEADER.pack(HEADER + len(body), message.kind, tag) + body
    except struct.error as error:
        raise MalformedError(str(error)) from None


def decode(frame: bytes) -> tuple[int, Message]:
    """The tag and the message of one whole frame."""
    if len(frame) < HEADER:
        raise MalformedError(f"a frame of {len(frame)} bytes")
    size, kind, tag = _HEADER.unpack_from(frame)
    if size != len(frame):
        raise MalformedError(f"a frame of {len(frame)} bytes says that it has {size}")
    if kind not in FIELDS:
        raise MalformedError(f"kind {kind} is not known")
    rest = Reader(frame, HEADER)
    fields = tuple(rest.field(letter) for letter in FIELDS[kind])
    rest.finish()
    return tag, Message(kind, fields)


def entries(data: bytes) -> list[tuple[Qid, int, int, bytes]]:
    """The entries of a Rreaddir: qid, offset of the next one, type, name ("." and ".." may be among them)."""
    rest = Reader(data, 0)
    found = []
    while rest.left:
        qid, offset, kind = rest.qid(), rest.number("Q"), rest.number("B")
        name = rest.string(NAME_MAX)
        if name not in (b".", b"..") and not is_name(name):
            raise MalformedError(f"not a name: {name!r}")
        found.append((qid, offset, kind, name))
    return found


def entry(qid: Qid, offset: int, kind: int, name: bytes) -> bytes:
    """One entry of a Rreaddir."""
    return _QID.pack(*qid) + struct.pack("<QB", offset, kind) + _encoded("s", name)


class Reader:
    """Takes fields from bytes, one after another."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self._data) - self._at

    def finish(self) -> None:
        """MalformedError if anything is left."""
        if self.left:
            raise MalformedError(f"{self.left} bytes too many")

    def field(self, letter: str) -> object:
        """The next field, of the type that the letter stands for in `FIELDS`."""
        if letter in _NUMBERS:
            return self.number(letter)
        if letter == "q":
            return self.qid()
        if letter == "s":
            return self.string(TARGET_MAX)
        if letter == "n":
            return self.name()
        if letter == "D":
            return self.take(self.number("I"))
        count = self.number("H")
        if count > WALK_MAX:
            raise MalformedError(f"a walk of {count} names")
        return tuple(self.name() if letter == "N" else self.qid() for _ in range(count))

    def take(self, count: int) -> bytes:
        """So many bytes."""
        if count > self.left:
            raise MalformedError(f"{count} bytes are said to follow, {self.left} do")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, letter: str) -> int:
        """An unsigned number, as struct names it."""
        form = _NUMBERS[letter]
        return int(form.unpack(self.take(form.size))[0])

    def qid(self) -> Qid:
        """A qid."""
        return Qid(*_QID.unpack(self.take(_QID.size)))

    def string(self, longest: int) -> bytes:
        """A string of at most so many bytes, without NUL."""
        count = self.number("H")
        if count > longest:
            raise MalformedError(f"a string of {count} bytes")
        text = self.take(count)
        if b"\0" in text:
            raise MalformedError("NUL in a string")
        return text

    def name(self) -> bytes:
        """A path component."""
        name = self.string(NAME_MAX)
        if not is_name(name):
            raise MalformedError(f"not a name: {name!r}")
        return name


def _encoded(letter: str, value: object) -> bytes:
    if isinstance(value, Qid):
        return _QID.pack(*value)
    if isinstance(value, int):
        return _NUMBERS[letter].pack(value)
    if isinstance(value, bytes):
        return _NUMBERS["I" if letter == "D" else "H"].pack(len(value)) + value
    assert isinstance(value, tuple)
    inner = "s" if letter == "N" else "q"
    return _NUMBERS["H"].pack(len(value)) + b"".join(_encoded(inner, each) for each in value)
