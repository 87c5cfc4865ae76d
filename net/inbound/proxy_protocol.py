"""The header of the PROXY protocol, version 2, by which a server learns who connected outside. Pure.

Source: haproxy's doc/proxy-protocol.txt, section 2.2. All of it goes out before the first byte of a
connection, and nothing of it is optional for the receiver: a server that was not told to expect it takes it
for garbage.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY = 0x21  # version 2, command PROXY
_TCP4, _TCP6, _UNIX_STREAM = 0x11, 0x21, 0x31
_UNIX_BYTES = 108


def header(family: int, peer: Any, local: Any) -> bytes:
    """The header for a connection from `peer` to `local`: addresses as getpeername(2) and getsockname(2) give
    them in Python. A peer of a unix socket mostly has no name."""
    if family == socket.AF_UNIX:
        addresses = b"".join(_unix(name) for name in (peer, local))
        return _with_length(_UNIX_STREAM, addresses)
    addresses = b"".join(socket.inet_pton(family, name[0]) for name in (peer, local))
    ports = struct.pack("!HH", peer[1], local[1])
    return _with_length(_TCP6 if family == socket.AF_INET6 else _TCP4, addresses + ports)


def header_of(connection: socket.socket) -> bytes:
    """The header for a connection that was accepted outside. Raises OSError (ENOTCONN) where it has gone."""
    return header(connection.family, connection.getpeername(), connection.getsockname())


def _unix(name: str | bytes) -> bytes:
    raw = name if isinstance(name, bytes) else name.encode(errors="surrogateescape")
    return raw[:_UNIX_BYTES].ljust(_UNIX_BYTES, b"\0")


def _with_length(kind: int, addresses: bytes) -> bytes:
    return _SIGNATURE + struct.pack("!BBH", _PROXY, kind, len(addresses)) + addresses
