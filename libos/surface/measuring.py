"""Starting the probe in each place, and making a Survey of what it says.

Rules:
- A place that cannot be measured has its `problem` said and the others are measured all the same.
- As many probes run at once as there are processors. Each is ended once it walks longer than it may;
  cancelling ends all of them and their worlds.
- A world whose own filter does not let a Python run is walked with the profile default, and a note says so;
  its system calls are counted by its own filter in any case.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import trio

from libos.errors import LibosError
from libos.manifest import Manifest
from libos.plan import Plan, lower
from libos.supervisor import Supervisor
from libos.surface import endpoints, probe
from libos.surface.places import Bubblewrap, Outside, Place, World, order, prepared, reaching, unfiltered
from libos.surface.survey import NAMESPACES, Survey
from libos.surface.toolbox import AT, interpreter, toolbox
from libos.syscalls import DEFAULT, counting
from libos.syscalls.resolving import resolve
from libos.unwrap import unwrapped

# Seconds beyond its own bound that a probe gets, for its start and for one slow directory.
_GRACE = 30.0
# Seconds for a killed probe to be gone; only one that waits for a dead file system needs longer.
_GONE = 5.0
# Bytes that are kept of what a probe writes to standard error: its last line says what went wrong.
_WORDS = 4096
# A file system that hangs holds more than this.
DEFAULT_SECONDS = 300.0
DEFAULT_MOST = 5_000_000

# Told how many files a place has shown until now.
Tell = Callable[[str, int], None]


@dataclass(frozen=True)
class Bounds:
    """How far a walk goes: so many files, so many seconds."""

    most: int = DEFAULT_MOST
    seconds: float = DEFAULT_SECONDS


class ProbeError(LibosError):
    """A probe did not say what it counted."""


@dataclass
class Measuring:
    """One comparison. `tell` is called while places are walked."""

    bounds: Bounds
    tell: Tell
    devices: frozenset[str] = field(default_factory=lambda: frozenset(each.device for each in probe.table()))
    own: Mapping[str, str] = field(default_factory=probe.namespaces)

    async def run(self, places: Sequence[Place]) -> list[Survey]:
        """Measure all places, in their order."""
        found: dict[int, Survey] = {}
        limit = trio.CapacityLimiter(len(os.sched_getaffinity(0)))
        async with AsyncExitStack() as stack, unwrapped():
            supervisor = None
            if any(isinstance(place, World) for place in places):
                supervisor = await stack.enter_async_context(Supervisor(spare=False))
            async with trio.open_nursery() as nursery:
                for number, place in enumerate(places):
                    nursery.start_soon(self._place, place, supervisor, limit, found, number)
        return [found[number] for number in range(len(places))]

    async def _place(
        self,
        place: Place,
        supervisor: Supervisor | None,
        limit: trio.CapacityLimiter,
        found: dict[int, Survey],
        number: int,
    ) -> None:
        async with limit:
            start = time.monotonic()
            survey = Survey(place.name, place.about, needed=isinstance(place, World) and place.needed)
            try:
                if isinstance(place, World):
                    assert supervisor is not None
                    said = await self._in_world(place, supervisor)
                else:
                    said = await self._beside(place)
            except (LibosError, OSError) as error:
                found[number] = replace(survey, problem=str(error))
                return
            found[number] = replace(survey, seconds=time.monotonic() - start, **said)

    async def _beside(self, place: Outside | Bubblewrap) -> dict[str, Any]:
        """Outside, or under bubblewrap: a child of this process."""
        argv = [interpreter(), "-I", "-S", "-c", code(), self._order()]
        if isinstance(place, Bubblewrap):
            argv = ["bwrap", *place.flags, "--", *argv]
        async with _child(argv) as (out, err):
            counted = await self._listen(place.name, out, err)
        known = counting.table()
        return {
            **self._said(counted),
            "system_calls": len(known),
            "endpoints": endpoints.routed(counted["routes"]) if self._shares(counted, "net") else 0,
            "notes": ("a filter of the caller's stands; its system calls are fewer",) * counted["filtered"],
        }

    async def _in_world(self, place: World, supervisor: Supervisor) -> dict[str, Any]:
        plan = lower(place.manifest)
        notes: tuple[str, ...] = ()
        try:
            counted = await self._walk(place.name, place.manifest, plan, supervisor)
        except ProbeError:
            if plan.syscalls == DEFAULT:
                raise
            notes = ("files were counted with the profile default: its own lets no Python run",)
            counted = await self._walk(place.name, unfiltered(place.manifest), plan, supervisor)
        allowed = counting.passing(resolve(plan.syscalls), counting.table())
        return {
            **self._said(counted),
            "system_calls": allowed.passing,
            "system_calls_checked": allowed.checked,
            "endpoints": endpoints.granted(plan.dials),
            "notes": notes,
        }

    async def _walk(
        self, name: str, manifest: Manifest, plan: Plan, supervisor: Supervisor
    ) -> dict[str, Any]:
        told = self._order(reaching(plan), AT)
        app = await supervisor.start(
            prepared(manifest, toolbox(), code(), told),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert app.stdout is not None and app.stderr is not None
            return await self._listen(name, app.stdout, app.stderr)
        finally:
            with trio.CancelScope(shield=True):
                await app.kill()
                await app.aclose()

    async def _listen(
        self, name: str, out: trio.abc.ReceiveStream, err: trio.abc.ReceiveStream
    ) -> dict[str, Any]:
        """What the probe says at last. Raises ProbeError."""
        counted: dict[str, Any] = {}
        words = bytearray()
        with trio.move_on_after(self.bounds.seconds + _GRACE) as scope:
            async with unwrapped(), trio.open_nursery() as nursery:
                nursery.start_soon(_gather, err, words)
                async for line in _lines(out):
                    counted = json.loads(line)
                    if "complete" not in counted:
                        self.tell(name, counted["seen"])
        if "complete" in counted:
            return counted
        if scope.cancelled_caught:
            raise ProbeError(f"the walk hangs: it was ended after {self.bounds.seconds:g} s")
        last = bytes(words).decode(errors="replace").strip().split("\n")[-1]
        raise ProbeError(f"the probe did not run there: {last or 'it ended without a word'}")

    def _order(self, reached: Sequence[str] = (), leave_out: str = "") -> str:
        bounds = self.bounds
        return json.dumps(order(bounds.most, bounds.seconds, self.devices, reached, leave_out))

    def _said(self, counted: Mapping[str, Any]) -> dict[str, Any]:
        """What a survey takes over as it was counted."""
        kept = set(Survey.__dataclass_fields__) & set(counted)
        shared = tuple(kind for kind in NAMESPACES if self._shares(counted, kind))
        return {key: counted[key] for key in kept} | {"shared_namespaces": shared}

    def _shares(self, counted: Mapping[str, Any], kind: str) -> bool:
        theirs = counted["namespaces"].get(kind)
        return theirs is not None and theirs == self.own.get(kind)


@cache
def code() -> str:
    """The probe's text."""
    return Path(probe.__file__).read_text()


@asynccontextmanager
async def _child(argv: list[str]) -> AsyncIterator[tuple[trio.lowlevel.FdStream, trio.lowlevel.FdStream]]:
    """A child of this process: its standard output and error. At the block's end it is killed."""
    try:
        # By this thread, not by one of trio's that ends when it is idle: bwrap's --die-with-parent dies with
        # the thread that started it, PR_SET_PDEATHSIG(2const).
        process = subprocess.Popen(  # noqa: ASYNC220 - for that reason
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
    except FileNotFoundError:
        raise ProbeError(f"{argv[0]} is not installed") from None
    assert process.stdout is not None and process.stderr is not None
    try:
        async with (
            trio.lowlevel.FdStream(os.dup(process.stdout.fileno())) as out,
            trio.lowlevel.FdStream(os.dup(process.stderr.fileno())) as err,
        ):
            process.stdout.close()
            process.stderr.close()
            yield out, err
    finally:
        # The group: a bwrap that is killed while it starts leaves a child that waits for it.
        os.killpg(process.pid, signal.SIGKILL)
        with trio.move_on_after(_GONE, shield=True):
            await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)


async def _gather(stream: trio.abc.ReceiveStream, words: bytearray) -> None:
    async for part in stream:
        words += part
        del words[:-_WORDS]


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    kept = b""
    async for part in stream:
        *whole, kept = (kept + part).split(b"\n")
        for line in whole:
            yield line
