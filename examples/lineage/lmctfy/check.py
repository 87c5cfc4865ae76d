"""Containers have paths; what is below one is let in within what that has left, and ends with it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from claims import Evidence, Property
from probing import drained, made, read

import libos

TITLE = "lmctfy, 2013: intent before mechanism, containers in a hierarchy"
HERE = Path(__file__).parent
TREE, TESTS = HERE / "tree.toml", HERE / "tests.toml"

PROPERTIES = {
    "names": Property(
        "a container has a path, is listed by it below the one above, and entered by it",
        "it is started beside the other, and not below",
        lambda saw: saw == {"listed": ["build", "build/tests"], "entered": "tests.toml"},
    ),
    "admission": Property(
        "what the ones below are given together is at most what the one above has",
        "the one above says no limit",
        lambda saw: saw == "refused: limits.processes",
    ),
    "within": Property(
        "it is refused what the one above does not hold",
        "it is started beside the other, and not below",
        lambda saw: saw == 'refused: "/src"',
    ),
    "end": Property(
        "the end of a container ends all below it",
        "it is started beside the other, and not below",
        lambda saw: saw == "parent",
    ),
    "empty": Property(
        "it is told when nothing is below a container any more",
        "another one is still there",
        lambda saw: saw == ["app.exit build/tests", "world.empty build"],
    ),
}


def tree(without: str | None) -> libos.Manifest:
    """The container above, with one property taken away."""
    value = read(TREE)
    if without == "admission":
        del value["limits"]["processes"]
    return made(value, TREE)


def below(**app: Any) -> dict[str, Any]:
    """The one below as a value, so that it can be changed."""
    value = read(TESTS)
    value["app"] |= app
    return value


async def started(supervisor: libos.Supervisor, value: dict[str, Any], *, beside: bool = False) -> libos.App:
    """Start the container of a value by its name, or beside all others."""
    if beside:
        value["app"]["name"] = value["app"]["name"].replace("/", "-")
    return await supervisor.start(made(value, TESTS), stdin=subprocess.PIPE)


async def refused(supervisor: libos.Supervisor, value: dict[str, Any], *, beside: bool = False) -> str:
    """What a container is refused for, or "started"; it is ended then."""
    try:
        app = await started(supervisor, value, beside=beside)
    except libos.ManifestError as error:
        return "refused: " + str(error).splitlines()[1].split()[0]
    await ended(app)
    return "started"


async def ended(app: libos.App) -> None:
    """End a container."""
    await app.kill()
    await app.aclose()


async def emptied(supervisor: libos.Supervisor, tests: libos.App, *, alone: bool) -> list[str]:
    """End the one below, and say what was told of it and of the one above up to its end."""
    other = (
        None if alone else await started(supervisor, below(name="build/other") | {"limits": {"processes": 8}})
    )
    async with supervisor.events() as events:
        await ended(tests)
        supervisor.emit("world.state", None)  # told after all of that
        told = []
        async for event in events:
            if event.kind == "world.state":
                break
            if event.kind in ("app.exit", "world.empty"):
                told.append(f"{event.kind} {event.world}")
    if other is not None:
        await ended(other)
    return told


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Make a tree of two, enter it, ask for too much, empty it, and end it."""
    build = await supervisor.start(tree(without), stdin=subprocess.PIPE)
    tests = await started(supervisor, below(), beside=without == "names")
    listed = sorted(supervisor.apps)
    program = await tests.exec(["sh", "-c", "cd /src && echo tests*"], stdout=subprocess.PIPE)
    entered = await drained(program)
    admission = await refused(supervisor, below(name="build/more"))
    outside = below(name="build/outside") | {"limits": {"processes": 8}}
    outside["mount"][0]["host"] = ".."
    within = await refused(supervisor, outside, beside=without == "within")
    if without == "names":
        await ended(tests)
        tests = await started(supervisor, below())
    empty = await emptied(supervisor, tests, alone=without != "empty")
    last = await started(supervisor, below(name="build/last"), beside=without == "end")
    await ended(build)
    reason = "runs" if last.status is None else last.status.reason
    await ended(last)
    return {
        "names": {"listed": listed, "entered": entered},
        "admission": admission,
        "within": within,
        "end": reason,
        "empty": empty,
    }
