"""Running the command lines that keys stand for: each in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

# A child process that runs `libos`, whatever is in PATH.
_LIBOS = (sys.executable, "-c", "from libos.cli.main import main; main()")


async def run(words: Sequence[str]) -> tuple[int, str]:
    """Run a libos command to its end; gives its exit status and the last line that it printed. Cancelled, it
    ends the process."""
    process = await asyncio.create_subprocess_exec(
        *_LIBOS,
        *words[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    lines = said.decode(errors="surrogateescape").strip().splitlines()
    last = lines[-1] if lines else ""
    return process.returncode or 0, last.removeprefix("libos: ")


async def run_on_terminal(words: Sequence[str]) -> int:
    """Run a libos command on this process's own terminal; gives its exit status. Cancelled, it ends
    the process."""
    process = await asyncio.create_subprocess_exec(*_LIBOS, *words[1:])
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
