"""Carrying a terminal: keys to the app's pty, what the app writes back, sizes, stops, signals.

Rules:
- Keys go through unread: Ctrl-C, Ctrl-Z and Ctrl-\\ become signals in the app's own pty, where its modes
  decide.
- When the app's process stops (Ctrl-Z), the caller's terminal is restored first, then libos's process group
  stops as any job would; `fg` makes the terminal raw again and continues the app, `bg` continues it without
  the terminal.
- In the background nothing is read and no mode is set. The shell may bring a running job back without a
  signal, so the foreground is looked at each `_BACKGROUND_SECONDS`.
- After the app's end its last output is carried before `carry` returns.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import trio

from libos.cli.signals import FORWARDED
from libos.cli.terminal import CallerTerminal, by_default, set_size

# Bytes carried at a time: what a pty holds, several times over.
_CHUNK = 64 * 1024
# Ctrl-D, which a terminal that is not raw gives as a read of nothing.
_END_OF_FILE = b"\x04"
# Seconds between two looks whether the shell gave the terminal back.
_BACKGROUND_SECONDS = 0.2
# Seconds that output left in the pty after the app's end may take; a terminal may be stopped with Ctrl-S.
_DRAIN_SECONDS = 1.0


class Job(Protocol):
    """A process on a pty, wherever it runs."""

    async def send_signal(self, number: int) -> None:
        """Send a signal to its process group."""
        ...

    def stops(self) -> AsyncIterator[None]:
        """Give an item each time its main process stops."""
        ...


async def carry(
    terminal: CallerTerminal, out_fd: int, master_fd: int, job: Job, ended: Callable[[], Awaitable[object]]
) -> None:
    """Carry the terminal until `ended()` returns; the terminal is then as it was found.

    `out_fd` is where the app's output goes: the terminal's descriptor, or another non-blocking one. Both
    descriptors stay the caller's.
    """
    os.set_blocking(master_fd, False)
    try:
        with trio.open_signal_receiver(
            *FORWARDED, signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP
        ) as signals:
            async with trio.open_nursery() as nursery:
                relay = _Relay(terminal, out_fd, master_fd, job, nursery)
                relay.take_terminal()
                nursery.start_soon(relay.carry_keys)
                nursery.start_soon(relay.obey_signals, signals)
                nursery.start_soon(relay.follow_stops)
                nursery.start_soon(relay.carry_output)
                await ended()
                with trio.move_on_after(_DRAIN_SECONDS):
                    await relay.drained.wait()
                nursery.cancel_scope.cancel()
    finally:
        terminal.restore()


class _Relay:
    def __init__(
        self, terminal: CallerTerminal, out_fd: int, master_fd: int, job: Job, nursery: trio.Nursery
    ) -> None:
        self._terminal = terminal
        self._out_fd = out_fd
        self._master_fd = master_fd
        self._job = job
        self._nursery = nursery
        self.drained = trio.Event()

    def take_terminal(self) -> None:
        """Make the terminal raw and the app's pty as large, now or when libos comes to the foreground."""
        if self._terminal.in_foreground():
            self._terminal.enter_raw()
            set_size(self._master_fd, self._terminal.size())
        else:
            self._nursery.start_soon(self._wait_for_foreground)

    async def _wait_for_foreground(self) -> None:
        # No event tells of it.
        while not self._terminal.in_foreground():  # noqa: ASYNC110
            await trio.sleep(_BACKGROUND_SECONDS)
        self.take_terminal()

    async def carry_keys(self) -> None:
        """Carry what is typed, while libos is in the foreground."""
        while keys := await self._read_keys():
            if not await _write(self._master_fd, keys):
                return
        # The terminal is gone, as a line that hangs up.
        await self._job.send_signal(signal.SIGHUP)

    async def _read_keys(self) -> bytes:
        while True:
            await trio.lowlevel.wait_readable(self._terminal.fd)
            if not self._terminal.in_foreground():
                await self._wait_for_foreground()
                continue
            if not self._terminal.is_raw:
                self.take_terminal()  # the shell gave it back, and the first key came before the next look
            try:
                keys = os.read(self._terminal.fd, _CHUNK)
            except BlockingIOError:
                continue
            except OSError:
                return b""
            if keys or self._terminal.is_gone():
                return keys
            return _END_OF_FILE  # typed before the terminal was raw

    async def carry_output(self) -> None:
        """Carry what the app writes, until nobody holds the pty's other side."""
        while data := await _read(self._master_fd):
            if not await _write(self._out_fd, data):
                break
            await trio.lowlevel.checkpoint()  # an app that never pauses must not keep the loop to itself
        self.drained.set()

    async def follow_stops(self) -> None:
        """Stop with the app."""
        async for _ in self._job.stops():
            await self._suspend()

    async def obey_signals(self, signals: AsyncIterator[int]) -> None:
        """Act on what is sent to libos itself."""
        async for number in signals:
            if number == signal.SIGWINCH:
                set_size(self._master_fd, self._terminal.size())
            elif number == signal.SIGCONT:
                await self._resume()
            elif number == signal.SIGTSTP:
                # From another process, for a raw terminal sends none: the app need not agree to it.
                await self._job.send_signal(signal.SIGSTOP)
            else:
                await self._job.send_signal(number)

    async def _suspend(self) -> None:
        """Stop this process and its group, as the terminal would have; returns when it was continued.

        Where stopping is impossible (nobody could continue us: an orphaned group, setpgid(2)) it returns at
        once.
        """
        self._terminal.restore()
        with by_default(signal.SIGTSTP):
            os.kill(0, signal.SIGTSTP)
        await self._resume()

    async def _resume(self) -> None:
        self.take_terminal()
        await self._job.send_signal(signal.SIGCONT)


async def _read(fd: int) -> bytes:
    """Give the next bytes, or none at the end; a pty whose other side is closed ends with EIO."""
    while True:
        try:
            return os.read(fd, _CHUNK)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(fd)
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise


async def _write(fd: int, data: bytes) -> bool:
    """Write all of it; False when the other side is gone."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(fd)
        except OSError as error:
            if error.errno in (errno.EIO, errno.EPIPE):
                return False
            raise
    return True
