"""One side of an exchange: a stream that speaks HTTP/1.1, with h11 for its grammar.

Rules:
- A head is judged as bytes before it is parsed (`libos.net.http.heads`), and then parsed by h11.
- At most one block is held for a side: nothing is read before what was read has been taken on.
- A side that breaks off, or breaks the grammar, raises HostileError; `ended` tells an end between messages.
"""

from __future__ import annotations

import select
from collections.abc import Callable

import h11
import trio

from libos.net.http.heads import END, MOST_BYTES, HostileError

# Bytes read at once: what a socket's buffer holds when a peer has sent on.
_BLOCK = 64 * 1024

Head = h11.Request | h11.InformationalResponse | h11.Response


class Peer:
    """The app's side (`role` is SERVER: we answer) or the outside's (CLIENT); `socket` is below `stream`."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        socket: trio.socket.SocketType,
        role: type[h11.CLIENT] | type[h11.SERVER],
        check: Callable[[bytes], None],
    ) -> None:
        self.stream = stream
        self._socket = socket
        self._check = check
        self.connection = h11.Connection(role, max_incomplete_event_size=MOST_BYTES)

    async def head(self) -> Head | None:
        """The next head; None where the side has ended before one began. Raises HostileError."""
        while True:
            waiting, ended = self.connection.trailing_data
            end = waiting.find(END)
            if end >= 0 and end <= MOST_BYTES:
                break
            if len(waiting) > MOST_BYTES:
                raise HostileError(f"the headers have more than {MOST_BYTES >> 10} KiB", 431)
            if ended and waiting:
                raise HostileError("it ended in the middle of the headers")
            if ended:
                return None
            await self._receive()
        self._check(bytes(waiting[:end]))
        event = self._next()
        if not isinstance(event, (h11.Request, h11.InformationalResponse, h11.Response)):
            raise HostileError("it was not its turn to send")
        return event

    async def data(self) -> bytes | None:
        """The next part of a body; None at its end. Raises HostileError."""
        while True:
            event = self._next()
            if event is h11.NEED_DATA:
                await self._receive()
            elif isinstance(event, h11.Data):
                return bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return None  # trailers are dropped: RFC 9110, section 6.5.1
            else:
                raise HostileError("it ended in the middle of a body")

    async def send(self, event: h11.Event) -> None:
        """Send a part of a message. Raises trio.BrokenResourceError where the side has gone."""
        data = self.connection.send(event)
        if data:
            await self.stream.send_all(data)

    def left(self) -> bytes:
        """What came after the last message, once another protocol follows."""
        return bytes(self.connection.trailing_data[0])

    def next_cycle(self) -> bool:
        """Make ready for the next message; False where the connection cannot have one."""
        if self.connection.our_state is h11.DONE and self.connection.their_state is h11.DONE:
            self.connection.start_next_cycle()
            return True
        return False

    async def reset(self) -> None:
        """Return when the connection has been reset. Whoever ends his side after a request may wait for the
        answer, so an end of file alone does not count; one who has closed is found out by tcp(7)'s probes."""
        with select.epoll() as waiting:
            waiting.register(self._socket.fileno(), 0)  # EPOLLHUP and EPOLLERR are always told
            await trio.lowlevel.wait_readable(waiting.fileno())

    def quiet(self) -> bool:
        """Whether nothing has come since: an end, or what nobody asked for."""
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN | select.POLLRDHUP)
        return not poll.poll(0) and not self.left()

    async def end_writing(self) -> None:
        """Tell the side that nothing more comes, by a half-close. Over TLS there is no alert before it."""
        if isinstance(self.stream, trio.abc.HalfCloseableStream):
            await self.stream.send_eof()
        else:
            self._socket.shutdown(trio.socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection at once. May be called again."""
        self._socket.close()

    async def _receive(self) -> None:
        self.connection.receive_data(bytes(await self.stream.receive_some(_BLOCK)))

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self.connection.next_event()
        except h11.RemoteProtocolError as error:
            raise HostileError(str(error), error.error_status_hint) from None
