"""The supervisor's side of a channel to a helper process: requests with answers, and news.

One task reads (`run`); any task may `request`. A message with a request number answers that request, any
other is news and goes to the callback. Descriptors in an answer belong to who asked, those in news to the
callback. When the other side closes, every waiting request raises `SupervisorError`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from itertools import count

import outcome
import trio

from libos.errors import SupervisorError
from libos.keeper import channel

Answer = tuple[channel.Message, list[int]]


class Messages:
    """A channel end. `who` is the other side, for errors."""

    def __init__(
        self, end: socket.socket, who: str, news: Callable[[channel.Message, list[int]], None]
    ) -> None:
        end.setblocking(False)
        self._end = end
        self._who = who
        self._news = news
        self._numbers = count(1)
        self._waiting: dict[int, trio.Event] = {}
        self._answers: dict[int, outcome.Outcome[Answer]] = {}
        self._turn = trio.Lock()
        self._closed = False

    async def run(self) -> None:
        """Read until the other side closes. Raises OSError or ValueError where it sends garbage."""
        try:
            while (received := await self._receive()) is not None:
                message, fds = received
                number = message.get("request")
                if number is None:
                    self._news(message, fds)
                else:
                    self._settle(number, message, fds)
        finally:
            self._fail_all()

    async def _receive(self) -> Answer | None:
        while True:
            try:
                return channel.receive(self._end)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._end)
            except ConnectionResetError:
                continue  # it closed with something of ours unread; what it said before is still to be read

    def _settle(self, number: int, message: channel.Message, fds: list[int]) -> None:
        if number not in self._waiting:  # who asked was cancelled
            close_all(fds)
            return
        if message["event"] == "error":
            close_all(fds)
            self._answers[number] = outcome.Error(OSError(message["errno"], message["message"]))
        else:
            self._answers[number] = outcome.Value((message, fds))
        self._waiting.pop(number).set()

    def _fail_all(self) -> None:
        self._closed = True
        for number, event in self._waiting.items():
            self._answers[number] = outcome.Error(SupervisorError(f"the {self._who} ended"))
            event.set()
        self._waiting.clear()

    async def send(self, message: channel.Message, fds: Sequence[int] = ()) -> None:
        """Send one message that has no answer; the descriptors stay the caller's. Raises SupervisorError."""
        async with self._turn:
            while True:
                if self._closed:
                    raise SupervisorError(f"the {self._who} ended")
                try:
                    channel.send(self._end, message, fds)
                    return
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._end)
                except (BrokenPipeError, ConnectionResetError):
                    raise SupervisorError(f"the {self._who} ended") from None

    async def request(self, message: channel.Message, fds: Sequence[int] = ()) -> Answer:
        """Send a request and wait for its answer. Raises OSError (as the helper met it), SupervisorError."""
        if self._closed:
            raise SupervisorError(f"the {self._who} ended")
        number = next(self._numbers)
        settled = self._waiting[number] = trio.Event()
        try:
            await self.send(message | {"request": number}, fds)
            await settled.wait()
        finally:
            self._waiting.pop(number, None)
            answer = self._answers.pop(number, None)
        assert answer is not None
        return answer.unwrap()

    @property
    def closed(self) -> bool:
        """Whether the other side has closed, and all that it said is read."""
        return self._closed

    def close(self) -> None:
        """Close our end; the other side sees the end of the channel. Close only after `run` has ended."""
        self._closed = True
        self._end.close()


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that nobody wants."""
    for fd in fds:
        os.close(fd)
