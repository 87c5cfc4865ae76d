"""Runs apps for the system tests, as the account under test: the child side of `worlds.Worlds`.

One supervisor for as long as stdin is open. Each line of stdin is one run in JSON: "options" are those of
`libos.manifest.from_options`, "manifest" what they are laid over (or null for the profile base), "input" what
the app reads, in base64. The answer is one line: how the app ended, what it wrote, and its events; or the
error.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import trio

import libos
from libos.events import Event
from libos.manifest import from_options


async def serve() -> None:
    """Serves one run after another until stdin ends."""
    async with libos.Supervisor(serve_all="--serve-all" in sys.argv) as supervisor:
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(await answer(supervisor, json.loads(line))), flush=True)


async def answer(supervisor: libos.Supervisor, request: dict[str, Any]) -> dict[str, Any]:
    """Runs one app; an error of libos is an answer too."""
    try:
        manifest = from_options(request["manifest"], **request["options"])
        return await run(supervisor, manifest, base64.b64decode(request["input"]))
    except libos.LibosError as error:
        return {"error": type(error).__name__, "text": str(error)}


async def run(supervisor: libos.Supervisor, manifest: libos.Manifest, data: bytes) -> dict[str, Any]:
    """Runs one app to its end."""
    pipe = subprocess.PIPE
    output: dict[str, bytes] = {}
    seen: list[str] = []
    async with supervisor.events() as events:
        app = await supervisor.start(manifest, stdin=pipe, stdout=pipe, stderr=pipe)
        async with trio.open_nursery() as nursery:
            for name, stream in (("stdout", app.stdout), ("stderr", app.stderr)):
                nursery.start_soon(collect, output, name, stream)
            nursery.start_soon(feed, app, data)
            nursery.start_soon(follow, events, app.name, seen)
            status = await app.wait()
    streams = {name: base64.b64encode(text).decode() for name, text in output.items()}
    return {"status": status.returncode, "reason": status.reason, "events": seen, **streams}


async def collect(output: dict[str, bytes], name: str, stream: Any) -> None:
    """Reads a stream to its end."""
    async with stream:
        output[name] = b"".join([chunk async for chunk in stream])


async def feed(app: libos.App, data: bytes) -> None:
    """Writes what the app reads; it need not read it."""
    assert app.stdin is not None
    try:
        async with app.stdin:
            await app.stdin.send_all(data)
    except trio.BrokenResourceError:
        pass


async def follow(events: Any, name: str, seen: list[str]) -> None:
    """Notes the events of one app, up to its exit; at once, since a reader that is far behind loses some."""
    async for event in events:
        assert isinstance(event, Event)
        if event.world == name:
            seen.append(event.json())
            if event.kind == "app.exit":
                return


if __name__ == "__main__":
    trio.run(serve)
