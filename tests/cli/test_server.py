"""The control server towards clients without manners; the app is a stand-in (test_control.py has real
ones)."""

from __future__ import annotations

import array
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from libos.app import App
from libos.control import clients, server
from libos.control.channel import Channel
from libos.control.folder import open_folder
from libos.control.wire import MAX_LINE, encode
from libos.namespace import HostSource, Mount


class _StandIn:
    name = "w"
    pid = 4711
    plan = SimpleNamespace(environment={}, directory="/work")
    grants = SimpleNamespace(mounts=lambda: (Mount("/usr", HostSource("/usr")),))

    def __init__(self) -> None:
        self.signals: list[int] = []

    async def send_signal(self, number: int) -> None:
        self.signals.append(number)

    async def exec(self, command: list[str], **_: object) -> None:
        raise AssertionError(f"{command} must not be started")

    async def kill(self) -> None:
        self.signals.append(signal.SIGKILL)


class _Served:
    def __init__(self, app: _StandIn, path: Path) -> None:
        self.app = app
        self.path = path

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(str(self.path))
        return sock

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        with Channel(self.connect()) as channel:
            await channel.send(message)
            received = await channel.receive()
            assert received is not None
            return received[0]

    async def still_answers(self) -> bool:
        return bool((await self.ask({"request": "status"}))["name"] == "w")


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[_Served]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with _serving() as found:
        yield found


@asynccontextmanager
async def _serving() -> AsyncIterator[_Served]:
    app = _StandIn()
    with open_folder() as folder, folder.listen("w") as listener:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, cast(App, app), listener, {"command": ["x"]})
            yield _Served(app, folder.socket_path("w"))
            nursery.cancel_scope.cancel()


async def _read_all(sock: socket.socket) -> bytes:
    """Read to the end, while the server runs in this thread."""
    sock.setblocking(False)
    reading, data = trio.socket.from_stdlib_socket(sock), b""
    with reading:
        while True:
            try:
                part = await reading.recv(65536)
            except ConnectionResetError:
                return data
            if not part:
                return data
            data += part


async def test_status_says_who_runs_what(served: _Served) -> None:
    answer = await served.ask({"request": "status"})
    assert answer["name"] == "w"
    assert answer["pid"] == 4711
    assert answer["supervisor"] == os.getpid()
    assert answer["command"] == ["x"]


async def test_signals_reach_the_app(served: _Served) -> None:
    assert (await served.ask({"request": "signal", "number": 10}))["answer"] == "done"
    assert (await served.ask({"request": "kill"}))["answer"] == "done"
    assert served.app.signals == [signal.SIGUSR1, signal.SIGKILL]


async def test_the_namespace_is_text(served: _Served) -> None:
    assert (await served.ask({"request": "namespace"}))["text"] == ("bind '#host/usr' /usr\ncd /work\n")


@pytest.mark.parametrize(
    "message",
    [
        {"request": "dance"},
        {},
        {"request": "signal", "number": 4000},
        {"request": "signal", "number": "TERM"},
        {"request": "signal", "number": None},
        {"request": "exec"},
        {"request": "exec", "command": "sh"},
        {"request": "exec", "command": []},
        {"request": "exec", "command": ["sh"]},
        {"request": "exec", "command": ["sh"], "environment": {"A": 1}},
        {"request": "exec", "command": ["sh"], "environment": ["A"]},
        {"request": "exec", "command": ["sh"], "directory": 3},
        {"request": "exec", "command": ["sh"], "terminal": [1]},
        {"request": "exec", "command": ["sh"], "terminal": [-1, 99999999]},
    ],
)
async def test_what_means_nothing_is_an_error_and_no_harm(served: _Served, message: dict[str, Any]) -> None:
    answer = await served.ask(message)
    assert answer["answer"] == "error"
    assert answer["text"]
    assert await served.still_answers()


@pytest.mark.parametrize("garbage", [b"\n", b"\0\xff\n", b"GET / HTTP/1.1\r\n\r\n", b"[" * 50_000 + b"\n"])
async def test_garbage_ends_its_own_conversation_alone(served: _Served, garbage: bytes) -> None:
    with served.connect() as sock:
        sock.sendall(garbage)
        await _read_all(sock)
    assert await served.still_answers()


async def test_half_a_line_keeps_nobody_waiting(served: _Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "REQUEST_SECONDS", 0.05)
    with served.connect() as silent, served.connect() as half:
        half.sendall(b'{"request": "sta')
        assert await served.still_answers()
        assert await _read_all(half) == b""
        assert await _read_all(silent) == b""


async def test_a_hundred_megabytes_are_not_taken(served: _Served) -> None:
    with served.connect() as sock:
        sock.setblocking(False)
        sending, sent = trio.socket.from_stdlib_socket(sock), 0
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while sent < 100_000_000:
                sent += await sending.send(b"x" * 65536)
        assert sent < 16 * MAX_LINE
    assert await served.still_answers()


async def test_descriptors_that_nobody_asked_for_are_closed(
    served: _Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "REQUEST_SECONDS", 0.05)
    before = len(os.listdir("/proc/self/fd"))
    null_fd = os.open("/dev/null", os.O_RDONLY)
    for count in (1, 3, 4, 200):
        with served.connect() as sock:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null_fd] * count))]
            sock.sendmsg([encode({"request": "status"})], ancillary)
            await _read_all(sock)
    os.close(null_fd)
    assert await served.still_answers()
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_crowd_is_turned_away_and_the_server_goes_on(served: _Served) -> None:
    crowd = []
    for _ in range(clients.MAX_CLIENTS):
        crowd.append(served.connect())
        await trio.testing.wait_all_tasks_blocked()  # the backlog is shorter than the crowd
    with served.connect() as late:
        assert await _read_all(late) == b""
    for sock in crowd:
        sock.close()
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert await served.still_answers()


async def test_another_user_is_not_answered(served: _Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "is_own", lambda _: False)
    with served.connect() as sock:
        assert await _read_all(sock) == b""
