"""Whether a stop can be trusted: what it claims is tried, in both directions.

Rules:
- With nothing granted every check of the app fails somewhere: none of them is empty.
- With the start the app works, and every check of the attack fails: the attack is real.
- With the solution all checks hold.
- What is shown under chroot is the same each time, since no manifest has a say in it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from libos.errors import ManifestError
from libos.manifest import load
from libos.supervisor import Supervisor
from libos.tour.checks import Checked
from libos.tour.judging import attempt
from libos.tour.running import Runner
from libos.tour.stop import APP, ATTACK, Stop
from libos.tour.verdict import Verdict
from libos.tour.workspace import Workspace


@dataclass(frozen=True)
class Verified:
    """What is wrong with a stop, a sentence each; nothing where it is good."""

    stop: str
    problems: tuple[str, ...]
    par: int = 0
    seconds: float = 0.0


async def verify(supervisor: Supervisor, stop: Stop) -> Verified:
    """Try a stop with nothing, with its start and with its solution, in a folder that goes afterwards. Raises
    HostError, SupervisorError, TourError."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="libos-tour-") as home:
        workspace = Workspace(stop, Path(home))
        runner = Runner(supervisor, workspace)
        await workspace.prepare()
        try:
            workspace.write(_nothing(stop))
            nothing = await attempt(runner)
            workspace.write(stop.start.read_bytes())
            start = await attempt(runner)
            workspace.write(stop.solution.read_bytes())
            solution = await attempt(runner)
        finally:
            workspace.remove()
    problems = (*_empty(nothing), *_harmless(start), *_unsolved(solution))
    return Verified(stop.name, problems, solution.grants, time.monotonic() - begin)


def _nothing(stop: Stop) -> bytes:
    """A manifest with the start's command and no grant."""
    try:
        command = load(stop.start).app.command
    except ManifestError:
        command = None
    return f"libos = 1\n[app]\ncommand = {json.dumps(list(command or ['true']))}\n".encode()


def _empty(nothing: Verdict) -> Iterator[str]:
    yield from _faults("with nothing", nothing)
    app = [each for each in nothing.checked if each.check.run == APP]
    if app and all(each.outcome == "holds" for each in app):
        yield "with nothing granted every check of the app holds: they check nothing"


def _harmless(start: Verdict) -> Iterator[str]:
    yield from _faults("the start", start)
    for each in start.checked:
        of_attack = each.check.run == ATTACK
        if of_attack and each.outcome == "holds":
            yield f"the start: the attack fails already: {each.check.says}"
        if not of_attack and each.outcome == "fails":
            yield f"the start: {_told(each)}"


def _unsolved(solution: Verdict) -> Iterator[str]:
    yield from _faults("the solution", solution)
    yield from (f"the solution: {_told(each)}" for each in solution.checked if each.outcome == "fails")


def _faults(which: str, verdict: Verdict) -> Iterator[str]:
    if verdict.error:
        yield f"{which}: {verdict.error}"
    yield from (f"{which}: {_told(each)}" for each in verdict.checked if each.outcome == "broken")


def _told(checked: Checked) -> str:
    return f"{checked.check.run}: {checked.check.says}: {checked.why}"
