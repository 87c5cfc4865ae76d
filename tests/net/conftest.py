"""A world's network without a world: a namespace in a child process, whose sockets are sent up to the test.

The test plays the app too, on sockets of its own that were made inside: nothing here enters the namespace.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import trio

import libos.net
from libos.net.gate import Gate
from libos.net.names import Names

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(os.path.abspath(libos.net.__file__))


class Inside:
    """The child's end; `sockets` is the synchronous form, `open_sockets` what a gate is given."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def sockets(self, specs: Sequence[tuple[int, int, int]]) -> list[socket.socket]:
        self._control.send(json.dumps(list(specs)).encode())
        message, numbers, _, _ = socket.recv_fds(self._control, 100, 253)
        if message != b"ok":
            raise OSError(int(message), os.strerror(int(message)))
        return [socket.socket(fileno=number) for number in numbers]

    async def open_sockets(self, specs: Sequence[tuple[int, int, int]]) -> list[socket.socket]:
        await trio.lowlevel.checkpoint()
        return self.sockets(specs)

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
        with trio.fail_after(10):
            while True:
                for at, (seen, fields) in enumerate(self.seen):
                    if seen == kind:
                        del self.seen[at]
                        return fields
                await self._changed.wait()


@pytest.fixture(scope="session")
def inside() -> Iterator[Inside]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        command = [sys.executable, "-I", "-S", os.path.join(HERE, "inside.py"), PACKAGE, str(theirs.fileno())]
        child = subprocess.Popen(["unshare", "-Urn", *command], pass_fds=[theirs.fileno()])
        theirs.close()
        assert ours.recv(100) == b"ready", "the namespace could not be made"
        yield Inside(ours)
        ours.shutdown(socket.SHUT_RDWR)
        assert child.wait(10) == 0


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def gate(inside: Inside, events: Events, nursery: trio.Nursery) -> AsyncIterator[Gate]:
    gate = Gate("w", inside.open_sockets, Names("world"), events)
    await nursery.start(gate.run)
    yield gate
