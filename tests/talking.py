"""Programs in a mount that take turns with a test, and the tree of a folder for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mounting import Mount, Program

from libos.fs.host import HostTree

CODE = """
import sys
def tell(*words): print(*words, flush=True)
def turn(): tell("-"); sys.stdin.readline()
def names(where): return "".join(sorted(os.listdir(where)))
"""


def served(folder: Path) -> HostTree:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return HostTree(fd, writable=True)
    finally:
        os.close(fd)


async def told(tree: HostTree, mount: Mount) -> None:
    """Returns when the kernel knows of all that the host has changed so far."""
    tree.tree.watches.drain()
    for attachment in mount.attachments.values():
        await attachment.settle()


class Talk:
    """A program in the mount that takes turns with the test."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._text = b""

    async def hears(self) -> str:
        """What it says until it waits."""
        while not self._text.endswith(b"-\n"):
            more = await self.program.stdout.receive_some()
            assert more, (await self.program.stderr.receive_some()).decode()
            self._text += more
        text, self._text = self._text.decode(), b""
        return text.removesuffix("-\n").rstrip("\n")

    async def goes_on(self) -> str:
        """Its next words, after it was told to go on."""
        await self.program.stdin.send_all(b"\n")
        return await self.hears()


async def start(mount: Mount, code: str) -> Talk:
    source = "import os\n" + CODE + code
    return Talk(await mount.start(sys.executable, "-I", "-S", "-c", source))
