"""UDP grants: a flow for each socket of the app, answers from where it has sent to, refusals as such."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from network import Events, Inside, Resolver, nothing_left_open, private

from libos.net.address import parse
from libos.net.datagrams import flow, flows
from libos.net.datagrams.refusals import checksum, unreachable
from libos.net.gate import Gate
from libos.net.granting.rule import Limits, Rule
from libos.net.granting.target import parse_target

pytest_plugins = ["gates"]


class Service:
    """A UDP service on the host's loopback, which answers each datagram by `b"re:"` and what it got."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.socket = trio.socket.socket(family, socket.SOCK_DGRAM)
        self.got: list[bytes] = []
        self.peers: list[object] = []

    async def bind(self) -> int:
        await self.socket.bind(("::1" if self.socket.family == socket.AF_INET6 else "127.0.0.1", 0))
        port: int = self.socket.getsockname()[1]
        return port

    async def run(self) -> None:
        while True:
            data, peer = await self.socket.recvfrom(65535)
            self.got.append(data)
            self.peers.append(peer)
            await self.socket.sendto(b"re:" + data[:60000], peer)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    await made.bind()
    with made.socket:  # closed once nobody waits on it
        async with trio.open_nursery() as running:
            running.start_soon(made.run)
            yield made
            running.cancel_scope.cancel()


def port_of(service: Service) -> int:
    port: int = service.socket.getsockname()[1]
    return port


async def answer(client: trio.socket.SocketType, data: bytes) -> bytes:
    with trio.fail_after(20):
        await client.send(data)
        return await client.recv(65535)


async def test_datagrams_go_out_and_answers_come_from_where_they_were_sent_to(
    gate: Gate, inside: Inside, events: Events, service: Service
) -> None:
    port = port_of(service)
    grant = await gate.dial(private(f"udp!service.example!{port}"))
    with inside.udp() as client, trio.fail_after(20):
        await client.sendto(b"one", ("198.18.0.2", port))
        assert await client.recvfrom(100) == (b"re:one", ("198.18.0.2", port))
        await client.sendto(b"", ("198.18.0.2", port))
        assert (await client.recv(100)) == b"re:"
        opened = await events.take("dial.open")
        assert opened["address"] == f"udp!service.example!{port}"
        assert opened["to"] == f"127.0.0.1:{port}"
        assert grant.open == 1
    grant.close()
    closed = await events.take("dial.close")
    assert (closed["sent"], closed["received"], closed["error"]) == (3, 9, "the grant was taken back")
    assert (grant.meter.sent.total, grant.meter.received.total) == (3, 9)
    assert closed["connection"] == opened["connection"]


async def test_ipv6_goes_too(gate: Gate, inside: Inside, nursery: trio.Nursery) -> None:
    made = Service(socket.AF_INET6)
    port = await made.bind()
    nursery.start_soon(made.run)
    await gate.dial(parse(f"udp!::1!{port}"))
    with made.socket, inside.udp(socket.AF_INET6) as client:
        await client.connect(("::1", port))
        assert await answer(client, b"six") == b"re:six"
        nursery.cancel_scope.cancel()


async def test_each_socket_of_the_app_is_a_flow_of_its_own_outside(
    gate: Gate, inside: Inside, service: Service
) -> None:
    port = port_of(service)
    grant = await gate.dial(parse(f"udp!127.0.0.1!{port}"))
    with inside.udp() as one, inside.udp() as other:
        for client in (one, other, one):
            await client.connect(("127.0.0.1", port))
            assert await answer(client, b"x") == b"re:x"
    assert len(set(service.peers)) == 2
    assert grant.opened == 2


async def test_large_datagrams_and_many_in_a_row_arrive_in_order(
    gate: Gate, inside: Inside, service: Service
) -> None:
    port = port_of(service)
    await gate.dial(private(f"udp!service.example!{port}"))
    with inside.udp() as client:
        await client.connect(("198.18.0.2", port))
        for number in range(40):
            await client.send(b"%d" % number)  # the first ones wait for the name to be looked up
        with trio.fail_after(20):
            assert [await client.recv(100) for _ in range(40)] == [b"re:%d" % number for number in range(40)]
        big = bytes(60_000)
        assert await answer(client, big) == b"re:" + big


async def test_a_refusal_outside_is_a_refusal_inside(gate: Gate, inside: Inside, events: Events) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        await gate.dial(parse(f"udp!{host}!{port}"))
        with inside.udp(family) as client, trio.fail_after(20):
            await client.connect((host, port))
            for _ in range(3):
                await client.send(b"x")
                with pytest.raises(ConnectionRefusedError):
                    await client.recv(10)
        event = await events.take("error")
        assert (event["operation"], event["address"]) == ("dial", f"udp!{host}!{port}")
        assert "ECONNREFUSED" in str(event["error"])
    # Once a flow, and what the gate refused is not told as what the kernel did.
    await gate.finish()
    assert {kind for kind, _ in events.seen} == {"dial.open", "dial.close"}


async def test_a_name_that_leads_to_a_private_address_is_refused_once_a_second(
    gate: Gate, inside: Inside, events: Events, service: Service
) -> None:
    port = port_of(service)
    await gate.dial(parse(f"udp!service.example!{port}"))
    with inside.udp() as client, trio.fail_after(20):
        await client.connect(("198.18.0.2", port))
        for _ in range(5):
            await client.send(b"x")
            with pytest.raises(ConnectionRefusedError):
                await client.recv(10)
    assert "private = true" in str((await events.take("error"))["error"])
    assert service.got == []


async def test_what_was_not_granted_is_refused_by_the_kernel(
    gate: Gate, inside: Inside, events: Events, service: Service
) -> None:
    port = port_of(service)
    grant = await gate.dial(parse(f"udp!127.0.0.1!{port}"))
    with inside.udp() as client, trio.fail_after(20):
        await client.connect(("127.0.0.1", port))
        assert await answer(client, b"x") == b"re:x"
        grant.close()
        await client.send(b"y")
        with pytest.raises(ConnectionRefusedError):
            await client.recv(10)
    assert (await events.take("dial.refused"))["network"] == "udp"
    assert service.got == [b"x"]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_flow_ends_when_nothing_has_passed_for_long(
    gate: Gate,
    inside: Inside,
    events: Events,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    answered: bool,
) -> None:
    name = "ANSWERED_SECONDS" if answered else "UNANSWERED_SECONDS"
    monkeypatch.setattr(flow, name, 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = port_of(service) if answered else silent.getsockname()[1]
        grant = await gate.dial(parse(f"udp!127.0.0.1!{port}"))
        with inside.udp() as client:
            await client.connect(("127.0.0.1", port))
            await client.send(b"x")
            closed = await events.take("dial.close")
            assert (closed["sent"], closed["error"]) == (1, None)
            assert grant.open == 0
            await client.send(b"y")  # the next one opens a new one
            assert (await events.take("dial.close"))["connection"] != closed["connection"]


async def test_beyond_the_bound_the_flow_that_is_idle_longest_ends(
    gate: Gate, inside: Inside, events: Events, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "MOST_FLOWS", 2)
    port = port_of(service)
    grant = await gate.dial(parse(f"udp!127.0.0.1!{port}"))
    with inside.udp() as one, inside.udp() as two, inside.udp() as three:
        for client in (one, two, one, three, one):
            await client.connect(("127.0.0.1", port))
            assert await answer(client, b"x") == b"re:x"
        closed = await events.take("dial.close")
        assert closed["error"] == "a newer flow took its place"
        assert closed["connection"] == 2
        assert grant.open == 2
        assert len(set(service.peers)) == 3
        assert await answer(two, b"x") == b"re:x"


async def test_a_flood_from_many_sockets_is_bounded_and_others_are_served(
    gate: Gate, inside: Inside, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "MOST_FLOWS", 16)
    port = port_of(service)
    grant = await gate.dial(parse(f"udp!127.0.0.1!{port}"))
    for _ in range(20):
        sockets = inside.sockets([(socket.AF_INET, socket.SOCK_DGRAM, 0)] * 50)
        for each in sockets:
            each.sendto(b"flood", ("127.0.0.1", port))
            each.close()
        await trio.lowlevel.checkpoint()
    with inside.udp() as client:
        await client.connect(("127.0.0.1", port))
        with trio.fail_after(20):
            while True:
                await client.send(b"hello")
                with trio.move_on_after(0.5):
                    assert await client.recv(100) == b"re:hello"
                    break
    assert grant.open <= 16


async def test_limits_of_the_grant_hold_for_flows(
    gate: Gate, inside: Inside, events: Events, service: Service
) -> None:
    port = port_of(service)
    to = parse_target(f"udp!127.0.0.1!{port}")
    grant = await gate.dial(Rule(to, limits=Limits(connections=1, sent=10)))
    with inside.udp() as one, inside.udp() as two, trio.fail_after(20):
        await one.connect(("127.0.0.1", port))
        await two.connect(("127.0.0.1", port))
        assert await answer(one, b"12345") == b"re:12345"
        await two.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            await two.recv(10)
        assert (await events.take("dial.limited"))["limit"] == "connections"
        await one.send(b"123456")
        with pytest.raises(ConnectionRefusedError):
            await one.recv(10)
        assert (await events.take("dial.limited"))["limit"] == "sent"
        assert "EDQUOT" in str((await events.take("dial.close"))["error"])
    assert service.got == [b"12345"]
    assert grant.meter.sent.total == 5


async def test_a_rate_lets_datagrams_wait_and_drops_what_is_too_much(
    gate: Gate, inside: Inside, service: Service
) -> None:
    port = port_of(service)
    to = parse_target(f"udp!127.0.0.1!{port}")
    await gate.dial(Rule(to, limits=Limits(rate=100_000)))
    with inside.udp() as client, trio.fail_after(20):
        await client.connect(("127.0.0.1", port))
        for number in range(200):
            await client.send(b"%04d" % number + bytes(196))
        assert (await client.recv(10)).startswith(b"re:0000")
        await trio.testing.wait_all_tasks_blocked()
        while len(service.got) < 60:  # noqa: ASYNC110 - of the answers some may be dropped, too
            await trio.sleep(0.001)
    numbers = [int(data[:4]) for data in service.got]
    assert numbers == sorted(numbers)
    assert len(numbers) < 200


async def test_narrowing_ends_a_flow_to_what_is_denied(
    gate: Gate, inside: Inside, events: Events, service: Service
) -> None:
    port = port_of(service)
    grant = await gate.dial(private(f"udp!*.example!{port}"))
    await gate.dial(replace(private(f"udp!full.example!{port}"), limits=Limits(connections=9)))
    with inside.udp() as client:
        at = str(gate.names.lookup("full.example")[0])  # type: ignore[index]
        await client.connect((at, port))
        assert await answer(client, b"x") == b"re:x"
        assert grant.open == 1
        grant.narrow(deny=[parse_target(f"udp!full.example!{port}")])
        assert (await events.take("dial.close"))["error"] == "the grant was narrowed"


@pytest.mark.parametrize("host", ["127.0.0.1", "slow.example"])
async def test_what_was_sent_right_before_the_end_arrives(
    inside: Inside, events: Events, service: Service, host: str
) -> None:
    """A program sends, and exits at once; nothing of it has been carried when its world ends."""
    trio.socket.set_custom_hostname_resolver(Resolver())
    port = port_of(service)
    gate = inside.gate(events)
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(partial(gate.run, [private(f"udp!{host}!{port}")]))
        (app,) = inside.sockets([(socket.AF_INET, socket.SOCK_DGRAM, 0)])
        with app:
            for number in range(60):
                app.sendto(b"%d" % number, (host if host == "127.0.0.1" else "198.18.0.2", port))
        await gate.finish()
        running.cancel_scope.cancel()
    with trio.fail_after(20):
        while len(service.got) < 60:  # noqa: ASYNC110 - what is in the socket's buffer is read
            await trio.sleep(0.001)
    assert service.got == [b"%d" % number for number in range(60)]


@pytest.mark.parametrize("steps", range(30))
async def test_cancelled_at_any_point_it_leaves_no_descriptor(
    inside: Inside, events: Events, service: Service, steps: int
) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    async with nothing_left_open(), trio.open_nursery() as running:

        async def world() -> None:
            gate = inside.gate(events)
            async with trio.open_nursery() as nursery:
                port = port_of(service)
                await nursery.start(gate.run, [private(f"udp!service.example!{port}"), parse("udp!::1!9")])
                with inside.udp() as client, inside.udp(socket.AF_INET6) as refused:
                    await client.connect(("198.18.0.2", port))
                    await refused.connect(("::1", 9))
                    await refused.send(b"x")
                    assert await answer(client, b"x") == b"re:x"

        running.start_soon(world)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        running.cancel_scope.cancel()
    assert events.kinds().count("dial.open") == events.kinds().count("dial.close")


@given(st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0))
def test_a_checksum_over_what_holds_it_is_zero(data: bytes) -> None:
    assert checksum(data + checksum(data).to_bytes(2, "big")) == 0


@pytest.mark.parametrize("hosts", [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_a_refusal_holds_the_beginning_of_what_was_refused(hosts: tuple[str, str]) -> None:
    message = unreachable((hosts[0], 1234), (hosts[1], 53), 100_000)
    assert message.endswith(b"\x04\xd2\x00\x35\xff\xff\x00\x00")
    assert message[0] in (3, 1)
