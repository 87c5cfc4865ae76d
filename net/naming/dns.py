"""The DNS responder of a world: knows the granted names, and that there are no others.

Rules:
- A granted name has its address (type A) and no other records (NOERROR with an empty answer); localhost
  has both of its addresses; any other name does not exist (NXDOMAIN), which is told by an event. Nothing
  is ever asked outside.
- What cannot be read gets FORMERR, and an answer gets no answer; nothing that a program sends ends the
  responder or costs it memory: datagrams are answered one by one, at most 16 TCP connections at once.
- dnspython is imported by a thread at the first query: it takes 50 ms, which programs that look names up in
  /etc/hosts do not pay.
"""

from __future__ import annotations

import importlib
import ipaddress
import socket
from types import ModuleType
from typing import TYPE_CHECKING

import trio

from libos.net.accept import Acceptor
from libos.net.naming.names import RESOLVER, Names
from libos.net.sockets import Observe, Spec, listen_at

if TYPE_CHECKING:
    import dns.message
    import dns.name

# The socket of datagrams, and the one that listens for connections.
SPECS: list[Spec] = [(socket.AF_INET, socket.SOCK_DGRAM, 0), (socket.AF_INET, socket.SOCK_STREAM, 0)]
PORT = 53
# Seconds that an answer may be kept; short, since a grant may come while a program runs.
TTL = 5
# Bytes: the largest datagram that is read, as EDNS clients announce it at most in practice (RFC 6891,
# section 6.2.5).
_DATAGRAM = 4096
# Seconds that a TCP client may stay silent: RFC 7766, section 6.2.3.
_IDLE = 10.0
_TCP_CLIENTS = 16
# The header: its bytes, the flag of answers, what an answer repeats (opcode and RD), the code: RFC 1035,
# section 4.1.1.
_HEADER, _QR, _KEPT_FLAGS, _FORMERR = 12, 0x80, 0x79, 1
# Datagrams answered before other tasks run.
_TURN = 16


# What is used of dnspython; the last three are what it would import at the first answer by itself.
_MODULES = (
    *("exception", "flags", "message", "opcode", "rcode", "rdataclass", "rdatatype", "reversename", "rrset"),
    *("rdtypes.IN.A", "rdtypes.IN.AAAA", "rdtypes.ANY.PTR"),
)


def _load() -> ModuleType:
    """The package `dns`, with its modules."""
    for module in _MODULES:
        importlib.import_module(f"dns.{module}")
    return importlib.import_module("dns")


class Responder:
    """Answers for `names`. `sockets` are those of SPECS, made inside; the responder owns them from here on.

    The constructor binds them and raises OSError where that fails.
    """

    def __init__(self, sockets: list[socket.socket], names: Names, observe: Observe) -> None:
        self._datagrams, self._listener = sockets
        self._names = names
        self._observe = observe
        self._acceptor = Acceptor(observe, _TCP_CLIENTS)
        self._last_absent = ""
        self._codec: ModuleType | None = None
        try:
            self._datagrams.setblocking(False)
            self._datagrams.bind((str(RESOLVER), PORT))
            listen_at(self._listener, str(RESOLVER), PORT)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close both sockets, once nothing serves them. May be called again."""
        self._datagrams.close()
        self._listener.close()

    async def serve_streams(self, nursery: trio.Nursery) -> None:
        """Answer TCP clients, each in a task of `nursery`, until cancelled."""
        label = f"tcp!{RESOLVER}!{PORT}"
        await self._acceptor.accept(self._listener, self._serve_stream, label, nursery)

    async def serve_datagrams(self) -> None:
        """Answer UDP queries until cancelled."""
        answered = 0
        while True:
            try:
                query, client = self._datagrams.recvfrom(_DATAGRAM)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._datagrams)
                continue
            except OSError:  # an earlier answer's ICMP error
                await trio.lowlevel.checkpoint()
                continue
            answer = await self._answer(query, datagram=True)
            if answer is not None:
                try:
                    self._datagrams.sendto(answer, client)
                except OSError:
                    pass  # the client has gone, or does not read: as if the datagram were lost
            answered += 1
            if answered % _TURN == 0:
                await trio.lowlevel.checkpoint()

    async def _serve_stream(self, connection: socket.socket) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
        try:
            while True:
                with trio.fail_after(_IDLE):
                    query = await _receive(stream)
                    answer = await self._answer(query, datagram=False) if query else None
                    if answer is None:
                        return
                    await stream.send_all(len(answer).to_bytes(2, "big") + answer)
        except (trio.TooSlowError, trio.BrokenResourceError):
            pass  # the client's loss
        finally:
            stream.socket.close()

    async def _answer(self, query: bytes, datagram: bool) -> bytes | None:
        """The answer to a query's bytes, or None where it deserves none. Raises nothing on any input."""
        if len(query) < _HEADER or query[2] & _QR:
            return None
        if self._codec is None:
            self._codec = await trio.to_thread.run_sync(_load)
        try:
            return self._respond(self._codec, query, datagram)
        except Exception:  # dnspython's many errors, and those that its code raises on hostile input
            return query[:2] + bytes([_QR | query[2] & _KEPT_FLAGS, _FORMERR]) + bytes(_HEADER - 4)

    def _respond(self, codec: ModuleType, data: bytes, datagram: bool) -> bytes:
        """Sync on purpose: a name is looked up and answered in one step."""
        query: dns.message.Message = codec.message.from_wire(data, ignore_trailing=True)
        response = codec.message.make_response(query, recursion_available=True)
        if query.opcode() != codec.opcode.QUERY:
            response.set_rcode(codec.rcode.NOTIMP)
        elif len(query.question) != 1:
            response.set_rcode(codec.rcode.FORMERR)
        else:
            self._fill(codec, response)
        # 512 bytes without EDNS: RFC 1035, section 4.2.1.
        size = max(512, query.payload) if datagram else 65535
        return bytes(response.to_wire(max_size=size, prefer_truncation=True))

    def _fill(self, codec: ModuleType, response: dns.message.Message) -> None:
        question = response.question[0]
        response.flags |= codec.flags.AA
        pointer = self._pointer(codec, question.name)
        if pointer is not None:
            if question.rdtype == codec.rdatatype.PTR:
                response.answer.append(codec.rrset.from_text(question.name, TTL, "IN", "PTR", f"{pointer}."))
            return
        name = question.name.to_text(omit_final_dot=True)
        addresses = self._names.lookup(name)
        if addresses is None or question.rdclass != codec.rdataclass.IN:
            response.set_rcode(codec.rcode.NXDOMAIN)
            self._absent(name.lower(), codec.rdatatype.to_text(question.rdtype))
            return
        wanted = {codec.rdatatype.A: 4, codec.rdatatype.AAAA: 6}.get(question.rdtype)
        found = [str(address) for address in addresses if address.version == wanted]
        if found:
            kind = codec.rdatatype.to_text(question.rdtype)
            response.answer.append(codec.rrset.from_text(question.name, TTL, "IN", kind, *found))

    def _pointer(self, codec: ModuleType, name: dns.name.Name) -> str | None:
        """The name that a reverse name (1.0.0.127.in-addr.arpa) stands for, or None."""
        try:
            return self._names.name_of(ipaddress.ip_address(codec.reversename.to_address(name)))
        except (ValueError, codec.exception.DNSException):
            return None

    def _absent(self, name: str, kind: str) -> None:
        # getaddrinfo(3) asks for A and AAAA at once: that is one attempt.
        if kind == "AAAA" and name == self._last_absent:
            self._last_absent = ""
            return
        self._last_absent = name
        self._observe("name.absent", {"name": name, "type": kind})


async def _receive(stream: trio.SocketStream) -> bytes | None:
    """One message with its length before it (RFC 1035, section 4.2.2), or None at the end of the stream."""
    data = b""
    wanted = 2
    while len(data) < wanted:
        part = await stream.receive_some(wanted - len(data))
        if not part:
            return None
        data += part
        if wanted == 2 and len(data) == 2:
            wanted += int.from_bytes(data, "big")
    return data[2:]
