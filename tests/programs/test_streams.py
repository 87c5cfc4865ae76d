"""Files that an async generator fills: read, waited for, polled, closed, by handles and by real programs."""

from __future__ import annotations

import errno
import math
import os
import select
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from mounting import mounted
from serving import opened, tree

from libos.fs.layers import read_only
from libos.fs.node import Caller, refusal
from libos.fs.stream import Flow, stream
from libos.fs.synthetic import text


async def three() -> AsyncIterator[str]:
    for number in range(3):
        yield f"{number}\n"


class Source:
    """A generator that yields what the test sends, and tells how it ended."""

    def __init__(self) -> None:
        self.send, self.receive = trio.open_memory_channel[str](math.inf)
        self.yielded = 0
        self.begun = trio.Event()
        self.closed = trio.Event()

    async def generate(self) -> AsyncIterator[str]:
        try:
            self.begun.set()
            async for item in self.receive.clone():
                self.yielded += 1
                yield item
        finally:
            self.closed.set()


# --- in memory


async def test_a_read_gives_what_is_there_and_then_the_end() -> None:
    handle = await opened(stream(three))
    data = b""
    while chunk := await handle.read(0, 100):
        data += chunk
    assert data == b"0\n1\n2\n"
    assert await handle.read(0, 100) == b""
    await handle.close()


async def test_a_read_waits_for_the_next_item_and_no_longer() -> None:
    source = Source()
    handle = await opened(stream(source.generate))
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            assert await handle.read(0, 100) == b"now"
            await source.send.aclose()

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        source.send.send_nowait("now")
    assert await handle.read(0, 100) == b""
    await handle.close()


async def test_an_item_larger_than_a_read_is_given_in_parts() -> None:
    async def one() -> AsyncIterator[bytes]:
        yield b"0123456789"

    handle = await opened(stream(one))
    assert [await handle.read(0, 4) for _ in range(4)] == [b"0123", b"4567", b"89", b""]
    await handle.close()


@pytest.mark.parametrize(("ahead", "made"), [(0, 1), (10, 2), (100, 11)])
async def test_a_slow_reader_holds_the_generator_up(ahead: int, made: int) -> None:
    source = Source()
    for _ in range(1000):
        source.send.send_nowait("0123456789")
    handle = await opened(stream(source.generate, ahead=ahead))
    await trio.testing.wait_all_tasks_blocked()
    assert source.yielded == made
    await handle.read(0, 10)
    await trio.testing.wait_all_tasks_blocked()
    assert source.yielded == made + 1
    await handle.close()


async def test_each_open_has_a_generator_of_its_own() -> None:
    node = stream(three, ahead=0)
    one, two = await opened(node), await opened(node)
    assert await one.read(0, 2) == await two.read(0, 2) == b"0\n"
    await one.close()
    assert await two.read(0, 100) == b"1\n"
    await two.close()


async def test_a_cancelled_read_loses_nothing() -> None:
    source = Source()
    handle = await opened(stream(source.generate))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(handle.read, 0, 10)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    source.send.send_nowait("kept")
    assert await handle.read(0, 10) == b"kept"
    await handle.close()


async def test_closing_ends_a_generator_that_waits() -> None:
    source = Source()
    handle = await opened(stream(source.generate))
    await source.begun.wait()
    await handle.close()
    assert source.closed.is_set()


async def test_closing_lets_a_generator_clean_up_with_awaits() -> None:
    clean = False

    async def careful() -> AsyncIterator[str]:
        nonlocal clean
        try:
            while True:
                yield "x" * 100
        finally:
            await trio.lowlevel.checkpoint()  # noqa: ASYNC102 - closed where it yields, it may
            clean = True

    handle = await opened(stream(careful, ahead=0))
    await handle.read(0, 1)
    await handle.close()
    assert clean


async def test_a_generator_that_will_not_end_is_reported_and_left(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def stubborn() -> AsyncIterator[str]:
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)
        yield "never"

    handle = await opened(stream(stubborn))
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(OSError, match="goes on after it was closed"):
        await handle.close()
    assert trio.current_time() < 100


async def raising() -> AsyncIterator[str]:
    yield "before"
    raise ValueError("broken")


async def refusing() -> AsyncIterator[str]:
    yield "before"
    raise refusal(errno.ENOLINK)


async def test_what_came_before_an_error_is_read_first() -> None:
    handle = await opened(stream(raising))
    await trio.testing.wait_all_tasks_blocked()
    assert await handle.read(0, 100) == b"before"
    with pytest.raises(ValueError, match="broken"):
        await handle.read(0, 100)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        await handle.read(0, 100)
    await handle.close()


async def test_an_error_that_nobody_read_comes_out_at_close() -> None:
    handle = await opened(stream(raising))
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(ValueError, match="broken"):
        await handle.close()


async def test_an_item_of_a_wrong_type_is_named() -> None:
    async def wrong() -> AsyncIterator[str]:
        yield 3  # type: ignore[misc]

    handle = await opened(stream(wrong))
    with pytest.raises(TypeError, match="a stream yields str or bytes, not int"):
        await handle.read(0, 100)
    await handle.close()


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseExceptionGroup("x", [SystemExit(1)])]
)
async def test_whatever_a_generator_raises_ends_its_stream_alone(error: BaseException) -> None:
    async def worst() -> AsyncIterator[str]:
        yield ""
        raise error

    handle = await opened(stream(worst))
    with pytest.raises(RuntimeError):
        await handle.read(0, 100)
    await handle.close()


async def test_a_function_that_gives_any_async_iterable_is_a_stream() -> None:
    send, receive = trio.open_memory_channel[str](5)
    send.send_nowait("one")
    await send.aclose()

    async def later() -> trio.MemoryReceiveChannel[str]:
        return receive

    handle = await opened(stream(later))  # type: ignore[arg-type]  # any callable that gives one does
    assert await handle.read(0, 10) == b"one"
    await handle.close()
    handle = None  # type: ignore[assignment]
    with pytest.raises(TypeError, match="an async iterable, not str"):
        await opened(stream(lambda: "text"))  # type: ignore[arg-type,return-value]


async def test_the_generator_may_know_who_opens() -> None:
    async def who(caller: Caller) -> AsyncIterator[str]:
        yield f"{caller.uid}"

    handle = await opened(stream(who))
    assert await handle.read(0, 10) == b"1000"
    await handle.close()


async def test_a_stream_is_for_reading() -> None:
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC):
        with pytest.raises(PermissionError):
            await opened(stream(three), flags)


async def test_poll_says_what_a_read_would_do_and_wakes_once() -> None:
    source, woken = Source(), []
    handle = await opened(stream(source.generate))
    assert isinstance(handle, Flow)
    assert handle.poll(lambda: woken.append("old")) == 0
    assert handle.poll(lambda: woken.append("new")) == 0
    source.send.send_nowait("x")
    await trio.testing.wait_all_tasks_blocked()
    assert woken == ["new"]
    assert handle.poll(None) & select.POLLIN
    await handle.read(0, 10)
    assert handle.poll(lambda: woken.append("end")) == 0
    await source.send.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert woken == ["new", "end"]
    assert handle.poll(None) & (select.POLLIN | select.POLLHUP) == select.POLLIN | select.POLLHUP
    await handle.close()


async def test_a_read_that_may_not_wait_is_eagain() -> None:
    source = Source()
    handle = await opened(stream(source.generate), os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        await handle.read(0, 10)
    await handle.close()


# --- over FUSE, with real programs


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
        with trio.fail_after(3):
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
        with trio.fail_after(3):
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
