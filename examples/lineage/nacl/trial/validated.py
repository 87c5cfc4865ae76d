"""Modules that are validated and then run: `python validated.py` says what became of each.

A module is a static ELF program of some 200 bytes for x86-64, put together here without a compiler; it says
its name. The manifest lets one run that is listed by its digest and is an ELF file of the right form.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import libos

MACHINE = "x86_64"
LOADER = "/lib64/ld-linux-x86-64.so.2"
# What is tried in the world, one after another, once a line came: each by a name, with its command.
TRIES = {
    "good": "/modules/good",
    "unlisted": "/modules/unlisted",
    "writable": "/modules/writable",
    "loaded": f"{LOADER} $LOADED loaded",
    "changed": "$CHANGED",
    "secret": "/modules/cat /secret",
    "written": "cp /modules/good /tmp/copy && chmod +x /tmp/copy && /tmp/copy",
}
SECRET = "outside"  # noqa: S105 - no secret of anybody's


# --- a module

X86_64 = 62
_BASE = 0x400000
_HEADER, _SEGMENT = 64, 56
_R, _W, _X = 4, 2, 1
_LOAD, _INTERP, _STACK = 1, 3, 0x6474E551


def module(
    name: str,
    *,
    writable: bool = False,
    stack: bool | None = False,
    interpreter: str | None = None,
    machine: int = X86_64,
) -> bytes:
    """The program that says `name`. `stack` None says nothing of the stack."""
    text = f"{name}\n".encode()
    named = b"" if interpreter is None else interpreter.encode() + b"\0"
    count = 1 + (stack is not None) + (interpreter is not None)
    start = _HEADER + count * _SEGMENT
    code = _code(len(text)) + text
    size = start + len(code) + len(named)
    segments = [_segment(_LOAD, _R | _X | (_W if writable else 0), 0, size)]
    if stack is not None:
        segments.append(_segment(_STACK, _R | _W | (_X if stack else 0), 0, 0))
    if interpreter is not None:
        segments.append(_segment(_INTERP, _R, start + len(code), len(named)))
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(ident, 2, machine, 1, _BASE + start, _HEADER, 0, 0, _HEADER, _SEGMENT, count, 0, 0, 0),
    )
    return head + b"".join(segments) + code + named


def _segment(kind: int, flags: int, offset: int, size: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, offset, _BASE + offset, _BASE + offset, size, size, 16)


def _code(size: int) -> bytes:
    """write(1, what follows, size), then exit(0). Instructions by their bytes."""
    ending = bytes.fromhex("0f05 b83c000000 31ff 0f05")  # syscall; mov eax, 60; xor edi, edi; syscall
    length = b"\xba" + struct.pack("<I", size)  # mov edx, size
    ahead = struct.pack("<I", len(length) + len(ending))
    text = b"\x48\x8d\x35" + ahead  # lea rsi, [rip + the bytes that follow]
    return bytes.fromhex("b801000000 bf01000000") + text + length + ending


# --- what is tried


def make(folder: Path) -> None:
    """The modules, and what the host has besides."""
    modules = folder / "modules"
    modules.mkdir()
    for name in ("good", "unlisted", "changed"):
        (modules / name).write_bytes(module(name))
    (modules / "writable").write_bytes(module("writable", writable=True))
    shutil.copy("/bin/echo", modules / "loaded")
    shutil.copy("/bin/cat", modules / "cat")
    for path in modules.iterdir():
        path.chmod(0o755)
    (folder / "secret").write_text(SECRET)


def change(folder: Path) -> None:
    """Put other code in the place of a module that was validated."""
    (folder / "modules/changed").write_bytes(module("swapped"))


def manifest(folder: Path) -> dict[str, Any]:
    """What lets the listed modules run, and nothing else."""
    listed = [folder / "modules" / name for name in ("good", "writable", "changed", "cat")]
    script = "\n".join(f"echo {name}: $({command} 2>&1)" for name, command in TRIES.items())
    return {
        "include": ["base"],
        "app": {
            "command": ["sh", "-c", f"echo ready\nread -r line\n{script}"],
            "environment": {"LOADED": "/modules/loaded", "CHANGED": "/modules/changed"},
        },
        "mount": [
            {
                "at": "/modules",
                "host": "modules",
                "exec": {
                    "sha256": [hashlib.sha256(path.read_bytes()).hexdigest() for path in listed],
                    "elf": {"interpreters": [LOADER]},
                },
            }
        ],
    }


def main() -> None:
    """Make the modules in a folder, and run them."""
    if platform.machine() != MACHINE:
        sys.exit(f"the modules are for {MACHINE}")
    with tempfile.TemporaryDirectory(prefix="libos-modules-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        make(folder)
        made = libos.from_mapping(manifest(folder), base=folder)
        done = libos.run(manifest=made, input="\n", stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="")


if __name__ == "__main__":
    main()
