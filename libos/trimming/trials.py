"""One run on a copy: does it still work?

Rules:
- A run works when it ends by itself with status 0; with a check, when that command, run outside afterwards,
  does.
- Nothing is written outside the trial's own folder, which goes with it. Its standard input is empty.
- A run that takes longer than its bound does not work. Cancelling ends the world and the check.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO

import trio

from libos.errors import CommandError, LibosError, ManifestError
from libos.events import Event
from libos.manifest import Manifest
from libos.supervisor import Supervisor
from libos.trimming.copying import on_copies
from libos.trimming.grants import Grant, without
from libos.trimming.proving import Outcome

# A run may take this many times as long as the first one, and these seconds besides: machines are busy now
# and then.
_TIMES, _BESIDES = 4.0, 5.0
# Bytes of standard error that are looked at for its last line, and characters of that.
_TAIL, _LONGEST = 4096, 120
# Seconds for a killed check to be gone.
_GONE = 5.0


def bound(seconds: float) -> float:
    """How long a run may take whose first one took so long."""
    return _TIMES * seconds + _BESIDES


@dataclass
class Trials:
    """Runs of one manifest in one supervisor, one after another. `seconds` is the bound of each; None for the
    first one, which a person watches."""

    supervisor: Supervisor
    manifest: Manifest
    check: str | None = None
    seconds: float | None = None

    async def attempt(self, gone: Sequence[Grant]) -> Outcome:
        """Run without some grants. Raises LibosError for what is no fault of the manifest's, and OSError."""
        start = time.monotonic()
        try:
            why = await self._run(without(self.manifest, gone))
        except (ManifestError, CommandError) as error:
            why = _line(str(error))
        return Outcome(why is None, why or "", time.monotonic() - start)

    async def record(self, note: Callable[[Event], None]) -> Outcome:
        """Run with everything, each use told to `note`."""
        start = time.monotonic()
        recorded = replace(self.manifest, app=replace(self.manifest.app, record=True))
        async with trio.open_nursery() as nursery, self.supervisor.events() as events:

            async def read() -> None:
                async for event in events:
                    note(event)
                    if event.kind == "app.exit":
                        return

            nursery.start_soon(read)
            try:
                why = await self._run(recorded)
            except BaseException:
                nursery.cancel_scope.cancel()
                raise
        return Outcome(why is None, why or "", time.monotonic() - start)

    async def _run(self, manifest: Manifest) -> str | None:
        """Why a run does not work, or None."""
        with tempfile.TemporaryDirectory(prefix="libos-trim-") as folder, _files(folder) as (out, err):
            app = await self.supervisor.start(
                on_copies(manifest, folder), stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
            try:
                with trio.move_on_after(self.seconds or float("inf")) as scope:
                    await app.wait()
                if scope.cancelled_caught:
                    app.end("time")
                status = await app.wait()
            finally:
                with trio.CancelScope(shield=True):
                    await app.kill()
                    await app.aclose()
            if status.reason == "lost":
                raise LibosError("the world was lost: its keeper or its init was killed")
            if status.reason == "time":
                return f"does not end within {self.seconds or 0:.0f} s"
            if self.check is not None:
                return await self._checked(self.check, folder, status.returncode)
            return None if status.returncode == 0 else _ended(status.returncode, folder)

    async def _checked(self, check: str, folder: str, status: int) -> str | None:
        environment = os.environ | {
            "LIBOS_STATUS": str(status),
            "LIBOS_STDOUT": f"{folder}/stdout",
            "LIBOS_STDERR": f"{folder}/stderr",
        }
        process = subprocess.Popen(  # noqa: ASYNC220 - it is a moment, and the group is wanted
            ["sh", "-c", check],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            process_group=0,
        )
        try:
            with trio.move_on_after(self.seconds or float("inf")):
                returncode = await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
                return None if returncode == 0 else f"the check ends with status {returncode}"
            return f"the check does not end within {self.seconds or 0:.0f} s"
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                with trio.move_on_after(_GONE, shield=True):
                    await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)


@contextmanager
def _files(folder: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    with open(f"{folder}/stdout", "wb") as out, open(f"{folder}/stderr", "wb") as err:
        yield out, err


def _ended(returncode: int, folder: str) -> str:
    how = f"status {returncode}" if returncode > 0 else f"signal {signal.Signals(-returncode).name}"
    with open(f"{folder}/stderr", "rb") as file:
        file.seek(max(0, os.path.getsize(file.name) - _TAIL))
        said = _line(file.read().decode(errors="surrogateescape").strip().rpartition("\n")[2])
    return f"{how}: {said}" if said else how


def _line(text: str) -> str:
    """The last line of a text, not too long."""
    last = text.strip().rpartition("\n")[2]
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]}…"
