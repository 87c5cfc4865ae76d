"""The caller's terminal is as it was found on every way out; the job is a stand-in."""

from __future__ import annotations

import os
import pty
import signal
import termios
from collections.abc import AsyncIterator, Iterator

import pytest
import trio
import trio.testing

from libos.cli.relay import carry
from libos.cli.terminal import CallerTerminal, is_terminal, same_terminal, set_size, terminal_size


class _Job:
    """Nothing stops it; it remembers its signals."""

    def __init__(self) -> None:
        self.signals: list[int] = []
        self._came, self._arrivals = trio.open_memory_channel[int](8)

    async def send_signal(self, number: int) -> None:
        self.signals.append(number)
        await self._came.send(number)

    async def wait_for(self, count: int) -> None:
        """Return when so many more signals have come."""
        for _ in range(count):
            await self._arrivals.receive()

    async def stops(self) -> AsyncIterator[None]:
        await trio.sleep_forever()
        yield


class _Pty:
    def __init__(self) -> None:
        self.master_fd, self.slave_fd = pty.openpty()

    def modes(self) -> list[object]:
        return list(termios.tcgetattr(self.slave_fd))

    def close(self) -> None:
        os.close(self.master_fd)
        os.close(self.slave_fd)


@pytest.fixture
def outer() -> Iterator[_Pty]:
    made = _Pty()
    yield made
    made.close()


@pytest.fixture
def inner() -> Iterator[_Pty]:
    made = _Pty()
    yield made
    made.close()


def test_raw_and_back(outer: _Pty) -> None:
    before = outer.modes()
    with CallerTerminal(outer.slave_fd) as terminal:
        assert outer.modes() == before
        terminal.enter_raw()
        assert outer.modes() != before
        terminal.enter_raw()
        terminal.restore()
        assert outer.modes() == before
        terminal.enter_raw()
    assert outer.modes() == before


def test_the_callers_description_stays_blocking(outer: _Pty) -> None:
    with CallerTerminal(outer.slave_fd):
        assert os.get_blocking(outer.slave_fd)


def test_what_is_no_terminal_is_refused() -> None:
    read_fd, write_fd = os.pipe()
    try:
        with pytest.raises(termios.error):
            CallerTerminal(read_fd)
        assert not is_terminal(read_fd)
        assert not same_terminal(read_fd, read_fd)
    finally:
        os.close(read_fd)
        os.close(write_fd)
    assert not is_terminal(read_fd)


def test_sizes(outer: _Pty, inner: _Pty) -> None:
    assert terminal_size(outer.slave_fd) == (24, 80)  # a new pty has none
    set_size(outer.master_fd, (50, 120))
    assert terminal_size(outer.slave_fd) == (50, 120)
    assert not same_terminal(outer.slave_fd, inner.slave_fd)
    assert same_terminal(outer.slave_fd, outer.slave_fd)


async def _carry(outer: _Pty, inner: _Pty, job: _Job, ended: trio.Event) -> None:
    with CallerTerminal(outer.slave_fd) as terminal:
        await carry(terminal, terminal.fd, inner.master_fd, job, ended.wait)


async def _read(fd: int, wanted: bytes) -> None:
    data = b""
    while wanted not in data:
        await trio.lowlevel.wait_readable(fd)
        data += os.read(fd, 4096)


async def test_keys_output_and_size_pass(outer: _Pty, inner: _Pty) -> None:
    before, ended = outer.modes(), trio.Event()
    set_size(outer.master_fd, (50, 120))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_carry, outer, inner, _Job(), ended)
        os.write(outer.master_fd, b"key\r")
        await _read(inner.slave_fd, b"key\n")
        os.write(inner.slave_fd, b"answer\n")
        await _read(outer.master_fd, b"answer\r\n")
        assert terminal_size(inner.slave_fd) == (50, 120)
        ended.set()
    assert outer.modes() == before


async def test_an_exception_restores_the_terminal(outer: _Pty, inner: _Pty) -> None:
    before = outer.modes()

    async def fail() -> None:
        await trio.testing.wait_all_tasks_blocked()
        assert outer.modes() != before
        raise OSError("the world is lost")

    with CallerTerminal(outer.slave_fd) as terminal, pytest.RaisesGroup(OSError):
        await carry(terminal, terminal.fd, inner.master_fd, _Job(), fail)
    assert outer.modes() == before


async def test_cancelling_restores_the_terminal(outer: _Pty, inner: _Pty) -> None:
    before = outer.modes()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_carry, outer, inner, _Job(), trio.Event())
            await trio.testing.wait_all_tasks_blocked()
            assert outer.modes() != before
            scope.cancel()
    assert outer.modes() == before


async def test_a_terminal_that_hangs_up_is_a_hangup_for_the_app(inner: _Pty) -> None:
    outer, job, ended = _Pty(), _Job(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_carry, outer, inner, job, ended)
        await trio.testing.wait_all_tasks_blocked()
        os.close(outer.master_fd)
        await job.wait_for(1)
        ended.set()
    os.close(outer.slave_fd)
    assert job.signals == [signal.SIGHUP]


async def test_signals_from_elsewhere_reach_the_app(outer: _Pty, inner: _Pty) -> None:
    job, ended = _Job(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_carry, outer, inner, job, ended)
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        await job.wait_for(2)
        ended.set()
    assert sorted(job.signals) == [signal.SIGINT, signal.SIGTERM]
