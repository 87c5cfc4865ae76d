"""What is put through the table: each subject gives an empty tree, in a context.

`native` is a directory of the machine itself, without libos: it holds the table to what Linux does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path

import trio
import trio.testing
from conformance.files import Calls, NodeFiles, RemoteFiles
from mounting import mounted

from libos.fs.host import HostTree
from libos.fs.memory import memory_tree
from libos.fs.node import Directory
from libos.fs.p9.remote import attached
from libos.fs.p9.server import serve
from libos.fs.union import Element, Union

AGENT = Path(__file__).with_name("agent.py")

Subject = Callable[[], AbstractAsyncContextManager[Calls]]
Make = Callable[[], AbstractContextManager[Directory]]
MakeHere = Callable[[], AbstractAsyncContextManager[Directory]]


@contextmanager
def host_tree() -> Iterator[Directory]:
    """A served directory of the host."""
    with tempfile.TemporaryDirectory(prefix="libos-test-") as path:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        tree = HostTree(fd, writable=True)
        os.close(fd)
        try:
            yield tree
        finally:
            tree.close()


@contextmanager
def in_memory() -> Iterator[Directory]:
    """A tree in memory."""
    yield memory_tree()


@contextmanager
def union_in_memory() -> Iterator[Directory]:
    """A union that creates in its second element."""
    yield Union([Element(memory_tree()), Element(memory_tree(), creatable=True)])


@contextmanager
def union_of_host_trees() -> Iterator[Directory]:
    """A union that creates in its first element."""
    with host_tree() as first, host_tree() as second:
        yield Union([Element(first, creatable=True), Element(second)])


def here(make: Make) -> MakeHere:
    """A tree of this process."""

    @asynccontextmanager
    async def made() -> AsyncIterator[Directory]:
        with make() as tree:
            yield tree

    return made


def by_9p(make: Make) -> MakeHere:
    """A tree as a client of 9P has it from its server."""

    @asynccontextmanager
    async def made() -> AsyncIterator[Directory]:
        with make() as tree:
            ours, theirs = trio.testing.memory_stream_pair()

            async def answer() -> None:
                await serve(tree, theirs, writable=True)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer)
                async with ours:
                    yield await attached(ours, writable=True)

    return made


def called(make: MakeHere) -> Subject:
    """A tree whose nodes are called directly."""

    @asynccontextmanager
    async def subject() -> AsyncIterator[Calls]:
        async with make() as tree:
            files = NodeFiles(tree)
            yield Calls(files)
            await files.close_all()

    return subject


def served(make: MakeHere) -> Subject:
    """A tree used through FUSE by a process in the mount's namespaces."""

    @asynccontextmanager
    async def subject() -> AsyncIterator[Calls]:
        async with make() as tree, mounted({"w": tree}) as mount:
            agent = await mount.start(sys.executable, "-I", "-S", str(AGENT), directory="w")
            yield Calls(RemoteFiles(agent.stdin, agent.stdout))
            await agent.stdin.aclose()
            assert await agent.wait() == 0
            await agent.close()
            assert mount.faults == []

    return subject


@asynccontextmanager
async def native() -> AsyncIterator[Calls]:
    """A directory of this machine."""
    with tempfile.TemporaryDirectory(prefix="libos-test-") as path:
        command = [sys.executable, "-I", "-S", str(AGENT)]
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=path
        )
        assert process.stdin is not None and process.stdout is not None
        yield Calls(RemoteFiles(process.stdin, process.stdout))
        await process.stdin.aclose()
        assert await process.wait() == 0
        await process.stdout.aclose()


CALLED: dict[str, Subject] = {
    "memory, called": called(here(in_memory)),
    "host, called": called(here(host_tree)),
    "union in memory, called": called(here(union_in_memory)),
    "union of host trees, called": called(here(union_of_host_trees)),
}
KERNEL: dict[str, Subject] = {
    "native": native,
    "memory, served": served(here(in_memory)),
    "host, served": served(here(host_tree)),
    "union in memory, served": served(here(union_in_memory)),
    "union of host trees, served": served(here(union_of_host_trees)),
}
