"""Answers for the interposed calls of one world, as its programs make them.

Rules:
- Each program hands the listener of its filter over before it is executed; what it forks has the same one.
- At most `Monitor.most` calls of a world have been received and not answered. The kernel keeps the others:
  who made them waits, can be killed, and takes none of this process's memory.
- Every call that was received is answered, whatever its handler does, unless the world ends: then nobody
  waits.
- A call that a killed thread made is answered to nobody; its handler runs to its end, or its time.
"""

from __future__ import annotations

import errno
import inspect
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress

import trio

from libos.interposing.answers import Answer, Continue, Give, checked
from libos.interposing.call import SystemCall
from libos.interposing.monitor import Monitor
from libos.keeper import hearing, refusals
from libos.kernel import notifications
from libos.programs import named
from libos.syscalls.telling import name

Observe = Callable[[str, Mapping[str, object]], None]
# Threads of this process that may look into one world's memory at once: one that waits for a page that never
# comes holds up its own world's calls alone.
_THREADS = 8
_HIGHEST_ERRNO = 4095


class Interposing:
    """One world's; without a monitor it does nothing. `observe` takes a kind of event and its fields."""

    def __init__(self, monitor: Monitor | None, observe: Observe) -> None:
        self._monitor = monitor or Monitor()
        self._observe = observe
        self._room = trio.Semaphore(self._monitor.most)
        self._threads = trio.CapacityLimiter(_THREADS)
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    @property
    def calls(self) -> frozenset[str]:
        """The names of the calls."""
        return self._monitor.calls

    async def run(self, offered: Callable[[], Awaitable[socket.socket]], hint: Callable[[], None]) -> None:
        """Take the listeners that are offered and serve them, until the world ends or `close` is called.

        `hint` is called when a program has begun to listen, where the filter notifies of that too.
        """
        self._hint = hint
        try:
            with self._scope:
                if self.calls:
                    await self._run(await offered())
        finally:
            self._ended.set()

    async def _run(self, intake: socket.socket) -> None:
        with intake:
            async with trio.open_nursery() as nursery:
                async for end in _offers(intake):
                    nursery.start_soon(self._take, end)

    async def close(self) -> None:
        """End what still runs: nothing is told after it."""
        self._scope.cancel()
        await self._ended.wait()

    async def _take(self, end: socket.socket) -> None:
        """Wait for a program to load its filter, and serve that; where it cannot be had the program, which
        waits, sees the end of the socket and does not start."""
        with end:
            await trio.lowlevel.wait_readable(end)
            try:
                listener_fd = refusals.take(end)
            except OSError as error:
                self._observe("error", {"operation": "interpose", "reason": error.strerror or str(error)})
                return
        if listener_fd is None:
            return
        try:
            async with trio.open_nursery() as nursery:
                await self._serve(listener_fd, nursery)
        finally:
            os.close(listener_fd)

    async def _serve(self, listener_fd: int, nursery: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener_fd)
            await self._room.acquire()
            waiting = notifications.is_waiting(listener_fd)
            heard = self._receive(listener_fd) if waiting else None
            if heard is None:
                self._room.release()
                if waiting is None:
                    return
            else:
                nursery.start_soon(self._answer, listener_fd, heard)

    def _receive(self, listener_fd: int) -> notifications.Notification | None:
        with suppress(OSError):  # ENOENT: who called was killed
            return notifications.receive(listener_fd)
        return None

    async def _answer(self, listener_fd: int, heard: notifications.Notification) -> None:
        try:
            call = name(heard.number)
            handler = self._monitor.handlers.get(call)
            if handler is None:
                await self._listen(listener_fd, heard)
                return
            process, program = named(heard.thread)
            asked = SystemCall(call, heard, listener_fd, process, program, self._threads)
            began = trio.current_time()
            answer, fault = await self._ask(handler, asked)
            told = self._send(listener_fd, heard.id, answer)
            self._tell(asked, told, fault, trio.current_time() - began)
        finally:
            self._room.release()

    async def _ask(
        self, handler: Callable[[SystemCall], object], asked: SystemCall
    ) -> tuple[Answer | OSError, str | None]:
        """What the handler answers, an errno as an OSError; and what is wrong with it, if anything."""
        failed = OSError(self._monitor.errno, os.strerror(self._monitor.errno))
        answer: object = None
        try:
            with trio.move_on_after(self._monitor.timeout) as scope:
                answer = handler(asked)
                if inspect.isawaitable(answer):
                    answer = await answer
            if scope.cancelled_caught:
                return failed, f"the handler took longer than {self._monitor.timeout:g} s"
            return checked(answer, looked=asked.looked), None
        except OSError as error:
            if error.errno is None or not 0 < error.errno <= _HIGHEST_ERRNO:
                return failed, f"{type(error).__name__}: {error}"
            return error, None
        except Exception as error:
            return failed, f"{type(error).__name__}: {error}"

    def _send(self, listener_fd: int, number: int, answer: Answer | OSError) -> dict[str, object]:
        """Answer, and give what is told of it."""
        try:
            match answer:
                case OSError():
                    assert answer.errno is not None
                    notifications.answer(listener_fd, number, answer.errno)
                    return {"answer": "error", "error": errno.errorcode.get(answer.errno, str(answer.errno))}
                case Continue():
                    notifications.let_continue(listener_fd, number)
                    return {"answer": "continue"}
                case Give():
                    return {"answer": "descriptor", "value": _give(listener_fd, number, answer)}
                case int():
                    notifications.answer_with(listener_fd, number, answer)
                    return {"answer": "value", "value": answer}
        except OSError as error:
            # Nobody waits any more; or the program may have no more descriptors, which is then its answer.
            if error.errno == errno.ENOENT or isinstance(answer, OSError):
                return {"answer": "gone"}
            return self._send(listener_fd, number, error)

    def _tell(self, asked: SystemCall, told: dict[str, object], fault: str | None, seconds: float) -> None:
        fields: dict[str, object] = {
            "call": asked.name,
            "arguments": [f"{each:#x}" for each in asked.arguments],
            "process": asked.process,
            "program": asked.program,
            **told,
            "seconds": round(seconds, 6),
        }
        self._observe("syscall.call", fields if fault is None else {**fields, "fault": fault})

    async def _listen(self, listener_fd: int, heard: notifications.Notification) -> None:
        """Do a program's listen(2), which no handler is for, and tell that it listens."""

        def work() -> int:
            try:
                return hearing.listen_for(own_fd, heard)
            finally:
                os.close(own_fd)

        own_fd = os.dup(listener_fd)
        with suppress(OSError):  # ENOENT: who called was killed
            try:
                error = await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
            except OSError:
                notifications.let_continue(listener_fd, heard.id)
            else:
                notifications.answer(listener_fd, heard.id, error)
        self._hint()


async def _offers(intake: socket.socket) -> AsyncIterator[socket.socket]:
    """The socket of each program that offers a listener, until the world ends."""
    while True:
        await trio.lowlevel.wait_readable(intake)
        said, fds, _, _ = socket.recv_fds(intake, 1, 1)
        if not said:
            return
        for fd in fds:
            yield socket.socket(fileno=fd)


def _give(listener_fd: int, number: int, answer: Give) -> int:
    try:
        return notifications.answer_descriptor(listener_fd, number, answer.fd, cloexec=answer.cloexec)
    finally:
        os.close(answer.fd)
