"""A monitor in a program's own library: system calls of the code that it runs come to functions of Python.

python examples/lineage/dune/monitor.py      runs plugin.py below it, and prints each call with its answer
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import trio

import libos
from libos import CONTINUE_ANYWAY, Answer, Give, Monitor, SystemCall

HERE = Path(__file__).parent
# What the plug-in may open by a name that leads nowhere in its world, and where that is here.
LENT = {"/lent": HERE / "plugin.py"}


def path_at(call: SystemCall) -> int:
    """Which argument is the path: the calls whose names end in "at" have a directory before it."""
    return 1 if call.name.endswith("at") else 0


def sandbox() -> Monitor:
    """Makes no directories and says that it does; lends a file; refuses links."""
    monitor = Monitor(timeout=30)

    @monitor.on("mkdir", "mkdirat")
    def made(_call: SystemCall) -> Answer:
        return 0

    @monitor.on("openat")
    async def opened(call: SystemCall) -> Answer:
        path = await call.text(path_at(call))
        if path in LENT:
            return Give(os.open(LENT[path], os.O_RDONLY))
        return CONTINUE_ANYWAY  # no decision: what the path means is the namespace's

    @monitor.on("symlink", "symlinkat")
    def linked(_call: SystemCall) -> Answer:
        raise PermissionError(errno.EPERM, "no links")

    return monitor


async def main() -> int:
    """Run the plug-in below the monitor."""
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "/plugin.py"]},
        "mount": [{"at": "/plugin.py", "host": str(HERE / "plugin.py")}],
    }
    async with libos.Supervisor() as supervisor, supervisor.events() as events:
        app = await supervisor.start(manifest, on_syscall=sandbox())
        async for event in events:
            if event.kind == "syscall.call" and event.fields["answer"] != "continue":
                fields = event.fields
                print(fields["program"], fields["call"], fields["answer"], file=sys.stderr)
            if event.kind == "app.exit":
                break
        status = await app.wait()
    return status.returncode


if __name__ == "__main__":
    sys.exit(trio.run(main))
