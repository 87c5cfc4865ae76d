"""One request and its answer, carried in both directions at once.

Rules:
- Bodies pass block by block: a side that does not read stops the other.
- The answer may come before the request has ended (RFC 9112, section 9.3): then neither connection is used
  again, since what follows in it could be taken for a request.
- Nothing is sent of a block in which a placeholder ends.
- An app that has gone ends it, also while the outside says nothing: else an outside that never answers would
  take one connection of the world after another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import h11
import trio

from libos.net.http.connecting import OutsideError
from libos.net.http.heads import HostileError
from libos.net.http.messages import Headers, Refused, end_to_end, value_of
from libos.net.http.peer import Peer
from libos.net.http.secrets import Cover, PlaceholderError, Scanner


@dataclass
class Exchange:
    """What is to be done with one request. `judge` sees the answer's head, and gives the headers to pass on;
    `sent` is called once the request is on its way."""

    app: Peer
    outside: Peer
    judge: Callable[[h11.Response | h11.InformationalResponse, Headers], Awaitable[Headers]]
    sent: Callable[[], None]
    scanner: Scanner | None = None
    cover: Cover | None = None
    upgrade: bool = False
    begun: bool = False
    switched: bool = False

    async def run(self, head: h11.Request) -> None:
        """Carry it; afterwards the connections say whether they can have another.

        Raises HostileError, PlaceholderError, Refused and OutsideError; `begun` tells whether the app has
        been sent something of an answer by then. Raises trio.BrokenResourceError where the app has gone,
        OSError where its grant's limits are reached.
        """
        try:
            await self.outside.send(head)
        except trio.BrokenResourceError:
            raise OutsideError("the outside has closed the connection") from None
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._body_out, failures, nursery.cancel_scope)
            nursery.start_soon(self._gone, failures, nursery.cancel_scope)
            await self._answer(failures)
            nursery.cancel_scope.cancel()
        if failures:
            raise failures[0]

    async def _gone(self, failures: list[Exception], scope: trio.CancelScope) -> None:
        await self.app.reset()
        failures.append(trio.BrokenResourceError("the app has reset the connection"))
        scope.cancel()

    async def _body_out(self, failures: list[Exception], scope: trio.CancelScope) -> None:
        try:
            while (data := await self.app.data()) is not None:
                if self.scanner is not None:
                    self.scanner.take(data)
                try:
                    await self.outside.send(h11.Data(data))
                except trio.BrokenResourceError:
                    return  # an early answer may be on its way
            await self.outside.send(h11.EndOfMessage())
            self.sent()
        except (HostileError, PlaceholderError, OSError, trio.BrokenResourceError) as failure:
            if not (isinstance(failure, trio.BrokenResourceError) and self.begun):
                failures.append(failure)
                scope.cancel()

    async def _answer(self, failures: list[Exception]) -> None:
        try:
            while (head := await self._head()).status_code < 200:
                if await self._informed(head):
                    return
            await self._final(head)
        except (Refused, OutsideError, OSError, trio.BrokenResourceError) as failure:
            failures.append(failure)

    async def _head(self) -> h11.Response | h11.InformationalResponse:
        try:
            head = await self.outside.head()
        except HostileError as error:
            raise OutsideError(f"the answer is malformed: {error}") from None
        except trio.BrokenResourceError:
            head = None
        if head is None:
            raise OutsideError("the outside closed the connection without an answer")
        assert not isinstance(head, h11.Request)
        return head

    async def _informed(self, head: h11.Response | h11.InformationalResponse) -> bool:
        """Pass an interim answer on; True where it begins another protocol."""
        switches = head.status_code == 101
        if switches and not self.upgrade:
            raise OutsideError("the outside changes the protocol, which nobody asked for")
        if (self.app.connection.their_http_version or b"") < b"1.1":
            return False
        headers = end_to_end(list(head.headers), chunked=False, upgrade=switches)
        if switches:
            headers = await self.judge(head, headers)
        else:
            headers = self._covered(headers)
        await self.app.send(h11.InformationalResponse(status_code=head.status_code, headers=headers))
        self.begun = self.switched = switches
        return switches

    async def _final(self, head: h11.Response | h11.InformationalResponse) -> None:
        given = list(head.headers)
        coding = value_of(given, b"content-encoding")
        if self.cover is not None and coding is not None and coding.lower() != b"identity":
            raise OutsideError(
                "the answer is encoded, though no encoding was asked for: it cannot be looked at"
            )
        headers = await self.judge(head, self._covered(end_to_end(given, chunked=False, upgrade=False)))
        reason = bytes(head.reason) if self.cover is None else self.cover.whole(bytes(head.reason))
        self.begun = True
        answer = h11.Response(status_code=head.status_code, headers=headers, reason=reason)
        await self.app.send(answer)
        if self.app.connection.our_state is h11.SWITCHED_PROTOCOL:
            self.switched = True
            return
        while (data := await self._data()) is not None:
            if data := data if self.cover is None else self.cover.feed(data):
                await self.app.send(h11.Data(data))
        if self.cover is not None and (rest := self.cover.rest()):
            await self.app.send(h11.Data(rest))
        await self.app.send(h11.EndOfMessage())

    async def _data(self) -> bytes | None:
        try:
            return await self.outside.data()
        except (HostileError, trio.BrokenResourceError) as error:
            raise OutsideError(f"the answer broke off: {error}") from None

    def _covered(self, headers: Headers) -> Headers:
        if self.cover is None:
            return headers
        return [(self.cover.whole(name), self.cover.whole(value)) for name, value in headers]


async def other_protocol(app: Peer, outside: Peer, scanner: Scanner | None, cover: Cover | None) -> None:
    """Carry bytes both ways once both sides speak something else, until one has ended.

    Raises PlaceholderError, OSError, trio.BrokenResourceError.
    """
    failures: list[Exception] = []

    async def carry(source: Peer, sink: Peer, pass_on: Callable[[bytes], bytes]) -> None:
        try:
            data = source.left()
            while data or (data := bytes(await source.stream.receive_some(65536))):
                await sink.stream.send_all(pass_on(data))
                data = b""
        except (PlaceholderError, OSError, trio.BrokenResourceError) as failure:
            failures.append(failure)
        nursery.cancel_scope.cancel()

    def outward(data: bytes) -> bytes:
        if scanner is not None:
            scanner.take(data)
        return data

    async with trio.open_nursery() as nursery:
        nursery.start_soon(carry, app, outside, outward)
        nursery.start_soon(carry, outside, app, cover.feed if cover is not None else bytes)
    if cover is not None and not failures and (rest := cover.rest()):
        await app.stream.send_all(rest)
    if failures:
        raise failures[0]
