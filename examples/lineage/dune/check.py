"""Functions of Python answer a program's system calls: what that can decide, and what it cannot."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, Property, scratch
from dune.monitor import sandbox
from probing import Events, fields, said

import libos
from libos import CONTINUE_ANYWAY, Answer, Give, Monitor, SystemCall

TITLE = "Dune, 2012: a process that interposes on its own code"
HERE = Path(__file__).parent
PUBLIC, SECRET = "for everybody", "a secret"

PROPERTIES = {
    "interposed": Property(
        "calls of the program are answered by functions of Python: by a value, an errno, a descriptor",
        "the program is started without a monitor",
        lambda saw: saw == {"mkdir": "done", "is there": False, "symlink": "EPERM", "open": "done"},
    ),
    "values": Property(
        "a check whose answer is a descriptor decides, also when another thread rewrites the path after it",
        "the kernel is let go on after the check: it reads the path again",
        lambda saw: saw == PUBLIC,
    ),
    "below": Property(
        "no monitor lifts what the filter refuses: a handler for it is an error at the start",
        "the manifest allows the call",
        lambda saw: saw == "the profile strict refuses ptrace",
    ),
    "bounded": Property(
        "a function that does not answer in its time fails that call, and is told",
        "it answers",
        lambda saw: saw == {"answer": "EIO", "late": True},
    ),
}


def program(name: str, **keys: Any) -> dict[str, Any]:
    """A world for one of the programs here."""
    mount = {"at": f"/{name}", "host": str(HERE / name)}
    app = {"command": ["python3", f"/{name}"]}
    return {"include": ["python"], "app": app, **keys, "mount": [mount, *keys.get("mount", ())]}


async def raced(supervisor: libos.Supervisor, *, goes_on: bool) -> Any:
    """What the program reads that rewrites its path after the check."""
    looked, rewritten = trio.Event(), trio.Event()
    monitor = Monitor(timeout=30)

    @monitor.on("umask")
    async def in_turn(call: SystemCall) -> Answer:
        if call.arguments[0] == 1:
            await looked.wait()
        else:
            rewritten.set()
        return 0

    with scratch() as folder:
        (folder / "public").write_text(PUBLIC)

        @monitor.on("openat")
        async def opened(call: SystemCall) -> Answer:
            path = await call.text(1)
            if path == "/secret":
                raise PermissionError(errno.EACCES, "it is secret")
            if path != "/public":
                return CONTINUE_ANYWAY
            looked.set()
            await rewritten.wait()
            return CONTINUE_ANYWAY if goes_on else Give(os.open(folder / "public", os.O_RDONLY))

        texts = [{"at": "/public", "text": PUBLIC}, {"at": "/secret", "text": SECRET}]
        return json.loads(await said(supervisor, program("race.py", mount=texts), on_syscall=monitor))


async def denied(supervisor: libos.Supervisor, *, allowed: bool) -> str:
    """What is said to a handler for a call that the profile refuses."""
    rules = {"profile": "strict", "allow": ["ptrace"] if allowed else []}
    world = {"include": ["base"], "app": {"command": ["true"]}, "syscalls": rules}
    try:
        return await said(supervisor, world, on_syscall={"ptrace": lambda _call: 0})
    except libos.ManifestError as error:
        return str(error).removeprefix("on_syscall: ").partition(",")[0]


async def late(supervisor: libos.Supervisor, *, answers: bool) -> dict[str, Any]:
    """What a program gets from a function that waits for ever, and what is told."""

    async def asked(_call: SystemCall) -> Answer:
        if not answers:
            await trio.sleep_forever()
        return 7

    code = "import os; print(os.getsid(0))"
    code = f"import errno\ntry:\n {code}\nexcept OSError as error: print(errno.errorcode[error.errno])"
    world = {"include": ["python"], "app": {"command": ["python3", "-c", code], "name": "late"}}
    async with Events(supervisor) as events:
        answer = await said(supervisor, world, on_syscall=Monitor({"getsid": asked}, timeout=0.5))
        told = await events.until_exit("late")
    return {"answer": answer, "late": any("longer than" in str(each.fields.get("fault")) for each in told)}


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run the programs below their monitors."""
    monitor = None if without == "interposed" else sandbox()
    return {
        "interposed": fields(await said(supervisor, program("plugin.py"), on_syscall=monitor)),
        "values": await raced(supervisor, goes_on=without == "values"),
        "below": await denied(supervisor, allowed=without == "below"),
        "bounded": await late(supervisor, answers=without == "bounded"),
    }
