"""Runs a seccomp program as the kernel does: classic BPF over struct seccomp_data. linux/filter.h."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from libos.kernel.process import BPF_INSTRUCTION_BYTES

# linux/audit.h
ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7, "i386": 0x4000_0003}
KILL_PROCESS, ERRNO, USER_NOTIFICATION, ALLOW = 0x8000_0000, 0x0005_0000, 0x7FC0_0000, 0x7FFF_0000

_LOAD, _LOAD_IMMEDIATE, _AND, _RETURN, _JUMP = 0x20, 0x00, 0x54, 0x06, 0x05
_JUMPS: dict[int, Callable[[int, int], bool]] = {
    0x15: lambda left, right: left == right,
    0x25: lambda left, right: left > right,
    0x35: lambda left, right: left >= right,
    0x45: lambda left, right: bool(left & right),
}


def run(program: bytes, architecture: str, number: int, arguments: Sequence[int] = ()) -> int:
    """What the program returns for one call."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number & 0xFFFF_FFFF, ARCHITECTURES[architecture], 0, *words)
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, operand = code[at]
        at += 1
        if operation == _LOAD:
            (accumulator,) = struct.unpack_from("=I", data, operand)
        elif operation == _AND:
            accumulator &= operand
        elif operation == _JUMP:
            at += operand
        elif operation == _RETURN:
            return int(operand)
        else:
            at += if_true if _JUMPS[operation](accumulator, operand) else if_false


def answer(program: bytes, architecture: str, number: int, arguments: Sequence[int] = ()) -> int | None:
    """The errno of a call, 0 where it passes, None where the process ends."""
    result = run(program, architecture, number, arguments)
    if result & 0xFFFF_0000 == ERRNO:
        return result & 0xFFFF
    assert result in (ALLOW, KILL_PROCESS), hex(result)
    return 0 if result == ALLOW else None


def is_whole(program: bytes) -> bool:
    """Whether it is a number of whole instructions that the kernel takes: at most 4096."""
    return len(program) % BPF_INSTRUCTION_BYTES == 0 and 0 < len(program) // BPF_INSTRUCTION_BYTES <= 4096
