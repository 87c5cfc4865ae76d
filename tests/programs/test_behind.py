"""Programs that stand behind another one's request, at a lock of the kernel, where no signal reaches them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import trio
from mounting import Mount, Program, mounted
from serving import tree

from libos.fs.sink import sink
from libos.fs.stream import stream


async def until_behind(program: Program, place: str) -> None:
    """Returns once a program waits in the kernel's function `place`."""
    path = trio.Path(f"/proc/{program.pid}/wchan")
    while place not in await path.read_text():  # noqa: ASYNC110 - the kernel sets no event
        await trio.sleep(0.01)


async def killed(mount: Mount, program: Program) -> None:
    await mount.run("kill", "-KILL", str(program.pid))
    with trio.fail_after(20):
        assert await program.wait() == -9


async def test_who_waits_for_another_ones_write_can_be_killed_alone() -> None:
    called, go = trio.Event(), trio.Event()

    async def hang(data: bytes) -> None:
        called.set()
        await go.wait()

    code = "with open('out', 'ab', 0) as out: out.write(b'x')\nprint('written')"
    async with mounted({"w": tree(out=sink(hang))}) as mount:
        first = await mount.start("python3", "-c", code, directory="w")
        await called.wait()
        second = await mount.start("python3", "-c", code, directory="w")
        await until_behind(second, "fuse_")
        await killed(mount, second)
        go.set()
        assert await first.wait() == 0  # it may have seen EINTR, and has written again
        assert await first.stdout.receive_some() == b"written\n"
        for program in (first, second):
            await program.close()


async def test_who_shares_a_descriptor_with_a_reader_can_be_killed_alone() -> None:
    begun, go = trio.Event(), trio.Event()

    async def generate() -> AsyncIterator[str]:
        begun.set()
        await go.wait()
        yield "one"

    code = """
import os, sys
fd = os.open("events", os.O_RDONLY)
child = os.fork()
if not child:
    print(os.read(fd, 10), flush=True)
    os._exit(0)
while b"request_wait_answer" not in open(f"/proc/{child}/wchan", "rb").read(): pass
grandchild = os.fork()
if not grandchild:
    os.read(fd, 10)
    os._exit(0)
while b"fdget_pos" not in open(f"/proc/{grandchild}/wchan", "rb").read(): pass
os.kill(grandchild, 9)
print(os.waitpid(grandchild, 0)[1], flush=True)
sys.exit(os.waitpid(child, 0)[1])
"""
    async with mounted({"w": tree(events=stream(generate))}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        await begun.wait()
        with trio.fail_after(20):
            assert await program.stdout.receive_some() == b"9\n"
        go.set()
        assert await program.stdout.receive_some() == b"b'one'\n"
        assert await program.wait() == 0
        await program.close()


async def test_a_signal_for_one_reader_of_a_stream_interrupts_no_other() -> None:
    begun = 0
    both = trio.Event()

    async def generate() -> AsyncIterator[str]:
        nonlocal begun
        begun += 1
        if begun == 2:
            both.set()
        await trio.sleep_forever()
        yield ""

    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("events", os.O_RDONLY)
buffer = ctypes.create_string_buffer(10)
print(libc.read(fd, buffer, 10), ctypes.get_errno())
"""
    async with mounted({"w": tree(events=stream(generate))}) as mount:
        one, two = [await mount.start("python3", "-c", "import os" + code, directory="w") for _ in range(2)]
        await both.wait()
        await trio.sleep(0.6)  # not for readiness: both have waited long enough to be searched
        await killed(mount, one)
        await trio.sleep(1.2)  # not for readiness: gives a wrong interrupt the time to happen
        assert (await trio.Path(f"/proc/{two.pid}/wchan").read_text()) == "request_wait_answer"
        await killed(mount, two)
        for program in (one, two):
            assert b"".join([chunk async for chunk in program.stdout]) == b""
            await program.close()
