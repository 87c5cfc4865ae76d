"""What libraries look for by themselves, told from what a program looks for."""

from __future__ import annotations

import pytest

from libos.seen.habits import by_habit


@pytest.mark.parametrize(
    "path",
    [
        "/etc/ld.so.preload",
        "/usr/lib/glibc-hwcaps/x86-64-v3/libc.so.6",
        "/usr/lib/python3.13/json/__init__.cpython-313-x86_64-linux-gnu.so",
        "/usr/lib/python3.13/json/__init__.abi3.so",
        "/usr/lib/python3.13/json/__init__.so",
        "/usr/share/locale/de/LC_MESSAGES/coreutils.mo",
    ],
)
def test_what_a_library_looks_for_by_itself_has_a_source(path: str) -> None:
    assert by_habit(path)


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "/work/__init__.py", "/work/x__init__.so", "/usr/lib/libthing.so", "/home/locale.txt"],
)
def test_what_a_program_looks_for_is_its_own(path: str) -> None:
    assert by_habit(path) is None
