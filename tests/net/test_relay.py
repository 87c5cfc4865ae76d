"""What a relay does to a connection: nothing. Its ends, its pace and its failures pass through."""

from __future__ import annotations

import contextlib
import os
import resource
import socket

import pytest
import trio
import trio.testing
from network import everything

from libos.net import direction, poller
from libos.net.carried import Carried
from libos.net.relay import relay
from libos.net.sockets import abort, tune


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection on the loopback, ready to be relayed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    tune(ours)
    tune(theirs)
    return ours, theirs


@pytest.fixture(params=["kept", "looked at"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of carrying: with memory for what a peer does not take, and when that is used up."""
    if request.param == "looked at":
        monkeypatch.setattr("libos.net.direction._KEPT_AT_MOST", 0)


class Line:
    """app - inside = relay = outside - service, with the relay running."""

    def __init__(self, nursery: trio.Nursery) -> None:
        app, inside = pair()
        outside, service = pair()
        self.app = trio.socket.from_stdlib_socket(app)
        self.service = trio.socket.from_stdlib_socket(service)
        self.carried = Carried()
        self.error: OSError | None = None
        self.ended = trio.Event()
        self.scope = trio.CancelScope()
        nursery.start_soon(self._run, inside, outside)

    async def _run(self, inside: socket.socket, outside: socket.socket) -> None:
        try:
            with self.scope:
                await relay(inside, outside, self.carried)
        except OSError as error:
            self.error = error
        self.ended.set()

    def close(self) -> None:
        self.app.close()
        self.service.close()


async def test_bytes_pass_both_ways_unchanged(way: None, nursery: trio.Nursery) -> None:
    line = Line(nursery)
    sent, received = os.urandom(5_000_000), os.urandom(3_000_000)

    async def write(connection: trio.socket.SocketType, data: bytes) -> None:
        await trio.SocketStream(connection).send_all(data)
        connection.shutdown(socket.SHUT_WR)

    got = {}

    async def read(name: str, connection: trio.socket.SocketType) -> None:
        got[name] = await everything(connection)

    async with trio.open_nursery() as both:
        both.start_soon(write, line.app, sent)
        both.start_soon(write, line.service, received)
        both.start_soon(read, "service", line.service)
        both.start_soon(read, "app", line.app)
    await line.ended.wait()
    assert got == {"service": sent, "app": received}
    assert (line.carried.sent, line.carried.received) == (len(sent), len(received))
    assert line.error is None
    line.close()


async def test_a_half_close_keeps_the_other_direction(way: None, nursery: trio.Nursery) -> None:
    line = Line(nursery)
    await line.app.send(b"question")
    line.app.shutdown(socket.SHUT_WR)
    assert await everything(line.service) == b"question"
    await line.service.send(b"answer, later")
    line.service.close()
    assert await everything(line.app) == b"answer, later"
    await line.ended.wait()
    assert line.error is None
    line.close()


@pytest.mark.parametrize("who", ["app", "service"])
async def test_a_reset_passes_through(way: None, nursery: trio.Nursery, who: str) -> None:
    line = Line(nursery)
    ends = {"app": line.app, "service": line.service}
    await ends[who].send(b"x")
    (other,) = (ends[name] for name in ends if name != who)
    assert await other.recv(1) == b"x"
    abort(socket.socket(fileno=ends[who].detach()))
    with pytest.raises(ConnectionResetError):
        await other.recv(1)
    await line.ended.wait()
    assert line.error is not None
    line.close()


async def test_cancelling_resets_both(way: None, nursery: trio.Nursery) -> None:
    line = Line(nursery)
    await line.app.send(b"x")
    assert await line.service.recv(1) == b"x"
    line.scope.cancel()
    for end in (line.app, line.service):
        with pytest.raises(ConnectionResetError):
            await end.recv(1)
    line.close()


async def test_an_end_of_file_right_after_a_cancel_is_still_a_reset(way: None, nursery: trio.Nursery) -> None:
    line = Line(nursery)
    await line.app.send(b"x")
    assert await line.service.recv(1) == b"x"
    line.scope.cancel()
    line.service.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError):
        await line.app.recv(1)
    line.close()


@pytest.mark.parametrize("limit", [direction._KEPT_AT_MOST, 0])
async def test_peers_that_stop_reading_hold_their_writers_and_bounded_memory(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Fifty writers fill fifty readers that never read: all stand still, and this process holds its limit."""
    monkeypatch.setattr(direction, "_KEPT_AT_MOST", limit)
    lines = [Line(nursery) for _ in range(50)]
    block = bytes(1 << 20)

    async def write(line: Line) -> None:
        while True:
            await line.app.send(block)

    await trio.testing.wait_all_tasks_blocked(0.05)
    before = resident()
    async with trio.open_nursery() as writers:
        for line in lines:
            writers.start_soon(write, line)
        await trio.testing.wait_all_tasks_blocked(0.1)
        writers.cancel_scope.cancel()
    assert sum(line.carried.sent for line in lines) > 50 * 100_000
    assert resident() - before < limit + (4 << 20)
    for line in lines:
        line.scope.cancel()
    for line in lines:
        await line.ended.wait()
        line.close()
    assert direction._kept == 0


async def test_a_slow_reader_gets_all_in_the_end(way: None, nursery: trio.Nursery) -> None:
    line = Line(nursery)
    data = os.urandom(20_000_000)

    async def write() -> None:
        await trio.SocketStream(line.app).send_all(data)
        line.app.shutdown(socket.SHUT_WR)

    nursery.start_soon(write)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert line.carried.sent < len(data)
    assert await everything(line.service) == data
    line.close()


def resident() -> int:
    """Bytes of memory that this process holds (proc_pid_statm(5))."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def test_many_busy_relays_hold_up_others_no_longer_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    every, least, count = 256 * 1024, 4096, 100
    monkeypatch.setattr(poller, "_ALL", every)
    monkeypatch.setattr(poller, "_LEAST", least)
    carried = [Carried() for _ in range(count)]
    with contextlib.ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            for each in carried:
                ours, inside = map(stack.enter_context, socket.socketpair())
                outside, theirs = map(stack.enter_context, socket.socketpair())
                for made in (ours, inside, outside, theirs):
                    made.setblocking(False)
                size = ours.send(bytes(64 * 1024))
                nursery.start_soon(relay, inside, outside, each)
            turn, before = [], 0
            while before < count * size:
                await trio.lowlevel.checkpoint()
                now = sum(each.sent for each in carried)
                turn.append(now - before)
                before = now
            nursery.cancel_scope.cancel()
    # trio runs the tasks of a turn in either order: between two looks there are two turns at most.
    assert max(turn) <= 2 * (every + size + count * least) < count * size / 4
