"""A Python for a world that holds none: the files that an interpreter needs, mounted at a place of their own.

Rules:
- Only the place `AT` is added to the world; nothing is mounted over what the manifest mounts. The probe
  leaves it out of its counts.
- The interpreter is started by its own dynamic linker, which is told where the libraries are (ld.so(8),
  --library-path), so that nothing has to stand at the path that is written in the program; it finds its
  standard library beside itself, as it does in a prefix.
- It is the interpreter that runs libos, without its virtual environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from libos.errors import HostError
from libos.namespace import HostSource, Mount

# Where it stands in the world's root.
AT = "/.libos-surface"
_ORIGIN = "libos surface"
# The dynamic linker among a process's maps: glibc's ld-linux-x86-64.so.2 and its kin, musl's
# ld-musl-x86_64.so.1; proc_pid_maps(5).
_LINKER = re.compile(r" (/\S*/ld-[^/\s]*\.so\S*)$", re.MULTILINE)
# What `ld.so --list` says of a library: its name => its file (its address), ldd(1).
_LISTED = re.compile(r"^\s*([^\s/]+) => (/\S+) \(0x", re.MULTILINE)
# Seconds; a Python starts in a twentieth of one.
_START_TIMEOUT = 30


@dataclass(frozen=True)
class Toolbox:
    """`command` starts the interpreter inside; `mounts` bring it there."""

    command: tuple[str, ...]
    mounts: tuple[Mount, ...]


def interpreter() -> str:
    """The host's Python that runs this, its real path, without a virtual environment."""
    base: str = getattr(sys, "_base_executable", sys.executable)  # undocumented; venv uses it too
    return os.path.realpath(base)


@cache
def toolbox() -> Toolbox:
    """The files of this Python. HostError where they cannot be told."""
    program = interpreter()
    linker = _LINKER.search(_said([program, "-I", "-S", "-c", "print(open('/proc/self/maps').read())"]))
    libraries = dict(_LISTED.findall(_said([linker[1], "--list", program]))) if linker else {}
    return packed(program, linker[1] if linker else None, libraries, sysconfig.get_path("stdlib"))


def packed(program: str, linker: str | None, libraries: Mapping[str, str], stdlib: str) -> Toolbox:
    """The toolbox of a program: its linker (None where it has none), its libraries by name, its standard
    library. Pure."""
    start = f"{AT}/bin/python3"
    files = {start: program} | {f"{AT}/lib/{name}": path for name, path in libraries.items()}
    command: tuple[str, ...] = (start,)
    if linker is not None:
        files[f"{AT}/bin/ld.so"] = linker
        command = (f"{AT}/bin/ld.so", "--library-path", f"{AT}/lib", start)
    folder, version = stdlib.rstrip("/").split("/")[-2:]  # lib or lib64, python3.13
    files[f"{AT}/{folder}/{version}"] = stdlib
    mounts = (Mount(at, HostSource(path), origin=_ORIGIN) for at, path in files.items())
    return Toolbox(command, tuple(mounts))


def _said(argv: list[str]) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=_START_TIMEOUT).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"the host's Python cannot be looked at: {' '.join(argv)}: {error}") from error
