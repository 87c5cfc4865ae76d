"""What an ELF file may be, by its bytes."""

from __future__ import annotations

import struct

import pytest
from validated import module

from libos.vetting.elf import elf_problem

GOOD = module("good", interpreter="/lib/ld.so")


def problem(data: bytes) -> str:
    return elf_problem(data, ["/lib/ld.so"], "x86_64")


def patched(offset: int, form: str, value: int) -> bytes:
    """The good one with one value of another kind."""
    data = bytearray(GOOD)
    struct.pack_into(form, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize("data", [GOOD, module("static")])
def test_a_right_one_passes(data: bytes) -> None:
    assert problem(data) == ""


def test_each_shorter_one_is_refused() -> None:
    assert all(problem(GOOD[:size]) for size in range(len(GOOD)))


# Where things stand: elf(5). The first segment is loaded, the second the stack, the third the interpreter.
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"#!/bin/sh\n", "no ELF file"),
        (GOOD[:40], "truncated in its header"),
        (GOOD[:120], "truncated in its table"),
        (GOOD[:-1], "truncated in a segment"),
        (patched(4, "B", 1), "not of the 64-bit"),
        (patched(16, "<H", 4), "neither a program nor a library"),
        (module("other", machine=183), "another machine than x86_64"),
        (patched(54, "<H", 32), "which no program has"),
        (patched(56, "<H", 0), "has 0 segments"),
        (patched(32, "<Q", 1 << 63), "truncated in its table"),
        (module("writable", writable=True), "both written and executed"),
        (module("stack", stack=True), "stack can be executed"),
        (module("silent", stack=None), "stack can be executed"),
        (patched(24, "<Q", 0x1000), "starts outside"),
        (patched(64 + 4, "<I", 4), "starts outside"),
        (patched(64 + 40, "<Q", 1), "no place in memory"),
        (patched(64 + 16, "<Q", (1 << 64) - 1), "no place in memory"),
        (patched(64 + 56, "<I", 0), "stack can be executed"),
        (module("other", interpreter="/lib/evil.so"), "interpreter /lib/evil.so, which is not named"),
        (patched(64 + 2 * 56 + 32, "<Q", 5), "not one name"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, said: str) -> None:
    assert said in problem(data)


def test_segments_that_share_a_page_are_refused() -> None:
    """The later mapping would take the place of the earlier one: what can be written, of what is executed."""
    assert "share pages" in problem(two_loads())


def two_loads() -> bytes:
    """One whose second segment is loaded where the first is, to be written."""
    data = bytearray(GOOD)
    data[64 + 2 * 56 : 64 + 3 * 56] = data[64 : 64 + 56]
    struct.pack_into("<I", data, 64 + 2 * 56 + 4, 6)
    return bytes(data)
