"""A classic BPF program that passes refusals only: the kernel's answer where a world has no listener.

Rules:
- The program sees a packet from its IP header on (packet sockets of SOCK_DGRAM) and returns how many bytes
  to keep.
- Refused TCP is RST and ACK with sequence number 0: a SYN carries no ACK, and so its reset starts at 0
  (RFC 9293, section 3.10.7.1). Refused UDP is ICMP type 3 code 3 (RFC 792) or ICMPv6 type 1 code 4
  (RFC 4443), about UDP.
- Pure: this module builds and encodes the program; who attaches it is elsewhere.

Opcodes: bpf(4) and linux/bpf_common.h.
"""

from __future__ import annotations

import struct

# One instruction: (code, jump if true, jump if false, k): struct sock_filter.
Instruction = tuple[int, int, int, int]

_LD_W, _LD_H, _LD_B = 0x20, 0x28, 0x30  # A = packet[k]
_LDI_W, _LDI_H, _LDI_B = 0x40, 0x48, 0x50  # A = packet[X + k]
_LDX_HEADER = 0xB1  # X = 4 * (packet[k] & 15): the length of an IPv4 header
_AND, _JEQ, _JSET, _RET = 0x54, 0x15, 0x45, 0x06

# Bytes kept of a packet: the largest IPv4 header, an ICMP header, the same again and eight bytes of UDP.
KEPT = 60 + 8 + 60 + 8
_DROP = "drop"
_KEEP = "keep"


def refusals() -> list[Instruction]:
    """For a packet socket of every protocol. The kernel's own IPv6 answers carry no extension headers."""
    return _assemble(
        [
            (_LD_B, 0, None, None),
            (_AND, 0xF0, None, None),
            (_JEQ, 0x40, None, "ipv6"),
            (_LD_H, 6, None, None),
            (_JSET, 0x1FFF, _DROP, None),  # a fragment but the first one
            (_LDX_HEADER, 0, None, None),
            (_LD_B, 9, None, None),
            (_JEQ, 6, None, "icmp"),
            (_LDI_B, 13, None, None),
            (_AND, 0x17, None, None),
            (_JEQ, 0x14, None, _DROP),  # of FIN SYN RST ACK exactly RST ACK
            (_LDI_W, 4, None, None),
            (_JEQ, 0, _KEEP, _DROP),
            "icmp",
            (_JEQ, 1, None, _DROP),
            (_LDI_H, 0, None, None),
            (_JEQ, 0x0303, None, _DROP),
            (_LDI_B, 8 + 9, None, None),
            (_JEQ, 17, _KEEP, _DROP),
            "ipv6",
            (_JEQ, 0x60, None, _DROP),
            (_LD_B, 6, None, None),
            (_JEQ, 6, None, "icmpv6"),
            (_LD_B, 40 + 13, None, None),
            (_AND, 0x17, None, None),
            (_JEQ, 0x14, None, _DROP),
            (_LD_W, 40 + 4, None, None),
            (_JEQ, 0, _KEEP, _DROP),
            "icmpv6",
            (_JEQ, 58, None, _DROP),
            (_LD_H, 40, None, None),
            (_JEQ, 0x0104, None, _DROP),
            (_LD_B, 40 + 8 + 6, None, None),
            (_JEQ, 17, _KEEP, _DROP),
        ]
    )


def encode(program: list[Instruction]) -> bytes:
    """The program as an array of struct sock_filter."""
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def _assemble(lines: list[tuple[int, int, str | None, str | None] | str]) -> list[Instruction]:
    """Turn labels into distances. A line is a label or (code, k, where to if true, where to if false)."""
    labels: dict[str, int] = {}
    instructions: list[tuple[int, int, str | None, str | None]] = []
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(instructions)
        else:
            instructions.append(line)
    labels[_DROP] = len(instructions)
    labels[_KEEP] = len(instructions) + 1

    def distance(here: int, label: str | None) -> int:
        return 0 if label is None else labels[label] - here - 1

    program = [
        (code, distance(here, true), distance(here, false), k)
        for here, (code, k, true, false) in enumerate(instructions)
    ]
    return [*program, (_RET, 0, 0, 0), (_RET, 0, 0, KEPT)]
