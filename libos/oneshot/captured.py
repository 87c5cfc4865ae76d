"""Running an app to its end while its pipes are fed and read, so that none can fill up and block it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from libos.app import App, ExitStatus
from libos.worlds.streams import Stream

if TYPE_CHECKING:
    from libos.manifest import Manifest
    from libos.supervisor import Supervisor


@dataclass(frozen=True)
class Captured:
    """How a program ended and what it wrote; None for a stream that was no pipe."""

    command: list[str]
    status: ExitStatus
    stdout: bytes | None
    stderr: bytes | None


async def capture(
    supervisor: Supervisor,
    manifest: Manifest,
    streams: tuple[Stream, Stream, Stream],
    data: bytes | None,
    seconds: float | None,
) -> Captured:
    """Start an app, write `data` to it, read its pipes, wait for it; end it after `seconds`.

    Raises what `Supervisor.start` raises. Cancelling it ends the world.
    """
    stdin, stdout, stderr = streams
    app = await supervisor.start(manifest, stdin=stdin, stdout=stdout, stderr=stderr)
    written: dict[str, bytes] = {}
    try:
        async with trio.open_nursery() as nursery:
            if app.stdin is not None:
                nursery.start_soon(_feed, app.stdin, data or b"")
            for name, pipe in (("stdout", app.stdout), ("stderr", app.stderr)):
                if pipe is not None:
                    nursery.start_soon(_drain, pipe, written, name)
            status = await _wait(app, seconds)
        return Captured(list(app.plan.command), status, written.get("stdout"), written.get("stderr"))
    finally:
        with trio.CancelScope(shield=True):
            await app.kill()
            await app.aclose()


async def _wait(app: App, seconds: float | None) -> ExitStatus:
    if seconds is not None:
        with trio.move_on_after(seconds):
            return await app.wait()
        app.end("time")
    return await app.wait()


async def _feed(pipe: trio.abc.SendStream, data: bytes) -> None:
    try:
        async with pipe:
            await pipe.send_all(data)
    except trio.BrokenResourceError:
        pass  # the program reads no more; subprocess passes over that too


async def _drain(pipe: trio.abc.ReceiveStream, written: dict[str, bytes], name: str) -> None:
    parts = []
    async with pipe:
        async for part in pipe:
            parts.append(part)
    written[name] = b"".join(parts)
