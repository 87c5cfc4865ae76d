"""A link that is shaped: the delay line as values, and links that hold what was asked for.

Nothing here expects a machine to be quick: a packet cannot be earlier than its link, and a link cannot carry
more than its rate. How near it comes to both is measured by `make bench`.
"""

from __future__ import annotations

import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from network import Events, Inside, echo, everything, nothing_left_open, private, serve
from test_ranges import ranged, reached

from libos.errors import HostError
from libos.net.gate import Gate
from libos.net.routed import netlink
from libos.net.routed.delayline import Way
from libos.net.routed.shape import FRAME, Shape

pytest_plugins = ["gates"]


def test_a_packet_leaves_after_the_delay_and_not_before() -> None:
    way = Way(Shape(delay=0.04), None)
    way.put(b"a", 1.0)
    way.put(b"b", 1.01)
    assert way.due() == pytest.approx(1.04)
    assert way.take(1.039) is None
    assert way.take(1.04) == b"a"
    assert way.take(1.04) is None
    assert way.take(1.05) == b"b"
    assert way.due() is None


def test_jitter_varies_the_delay_and_none_overtakes_another() -> None:
    drawn = iter([0.005, -0.005, 0.0])
    way = Way(Shape(delay=0.04, jitter=0.005), None, lambda low, high: next(drawn))
    for packet, now in ((b"late", 1.0), (b"early", 1.001), (b"third", 1.02)):
        way.put(packet, now)
    assert way.due() == pytest.approx(1.045)
    assert [way.take(1.0449) for _ in range(3)] == [b"late", b"early", None]
    assert way.due() == pytest.approx(1.06)


def test_the_rate_is_held_by_hand_where_it_must_be() -> None:
    way = Way(Shape(rate=1000, delay=0.5), 1000)
    for _ in range(3):
        way.put(bytes(100), 1.0)
    found = []
    while (due := way.due()) is not None:
        found.append(due)
        way.take(due)
    assert found == pytest.approx([1.6, 1.7, 1.8])


def test_what_is_on_its_way_is_bounded() -> None:
    shape = Shape(rate=1_000_000, delay=0.04)
    way = Way(shape, None)
    for _ in range(10_000):
        way.put(bytes(FRAME), 1.0)
    kept = 0
    while way.take(2.0) is not None:
        kept += FRAME
    assert shape.rate is not None
    assert shape.rate * shape.delay < kept < 400_000
    assert way.dropped == 10_000 - kept // FRAME
    way.put(b"after", 3.0)
    assert way.due() == pytest.approx(3.04)


def test_a_shape_says_how_long_a_packet_may_take() -> None:
    assert Shape().settling == 0
    assert Shape(delay=0.04, jitter=0.01).settling == pytest.approx(0.05)
    assert Shape(rate=1_000_000).settling > 0.05


@asynccontextmanager
async def shaped(routed: Inside, shape: Shape, events: Events) -> AsyncIterator[Gate]:
    gate = routed.gate(events, shape=shape)
    async with nothing_left_open(), trio.open_nursery() as nursery:
        await nursery.start(gate.run)
        yield gate
        nursery.cancel_scope.cancel()


async def round_trip(inside: Inside, host: str, port: int) -> tuple[float, float]:
    """Seconds to connect, and until a byte has come back."""
    with inside.tcp() as client:
        began = time.monotonic()
        await client.connect((host, port))
        connected = time.monotonic()
        await client.send(b"x")
        assert await client.recv(1) == b"x"
        return connected - began, time.monotonic() - connected


async def test_a_delayed_link_delays_connecting_data_names_and_refusals(
    fresh: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    async with shaped(fresh, Shape(delay=0.02), events) as gate:
        await gate.dial(ranged("tcp!192.0.2.1!80", port))
        for took in await round_trip(fresh, "192.0.2.1", 80):
            assert took > 0.039
        with fresh.tcp() as client:
            began = time.monotonic()
            with pytest.raises(ConnectionRefusedError):
                await client.connect(("192.0.2.2", 80))
            assert time.monotonic() - began > 0.039
        assert (await events.take("dial.refused"))["address"] == "192.0.2.2"


async def test_a_range_works_over_a_delayed_link(
    fresh: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    async with shaped(fresh, Shape(delay=0.005), events) as gate:
        await gate.dial(ranged("tcp!10.0.0.0/8!80", port))
        assert await reached(fresh, "10.1.2.3", 80)
        assert not await reached(fresh, "11.1.2.3", 80)


@pytest.mark.parametrize("delay", [0.0, 0.005])
async def test_a_link_carries_no_more_than_its_rate(
    fresh: Inside, events: Events, nursery: trio.Nursery, delay: float
) -> None:
    size = 500_000

    async def send(stream: trio.SocketStream) -> None:
        await stream.send_all(bytes(size))
        await stream.send_eof()

    port = await serve(nursery, send)
    shape = Shape(rate=1_000_000, delay=delay)
    async with shaped(fresh, shape, events) as gate:
        await gate.dial(ranged("tcp!192.0.2.1!80", port))
        with fresh.tcp() as client:
            await client.connect(("192.0.2.1", 80))
            began = time.monotonic()
            assert len(await everything(client)) == size
            took = time.monotonic() - began
    assert took > (size - shape.burst) / 1_000_000 * 0.98


async def test_what_was_written_right_before_the_end_crosses_a_long_link(
    fresh: Inside, events: Events, nursery: trio.Nursery
) -> None:
    got = []
    arrived = trio.Event()

    async def service(stream: trio.SocketStream) -> None:
        got.append(b"".join([part async for part in stream]))
        arrived.set()

    port = await serve(nursery, service)
    data = bytes(range(256)) * 200
    async with shaped(fresh, Shape(rate=2_000_000, delay=0.03), events) as gate:
        await gate.dial(ranged("tcp!192.0.2.1!80", port))
        with fresh.tcp() as client:
            await client.connect(("192.0.2.1", 80))
            await client.send(data)
        await gate.finish()
    with trio.fail_after(20):
        await arrived.wait()
    assert got == [data]


def test_what_netem_is_told_is_in_its_units() -> None:
    """struct tc_netem_qopt: latency in ticks of the scheduler, limit, loss, gap, duplicate, jitter."""
    from libos.net import link

    ticks = _ticks_a_microsecond()
    _, message, _ = link.netem(link.ETH0, delay=0.04, jitter=0.005, loss=0.01, limit=10_000)
    at = message.index(b"netem\0") + 8 + 4
    latency, limit, loss, gap, duplicate, jitter = struct.unpack_from("=6I", message, at)
    assert latency == pytest.approx(40_000 * ticks, rel=1e-4)
    assert jitter == pytest.approx(5_000 * ticks, rel=1e-4)
    assert loss == pytest.approx(0.01 * 2**32, rel=1e-6)
    assert (limit, gap, duplicate) == (10_000, 0, 0)


def _ticks_a_microsecond() -> float:
    """As tc reckons: /proc/net/psched has nanoseconds a tick in its first words."""
    with open("/proc/net/psched") as file:
        tick, unit, resolution = (int(word, 16) for word in file.read().split()[:3])
    return tick / unit * resolution / 1_000_000


def has_netem(routed: Inside) -> bool:
    from libos.net import link

    (netlink_socket,) = routed.sockets([netlink.SPEC])
    with netlink_socket:
        try:
            netlink.send(netlink_socket, [link.netem(1, delay=0.001, jitter=0, loss=0, limit=1)])
        except FileNotFoundError:
            return False
    return True


# Not in the tests: what an asynchronous one skips for does not reach the report.
@pytest.fixture
def netem(fresh: Inside) -> None:
    if not has_netem(fresh):
        pytest.skip("this kernel has no netem")


@pytest.fixture
def no_netem(fresh: Inside) -> None:
    if has_netem(fresh):
        pytest.skip("this kernel has netem")


@pytest.mark.usefixtures("no_netem")
async def test_loss_is_refused_where_the_kernel_cannot_lose(fresh: Inside, events: Events) -> None:
    gate = fresh.gate(events, shape=Shape(loss=0.01))
    async with nothing_left_open():
        with pytest.raises(HostError, match=r"netem.*modprobe"):
            await gate.run([private("tcp!a.example!80")])


@pytest.mark.usefixtures("netem")
async def test_packets_are_lost_where_the_kernel_can_lose_them(
    fresh: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    async with shaped(fresh, Shape(loss=1.0), events) as gate:
        await gate.dial(ranged("tcp!192.0.2.1!80", port))
        with fresh.tcp() as client, trio.move_on_after(0.5) as waited:
            await client.connect(("192.0.2.1", 80))
        assert waited.cancelled_caught
