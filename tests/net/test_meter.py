"""Limits on what a grant carries: totals are exact to the byte, rates over all of its connections."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

import pytest
import trio
import trio.testing
from network import everything
from test_relay import pair

from libos.net.carried import Carried
from libos.net.granting.meter import LimitError, Meter
from libos.net.granting.rule import Limits
from libos.net.relay import relay


def test_a_total_is_exact() -> None:
    meter = Meter(Limits(sent=10))
    assert meter.block(100, "sent") == 10
    meter.take("sent", 10)
    assert meter.spent
    assert meter.block(100, "sent") == 0
    with pytest.raises(LimitError, match="10 bytes sent") as caught:
        meter.take("sent", 1)
    assert (caught.value.errno, caught.value.limit) == (errno.EDQUOT, "sent")
    assert meter.sent.total == 10
    meter.take("received", 1000)


def test_a_total_of_nothing_lets_nothing_pass() -> None:
    meter = Meter(Limits(received=0))
    assert meter.spent
    with pytest.raises(LimitError):
        meter.take("received", 1)


def test_limits_only_become_smaller() -> None:
    limits = Limits(connections=3, sent=100, rate=8).narrowed(Limits(connections=5, received=7, rate=4))
    assert limits == Limits(connections=3, sent=100, received=7, rate=4)


@pytest.mark.parametrize("connections", [1, 40])
def test_a_rate_holds_for_all_connections_together(connections: int) -> None:
    """Each of them always has a block to send, and they are served in the order in which they ask."""
    now, rate = 0.0, 100_000
    meter = Meter(Limits(rate=rate), lambda: now)
    size = meter.block(1 << 20, "sent")
    assert size == rate // 20
    wake = [0.0] * connections
    asked = [False] * connections
    passed = []
    for _ in range(60 * connections):
        who = min(range(connections), key=lambda each: wake[each])
        now = max(now, wake[who])
        if asked[who]:
            passed.append((now, who))
        wake[who], asked[who] = now + meter.reserve("sent", size), True
    horizon = passed[-1][0]
    total = len(passed) * size
    assert total <= rate * (horizon + 0.1)
    assert total >= rate * (horizon - 0.1) - connections * size
    for begin in range(int(horizon)):
        inside = sum(size for at, _ in passed if begin <= at < begin + 1)
        assert inside <= rate * 1.1
    counts = [sum(1 for _, each in passed if each == who) for who in range(connections)]
    assert max(counts) - min(counts) <= 2


def test_what_was_reserved_and_not_used_is_given_back() -> None:
    now = 0.0
    meter = Meter(Limits(rate=1000), lambda: now)
    now = 1.0
    assert meter.reserve("sent", 1000) == 0.0
    meter.reserve("sent", -1000)
    assert meter.reserve("sent", 1000) == 0.0
    assert meter.reserve("sent", 1) == pytest.approx(0.95)
    assert meter.reserve("received", 1) == 0.0


@pytest.fixture(params=["kept", "looked at"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of carrying: see test_relay."""
    if request.param == "looked at":
        monkeypatch.setattr("libos.net.direction._KEPT_AT_MOST", 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("limit", [0, 1, 999_999])
@pytest.mark.parametrize("connections", [1, 5])
async def test_exactly_the_limit_passes_and_the_next_byte_resets(limit: int, connections: int) -> None:
    meter = Meter(Limits(sent=limit))
    got, errors = [], []

    async def line() -> None:
        app, inside = pair()
        outside, service = pair()
        async with trio.open_nursery() as nursery:

            async def carry() -> None:
                try:
                    await relay(inside, outside, Carried(meter=meter))
                except OSError as error:
                    errors.append(error.errno)

            async def read() -> None:
                stream = trio.socket.from_stdlib_socket(service)
                try:
                    while part := await stream.recv(65536):
                        got.append(len(part))
                except ConnectionResetError:
                    pass

            nursery.start_soon(carry)
            nursery.start_soon(read)
            try:
                await trio.SocketStream(trio.socket.from_stdlib_socket(app)).send_all(os.urandom(3_000_000))
                with pytest.raises(ConnectionResetError):
                    await everything(trio.socket.from_stdlib_socket(app))
            except trio.BrokenResourceError:
                pass
        app.close()
        service.close()

    async with trio.open_nursery() as lines:
        for _ in range(connections):
            lines.start_soon(line)
    assert errors == [errno.EDQUOT] * connections
    assert meter.sent.total == limit
    assert sum(got) <= limit  # what a reset overtook in a kernel's buffer is lost, and nothing more came


@pytest.mark.usefixtures("way")
async def test_an_end_of_file_passes_when_the_limit_is_used_up() -> None:
    meter = Meter(Limits(sent=5))
    app, inside = pair()
    outside, service = pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay, inside, outside, Carried(meter=meter))
        app.setblocking(True)
        app.sendall(b"12345")
        app.shutdown(socket.SHUT_WR)
        theirs = trio.socket.from_stdlib_socket(service)
        assert await everything(theirs) == b"12345"
        service.close()
        assert await everything(trio.socket.from_stdlib_socket(app)) == b""
    app.close()


def stepping(clock: trio.testing.MockClock) -> Callable[[], float]:
    return clock.current_time


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("connections", [1, 8])
async def test_a_relay_holds_its_rate(connections: int, autojump_clock: trio.testing.MockClock) -> None:
    """By a clock that jumps: the time that the bytes take is exact and costs none."""
    rate, each = 1_000_000, 3_000_000
    meter = Meter(Limits(rate=rate), stepping(autojump_clock))
    began = trio.current_time()

    async def line() -> None:
        app, inside = pair()
        outside, service = pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay, inside, outside, Carried(meter=meter))

            async def write() -> None:
                await trio.SocketStream(trio.socket.from_stdlib_socket(app)).send_all(bytes(each))
                app.shutdown(socket.SHUT_WR)

            nursery.start_soon(write)
            got = await everything(trio.socket.from_stdlib_socket(service))
            assert len(got) == each
            service.close()
        app.close()

    async with trio.open_nursery() as lines:
        for _ in range(connections):
            lines.start_soon(line)
    seconds = trio.current_time() - began
    assert meter.sent.total == connections * each
    assert seconds == pytest.approx(connections * each / rate, rel=0.05)
