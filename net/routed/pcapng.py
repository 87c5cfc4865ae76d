"""The blocks of a capture file: draft-ietf-opsawg-pcapng. Pure; what a capture of one interface needs.

Numbers are in this machine's byte order, which the section header says; each block is padded to four bytes
and ends with its length once more. Times are nanoseconds since 1970.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1  # LINKTYPE_ETHERNET
# Bytes of a packet that are kept: all of one that the kernel has not cut yet.
SNAPLEN = 262_144
# Options: section 3.5, and those of each block.
_END, _USERAPPL, _IF_NAME, _IF_TSRESOL, _EPB_FLAGS = 0, 4, 2, 9, 2
_ISB_START, _ISB_END, _ISB_RECEIVED, _ISB_DROPPED = 2, 3, 4, 5
_NANOSECONDS = 9
# epb_flags: the direction, seen from the interface.
INBOUND, OUTBOUND = 1, 2


def header(interface: str, program: str = "libos") -> bytes:
    """What a file begins with: one section, one interface."""
    section = struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1) + _options([(_USERAPPL, program.encode())])
    description = struct.pack("=HHI", _ETHERNET, 0, SNAPLEN)
    description += _options([(_IF_NAME, interface.encode()), (_IF_TSRESOL, bytes([_NANOSECONDS]))])
    return _block(_SECTION, section) + _block(_INTERFACE, description)


def packet(at: int, data: bytes, length: int, direction: int) -> bytes:
    """One packet, of which `data` was kept and `length` is how long it was."""
    fixed = struct.pack("=IIIII", 0, *_time(at), len(data), length)
    flags = _options([(_EPB_FLAGS, struct.pack("=I", direction))])
    return _block(_PACKET, fixed + _padded(data) + flags)


def statistics(began: int, ended: int, received: int, dropped: int) -> bytes:
    """What a file ends with: packets that the interface has seen, and those of them that are not in it."""
    counts = [(_ISB_RECEIVED, struct.pack("=Q", received)), (_ISB_DROPPED, struct.pack("=Q", dropped))]
    times = [(_ISB_START, _stamp(began)), (_ISB_END, _stamp(ended))]
    return _block(_STATISTICS, struct.pack("=III", 0, *_time(ended)) + _options([*times, *counts]))


def _time(at: int) -> tuple[int, int]:
    return at >> 32, at & 0xFFFF_FFFF


def _stamp(at: int) -> bytes:
    return struct.pack("=II", *_time(at))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    written = (struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options)
    return b"".join(written) + struct.pack("=HH", _END, 0)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("=I", 12 + len(body))
    return struct.pack("=I", kind) + length + body + length
