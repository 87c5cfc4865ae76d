"""What an ELF file would make the kernel do, read from its head. Pure.

Rules:
- Only what the kernel and a loader act upon is looked at: the header and the segments, never sections.
- A file that is not whole, or says something twice, is refused: two readers could read it differently.
- Instructions are not looked at. What a file does once it runs is not known here.

elf(5); Linux, fs/binfmt_elf.c; System V ABI, chapter 5.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from typing import NamedTuple

MAGIC = b"\x7fELF"
# By uname(2); elf.h.
_MACHINES = {"x86_64": 62, "aarch64": 183}
_EXECUTABLE, _SHARED = 2, 3
_LOAD, _INTERP, _STACK = 1, 3, 0x6474E551
_X, _W = 1, 2
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
# Pages in which the kernel maps segments; larger ones only make this stricter than need be.
_PAGE = 4096
# How many segments are looked at: ten are usual.
_MOST = 128


class _Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    in_file: int
    in_memory: int
    align: int

    @property
    def pages(self) -> tuple[int, int]:
        """The first page that it takes, and the one behind its last."""
        return self.address // _PAGE, -(-(self.address + self.in_memory) // _PAGE)


class _WrongError(Exception):
    """What is wrong with a file."""


def elf_problem(data: bytes, interpreters: Collection[str] = (), machine: str | None = None) -> str:
    """Why a file is refused, "" where nothing is wrong: a whole ELF file for this machine (or `machine`),
    in which nothing can be both written and executed, the stack included, and which starts no other
    interpreter than these. One without an interpreter is static, or a library."""
    try:
        segments = _segments(data, machine or os.uname().machine)
        _check_loads([each for each in segments if each.kind == _LOAD], _HEADER.unpack_from(data)[4], data)
        _check_stack([each for each in segments if each.kind == _STACK])
        _check_interpreter([each for each in segments if each.kind == _INTERP], data, interpreters)
    except _WrongError as wrong:
        return str(wrong)
    return ""


def _segments(data: bytes, machine: str) -> list[_Segment]:
    if not data.startswith(MAGIC):
        raise _WrongError("it is no ELF file")
    if len(data) < _HEADER.size:
        raise _WrongError("it is truncated in its header")
    ident, kind, code, version, _, table, _, _, size, entry_size, count, *_ = _HEADER.unpack_from(data)
    if ident[4:7] != b"\x02\x01\x01" or version != 1 or size != _HEADER.size:
        raise _WrongError("it is not of the 64-bit, little-endian format of this machine")
    if code != _MACHINES.get(machine):
        raise _WrongError(f"it is for another machine than {machine}")
    if kind not in (_EXECUTABLE, _SHARED):
        raise _WrongError("it is neither a program nor a library")
    if entry_size != _SEGMENT.size or not 0 < count <= _MOST:
        raise _WrongError(f"it has {count} segments of {entry_size} bytes, which no program has")
    if table + count * _SEGMENT.size > len(data):
        raise _WrongError("it is truncated in its table of segments")
    return [_Segment(*_SEGMENT.unpack_from(data, table + n * _SEGMENT.size)) for n in range(count)]


def _check_loads(loads: list[_Segment], entry: int, data: bytes) -> None:
    end = 0
    for each in loads:
        if each.offset + each.in_file > len(data):
            raise _WrongError("it is truncated in a segment")
        if each.in_memory < each.in_file or each.address + each.in_memory >= 1 << 64:
            raise _WrongError("a segment has no place in memory")
        if each.flags & _W and each.flags & _X:
            raise _WrongError("a segment can be both written and executed")
        first, behind = each.pages
        if first < end:
            raise _WrongError("its segments share pages, or are out of order")
        end = behind
    codes = [each for each in loads if each.flags & _X]
    if entry and not any(each.address <= entry < each.address + each.in_file for each in codes):
        raise _WrongError("it starts outside of what can be executed")


def _check_stack(stacks: list[_Segment]) -> None:
    """One that says nothing of its stack gets one that can be executed, by the kernel or by its loader."""
    if len(stacks) != 1 or stacks[0].flags & _X:
        raise _WrongError("its stack can be executed")


def _check_interpreter(found: list[_Segment], data: bytes, interpreters: Collection[str]) -> None:
    if not found:
        return
    name = data[found[0].offset : found[0].offset + found[0].in_file]
    if len(found) > 1 or len(name) < found[0].in_file or not name.endswith(b"\0") or b"\0" in name[:-1]:
        raise _WrongError("its interpreter is not one name")
    path = os.fsdecode(name[:-1])
    if path not in interpreters:
        raise _WrongError(f"it starts the interpreter {path}, which is not named")
