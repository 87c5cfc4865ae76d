"""What learning costs a program of 10,000 file operations: its own time in a learned world and outside.

Two kinds. Programs that do something with what they read: importing packages (some 5,500 system calls about
files, as strace(1) counts them), compiling Python's modules (some 9,000), compiling C (some 70,000); these
have the goal. And file operations alone, with nothing done between them, which no program is for long:
reading the same files again and again, packing a tree, git status. These show what an operation costs.

Outside: from start to exit. Learned: as long as its world tells that it ran (event `app.exit`), so that the
start of libos, which does not grow with the program, is not counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import libos
from benchmarks.launch import run_and_wait
from benchmarks.measure import Figure, Goal, interleaved
from libos.learning.world import learning_world

ROUNDS = 7
_SOURCES, _PASSES = 300, 10
_MODULE = "".join(
    f"def f{number}(a, b=1, *c):\n    return [each + {number} for each in c if each != a * b]\n\n\n"
    for number in range(20)
)
# 3,000 times stat, open, read and close: 27,000 system calls.
_LOOP = f"""
import os
for _ in range({_PASSES}):
    for name in os.listdir("loop"):
        os.stat(f"loop/{{name}}")
        with open(f"loop/{{name}}", "rb") as file:
            file.read()
"""
_PACKAGES = "asyncio cryptography.x509 dns.resolver email http.server pydantic rich.table trio unittest"
_IMPORTS = f"import {', '.join(_PACKAGES.split())}"
_HEADERS = (
    "stdio",
    "stdlib",
    "string",
    "unistd",
    "sys/socket",
    "netinet/in",
    "sys/stat",
    "time",
    "pthread",
    "dirent",
)
_STATUS = "git status --short > status"
_BUILD = "for n in $(seq 24); do gcc -O0 -c -o /tmp/$n.o build/$n.c || exit 1; done"


def _made(folder: Path) -> None:
    """The sources that the programs use."""
    (folder / "loop").mkdir()
    (folder / "build").mkdir()
    (folder / "modules").mkdir()
    for number in range(_SOURCES):
        (folder / "modules" / f"m{number}.py").write_text(_MODULE)
    for number in range(_SOURCES):
        (folder / "loop" / f"{number}.c").write_text("int x;\n" * 50)
    includes = "".join(f"#include <{name}.h>\n" for name in _HEADERS)
    for number in range(1, 25):
        (folder / "build" / f"{number}.c").write_text(
            f"{includes}int f{number}(void) {{ return {number}; }}\n"
        )
    if shutil.which("git"):
        script = "git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm all"
        subprocess.run(["sh", "-c", script], cwd=folder, check=True)


def _programs() -> dict[str, tuple[list[str], Goal | None]]:
    """Each program, and what is to be reached."""
    goal = Goal(5, "at most", "ratio")
    programs: dict[str, tuple[list[str], Goal | None]] = {
        "importing nine packages": ([sys.executable, "-c", _IMPORTS], goal),
        "compiling 300 modules of Python": (
            [sys.executable, "-m", "compileall", "-q", "-f", "modules"],
            goal,
        ),
    }
    if shutil.which("gcc"):
        programs["compiling 24 files with ten headers"] = (["sh", "-c", _BUILD], goal)
    programs["files alone: reading 300 ten times"] = ([sys.executable, "-c", _LOOP], None)
    programs["files alone: packing 300 with tar"] = (["tar", "cf", "packed.tar", "modules"], None)
    if shutil.which("git"):
        programs["files alone: git status of 600"] = (["sh", "-c", _STATUS], None)
    return programs


async def _learned(supervisor: libos.Supervisor, manifest: Mapping[str, object]) -> float:
    async with supervisor.events() as events:
        app = await supervisor.start(dict(manifest))
        async for event in events:
            if event.kind == "app.exit" and event.world == app.name:
                assert event.fields["status"] == 0, event
                await app.wait()
                return float(str(event.fields["seconds"]))
    raise AssertionError("the world did not tell its end")


async def measure(scratch: Path) -> list[Figure]:
    """Each program in turn, learned and outside."""
    _made(scratch)
    figures = []
    here = Path.cwd()
    os.chdir(scratch)
    try:
        async with libos.Supervisor() as supervisor:
            for what, (command, goal) in _programs().items():
                world = learning_world(os.environ, str(scratch))
                manifest = world | {"app": {**world["app"], "command": command}}
                subjects = await interleaved(
                    {
                        "learned": partial(_learned, supervisor, manifest),
                        "outside": partial(run_and_wait, command),
                    },
                    ROUNDS,
                    scale=1000,
                )
                figures.append(Figure(f"learning: {what}", "ms", subjects, goal))
    finally:
        os.chdir(here)
    return figures
