"""Starts worlds below worlds for test_nesting.py, as the account under test: nesting.py FOLDER

Each attack asks for more than the world above it holds. It is tried by a world that stands alone first, where
it must get its spoil ("alone"), and then below ("below"), where the answer is the error's class and what
it names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

import libos
from libos.supervisor import Supervisor

PIPE = subprocess.PIPE
SPOIL = "spoil"
WRITES = f"echo {SPOIL} >/x/new && cat /x/new"
IS_ROOT = f"[ $(id -u) = 0 ] && echo {SPOIL}"
CHILDREN = 4
# Attempts to start one more than the bound.
ATTEMPTS = 1000


def manifest(*command: str, mounts: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    return {"libos": 1, "include": ["base"], "app": {"command": list(command)}, "mount": list(mounts), **more}


def at(place: str, host: Path | str, **keys: Any) -> dict[str, Any]:
    return {"at": place, "host": str(host), **keys}


async def text(supervisor: Supervisor, what: Any, **options: Any) -> str:
    """What a world's program writes until its end."""
    app = await supervisor.start(what, stdout=PIPE, stderr=subprocess.STDOUT, **options)
    assert app.stdout is not None
    said = b"".join([part async for part in app.stdout]).decode().strip()
    await app.wait()
    await app.aclose()
    return said


async def end(app: libos.App) -> None:
    """End a world and close what we hold of it."""
    await app.kill()
    await app.aclose()


async def refused(attempt: Awaitable[Any]) -> str:
    """The error that it raises, or what it gives."""
    try:
        return f"went through: {await attempt}"
    except libos.LibosError as error:
        return f"{type(error).__name__}: {error}"


class Ground:
    """A folder that a world above holds, and the spoil beside it and in it."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder / "outside"
        self.work = folder / "work"
        self.hidden = self.work / "hidden"
        for each in (self.outside, self.work / "sub", self.hidden):
            each.mkdir(parents=True)
        for each in (self.outside, self.hidden):
            (each / "file").write_text(SPOIL)
        (self.work / "sub" / "file").write_text("own")
        (self.work / "way").symlink_to(self.outside)
        (folder / "spelled").symlink_to(self.work)
        self.folder = folder

    def above(self, *mounts: dict[str, Any], **more: Any) -> dict[str, Any]:
        mounts = mounts or (at("/work", self.work, mode="read-write"),)
        more.setdefault("limits", {"children": CHILDREN})
        return manifest("cat", mounts=mounts, **more)


async def by_manifest(supervisor: Supervisor, ground: Ground) -> dict[str, list[str]]:
    """Attacks that are a manifest: what each gets alone and below."""
    work, cat = ground.work, ("cat", "/x/file")
    closed = (at("/work", work), {"at": "/work/hidden", "memory": "1M"})
    veiled = (at("/work", work, hide=["hidden"]),)
    cases: dict[str, tuple[tuple[dict[str, Any], ...], dict[str, Any]]] = {
        "path": ((), manifest(*cat, mounts=(at("/x", ground.outside),))),
        "dots": ((), manifest(*cat, mounts=(at("/x", f"{work}/../outside"),))),
        "link": ((), manifest(*cat, mounts=(at("/x", work / "way"),))),
        "above": ((), manifest("cat", "/x/outside/file", mounts=(at("/x", ground.folder),))),
        "covered": (closed, manifest(*cat, mounts=(at("/x", ground.hidden),))),
        "uncovered": (closed, manifest("cat", "/x/hidden/file", mounts=(at("/x", work),))),
        "veiled": (veiled, manifest(*cat, mounts=(at("/x", ground.hidden),))),
        "unveiled": (veiled, manifest("cat", "/x/hidden/file", mounts=(at("/x", work),))),
        "write": (
            (at("/work", work),),
            manifest("sh", "-c", WRITES, mounts=(at("/x", work, mode="read-write"),)),
        ),
        "root": ((), manifest() | {"app": {"command": ["sh", "-c", IS_ROOT], "user": "root"}}),
        "calls": (
            (),
            manifest("sh", "-c", f"echo {SPOIL}", syscalls={"allow": ["io_uring_setup"]}),
        ),
    }  # fmt: skip
    found = {}
    for name, (mounts, what) in cases.items():
        app = await supervisor.start(ground.above(*mounts), stdin=PIPE)
        alone = await text(supervisor, what)
        found[name] = [alone, await refused(text(supervisor, what, parent=app))]
        await end(app)
    return found


async def exchanged(supervisor: Supervisor, ground: Ground) -> list[str]:
    """A directory becomes a link between the look at its path and the mount of it."""
    from libos.manifest import from_mapping
    from libos.plan import lower

    app = await supervisor.start(ground.above(), stdin=PIPE)
    sub = ground.work / "sub"
    plan = lower(from_mapping(manifest("cat", "/x/file", mounts=(at("/x", sub),))))
    sub.rename(ground.work / "was")
    sub.symlink_to(ground.outside)
    try:
        return [(ground.work / "way" / "file").read_text(), await refused(text(supervisor, plan, parent=app))]
    finally:
        sub.unlink()
        (ground.work / "was").rename(sub)
        await end(app)  # noqa: ASYNC102 - a script


async def moved(supervisor: Supervisor, ground: Ground) -> list[str]:
    """The path of what the world above holds leads to another directory since that was mounted."""
    app = await supervisor.start(ground.above(), stdin=PIPE)
    other = ground.folder / "other"
    ground.work.rename(ground.folder / "was")
    (other / "sub").mkdir(parents=True)
    (other / "sub" / "file").write_text(SPOIL)
    other.rename(ground.work)
    what = manifest("cat", "/x/file", mounts=(at("/x", ground.work / "sub"),))
    try:
        return [await text(supervisor, what), await refused(text(supervisor, what, parent=app))]
    finally:
        ground.work.rename(other)
        (ground.folder / "was").rename(ground.work)
        await end(app)  # noqa: ASYNC102 - a script


async def narrowed(supervisor: Supervisor, ground: Ground, when: str | float) -> str:
    """The world above loses writing while one below is started: once that is prepared, once it is bound, or
    after so many seconds. What became of it."""
    script = "read go; echo x >/x/new || echo read-only"
    what = manifest("sh", "-c", script, mounts=(at("/x", ground.work, mode="read-write"),))
    app = await supervisor.start(ground.above(), stdin=PIPE)
    grant = app.grants.get("/work")
    step = {"prepared": "_prepare", "bound": "_launch"}.get(str(when), "_launch")
    original = getattr(supervisor, step)
    done = trio.Event()

    async def narrow(seconds: float = 0.0) -> None:
        await trio.sleep(seconds)
        await grant.narrow(read_only=True)
        done.set()

    async def then_narrow(*arguments: Any, **named: Any) -> Any:
        launch = await original(*arguments, **named)
        if isinstance(when, str):
            await narrow()
        return launch

    setattr(supervisor, step, then_narrow)
    try:
        async with trio.open_nursery() as nursery:
            if isinstance(when, float):
                nursery.start_soon(narrow, when)
            outcome = await refused(write(supervisor, what, app, done))
    finally:
        setattr(supervisor, step, original)
        await end(app)  # noqa: ASYNC102 - a script
    return outcome


async def write(supervisor: Supervisor, what: Any, app: libos.App, narrowed: trio.Event) -> str:
    """What a world below says that writes once the one above may not."""
    below = await supervisor.start(what, parent=app, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL)
    assert below.stdin is not None
    assert below.stdout is not None
    await narrowed.wait()
    await below.stdin.send_all(b"go\n")
    said = b"".join([part async for part in below.stdout]).decode().strip()
    await end(below)
    return said or "written"


async def deep(supervisor: Supervisor, ground: Ground) -> str:
    """One below the other until it is refused: how many there are then, and why."""
    top = app = await supervisor.start(ground.above(limits={"children": 100}), stdin=PIPE, name="deep")
    for level in range(1, 100):
        what = manifest("sleep", "1000", limits={"children": 100 - level})
        try:
            app = await supervisor.start(what, parent=app, name="d")
        except libos.LibosError as error:
            await end(top)
            return f"{level}, {len(supervisor.apps)} left: {error}"
    return "no end"


async def many(supervisor: Supervisor, ground: Ground) -> dict[str, Any]:
    """As many as there may be, and then a thousand times one more."""
    from libos.manifest import from_mapping
    from libos.plan import lower

    app = await supervisor.start(ground.above(), stdin=PIPE)
    plan = lower(from_mapping(manifest("sleep", "1000")))
    below = [await supervisor.start(plan, parent=app) for _ in range(CHILDREN)]
    descriptors = len(os.listdir("/proc/self/fd"))
    told = {await refused(supervisor.start(plan, parent=app)) for _ in range(ATTEMPTS)}
    more = len(os.listdir("/proc/self/fd")) - descriptors
    running = len(supervisor.apps)
    await end(app)
    ended = {str(each.status.reason) for each in below if each.status is not None}
    return {"told": len(told), "running": running, "descriptors": more, "ended": sorted(ended)}


async def main() -> None:
    ground = Ground(Path(sys.argv[1]) / "ground")
    run: Callable[..., Any]
    async with libos.Supervisor(spare=False) as supervisor:
        found: dict[str, Any] = {"manifest": await by_manifest(supervisor, ground)}
        for run in (exchanged, moved, deep, many):
            found[run.__name__] = await run(supervisor, ground)
        moments: list[str | float] = ["prepared", "bound", *(part / 1000 for part in range(0, 24, 3))]
        found["narrowed"] = {str(when): await narrowed(supervisor, ground, when) for when in moments}
        app = await supervisor.start(ground.above(), stdin=PIPE)
        spelled = manifest("cat", "/x/file", mounts=(at("/x", ground.folder / "spelled" / "." / "sub"),))
        found["spelled"] = await text(supervisor, spelled, parent=app)
        await end(app)
    print(json.dumps(found))


trio.run(main)
