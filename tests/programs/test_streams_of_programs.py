"""Streams over FUSE, read by real programs: waiting, polling, signals, and many at once."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from generators import Source, raising, refusing, three
from mounting import mounted
from serving import tree

from libos.fs.layers import read_only
from libos.fs.stream import stream
from libos.fs.synthetic import text


async def test_cat_prints_each_item_as_it_comes() -> None:
    source = Source()
    async with mounted({"w": tree(events=stream(source.generate))}) as mount:
        program = await mount.start("cat", "w/events")
        for line in ("one\n", "two\n"):
            source.send.send_nowait(line)
            assert await program.stdout.receive_some() == line.encode()
        await source.send.aclose()
        assert await program.wait() == 0
        await source.closed.wait()
        await program.close()
        assert mount.faults == []


@pytest.mark.parametrize(
    ("argv", "out"),
    [
        (("grep", "-m1", "7", "events"), b"17\n"),
        (("head", "-n2", "events"), b"10\n11\n"),
        (("dd", "if=events", "bs=3", "count=2", "status=none"), b"10\n11\n"),
        (("stdbuf", "-o0", "tail", "-f", "-n", "+1", "events"), b"10\n11\n"),
    ],
)
async def test_a_program_ends_and_its_generator_with_it(argv: tuple[str, ...], out: bytes) -> None:
    ended = trio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            for number in range(10, 1000):
                yield f"{number}\n"
            await trio.sleep_forever()
        finally:
            ended.set()

    async with mounted({"w": tree(events=stream(endless, ahead=0))}) as mount:
        program = await mount.start(*argv, directory="w")
        got = b""
        while not got.startswith(out):
            got += await program.stdout.receive_some()
        await mount.run("kill", str(program.pid))
        await program.wait()
        await ended.wait()
        await program.close()


POLLERS = {
    "select": "import select; ready = lambda t: bool(select.select([fd], [], [], t)[0])",
    "poll": "import select; p = select.poll(); p.register(fd, select.POLLIN); "
    "ready = lambda t: bool(p.poll(t * 1000))",
    "epoll": "import select; p = select.epoll(); p.register(fd, select.EPOLLIN); "
    "ready = lambda t: bool(p.poll(t))",
    "edge": "import select; p = select.epoll(); p.register(fd, select.EPOLLIN | select.EPOLLET); "
    "ready = lambda t: bool(p.poll(t))",
    "selectors": "import selectors; s = selectors.DefaultSelector(); s.register(fd, selectors.EVENT_READ); "
    "ready = lambda t: bool(s.select(t))",
}


@pytest.mark.parametrize("kind", POLLERS)
async def test_a_poller_is_woken_when_there_is_something(kind: str) -> None:
    source = Source()
    code = f"""
import os
fd = os.open("events", os.O_RDONLY)
{POLLERS[kind]}
print(ready(0), flush=True)
for _ in range(3):
    print(ready(60), os.read(fd, 100), flush=True)
print(ready(60), os.read(fd, 100), flush=True)
"""
    async with mounted({"w": tree(events=stream(source.generate))}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        assert await program.stdout.receive_some() == b"False\n"
        for item in ("a", "b", "c"):
            source.send.send_nowait(item)
            assert await program.stdout.receive_some() == f"True b'{item}'\n".encode()
        await source.send.aclose()
        assert await program.stdout.receive_some() == b"True b''\n"
        assert await program.wait() == 0
        await program.close()


async def test_asyncio_reads_two_streams_by_epoll() -> None:
    one, two = Source(), Source()
    code = """
import asyncio, os
async def main():
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    fds = [os.open(name, os.O_RDONLY | os.O_NONBLOCK) for name in ("one", "two")]
    def take(fd):
        data = os.read(fd, 100)
        print(fds.index(fd), data, flush=True)
        if not data:
            loop.remove_reader(fd)
            ended.set()
    for fd in fds:
        loop.add_reader(fd, take, fd)
    print("ready", flush=True)
    await ended.wait()
asyncio.run(main())
"""
    nodes = tree(one=stream(one.generate), two=stream(two.generate))
    async with mounted({"w": nodes}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        assert await program.stdout.receive_some() == b"ready\n"
        for number, source in ((1, two), (0, one), (1, two)):
            source.send.send_nowait("x")
            assert await program.stdout.receive_some() == f"{number} b'x'\n".encode()
        await one.send.aclose()
        assert await program.stdout.receive_some() == b"0 b''\n"
        assert await program.wait() == 0
        await program.close()


async def test_layers_let_a_stream_be_waited_for() -> None:
    source = Source()
    code = """
import select
fd = os.open("events", os.O_RDONLY)
print(select.select([fd], [], [], 0)[0], flush=True)
print(select.select([fd], [], [], 60)[0] == [fd], os.read(fd, 10), flush=True)
try: os.lseek(fd, 0, 0)
except OSError as error: print(error.errno)
"""
    async with mounted({"w": read_only(tree(events=stream(source.generate)))}) as mount:
        program = await mount.start("python3", "-c", "import os" + code, directory="w")
        assert await program.stdout.receive_some() == b"[]\n"
        source.send.send_nowait("x")
        assert await program.wait() == 0
        out = b"".join([chunk async for chunk in program.stdout])
        assert out == b"True b'x'\n29\n"
        await program.close()


async def test_other_files_are_always_ready() -> None:
    async with mounted({"w": tree(a=text("x"), events=stream(three))}) as mount:
        code = "import select; fd = [os.open('a', 0)]; print(select.select(fd, fd, [], 60) == (fd, fd, []))"
        assert (await mount.python(code, directory="w")).out == b"True\n"


async def test_there_are_no_offsets() -> None:
    code = """
fd = os.open("events", os.O_RDONLY)
for call in (lambda: os.lseek(fd, 0, 0), lambda: os.pread(fd, 1, 0)):
    try: call()
    except OSError as error: print(error.errno)
print(open("events").read().split())
"""
    async with mounted({"w": tree(events=stream(three))}) as mount:
        assert (await mount.python(code, directory="w")).out == b"29\n29\n['0', '1', '2']\n"


@pytest.mark.parametrize(("generate", "number"), [(raising, errno.EIO), (refusing, errno.ENOLINK)])
async def test_a_generator_that_raises_in_the_middle(generate: object, number: int) -> None:
    code = """
fd = os.open("events", os.O_RDONLY)
print(os.read(fd, 100))
for _ in range(2):
    try: os.read(fd, 100)
    except OSError as error: print(error.errno)
"""
    async with mounted({"w": tree(events=stream(generate))}) as mount:  # type: ignore[arg-type]
        result = await mount.python(code, directory="w")
        assert result.out == f"b'before'\n{number}\n{number}\n".encode()
        told = [(fault.path, fault.operation, str(fault.error)) for fault in mount.faults]
        assert told == ([(b"/events", "read", "broken")] if number == errno.EIO else [])


@pytest.mark.parametrize("signal", ["TERM", "KILL", "INT"])
async def test_a_program_that_waits_dies_at_once(signal: str) -> None:
    source = Source()
    async with mounted({"w": tree(events=stream(source.generate))}) as mount:
        program = await mount.start("cat", "w/events")
        await source.begun.wait()
        await mount.run("kill", f"-{signal}", str(program.pid))
        with trio.fail_after(20):
            assert await program.wait() < 0
            await source.closed.wait()
        await program.close()
        assert mount.faults == []


async def test_a_signal_ends_the_wait_with_eintr_and_the_next_read_goes_on() -> None:
    source = Source()
    code = """
import ctypes, os, signal
signal.signal(signal.SIGUSR1, lambda *_: None)
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("events", os.O_RDONLY)
signal.siginterrupt(signal.SIGUSR1, True)
buffer = ctypes.create_string_buffer(100)
print(libc.read(fd, buffer, 100), ctypes.get_errno(), flush=True)
print(libc.read(fd, buffer, 100), buffer.value, flush=True)
"""
    async with mounted({"w": tree(events=stream(source.generate))}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        await source.begun.wait()
        await mount.run("kill", "-USR1", str(program.pid))
        with trio.fail_after(20):
            assert await program.stdout.receive_some() == b"-1 4\n"
        source.send.send_nowait("later")
        assert await program.stdout.receive_some() == b"5 b'later'\n"
        await program.wait()
        await program.close()


async def test_a_read_over_its_limit_is_etimedout_and_a_fault() -> None:
    source = Source()
    async with mounted({"w": tree(events=stream(source.generate, deadline=0.2))}) as mount:
        result = await mount.run("cat", "w/events")
        assert b"timed out" in result.err
        assert [fault.operation for fault in mount.faults] == ["read"]


async def test_a_thousand_readers_at_once() -> None:
    begun, go = 0, trio.Event()
    all_begun = trio.Event()

    async def generate() -> AsyncIterator[str]:
        nonlocal begun
        begun += 1
        if begun == 1000:
            all_begun.set()
        await go.wait()
        yield "x"

    code = """
import os, selectors
with selectors.DefaultSelector() as ready:
    for _ in range(1000):
        ready.register(os.open("events", os.O_RDONLY), selectors.EVENT_READ)
    got = 0
    while got < 1000:
        for key, _ in ready.select():
            got += len(os.read(key.fd, 10))
            ready.unregister(key.fd)
print(got)
"""
    async with mounted({"w": tree(events=stream(generate))}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        await all_begun.wait()
        go.set()
        assert await program.wait() == 0
        assert await program.stdout.receive_some() == b"1000\n"
        await program.close()


async def test_a_thousand_threads_wait_in_a_read() -> None:
    source = Source()
    begun = 0
    all_begun, go = trio.Event(), trio.Event()

    async def generate() -> AsyncIterator[str]:
        nonlocal begun
        begun += 1
        if begun == 1000:
            all_begun.set()
        await go.wait()
        yield "x"

    code = """
import os, threading
threading.stack_size(1 << 16)
got = []
def read(): got.append(os.read(os.open("events", os.O_RDONLY), 10))
threads = [threading.Thread(target=read) for _ in range(1000)]
for each in threads: each.start()
for each in threads: each.join()
print(len(got), set(got))
"""
    async with mounted({"w": tree(events=stream(generate), more=stream(source.generate))}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        await all_begun.wait()
        go.set()
        assert await program.wait() == 0
        assert await program.stdout.receive_some() == b"1000 {b'x'}\n"
        await program.close()


async def test_a_revoked_stream_wakes_who_polls_and_then_is_eio() -> None:
    source = Source()
    code = """
import os, select
fd = os.open("top/events", os.O_RDONLY)
p = select.poll(); p.register(fd, select.POLLIN)
print("polling", flush=True)
p.poll(60000)
try: os.read(fd, 10)
except OSError as error: print(error.errno)
"""
    nodes = tree()
    nodes.attach(b"/top/events", stream(source.generate))
    async with mounted({"w": nodes}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        assert await program.stdout.receive_some() == b"polling\n"
        mount.attachments["w"].revoke(b"top")
        await source.closed.wait()
        assert await program.stdout.receive_some() == b"5\n"
        await program.wait()
        await program.close()


async def test_closing_the_world_closes_its_generators_and_wakes_who_polls() -> None:
    source = Source()
    code = """
import os, select
fd = os.open("events", os.O_RDONLY)
p = select.poll(); p.register(fd, select.POLLIN)
print("polling", flush=True)
p.poll(60000)
print("woken", flush=True)
"""
    async with mounted({"w": tree(events=stream(source.generate))}) as mount:
        program = await mount.start("python3", "-c", code, directory="w")
        assert await program.stdout.receive_some() == b"polling\n"
        mount.attachments["w"].close()
        await source.closed.wait()
        assert await program.stdout.receive_some() == b"woken\n"
        await program.wait()
        await program.close()
