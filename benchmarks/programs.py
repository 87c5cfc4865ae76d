"""Ten programs (scenes.py): each is learned, its manifest shortened by proof, and it runs again by that.

A row a program: the mounts learned, those of them that are needed, the files that it then sees, and how long
it takes natively, while it is learned, and under the proven manifest. A program that fails at any step is
told, and the exit status is 1. The project is made anew before each step, since some change it.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import trio

from benchmarks.command import LIBOS
from benchmarks.measure import machine
from benchmarks.scenes import PROGRAMS, Program, web_server
from libos.cli.show import columns
from libos.manifest import load
from libos.surface.measuring import Bounds, Measuring
from libos.surface.places import Outside, World
from libos.surface.survey import Survey, share

# Runs of which the median is told; it is learned once.
RUNS = 3
# Seconds for one step: proving gcc takes some hundred runs.
_PATIENCE = 1200
HEAD = ("program", "learned", "proven", "files", "of outside", "native s", "learning s", "world s")


class FailedError(Exception):
    """A step did not do what it should; the text says which and what it said."""


@dataclass(frozen=True)
class Proven:
    """What came out for one program. Seconds; `manifest` is the proven one's file."""

    name: str
    learned: int
    proven: int
    native: float
    learning: float
    world: float
    manifest: Path


def main() -> int:
    """Measure all programs, print the table, and give the exit status."""
    done: list[Proven] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="libos-bench-") as scratch:
        listed = Path(scratch, "listed")
        listed.mkdir()
        with web_server(listed) as port:
            for number, program in enumerate(PROGRAMS):
                print(f"measuring: {program.name}", file=sys.stderr)
                try:
                    done.append(_measure(program, Path(scratch, str(number)), port))
                except FailedError as error:
                    problems.append(f"{program.name}: {error}")
        surveys = trio.run(_survey, done)
    outside, *seen = surveys
    print(" ".join(f"{key}: {value};" for key, value in machine().items()).rstrip(";"))
    print(columns([_row(each, survey, outside) for each, survey in zip(done, seen, strict=True)], HEAD))
    print(f"outside: {outside.files:,} files")
    problems += [f"{each.place}: {each.problem}" for each in surveys if each.problem]
    for problem in problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _measure(program: Program, folder: Path, port: int) -> Proven:
    """Raises FailedError."""
    folder.mkdir()
    words = program.learning(port)
    command = words[words.index("--") + 1 :]
    learned, proven = folder / "app.toml", folder / "proven.toml"
    native = statistics.median(_step(program, folder, command) for _ in range(RUNS))
    learning = _step(program, folder, [LIBOS, "learn", "-o", str(learned), *words])
    _step(program, folder, [LIBOS, "trim", "--prove", "-o", str(proven), str(learned)], shows=False)
    world = statistics.median(_step(program, folder, [LIBOS, "run", str(proven)]) for _ in range(RUNS))
    return Proven(program.name, _own(learned), _own(proven), native, learning, world, proven)


def _step(program: Program, folder: Path, argv: list[str], *, shows: bool = True) -> float:
    """Run a command in the project, made anew; give its seconds. With `shows` it must print what the program
    prints. Raises FailedError."""
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    subprocess.run(["sh", "-c", program.setup], cwd=project, check=True, capture_output=True)
    begin = time.monotonic()
    try:
        done = subprocess.run(
            argv,
            check=False,
            cwd=project,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FailedError(str(error)) from error
    took = time.monotonic() - begin
    if done.returncode or (shows and program.prints not in done.stdout):
        raise FailedError(f"{' '.join(argv)}: status {done.returncode}: {done.stderr or done.stdout}")
    return took


def _own(manifest: Path) -> int:
    """The mounts that a manifest names itself, without those of what it includes."""
    return sum(mount.origin.startswith(str(manifest)) for mount in load(manifest).mounts)


async def _survey(done: list[Proven]) -> list[Survey]:
    """What `libos surface` counts: of the place outside, and of each proven world."""
    worlds = [World(each.name, str(each.manifest), load(each.manifest)) for each in done]
    return await Measuring(Bounds(), lambda place, files: None).run([Outside(), *worlds])


def _row(each: Proven, survey: Survey, outside: Survey) -> tuple[str, ...]:
    part = share(survey.files, outside.files)
    return (
        each.name,
        str(each.learned),
        str(each.proven),
        f"{survey.files:,}",
        "" if part is None else f"{part:.2g}%",
        *(f"{seconds:.2f}" for seconds in (each.native, each.learning, each.world)),
    )
