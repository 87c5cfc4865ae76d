"""libos beside other sandboxes: what a program finds in each, and how long a launch takes.

`python -m benchmarks compare` prints the commands, a table of answers and one of times. Nothing is judged: a
"yes" can be what somebody wants, and each tool can be told otherwise.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.compare_ways import WAYS, Way
from benchmarks.measure import machine

_PROBE = Path(__file__).parent / "compare_probe.py"
# An interpreter below /usr, which every place shows.
_PYTHON = "/usr/bin/python3"
_VARIABLE = "COMPARE_TOKEN"
_DESCRIPTOR = 9
_ROUNDS = 15
_TIMEOUT = 60
# Questions whose "yes" is looked at from outside, and the name in what was told.
_WRITTEN = {"writes a file of your home": "home_new", "writes /tmp": "tmp_new"}
_NO_ANSWER = "it could not be run"


@contextmanager
def canaries(project: Path) -> Iterator[dict[str, Any]]:
    """What a program should not find without being given it; the project alone is granted."""
    home = Path.home() / f".compare-{os.getpid()}"
    with ExitStack() as stack:
        home.write_text("canary")
        stack.callback(home.unlink)
        new = [Path(f"{home}-new"), Path(tempfile.gettempdir()) / f"compare-{os.getpid()}-new"]
        for path in new:
            stack.callback(path.unlink, missing_ok=True)
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0compare-{os.getpid()}")
        abstract.listen()
        sleeper = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(sleeper.kill)
        yield {
            "home": str(home),
            "home_new": str(new[0]),
            "project": str(project / "file"),
            "tmp_new": str(new[1]),
            "variable": _VARIABLE,
            "descriptor": _DESCRIPTOR,
            "port": server.getsockname()[1],
            "abstract": f"compare-{os.getpid()}",
            "pid": sleeper.pid,
        }


def asked(way: Way, project: Path, told: dict[str, Any]) -> dict[str, str] | str:
    """The answers that a program gets in this place; a text where it could not be run."""
    probe = project / "probe.py"
    probe.write_text(_PROBE.read_text())
    secret_fd = os.open(told["home"], os.O_RDONLY)
    try:
        os.dup2(secret_fd, _DESCRIPTOR)
        done = subprocess.run(
            [*way.command(project), _PYTHON, str(probe), json.dumps(told)],
            env=dict(os.environ) | {_VARIABLE: "canary"},
            pass_fds=[_DESCRIPTOR],
            cwd=project,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    finally:
        os.close(secret_fd)
        os.close(_DESCRIPTOR)
    try:
        answers: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return (done.stderr.strip().splitlines() or [_NO_ANSWER])[-1]
    return answers | {
        question: _where(answers[question], Path(told[key])) for question, key in _WRITTEN.items()
    }


def _where(answer: str, path: Path) -> str:
    """Whether what could be written is there, outside; it is not there afterwards."""
    if answer != "yes" or path.exists():
        path.unlink(missing_ok=True)
        return answer
    return "for itself"


def launches(ways: Sequence[Way], project: Path) -> dict[str, float]:
    """Milliseconds from start to exit of /bin/true, medians of interleaved rounds."""
    took: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(_ROUNDS):
        for way in ways:
            begin = perf_counter()
            subprocess.run([*way.command(project), "/bin/true"], capture_output=True, cwd=project, check=True)
            took[way.name].append((perf_counter() - begin) * 1000)
    return {name: statistics.median(samples) for name, samples in took.items()}


def show(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of Markdown: what a page shows is what this printed."""
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |")


def main() -> int:
    """Compare what is on this machine; the exit status is 1 where libos itself could not be asked."""
    ways = [way for way in WAYS if way.here()]
    missing = [way.name for way in WAYS if not way.here()]
    print(" ".join(f"{key}: {value};" for key, value in machine().items()).rstrip(";"))
    if missing:
        print(f"not on this machine: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="compare-", dir=Path.home()) as scratch:
        project = Path(scratch).resolve() / "project"
        project.mkdir()
        (project / "file").write_text("content")
        for way in ways:
            for path, text in way.files(project).items():
                path.write_text(text)
        with canaries(project) as told:
            found = {way.name: asked(way, project, told) for way in ways}
        could = [way for way in ways if isinstance(found[way.name], dict)]
        took = launches(could, project)
        for way in ways:
            print(
                f"\n{way.name} {way.version_here()}\n    {' '.join(way.command(project))}".replace(
                    scratch, "~"
                )
            )
    answers = {name: each for name, each in found.items() if isinstance(each, dict)}
    for name, each in found.items():
        if name not in answers:
            print(f"\n{name} could not be asked: {each}", file=sys.stderr)
    print()
    questions = list(answers["outside"])
    show(["a program", *answers], [[each, *(answers[name][each] for name in answers)] for each in questions])
    show_times(took)
    return 0 if "libos" in answers else 1


def show_times(took: dict[str, float]) -> None:
    """Milliseconds of a launch, and how many times the bare process."""
    bare = took["outside"]
    rows = [[name, f"{each:.1f}", f"{each / bare:.0f}"] for name, each in took.items()]
    print()
    show(["start to exit of /bin/true", "ms", "times outside"], rows)
