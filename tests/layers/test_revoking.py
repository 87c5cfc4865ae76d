"""Taking back while a program uses it: what is open, cached, mapped or waited for ends with EIO."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from layers.tree import Tree
from mounting import Mount, Program, mounted

from libos.fs import layers
from libos.fs.layers.asking import Ask, Question
from libos.fs.layers.hiding import Hide
from libos.fs.layers.readonly import ReadOnly
from libos.fs.node import APP, Attributes, Directory, Node, refusal
from libos.fs.stream import stream

GIGABYTE = 1 << 30


class Talking:
    """A Python program in the mount that says and hears lines."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._rest = b""

    async def line(self) -> str:
        while b"\n" not in self._rest:
            chunk = await self.program.stdout.receive_some()
            assert chunk, "the program ended"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    async def say(self) -> None:
        await self.program.stdin.send_all(b"\n")


@asynccontextmanager
async def talking(mount: Mount, code: str) -> AsyncIterator[Talking]:
    """Runs the code; `said()` in it prints a line, `heard()` waits for one."""
    source = (
        "import os, sys, errno, mmap\n"
        "def said(*words): print(*words, flush=True)\n"
        "def heard(): sys.stdin.readline()\n"
        "def tried(work):\n"
        "    try:\n        return work()\n"
        "    except OSError as error:\n        return errno.errorcode[error.errno]\n" + code
    )
    program = await mount.start(sys.executable, "-I", "-S", "-c", source, directory="w")
    try:
        yield Talking(program)
    finally:
        with trio.move_on_after(5, shield=True):
            await program.close()


async def revoke(tree: Tree, mount: Mount) -> None:
    """What a grant's end does."""
    tree.stack.revoke()
    attachment = mount.attachments["w"]
    attachment.forget(tree.stack.holds)
    attachment.interrupt(tree.stack.holds, errno.EIO)
    await attachment.settle()


READ_ON = """
fd = os.open("large", os.O_RDONLY)
offset = 0
while True:
    try:
        data = os.pread(fd, 1 << 20, offset)
    except OSError as error:
        said(errno.errorcode[error.errno])
        break
    offset = (offset + (1 << 20)) % (1 << 30)
    if offset == 1 << 20:
        said("reading")
heard()
said(tried(lambda: os.stat("large")), tried(lambda: os.listdir(".")), tried(lambda: os.fstat(fd)))
"""


async def test_a_revoke_in_the_middle_of_a_gigabyte() -> None:
    tree = Tree(layers.revocable)
    await tree.outside.put(b"large")
    await tree.outside.truncate(b"large", GIGABYTE)
    async with mounted({"w": tree.root}) as mount, talking(mount, READ_ON) as program:
        assert await program.line() == "reading"
        await revoke(tree, mount)
        line = await program.line()
        while line == "reading":  # it came round before
            line = await program.line()
        assert line == "EIO"
        await program.say()
        assert await program.line() == "EIO EIO EIO"
        assert await program.program.wait() == 0
        assert mount.faults == []


MAPPED = """
fd = os.open("file", os.O_RDWR)
area = mmap.mmap(fd, 1 << 20)
area[0] = 1
said(sum(area[::4096]))
while True:
    area[::4096]
"""


async def test_a_mapped_file_that_is_revoked_is_sigbus_and_not_a_hang() -> None:
    tree = Tree(layers.revocable)
    await tree.outside.put(b"file")
    await tree.outside.truncate(b"file", 1 << 20)
    async with mounted({"w": tree.root}) as mount, talking(mount, MAPPED) as program:
        assert await program.line() == "1"
        await revoke(tree, mount)
        assert await program.program.wait() == -signal.SIGBUS
        assert mount.faults == []


WAITING = """
said("begun")
said(tried(lambda: os.open("file", os.O_RDONLY)))
"""


async def test_what_waits_in_a_revoked_tree_is_ended() -> None:
    asked = trio.Event()
    tree = Tree(lambda node: layers.layered(node, Ask(lambda question: asked.set())))
    await tree.outside.put(b"file")
    async with mounted({"w": tree.root}) as mount, talking(mount, WAITING) as program:
        assert await program.line() == "begun"
        await asked.wait()
        await revoke(tree, mount)
        assert await program.line() == "EIO"
        assert await program.program.wait() == 0
        assert mount.faults == []


NARROWED = """
fd = os.open("d/file", os.O_RDWR)
said(os.read(fd, 9).decode(), len(os.listdir("d")))
heard()
said(tried(lambda: os.stat("d/file")), tried(lambda: os.pread(fd, 1, 0)), os.listdir("d"))
heard()
said(tried(lambda: os.mkdir("e")), tried(lambda: os.stat("d/file")))
heard()
said(tried(lambda: os.stat("d/file")).st_size, tried(lambda: os.mkdir("e")))
"""


async def test_layers_that_come_and_go_hold_at_once_whatever_the_kernel_keeps() -> None:
    tree = Tree(layers.revocable)
    await tree.outside.mkdir(b"d")
    await tree.outside.put(b"d/file", b"text")
    async with mounted({"w": tree.root}) as mount, talking(mount, NARROWED) as program:
        attachment = mount.attachments["w"]

        async def changed() -> None:
            attachment.forget(tree.stack.holds)
            await attachment.settle()
            await program.say()

        assert await program.line() == "text 1"
        hide, read_only = Hide(["file"]), ReadOnly()
        tree.stack.add(hide)
        await changed()
        assert await program.line() == "ENOENT EIO []"
        tree.stack.add(read_only)
        await changed()
        assert await program.line() == "EROFS ENOENT"
        tree.stack.remove(hide)
        tree.stack.remove(read_only)
        await changed()
        assert await program.line() == "4 None"
        assert await program.program.wait() == 0
        assert mount.faults == []


POLLING = """
import select
fd = os.open("stream", os.O_RDONLY)
poll = select.poll()
poll.register(fd, select.POLLIN)
said([event for _, event in poll.poll()] == [select.POLLIN], os.read(fd, 9))
said(len(poll.poll(0)))
(_, event), = poll.poll()
said(bool(event & select.POLLERR), tried(lambda: os.read(fd, 9)), tried(lambda: os.lseek(fd, 0, 0)))
"""


class One(Directory):
    """A directory with one file."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def known(self) -> Attributes:
        return Attributes(stat.S_IFDIR | 0o755, 0, 2, *APP)

    async def walk(self, name: bytes) -> Node:
        if name != b"stream":
            raise refusal(errno.ENOENT)
        return self.node


async def test_who_polls_a_stream_is_told_of_the_revoke() -> None:
    async def items() -> AsyncIterator[str]:
        yield "item"
        await trio.sleep_forever()

    root = layers.hide(One(stream(items)), ["none"])
    stack = layers.stack_of(root)
    assert stack is not None
    async with mounted({"w": root}) as mount, talking(mount, POLLING) as program:
        assert await program.line() == "True b'item'"
        assert await program.line() == "0"
        stack.revoke()
        assert await program.line() == "True EIO ESPIPE"
        assert await program.program.wait() == 0
        assert mount.faults == []


INTERRUPTED = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(InterruptedError(errno.EINTR, "")))
said(tried(lambda: os.open("file", os.O_RDONLY)))
"""


async def test_a_signal_ends_the_wait_for_an_answer_and_the_question() -> None:
    asked, gone = trio.Event(), trio.Event()
    settled: list[Question] = []

    def closed(question: Question) -> None:
        settled.append(question)
        gone.set()

    tree = Tree(lambda node: layers.layered(node, Ask(lambda question: asked.set(), closed)))
    await tree.outside.put(b"file")
    async with mounted({"w": tree.root}) as mount:
        async with talking(mount, INTERRUPTED) as program:
            await asked.wait()
            os.kill(program.program.pid, signal.SIGUSR1)
            assert await program.line() == "EINTR"
            await gone.wait()
            assert [(each.answer, each.by) for each in settled] == [(None, "gone")]
            assert await program.program.wait() == 0
        asked, gone = trio.Event(), trio.Event()
        async with talking(mount, "os.open('file', os.O_RDONLY)") as program:
            await asked.wait()
            os.kill(program.program.pid, signal.SIGKILL)
            assert await program.program.wait() == -signal.SIGKILL
            await gone.wait()
        assert mount.faults == []
