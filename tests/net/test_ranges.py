"""Ranges of addresses in a routed world: what is granted is reached, all else is refused as ever."""

from __future__ import annotations

import errno
import socket

import pytest
import trio
from network import Events, Inside, echo, flat_only, nothing_left_open, routed_only, serve

from libos.net.address import Address
from libos.net.gate import Gate
from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target
from libos.net.outbound import outside

pytest_plugins = ["gates"]


def ranged(to: str, port: int, *deny: str) -> Rule:
    """A range whose every address is a service of the test's."""

    async def via(_address: Address) -> socket.socket:
        return await outside.connect(Address("tcp", "127.0.0.1", port))

    return Rule(parse_target(to), tuple(parse_target(each) for each in deny), via=via)


async def reached(inside: Inside, host: str, port: int) -> bool:
    with inside.tcp(socket.AF_INET6 if ":" in host else socket.AF_INET) as client, trio.fail_after(20):
        try:
            await client.connect((host, port))
        except ConnectionRefusedError:
            return False
        await client.send(b"hello")
        assert await client.recv(10) == b"hello"
    return True


@routed_only
async def test_what_is_granted_is_reached_and_nothing_else(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    await gate.dial(ranged("tcp!10.0.0.0/8!80", port, "tcp!10.2.0.0/16!80"))
    await gate.dial(ranged("tcp!fd00::/16!80", port))
    for host in ("10.0.0.1", "10.255.1.2", "fd00::7"):
        assert await reached(inside, host, 80)
        assert (await events.take("dial.open"))["address"] == f"tcp!{host}!80"
    for host in ("11.0.0.1", "9.255.255.255", "fd01::1", "198.18.0.9"):
        assert not await reached(inside, host, 80)
        assert (await events.take("dial.refused"))["address"] == host
    assert not await reached(inside, "10.2.3.4", 80)
    denied = await events.take("dial.denied")
    assert (denied["address"], denied["reason"]) == ("tcp!10.2.3.4!80", "deny")
    assert not await reached(inside, "10.0.0.1", 81)


@routed_only
async def test_single_addresses_and_names_stand_beside_a_range_at_its_port(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    first = await gate.dial(ranged("tcp!10.1.2.3!80", port))
    whole = await gate.dial(ranged("tcp!10.0.0.0/8!80", port))
    await gate.dial(ranged("tcp!192.0.2.9!80", port))
    await gate.dial(ranged("tcp!api.example!80", port))
    for host, grant in (("10.1.2.3", first.id), ("10.1.2.4", whole.id)):
        assert await reached(inside, host, 80)
        assert (await events.take("dial.open"))["grant"] == grant
    assert await reached(inside, "192.0.2.9", 80)
    assert await reached(inside, "198.18.0.2", 80)
    assert (await events.take("dial.open"))["address"] == "tcp!192.0.2.9!80"
    assert (await events.take("dial.open"))["address"] == "tcp!api.example!80"


@routed_only
async def test_a_range_is_narrowed_and_taken_back(gate: Gate, inside: Inside, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    other = await gate.dial(ranged("tcp!172.16.0.0/12!80", port))
    grant = await gate.dial(ranged("tcp!10.0.0.0/8!80,443", port))
    with inside.tcp() as client:
        await client.connect(("10.2.0.1", 80))
        await client.send(b"x")
        assert await client.recv(1) == b"x"
        grant.narrow(deny=[parse_target("tcp!10.2.0.0/16!80")])
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    assert not await reached(inside, "10.2.0.1", 80)
    assert await reached(inside, "10.2.0.1", 443)
    assert await reached(inside, "10.3.0.1", 80)
    grant.close()
    assert not await reached(inside, "10.3.0.1", 80)
    assert not await reached(inside, "10.2.0.1", 443)
    assert await reached(inside, "172.16.0.1", 80)
    other.close()
    assert not await reached(inside, "172.16.0.1", 80)
    assert not list(gate.ranges)


@routed_only
async def test_ranges_of_the_start_are_there_when_it_has_started(
    inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    gate = inside.gate(events)
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(gate.run, [ranged("tcp!10.0.0.0/8!80", port)])
        assert await reached(inside, "10.0.0.1", 80)
        running.cancel_scope.cancel()


@routed_only
async def test_ranges_that_come_at_once_all_hold(gate: Gate, inside: Inside, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    async with trio.open_nursery() as dialing:
        for number in range(20):
            dialing.start_soon(gate.dial, ranged(f"tcp!10.{number}.0.0/16!80", port))
    for number in range(20):
        assert await reached(inside, f"10.{number}.0.1", 80)
    assert not await reached(inside, "10.20.0.1", 80)


@routed_only
async def test_datagrams_of_a_range_come_back_from_the_address_that_was_asked(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    with trio.socket.socket(type=socket.SOCK_DGRAM) as service:
        await service.bind(("127.0.0.1", 0))
        port = service.getsockname()[1]

        async def answer() -> None:
            while True:
                data, peer = await service.recvfrom(100)
                await service.sendto(b"re:" + data, peer)

        async def via(_address: Address) -> socket.socket:
            outer = socket.socket(type=socket.SOCK_DGRAM)
            outer.connect(("127.0.0.1", port))
            return outer

        nursery.start_soon(answer)
        await gate.dial(Rule(parse_target("udp!10.0.0.0/8!5000"), via=via))
        with inside.udp() as client, trio.fail_after(20):
            await client.connect(("10.1.2.3", 5000))  # takes nothing from elsewhere
            await client.send(b"x")
            assert await client.recv(10) == b"re:x"
        assert (await events.take("dial.open"))["address"] == "udp!10.1.2.3!5000"
        with inside.udp() as client, trio.fail_after(20):
            await client.connect(("11.1.2.3", 5000))
            await client.send(b"x")
            with pytest.raises(ConnectionRefusedError):
                await client.recv(1)
        refused = await events.take("dial.refused")
        assert (refused["network"], refused["address"]) == ("udp", "11.1.2.3")
        nursery.cancel_scope.cancel()


@routed_only
async def test_the_app_may_listen_at_all_addresses_at_a_port_that_it_dials(
    gate: Gate, inside: Inside, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    await gate.dial(ranged("tcp!10.1.2.3!5432", port))
    with inside.tcp() as app, inside.tcp() as client:
        await app.bind(("0.0.0.0", 5432))
        app.listen()
        assert await reached(inside, "10.1.2.3", 5432)
        await client.connect(("127.0.0.1", 5432))
        accepted, _ = await app.accept()
        accepted.close()
    await gate.dial(ranged("tcp!10.1.2.4!5432", port))
    assert await reached(inside, "10.1.2.4", 5432)


@flat_only
async def test_a_flat_world_says_what_a_range_needs(gate: Gate) -> None:
    with pytest.raises(OSError, match="routed = true") as caught:
        await gate.dial(Rule(parse_target("tcp!10.0.0.0/8!5432")))
    assert caught.value.errno == errno.EOPNOTSUPP
    assert gate.grants == []
