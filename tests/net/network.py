"""A world's network without a world: a namespace in a child process, whose sockets are sent up to the test.

The test plays the app too, on sockets of its own that were made inside: nothing here enters the namespace.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import libos.net
from libos.net.gate import Gate
from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target
from libos.net.naming.names import Names
from libos.net.sockets import Observe

# For tests of what a world with a single network namespace does, or that look at requests for its sockets.
flat_only = pytest.mark.parametrize("inside", ["flat"], indirect=True)
routed_only = pytest.mark.parametrize("inside", ["routed"], indirect=True)

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(os.path.abspath(libos.net.__file__))


class Inside:
    """The child's end; `sockets` is the synchronous form, `open_sockets` what a gate is given, together with
    `gate_sockets`, which is None where the network is flat."""

    def __init__(self, control: socket.socket, *, routed: bool) -> None:
        self._control = control
        self.gate_sockets = self._open_gate_sockets if routed else None

    def sockets(self, specs: Sequence[tuple[int, int, int]], side: str = "app") -> list[socket.socket]:
        self._control.send(json.dumps([side, list(specs)]).encode())
        message, numbers, _, _ = socket.recv_fds(self._control, 100, 253)
        if message != b"ok":
            raise OSError(int(message), os.strerror(int(message)))
        made = [socket.socket(fileno=number) for number in numbers]
        for each in made:
            each.setblocking(True)
        return made

    async def open_sockets(self, specs: Sequence[tuple[int, int, int]]) -> list[socket.socket]:
        await trio.lowlevel.checkpoint()
        return self.sockets(specs)

    async def _open_gate_sockets(self, specs: Sequence[tuple[int, int, int]]) -> list[socket.socket]:
        await trio.lowlevel.checkpoint()
        return self.sockets(specs, "gate")

    def gate(self, observe: Observe, **options: Any) -> Gate:
        """A gate for this network; options are the gate's own."""
        names = Names("world")
        return Gate("w", self.open_sockets, names, observe, gate_sockets=self.gate_sockets, **options)

    def tcp(self, family: int = socket.AF_INET) -> trio.socket.SocketType:
        return trio.socket.from_stdlib_socket(self.sockets([(family, socket.SOCK_STREAM, 0)])[0])

    def udp(self, family: int = socket.AF_INET) -> trio.socket.SocketType:
        return trio.socket.from_stdlib_socket(self.sockets([(family, socket.SOCK_DGRAM, 0)])[0])


class Events:
    """Records events, and waits for the first one of a kind that a test has not taken yet."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, object]]] = []
        self._changed = trio.Event()

    def __call__(self, kind: str, fields: dict[str, object]) -> None:
        json.dumps(fields)
        self.seen.append((kind, fields))
        self._changed.set()
        self._changed = trio.Event()

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.seen]

    async def take(self, kind: str) -> dict[str, object]:
        with trio.fail_after(20):
            while True:
                for at, (seen, fields) in enumerate(self.seen):
                    if seen == kind:
                        del self.seen[at]
                        return fields
                await self._changed.wait()


async def serve(
    nursery: trio.Nursery, handler: Callable[[trio.SocketStream], Awaitable[None]], host: str = "127.0.0.1"
) -> int:
    """A TCP service on the host's loopback, until the nursery ends; gives its port."""
    listeners = await trio.open_tcp_listeners(0, host=host)
    nursery.start_soon(trio.serve_listeners, handler, listeners)
    port: int = listeners[0].socket.getsockname()[1]
    return port


def private(to: str) -> Rule:
    """A grant whose names may lead to the loopback."""
    return Rule(parse_target(to), private=True)


async def echo(stream: trio.SocketStream) -> None:
    """Send back what comes, and end when the peer has ended."""
    try:
        async for data in stream:
            await stream.send_all(data)
        await stream.send_eof()
    except trio.BrokenResourceError:
        pass


async def everything(connection: trio.socket.SocketType) -> bytes:
    """All that a peer sends until its end of file."""
    data = bytearray()
    while part := await connection.recv(65536):
        data += part
    return bytes(data)


def closed_port() -> int:
    """A port of the host's loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def descriptors() -> dict[str, str]:
    """What this process has open, as the kernel names it."""
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            pass  # the listing's own
    return found


@asynccontextmanager
async def nothing_left_open() -> AsyncIterator[None]:
    """Whoever is in here closes all that it opens; threads and services may take a moment to do so."""
    before = set(descriptors().values())
    yield
    with trio.move_on_after(5, shield=True):
        while set(descriptors().values()) - before:  # noqa: ASYNC110 - a thread closes it, and tells nobody
            await trio.sleep(0.005)
    left = set(descriptors().values()) - before
    assert not left, f"left open: {left}"


class Resolver(trio.abc.HostnameResolver):
    """The host's resolver without a network: names below `.example` are the loopback, those in `names` have
    these addresses, others are unknown."""

    def __init__(self, names: dict[str, list[str]] | None = None) -> None:
        self.names = names or {}
        self.asked: list[str] = []

    async def getaddrinfo(self, host, port, *hints):  # type: ignore[no-untyped-def]
        await trio.lowlevel.checkpoint()
        self.asked.append(host.decode())
        addresses = self.names.get(host.decode())
        if addresses is None and host.endswith(b".example"):
            addresses = ["127.0.0.1"]
        if addresses:
            return [each for at in addresses for each in socket.getaddrinfo(at, port, *hints)]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, sockaddr, flags):  # type: ignore[no-untyped-def]
        raise NotImplementedError
