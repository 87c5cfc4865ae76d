"""A supervisor to be killed: two apps, a socket file to sweep, and a line on stdout for each that happens.

    python victim.py FOLDER [starting]

Prints {"ready": {name: pid}} once both apps run, {"ended": [name, returncode, reason]} for each end, and
{"error": text} when the supervisor breaks or a start fails. With "starting" it starts apps one after another,
each of which ends at once, until it is ended itself.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from itertools import count
from typing import Any

import trio

import libos

# One app with a process tree, a granted port, a scratch mount; sleep would not notice a signal to its group.
WORK = "sleep 100 & (sleep 100 & wait) & wait"


def manifest(folder: str, command: list[str]) -> dict[str, Any]:
    """A world with a bit of everything."""
    return {
        "libos": 1,
        "include": ["base"],
        "app": {"command": command},
        "mount": [
            {"at": "/work", "host": folder, "mode": "copy-on-write"},
            {"at": "/note", "text": "served"},
        ],
        "dial": [{"to": "tcp!127.0.0.1!9"}],
    }


def tell(**what: object) -> None:
    """Print one line."""
    print(json.dumps(what), flush=True)


async def run(folder: str) -> None:
    """Start two apps and tell how they end."""
    path = f"{folder}/control.sock"
    async with (
        libos.Supervisor() as supervisor,
        supervisor.events() as events,
        trio.open_nursery() as nursery,
    ):
        with socket.socket(socket.AF_UNIX) as listener:
            supervisor.sweep(path)  # before it is there: the moment between would leave it
            listener.bind(path)
            nursery.start_soon(tell_errors, events)
            null = subprocess.DEVNULL
            apps = [
                await supervisor.start(
                    manifest(folder, ["sh", "-c", WORK]), stdin=null, stdout=null, stderr=null, name=name
                )
                for name in ("one", "two")
            ]
            tell(ready={app.name: app.pid for app in apps})
            async with trio.open_nursery() as waiting:
                for app in apps:
                    waiting.start_soon(tell_end, app)
            nursery.cancel_scope.cancel()


async def tell_end(app: libos.App) -> None:
    """Tell how an app ended."""
    status = await app.wait()
    tell(ended=[app.name, status.returncode, status.reason])


async def tell_errors(events: Any) -> None:
    """Tell of errors."""
    async for event in events:
        if event.kind == "error":
            tell(error=event.fields["reason"])


async def start_again_and_again(folder: str) -> None:
    """Start apps that end at once."""
    async with libos.Supervisor() as supervisor:
        tell(ready={})
        for _ in count():
            app = await supervisor.start(manifest(folder, ["true"]), stdin=subprocess.DEVNULL)
            await app.wait()


if __name__ == "__main__":
    try:
        trio.run(start_again_and_again if "starting" in sys.argv else run, sys.argv[1])
    except libos.LibosError as error:
        tell(error=str(error))
        sys.exit(error.exit_status)
