"""Runs worlds side by side for test_neighbours.py, as the account under test: what one does to the other.

neighbours.py hoards PROGRAM NAME...   for each hoard what one world took, what another one got while the
                                       first held it, and what a program outside got before and then
neighbours.py kills                    what came of kill(2) of everybody, by an app and a second program
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio

import libos

PIPE, NULL = subprocess.PIPE, subprocess.DEVNULL
# What the account has here, so that a quarter of it is quickly taken: getrlimit(2).
LIMITS = {
    resource.RLIMIT_SIGPENDING: 4000,
    resource.RLIMIT_MSGQUEUE: 800_000,
    resource.RLIMIT_MEMLOCK: 1 << 20,
    resource.RLIMIT_NOFILE: 4096,
}
PROCESSES = 60
KILLING = "import os, signal; os.kill(-1, signal.SIGKILL)"
KILLS_AND_STAYS = f"""
import os, sys, time
child = os.fork()
if not child:
    time.sleep(1000)
{KILLING}
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
sys.stdin.read()
"""


def manifest(*command: str, folder: Path | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"libos": 1, "include": ["python"], "limits": {"processes": PROCESSES}}
    made["app"] = {"command": list(command)}
    return made | ({"mount": [{"at": "/attacks", "host": str(folder)}]} if folder else {})


async def text(app: Any) -> str:
    """All that it writes."""
    async with app.stdout:
        return b"".join([part async for part in app.stdout]).decode().strip()


async def line(app: libos.App) -> str:
    """The first line that it writes, which may come in parts."""
    said = b""
    while not said.endswith(b"\n"):
        assert app.stdout is not None
        more = await app.stdout.receive_some()
        assert more, said
        said += more
    return said.decode().strip()


async def hoard(supervisor: libos.Supervisor, program: Path, name: str) -> list[str]:
    """What a world took of it, what another one got then, and a program outside before and then."""
    goal = "40" if name == "processes" else "1"  # as much as is sure to be left of its own
    before = await outside(program, name, goal)
    one = await supervisor.start(
        manifest("python3", "/attacks/hoards.py", name, folder=program.parent), stdin=PIPE, stdout=PIPE
    )
    taken = await line(one)
    two = await supervisor.start(
        manifest("python3", "/attacks/hoards.py", name, goal, folder=program.parent), stdin=NULL, stdout=PIPE
    )
    beside = await text(two)
    own = await outside(program, name, goal)
    assert one.stdin is not None
    await one.stdin.aclose()
    await one.wait()
    return [taken, beside, before, own]


async def outside(program: Path, *words: str) -> str:
    """What a program of the account gets, in no world."""
    done = await trio.run_process([sys.executable, "-I", "-S", program, *words], capture_stdout=True)
    return done.stdout.decode().strip()


async def kills(supervisor: libos.Supervisor) -> dict[str, Any]:
    """One world kills everybody, first by its app and then by a second program; another one is there."""
    beside = await supervisor.start(manifest("cat"), stdin=PIPE, stdout=PIPE)
    one = await supervisor.start(manifest("python3", "-c", KILLS_AND_STAYS), stdin=PIPE, stdout=PIPE)
    child = int(await line(one))
    after = await one.exec(["echo", "well"], stdin=NULL, stdout=PIPE)
    said = await text(after)
    second = await one.exec(["python3", "-c", KILLING], stdin=NULL)
    ended = await one.wait()
    await second.aclose()
    assert beside.stdin is not None
    await beside.stdin.send_all(b"here\n")
    return {"child": child, "after": said, "app": ended.returncode, "beside": await line(beside)}


async def main(*words: str) -> None:
    for limit, most in LIMITS.items():
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    async with libos.Supervisor(spare=False) as supervisor:
        if words == ("kills",):
            found: Any = await kills(supervisor)
        else:
            found = {name: await hoard(supervisor, Path(words[1]), name) for name in words[2:]}
    print(json.dumps(found))


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
