"""An app's connection by a grant with HTTP rules, without a world: `Scene` plays the app and the outside.

The outside's certificates are signed by an authority of its own, which the grant names as its `ca`.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio
from network import Events

from libos.net.address import Address
from libos.net.carried import Carried
from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target, target_of
from libos.net.http.authority import Authority
from libos.net.http.rules import Http, HttpRule
from libos.net.http.secrets import Secret, Secrets
from libos.net.http.web import Web
from libos.net.outbound.outside import connect_socket

HOST = "api.example"
VALUE = b"s3cret-value/of+the=caller"

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


def secret(header: bytes = b"authorization", to: str = f"tcp!{HOST}!443") -> Secret:
    return Secret("TOKEN", VALUE, header, (parse_target(to),))


class Outside:
    """A server on the loopback. `heard` is all that it was sent; `answer` is what each connection gets once
    a head has come, if no handler says otherwise."""

    def __init__(self, authority: Authority | None, answer: bytes, name: str = HOST) -> None:
        self.heard = bytearray()
        self.connections = 0
        self.answer = answer
        self.handler: Handler | None = None
        self._context = None if authority is None else authority.context(name)
        self.port = 0

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, plain: trio.SocketStream) -> None:
        self.connections += 1
        stream: trio.abc.Stream = plain
        if self._context is not None:
            stream = trio.SSLStream(plain, self._context, server_side=True, https_compatible=True)
        try:
            await (self.handler or self._answer)(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _answer(self, stream: trio.abc.Stream) -> None:
        while True:
            before = len(self.heard)
            while b"\r\n\r\n" not in self.heard[before:]:
                data = await stream.receive_some(65536)
                if not data:
                    return
                self.heard += data
            await stream.send_all(self.answer)


class Scene:
    """A grant of `api.example`, port 443 or 80, and what happens by it."""

    def __init__(self, web: Web, events: Events, outside: Outside, http: Http, address: Address) -> None:
        self.web = web
        self.events = events
        self.outside = outside
        self.rule = Rule(target_of(address), http=http)
        self.address = address
        self.carried = Carried()
        self.nursery: trio.Nursery
        self._apps: list[trio.SocketStream] = []

    async def connect(self) -> trio.SocketStream:
        """A plain connection of the app; closed with the scene at last."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = await trio.open_tcp_stream(*listener.getsockname())
            inside, _ = listener.accept()
        self._apps.append(ours)
        inside.setblocking(False)

        async def reach() -> socket.socket:
            made = socket.socket()
            try:
                await connect_socket(made, "127.0.0.1", self.outside.port, 10)
            except BaseException:
                made.close()
                raise
            return made

        async def carry() -> None:
            fields: dict[str, object] = {"address": str(self.address), "grant": "d1", "connection": 1}
            try:
                await self.web.serve(inside, self.address, self.rule, reach, self.carried, fields)
            except OSError as error:
                self.events("broken", {"error": str(error)})

        self.nursery.start_soon(carry)
        return ours

    async def exchange(self, request: bytes) -> bytes:
        """Send bytes and give all that comes back until the end; a reset ends it too."""
        async with await self.connect() as stream:
            return await exchange(stream, request)

    def close(self) -> None:
        """Close what the app has left open."""
        for app in self._apps:
            app.socket.close()

    def kinds(self) -> list[str]:
        return self.events.kinds()


async def exchange(stream: trio.abc.Stream, request: bytes, *, eof: bool = False) -> bytes:
    """Send all, and an end of file where asked; read to the end or a reset."""
    got = bytearray()
    with trio.fail_after(20):
        try:
            await stream.send_all(request)
            if eof and isinstance(stream, trio.abc.HalfCloseableStream):
                await stream.send_eof()
            while data := await stream.receive_some(65536):
                got += data
        except trio.BrokenResourceError:
            pass
    return bytes(got)


@asynccontextmanager
async def scene(
    rules: tuple[HttpRule, ...] | None = (HttpRule(("GET", "POST", "PUT"), "/v1/**"),),
    *,
    port: int = 80,
    secrets: tuple[Secret, ...] = (),
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    http: Http | None = None,
    certificate_for: str = HOST,
    ca: Path | None = None,
) -> AsyncIterator[Scene]:
    """A scene; with port 443 both sides speak TLS, and `ca` is a file to write the outside's authority to."""
    events = Events()
    authority = Authority("outside") if port != 80 else None
    if authority is not None and ca is not None:
        await trio.Path(ca).write_text(authority.pem)
    grant = replace(http or Http(), rules=rules, ca=None if ca is None else str(ca))
    outside = Outside(authority, answer, certificate_for)
    web = Web("w", events, Secrets(secrets))
    made = Scene(web, events, outside, grant, Address("tcp", HOST, port))
    async with trio.open_nursery() as nursery:
        made.nursery = nursery
        await nursery.start(outside.run)
        yield made
        made.close()
        nursery.cancel_scope.cancel()
