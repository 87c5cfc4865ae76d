"""DNS messages: a query read, and its answer written. Pure; dnspython does the encoding.

Rules:
- What is no query gets no answer; what cannot be read gets FORMERR; more or less than one question FORMERR;
  another opcode NOTIMP; a class but IN REFUSED; a version of EDNS above 0 BADVERS (RFC 6891, section 6.1.3).
- An answer says that it is authoritative and that recursion is available: resolvers (glibc, Go) take an
  empty answer without both for a server that does not know, and ask again.
- A negative answer carries a SOA record (RFC 2308), which says how long it may be kept: that a name has no
  records of a type as long as the name itself, that there is no such name not at all, since a grant may come.
- EDNS is answered with a payload of 1,232 bytes (DNS Flag Day 2020); its options are passed over.
"""

from __future__ import annotations

import functools
import importlib
import ipaddress
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from libos.net.address import Literal

if TYPE_CHECKING:
    import dns.message
    import dns.name

# Seconds that an answer may be kept; short, since a grant may come or go while a program runs.
TTL = 5
ABSENT_TTL = 0
_PAYLOAD = 1232
# Bytes of an answer without EDNS: RFC 1035, section 4.2.1.
_PLAIN_PAYLOAD = 512
_SOA = "libos. hostmaster.libos. 1 3600 600 86400 {0}"
# The header: its bytes, the flag of answers, what an answer repeats (opcode and RD), the code: RFC 1035,
# section 4.1.1.
_HEADER, _QR, _KEPT_FLAGS, _FORMERR = 12, 0x80, 0x79, 1
# What is used of dnspython; the last four are what it would import at the first answer by itself.
_MODULES = (
    *("exception", "flags", "message", "opcode", "rcode", "rdataclass", "rdatatype", "reversename", "rrset"),
    *("rdtypes.IN.A", "rdtypes.IN.AAAA", "rdtypes.ANY.PTR", "rdtypes.ANY.SOA"),
)


@functools.cache
def codec() -> ModuleType:
    """The package `dns`, with its modules; the first call takes 50 ms."""
    for module in _MODULES:
        importlib.import_module(f"dns.{module}")
    return importlib.import_module("dns")


class Query:
    """One question in class IN, and its answer as it is filled: by one of `found`, `points_to`, `absent`,
    `failed`."""

    def __init__(self, query: dns.message.Message, response: dns.message.Message) -> None:
        self._dns = codec()
        self._payload = query.payload
        self._response = response
        self._question = response.question[0]
        self.name = self._question.name.to_text(omit_final_dot=True).lower()
        self.kind = self._dns.rdatatype.to_text(self._question.rdtype)

    @functools.cached_property
    def pointer(self) -> Literal | None:
        """The address that a reverse name (1.0.0.127.in-addr.arpa) stands for, or None."""
        try:
            return ipaddress.ip_address(self._dns.reversename.to_address(self._question.name))
        except (ValueError, self._dns.exception.DNSException):
            return None

    def found(self, addresses: Sequence[Literal]) -> None:
        """The name exists, with these addresses; those of the type that was asked for are given."""
        version = {"A": 4, "AAAA": 6}.get(self.kind)
        self._records([str(each) for each in addresses if each.version == version])

    def points_to(self, name: str) -> None:
        """The reverse name exists, and stands for this one."""
        self._records([f"{name}."] if self.kind == "PTR" else [])

    def absent(self) -> None:
        """There is no such name."""
        self._response.set_rcode(self._dns.rcode.NXDOMAIN)
        self._negative(ABSENT_TTL)

    def failed(self) -> None:
        """It cannot be said now; the client may ask again."""
        self._response.set_rcode(self._dns.rcode.SERVFAIL)

    def wire(self, *, datagram: bool) -> bytes:
        """The answer's bytes."""
        size = min(_PAYLOAD, max(_PLAIN_PAYLOAD, self._payload)) if datagram else 65535
        return bytes(self._response.to_wire(max_size=size, prefer_truncation=True))

    def _records(self, texts: Sequence[str]) -> None:
        if texts:
            made = self._dns.rrset.from_text(self._question.name, TTL, "IN", self.kind, *texts)
            self._response.answer.append(made)
        else:
            self._negative(TTL)

    def _negative(self, seconds: int) -> None:
        soa = self._dns.rrset.from_text(".", seconds, "IN", "SOA", _SOA.format(seconds))
        self._response.authority.append(soa)


def read(data: bytes) -> Query | bytes | None:
    """The query in a message, or the bytes of an answer that says what is wrong with it, or None where it
    deserves none. Raises nothing on any input."""
    if len(data) < _HEADER or data[2] & _QR:
        return None
    try:
        return _read(codec(), data)
    except Exception:  # dnspython's many errors, and those that its code raises on hostile input
        return data[:2] + bytes([_QR | data[2] & _KEPT_FLAGS, _FORMERR]) + bytes(_HEADER - 4)


def _read(codec: ModuleType, data: bytes) -> Query | bytes:
    query: dns.message.Message = codec.message.from_wire(data, ignore_trailing=True)
    response = codec.message.make_response(query, recursion_available=True, our_payload=_PAYLOAD)
    response.flags |= codec.flags.AA
    wrong = _wrong(codec, query)
    if wrong is not None:
        response.set_rcode(wrong)
        return bytes(response.to_wire(max_size=_PLAIN_PAYLOAD, prefer_truncation=True))
    return Query(query, response)


def _wrong(codec: ModuleType, query: dns.message.Message) -> int | None:
    """The code of an answer to a message that asks for nothing that is answered here."""
    code = codec.rcode
    if query.edns > 0:
        return int(code.BADVERS)
    if query.opcode() != codec.opcode.QUERY:
        return int(code.NOTIMP)
    if len(query.question) != 1:
        return int(code.FORMERR)
    if query.question[0].rdclass not in (codec.rdataclass.IN, codec.rdataclass.ANY):
        return int(code.REFUSED)
    return None
