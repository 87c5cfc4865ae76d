"""One program of a stop in its world, with what the learner's manifest grants.

Rules:
- Every run is a new world, on files as the stop has them; nothing of one run is there in the next.
- What goes wrong because of the manifest is part of what was seen. Only what this machine does not give is
  an error.
- A program gets a bounded time, and what it prints is kept up to a bound.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import trio

from libos.app import App, ExitStatus
from libos.errors import CommandError, ManifestError, SupervisorError
from libos.events import Event
from libos.manifest import load
from libos.manifest.model import Dial, Manifest
from libos.supervisor import Supervisor
from libos.syscalls.counting import passing, table
from libos.syscalls.resolving import resolve
from libos.tour.checks import Seen
from libos.tour.chrooted import chrooted
from libos.tour.fitting import attacked, fitted, refusals
from libos.tour.stop import APP, Program, Stop
from libos.tour.workspace import Workspace
from libos.trimming.grants import grants

# Bytes of a run's output that are kept: what a person would still read.
MOST_OUTPUT = 64 * 1024
# Events of a run that are kept: a program can cause as many as it likes.
MOST_EVENTS = 10_000
# A program that a signal ended has this status plus the signal's number, as in a shell.
_SIGNALLED = 128


class Runner:
    """Runs the programs of one stop with one manifest, each in a world of its own."""

    def __init__(self, supervisor: Supervisor, workspace: Workspace) -> None:
        self._supervisor = supervisor
        self.workspace = workspace
        self.stop: Stop = workspace.stop

    def manifest(self) -> Manifest:
        """The manifest as it is now. ManifestError where it is none, or holds what the tour does not run."""
        path = self.workspace.manifest
        manifest = load(path)
        if found := refusals(manifest, self.workspace.folder):
            raise ManifestError("\n".join(f"{path}: {each}" for each in found))
        return manifest

    async def run(self, name: str) -> Seen:
        """Run the app, or a program by its name, and give what was seen. Raises HostError, SupervisorError,
        TourError."""
        program = None if name == APP else self.stop.program(name)
        async with self.workspace.alone():
            before = await trio.to_thread.run_sync(self.workspace.refresh)
            try:
                seen = await self._seen(program)
            except ManifestError as error:
                return Seen(None, error=str(error))
            after = await trio.to_thread.run_sync(self.workspace.state)
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        return replace(seen, changed=frozenset(changed))

    async def _seen(self, program: Program | None) -> Seen:
        folder = self.workspace.folder
        if program is not None and program.under == "chroot":
            status, output = await chrooted(program.command, folder, MOST_OUTPUT)
            return Seen(status, output=output)
        manifest = self.manifest()
        counts = {"grants": len(grants(manifest)), "calls": _calls(manifest)}
        if program is not None:
            manifest = attacked(manifest, program.command, folder / "attack")
        try:
            seen = await self._in_a_world(fitted(manifest, self._leads))
        except CommandError as error:
            seen = Seen(error.exit_status, output=str(error))
        return replace(seen, counts=counts)

    async def _in_a_world(self, manifest: Manifest) -> Seen:
        parts: list[bytes] = []
        told = _Told()
        async with self._supervisor.events() as reader:
            app = await self._supervisor.start(
                manifest,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_drain, app, parts)
                    nursery.start_soon(told.follow, reader, app.name)
                    status = await app.wait()
            finally:
                with trio.CancelScope(shield=True):
                    await app.kill()
                    await app.aclose()
        if status.reason == "lost":
            raise SupervisorError("the world was lost: its keeper or its init was killed")
        output = b"".join(parts).decode(errors="replace")
        return Seen(_status(status), status.reason, output, tuple(told.events), lost=told.lost)

    def _leads(self, dial: Dial) -> Callable[..., Any]:
        """What a granted connection leads to: the service that the stop plays there, or nothing."""

        async def answer(stream: trio.SocketStream, address: object) -> None:
            text = next((each.answer for each in self.stop.outside if each.address == str(address)), "")
            with suppress(trio.BrokenResourceError):
                await stream.send_all(text.encode())
                await stream.send_eof()
                async for _ in stream:
                    pass

        return answer


def _calls(manifest: Manifest) -> int:
    """How many system calls a world of this manifest lets through."""
    return passing(resolve(manifest.syscalls.wanted), table()).passing


def _status(status: ExitStatus) -> int:
    if status.reason == "time":
        return 124
    return status.returncode if status.returncode >= 0 else _SIGNALLED - status.returncode


async def _drain(app: App, parts: list[bytes]) -> None:
    room = MOST_OUTPUT
    assert app.stdout is not None
    async for part in app.stdout:
        parts.append(bytes(part[:room]))
        room -= len(parts[-1])


class _Told:
    """The first events of one run, and how many came after them."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.lost = 0

    async def follow(self, reader: AsyncIterator[Event], name: str) -> None:
        """Take the events of a world until its last one."""
        async for event in reader:
            lost = event.fields.get("lost")
            if event.kind == "error" and isinstance(lost, int):
                self.lost += lost
            elif event.world == name and len(self.events) < MOST_EVENTS:
                self.events.append(event.value())
            elif event.world == name:
                self.lost += 1
            if event.world == name and event.kind == "app.exit":
                return
