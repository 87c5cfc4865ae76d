"""A program of a stop under chroot(2), outside of any world; what keeps it in is told in `chrootbox`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

# Seconds that it gets.
_LONGEST = 60.0
_TIME_RAN_OUT = 124
_SIGNALLED = 128


async def chrooted(command: Sequence[str], folder: Path, most: int) -> tuple[int, str]:
    """Run a command under chroot, beside the learner's folder, and give its status and at most so many bytes
    of what it prints."""
    words = [sys.executable, "-I", "-m", "libos.tour.chrootbox", str(folder), *command]
    parts: list[bytes] = []
    status = _TIME_RAN_OUT
    with trio.move_on_after(_LONGEST):
        async with trio.open_nursery() as nursery:
            child = await nursery.start(_start, words)
            room = most
            async for part in child.stdout:
                parts.append(bytes(part[:room]))
                room -= len(parts[-1])
            returncode = await child.wait()
            status = returncode if returncode >= 0 else _SIGNALLED - returncode
    return status, b"".join(parts).decode(errors="replace")


async def _start(words: list[str], *, task_status: trio.TaskStatus[trio.Process]) -> None:
    await trio.run_process(
        words,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        capture_stdout=False,
        check=False,
        deliver_cancel=_kill,
        task_status=task_status,
        stdout=subprocess.PIPE,
    )


async def _kill(child: trio.Process) -> None:
    child.kill()
