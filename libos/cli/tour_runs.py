"""What `libos tour` does in worlds: the walk, the grader, the trial of stops; one supervisor for all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from libos.cli.confining import confine
from libos.cli.show import bad, good, harmless, say
from libos.cli.stoppable import run
from libos.cli.tour_console import TerminalConsole
from libos.errors import HostError, SupervisorError
from libos.manifest.reading import read_text
from libos.supervisor import Supervisor
from libos.tour.collection import Collection, TourError
from libos.tour.judging import attempt
from libos.tour.keeping import Keeper
from libos.tour.progress import Visit
from libos.tour.running import Runner
from libos.tour.stop import Stop
from libos.tour.verdict import Verdict
from libos.tour.verifying import Verified, verify
from libos.tour.walking import LeaveError, Walk, show
from libos.tour.workspace import Workspace

# The version of the JSON forms; within one, keys are only added.
VERSION = 1

T = TypeVar("T")


def _supervised(work: Callable[[Supervisor], Awaitable[T]]) -> T:
    """Run the work with a supervisor. Raises click's Exit once a signal has stopped it."""

    async def whole() -> T:
        async with Supervisor(spare=False) as supervisor:
            return await work(supervisor)

    confine([])
    try:
        return run(whole)
    except (HostError, SupervisorError):
        from libos.cli.doctor_command import explain_failure

        explain_failure()
        raise


def walk(stops: Collection, name: str | None) -> None:
    """Go from stop to stop with the learner, until they are done or he leaves."""
    keeper = Keeper(stops, say)
    first = stops.get(name).name if name is not None else keeper.progress.next(stops.names)
    for broken in stops.unreadable:
        say(broken.error)
    if first is None:
        click.echo("All stops are done. libos tour STOP goes to one again, libos tour list lists them.")
        return

    async def work(supervisor: Supervisor) -> None:
        await _walk(supervisor, stops, keeper, first)

    try:
        _supervised(work)
    except click.exceptions.Exit:
        click.echo()
        say("stopped; libos tour goes on from here")
        raise


async def _walk(supervisor: Supervisor, stops: Collection, keeper: Keeper, first: str) -> None:
    console = TerminalConsole()
    name: str | None = first
    try:
        while name is not None:
            stop = stops.get(name)
            await _visit(supervisor, stops, keeper, stop, console)
            name = keeper.progress.next([*stops.names[stops.names.index(name) + 1 :], *stops.names])
            if name is not None and await console.key(("\n", "q"), "Enter: the next stop, q leaves") == "q":
                raise LeaveError
    except (LeaveError, EOFError):
        click.echo()
        say("libos tour goes on from here")
    else:
        _close(console, stops, keeper)


async def _visit(
    supervisor: Supervisor, stops: Collection, keeper: Keeper, stop: Stop, console: TerminalConsole
) -> None:
    console.heading(f"Stop {stops.names.index(stop.name) + 1} of {len(stops.names)}: {stop.title}")

    def note(visit: Visit) -> None:
        keeper.note(stop.name, visit)

    runner = Runner(supervisor, Workspace(stop, keeper.home))
    await Walk(runner, console, keeper.progress.at(stop.name), note).go()


def _close(console: TerminalConsole, stops: Collection, keeper: Keeper) -> None:
    """Say how it was, at the end of the tour."""
    visits = [keeper.progress.at(name) for name in stops.names]
    done = [visit for visit in visits if visit.state == "done"]
    right = sum(keeper.progress.at(stop.name).predicted == stop.question.answer for stop in stops.stops)
    console.heading("The end of the tour")
    console.text(
        f"Stops passed: {len(done)} of {len(visits)}. Right predictions: {right}. Hints read: "
        f"{sum(visit.hints for visit in visits)}. Grants: {sum(visit.grants or 0 for visit in done)}."
    )


def grade(stops: Collection, name: str | None, manifest: str | None, *, as_json: bool) -> int:
    """Judge what a learner has written: 0 where all that was asked for passes, else 1."""
    chosen = list(stops.stops) if name is None else [stops.get(name)]
    text = None if manifest is None else read_text(manifest, manifest).encode()
    keeper = Keeper(stops, say)

    async def work(supervisor: Supervisor) -> list[Verdict]:
        if text is not None:
            return [await _judged(supervisor, chosen[0], text)]
        return [await _kept(supervisor, stop, keeper) for stop in chosen]

    verdicts = _supervised(work)
    passed = sum(each.passed for each in verdicts)
    if as_json:
        found = [each.value() | {"visit": asdict(keeper.progress.at(each.stop))} for each in verdicts]
        click.echo(json.dumps({"version": VERSION, "passed": passed, "stops": found}, indent=2))
    else:
        for verdict in verdicts:
            _tell(verdict)
        click.echo(f"{passed} of {len(verdicts)} passed")
    return 0 if passed == len(verdicts) else 1


async def _judged(supervisor: Supervisor, stop: Stop, manifest: bytes) -> Verdict:
    """The verdict on a manifest, in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="libos-tour-") as home:
        workspace = Workspace(stop, Path(home))
        workspace.write(manifest)
        try:
            return await attempt(Runner(supervisor, workspace))
        finally:
            workspace.remove()


async def _kept(supervisor: Supervisor, stop: Stop, keeper: Keeper) -> Verdict:
    """The verdict on what the learner has in the folder of a stop."""
    workspace = Workspace(stop, keeper.home)
    if not workspace.manifest.exists():
        return Verdict(stop.name, error=f"{workspace.manifest}: not begun")
    try:
        return await attempt(Runner(supervisor, workspace))
    except TourError as error:
        return Verdict(stop.name, error=str(error))


def _tell(verdict: Verdict) -> None:
    console = TerminalConsole()
    console.heading(f"{verdict.stop}: {'passed' if verdict.passed else 'not passed'}")
    show(console, verdict)


def verify_all(stops: Collection, *, as_json: bool) -> int:
    """Try stops in both directions: 0 where all are good, else 1."""

    async def work(supervisor: Supervisor) -> list[Verified]:
        found = []
        for stop in stops.stops:
            found.append(await verify(supervisor, stop))
            if not as_json:
                _tell_verified(found[-1])
        return found

    unreadable = [Verified(each.name, tuple(each.error.splitlines())) for each in stops.unreadable]
    if not as_json:
        for each in unreadable:
            _tell_verified(each)
    found = [*unreadable, *_supervised(work)]
    good_ones = sum(not each.problems for each in found)
    if as_json:
        value: dict[str, Any] = {"version": VERSION, "good": good_ones, "stops": list(map(asdict, found))}
        click.echo(json.dumps(value, indent=2))
    return 0 if good_ones == len(found) else 1


def _tell_verified(verified: Verified) -> None:
    from sys import stdout

    mark = bad("wrong", stdout) if verified.problems else good("good", stdout)
    detail = "" if verified.problems else f"  {verified.par} grants, {verified.seconds:.1f} s"
    click.echo(f"{mark}  {harmless(verified.stop)}{detail}")
    for problem in verified.problems:
        click.echo(f"    {harmless(problem)}")
