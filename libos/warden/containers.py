"""One container: a world, what was spawned in it, and how files go in and out.

Rules:
- The app of the world waits for the end of its input, which is ours: it ends with us.
- What comes out of a container is hostile: an archive is unpacked by tarfile's data filter, within MOST_COPY
  bytes and MOST_MEMBERS names, into a folder that must be there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import PurePosixPath
from typing import IO, Any

import trio

from libos.app import App
from libos.errors import SupervisorError
from libos.warden.jobs import Job

# Bytes and names that one copy may have.
MOST_COPY = 1 << 30
MOST_MEMBERS = 100_000
# Jobs that have ended and can still be asked for; each holds up to twice jobs.MOST_OUTPUT bytes.
MOST_ENDED = 16
# Seconds that a stopped job gets before SIGKILL, as in Warden.
STOP_SECONDS = 10.0
_CHUNK = 1 << 16


class Container:
    """Use from the trio thread. `nursery` runs its jobs, and outlives it."""

    def __init__(self, handle: str, app: App, grace: float, nursery: trio.Nursery) -> None:
        self.handle = handle
        self.app = app
        self.grace = grace
        self.used = trio.current_time()
        self.jobs: dict[int, Job] = {}
        self._numbers = count(1)
        self._nursery = nursery

    def idle(self) -> bool:
        """Whether nothing runs in it."""
        return all(job.status is not None for job in self.jobs.values())

    async def spawn(self, script: str) -> int:
        """Start a shell script; gives the job's number. Raises CommandError, SupervisorError."""
        process = await self.app.exec(
            ["sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        ended = [number for number, job in self.jobs.items() if job.status is not None]
        for number in ended[: max(0, len(ended) - MOST_ENDED + 1)]:
            del self.jobs[number]
        number = next(self._numbers)
        self.jobs[number] = job = Job(process)
        self._nursery.start_soon(job.run)
        return number

    def job(self, number: object) -> Job:
        """The job of a number. Raises SupervisorError."""
        if isinstance(number, int) and number in self.jobs:
            return self.jobs[number]
        raise SupervisorError(
            f"{self.handle} has no job {number!r}: spawn gives their numbers, and of those that ended "
            f"the last {MOST_ENDED} are kept"
        )

    async def stop(self, *, kill: bool) -> None:
        """End all that was spawned: SIGTERM first, unless `kill`, and SIGKILL after STOP_SECONDS."""
        first = signal.SIGKILL if kill else signal.SIGTERM
        async with trio.open_nursery() as nursery:
            for job in self.jobs.values():
                if job.status is None:
                    nursery.start_soon(job.stop, STOP_SECONDS, first, signal.SIGKILL)

    async def destroy(self) -> None:
        """End the world, and with it all that runs in it."""
        await self.app.kill()
        await self.app.aclose()

    async def copy_in(self, source: str, target: str) -> None:
        """Copy a file or directory of the host's into the directory `target` of the container. Raises
        OSError, SupervisorError."""
        with tempfile.TemporaryFile() as archive:
            await trio.to_thread.run_sync(_pack, source, archive)
            archive.seek(0)
            await self._tar(["-xf", "-", "-C", target], archive, None)

    async def copy_out(self, source: str, target: str) -> None:
        """Copy a file or directory of the container into the directory `target` of the host. Raises OSError,
        SupervisorError."""
        where = PurePosixPath(source)
        with tempfile.TemporaryFile() as archive:
            await self._tar(["-cf", "-", "-C", str(where.parent), where.name or "."], None, archive)
            archive.seek(0)
            await trio.to_thread.run_sync(_unpack, archive, target)

    async def _tar(self, words: list[str], source: IO[bytes] | None, sink: IO[bytes] | None) -> None:
        process = await self.app.exec(
            ["tar", *words],
            stdin=subprocess.DEVNULL if source is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said = bytearray()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_drain, process.stderr, said)
                if source is not None:
                    nursery.start_soon(_feed, source, process.stdin)
                await _save(process.stdout, sink)
            status = await process.wait()
        finally:
            with trio.CancelScope(shield=True):
                await process.send_signal(signal.SIGKILL)
                await process.aclose()
        if status.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            raise SupervisorError(lines[-1] if lines else "the copy was ended")


def _pack(source: str, archive: IO[bytes]) -> None:
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(source, arcname=os.path.basename(os.path.normpath(source)))


def _unpack(archive: IO[bytes], target: str) -> None:
    """All of the archive or nothing: it is unpacked beside the target first."""
    if not os.path.isdir(target):
        raise NotADirectoryError(20, "is no directory of the host", target)
    with tempfile.TemporaryDirectory(dir=target, prefix=".copy-") as folder:
        with tarfile.open(fileobj=archive) as tar:
            try:
                tar.extractall(folder, members=_bounded(tar), filter="data")
            except tarfile.TarError as error:
                raise SupervisorError(f"what the container gave is refused: {error}") from error
        for name in os.listdir(folder):
            place = os.path.join(target, name)
            if os.path.lexists(place):
                raise FileExistsError(17, "is there already", place)
            shutil.move(os.path.join(folder, name), place)


def _bounded(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(tar):
        if number >= MOST_MEMBERS:
            raise tarfile.TarError(f"it has more than {MOST_MEMBERS} names")
        yield member


async def _drain(stream: Any, said: bytearray) -> None:
    async for part in stream:
        said += part[: max(0, _CHUNK - len(said))]


async def _feed(source: IO[bytes], stream: Any) -> None:
    async with stream:
        while part := source.read(_CHUNK):
            try:
                await stream.send_all(part)
            except trio.BrokenResourceError:
                return  # it has ended: its status says why


async def _save(stream: Any, sink: IO[bytes] | None) -> None:
    size = 0
    async for part in stream:
        size += len(part)
        if size > MOST_COPY:
            raise SupervisorError(f"it is more than {MOST_COPY} bytes")
        if sink is not None:
            sink.write(part)
