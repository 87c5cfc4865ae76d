"""Files that an async generator fills: read, waited for, polled, closed, by handles and by real programs."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from generators import Source, raising, three
from serving import opened

from libos.fs.node import Caller
from libos.fs.stream import Flow, stream


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
