"""The supervisor's side of a channel to a helper process: requests with answers, and news.

One task reads (`run`); any task may `request`. A message with a request number answers that request, any
other is news and goes to the callback. Descriptors in an answer belong to who asked, those in news to the
callback, which takes none of them where it raises. When the other side closes, every waiting request raises
`SupervisorError`. What it says is not believed: garbage ends the channel, and its descriptors are closed.
Where this process could not take the descriptors of a message, an "error" stands in its place.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress

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
        self._asked = 0
        # Who waits, and for how many descriptors of which kind.
        self._waiting: dict[int, tuple[trio.Event, int, int | None]] = {}
        self._answers: dict[int, outcome.Outcome[Answer]] = {}
        self._turn = trio.Lock()
        self._closed = False

    async def run(self) -> None:
        """Read until the other side closes. Raises SupervisorError where it sends garbage."""
        try:
            while (received := await self._receive()) is not None:
                self._take(*received)
        finally:
            self._fail_all()

    def _take(self, message: channel.Message, fds: list[int]) -> None:
        try:
            number = message.get("request")
            if number is None:
                self._news(message, fds)
            else:
                self._settle(number, message, fds)
        except (ValueError, LookupError, TypeError, OSError) as error:
            close_all(fds)
            raise self._garbage(error) from None

    def _garbage(self, error: Exception) -> SupervisorError:
        return SupervisorError(f"the {self._who} sent garbage: {type(error).__name__}: {error}")

    async def _receive(self) -> Answer | None:
        while True:
            try:
                return channel.receive(self._end)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._end)
            except channel.LostDescriptorsError as lost:
                lost_by = {key: lost.message[key] for key in ("request", "world") if key in lost.message}
                return lost_by | {"event": "error", "errno": lost.errno, "message": lost.strerror}, []
            except (ValueError, OSError) as error:
                raise self._garbage(error) from None

    def _settle(self, number: int, message: channel.Message, fds: list[int]) -> None:
        if not 0 < number <= self._asked:
            raise ValueError(f"an answer to a request {number!r} that was never made")
        if number not in self._waiting:  # who asked was cancelled
            close_all(fds)
            return
        settled, wanted, kind = self._waiting[number]
        if message["event"] == "error":
            answer: outcome.Outcome[Answer] = outcome.Error(helper_error(message))
            wanted = 0
        else:
            answer = outcome.Value((message, fds))
        if len(fds) != wanted:
            raise ValueError(f"{len(fds)} descriptors came where {wanted} were asked for")
        if kind is not None:
            check_kind(fds, kind)
        del self._waiting[number]
        self._answers[number] = answer
        settled.set()

    def _fail_all(self) -> None:
        self._closed = True
        for number, (settled, _, _) in self._waiting.items():
            self._answers[number] = outcome.Error(SupervisorError(f"the {self._who} ended"))
            settled.set()
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

    async def request(
        self, message: channel.Message, fds: Sequence[int] = (), *, wanted: int = 0, kind: int | None = None
    ) -> Answer:
        """Send a request and wait for its answer, which has as many descriptors as are wanted, of one kind
        (stat.S_IFSOCK …) where that is said. Raises OSError (as the helper met it), SupervisorError."""
        if self._closed:
            raise SupervisorError(f"the {self._who} ended")
        self._asked += 1
        number = self._asked
        settled = trio.Event()
        self._waiting[number] = settled, wanted, kind
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

    def hang_up(self) -> None:
        """Have both sides see the end of the channel, while `run` still reads."""
        with suppress(OSError):  # it has ended already
            self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close our end; the other side sees the end of the channel. Close only after `run` has ended."""
        self._closed = True
        self._end.close()


def helper_error(message: channel.Message) -> OSError:
    """What went wrong in a helper process, from its words. Raises ValueError where these are none."""
    number, text = message["errno"], message["message"]
    if not isinstance(number, int) or not isinstance(text, str):
        raise ValueError("an error has a number and a text")
    return OSError(number, text)


def check_kind(fds: Sequence[int], kind: int) -> None:
    """Check that descriptors are of a kind: stat.S_IFSOCK, S_IFIFO … Raises ValueError. inode(7)"""
    if any(stat.S_IFMT(os.fstat(fd).st_mode) != kind for fd in fds):
        raise ValueError("a descriptor of another kind than was asked for")


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that nobody wants."""
    for fd in fds:
        os.close(fd)
