"""A served tree taken back while a program uses it: what is open answers EIO, what is mapped is gone."""

from __future__ import annotations

import math
import sys

import trio
from mounting import Mount, Program, mounted

from libos.fs import synthetic
from libos.fs.memory import memory_tree
from libos.fs.skeleton import Skeleton

CODE = """
import errno, mmap, os, sys
def tell(*words): print(*words, flush=True)
def word(call):
    try: return repr(call())
    except OSError as error: return errno.errorcode[error.errno]
"""


def world() -> Skeleton:
    """A skeleton with a memory tree at /data and a text beside it."""
    skeleton = Skeleton(lambda path: None)
    skeleton.attach(b"/data", memory_tree())
    skeleton.attach(b"/text", synthetic.text("kept"))
    return skeleton


async def start(mount: Mount, code: str) -> Program:
    return await mount.start(sys.executable, "-I", "-S", "-c", CODE + code, directory="w")


async def line(program: Program) -> str:
    """The next line that a program says."""
    text = b""
    while not text.endswith(b"\n"):
        more = await program.stdout.receive_some()
        assert more, (await program.stderr.receive_some()).decode()
        text += more
    return text.decode().strip()


async def revoke(mount: Mount, skeleton: Skeleton, path: bytes) -> None:
    mount.attachments["w"].revoke(path)
    skeleton.detach(b"/" + path)
    await mount.attachments["w"].settle()


async def test_what_is_open_answers_eio_and_the_name_is_absent() -> None:
    skeleton = world()
    async with mounted({"w": skeleton}) as mount:
        program = await start(
            mount,
            """
os.mkdir("data/sub")
with open("data/sub/file", "w") as file: file.write("x" * 100000)
fd = os.open("data/sub/file", os.O_RDWR)
directory = os.open("data/sub", os.O_RDONLY)
os.pread(fd, 10, 0)
tell("open"); sys.stdin.readline()
tell(word(lambda: os.pread(fd, 10, 0)), word(lambda: os.pwrite(fd, b"y", 0)), word(lambda: os.fstat(fd)),
     word(lambda: os.listdir(directory)),
     word(lambda: os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=directory)),
     word(lambda: os.stat("data")), word(lambda: open("text").read()))
""",
        )
        assert await line(program) == "open"
        await revoke(mount, skeleton, b"data")
        await program.stdin.send_all(b"\n")
        assert await line(program) == "EIO EIO EIO EIO EIO ENOENT 'kept'"
        assert await program.wait() == 0
        await program.close()
        assert mount.faults == []


async def test_a_mapped_file_is_sigbus() -> None:
    skeleton = world()
    async with mounted({"w": skeleton}) as mount:
        program = await start(
            mount,
            """
with open("data/file", "w") as file: file.write("x" * 8192)
fd = os.open("data/file", os.O_RDONLY)
mapped = mmap.mmap(fd, 8192, prot=mmap.PROT_READ)
assert mapped[0:1] == b"x"
tell("mapped"); sys.stdin.readline()
tell(mapped[0:1])
""",
        )
        assert await line(program) == "mapped"
        await revoke(mount, skeleton, b"data")
        await program.stdin.send_all(b"\n")
        assert await program.wait() == -7  # SIGBUS
        await program.close()


async def test_a_waiting_operation_ends_with_eio() -> None:
    waiting = trio.Event()

    async def never() -> str:
        waiting.set()
        await trio.sleep_forever()
        return ""

    skeleton = Skeleton(lambda path: None)
    skeleton.attach(b"/slow", synthetic.function(never, deadline=math.inf))
    async with mounted({"w": skeleton}) as mount:
        program = await start(mount, 'tell(word(lambda: open("slow").read()))')
        await waiting.wait()
        await revoke(mount, skeleton, b"slow")
        assert await line(program) == "EIO"
        assert await program.wait() == 0
        await program.close()


async def test_the_same_node_elsewhere_goes_on() -> None:
    tree = memory_tree()
    skeleton = world()
    skeleton.attach(b"/one", tree)
    async with mounted({"w": skeleton, "other": tree}) as mount:
        assert (await mount.python("os.mkdir('other/sub'); print(os.listdir('w/one'))")).out == b"['sub']\n"
        await revoke(mount, skeleton, b"one")
        assert (await mount.python("print(os.listdir('other'))")).out == b"['sub']\n"


async def test_a_revoke_in_the_middle_of_a_large_read_ends_it() -> None:
    skeleton = world()
    async with mounted({"w": skeleton}) as mount:
        program = await start(
            mount,
            """
with open("data/large", "wb") as file: file.truncate(1 << 30)
fd, total = os.open("data/large", os.O_RDONLY), 0
tell("reading")
try:
    while more := os.read(fd, 1 << 16): total += len(more)
except OSError as error: tell(errno.errorcode[error.errno], total < 1 << 30)
""",
        )
        assert await line(program) == "reading"
        await revoke(mount, skeleton, b"data")
        assert await line(program) == "EIO True"
        assert await program.wait() == 0
        await program.close()
