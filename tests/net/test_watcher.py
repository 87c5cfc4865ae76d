"""Refusals are seen: which address, which port, how often, and none of the supervisor's own."""

from __future__ import annotations

import socket

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from network import Events, Inside, flat_only

from libos.net import bpf, watcher
from libos.net.address import parse
from libos.net.gate import Gate

pytest_plugins = ["gates"]

CASES = [(socket.AF_INET, "192.0.2.7"), (socket.AF_INET6, "2001:db8::7"), (socket.AF_INET6, "::1")]


@pytest.mark.parametrize(("family", "host"), CASES)
async def test_a_refused_connection_is_told(
    gate: Gate, inside: Inside, events: Events, family: int, host: str
) -> None:
    with inside.tcp(family) as client, pytest.raises(ConnectionRefusedError):
        await client.connect((host, 81))
    fields = await events.take("dial.refused")
    name = "localhost" if host == "::1" else None
    assert fields == {"network": "tcp", "address": host, "name": name, "port": 81, "count": 1}


@pytest.mark.parametrize(("family", "host"), CASES)
async def test_a_refused_datagram_is_told(
    gate: Gate, inside: Inside, events: Events, family: int, host: str
) -> None:
    with inside.udp(family) as client:
        await client.connect((host, 53))
        await client.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            await client.recv(1)
    fields = await events.take("dial.refused")
    name = "localhost" if host == "::1" else None
    assert fields == {"network": "udp", "address": host, "name": name, "port": 53, "count": 1}


async def test_a_wrong_port_of_a_granted_name_is_told_with_the_name(
    gate: Gate, inside: Inside, events: Events
) -> None:
    await gate.dial(parse("tcp!api.example!443"))
    with inside.tcp() as client, pytest.raises(ConnectionRefusedError):
        await client.connect(("198.18.0.2", 80))
    fields = await events.take("dial.refused")
    assert (fields["name"], fields["address"], fields["port"]) == ("api.example", "198.18.0.2", 80)


async def test_attempts_in_a_loop_are_counted(gate: Gate, inside: Inside, events: Events) -> None:
    for client in inside.sockets([(socket.AF_INET, socket.SOCK_STREAM, 0)] * 50):
        with client:
            assert client.connect_ex(("192.0.2.8", 82))
    total = 0
    while total < 50:
        count = (await events.take("dial.refused"))["count"]
        assert isinstance(count, int)
        total += count
    assert total == 50
    assert len(events.seen) == 0


async def test_what_was_refused_last_is_told_when_the_gate_ends(inside: Inside, events: Events) -> None:

    gate = inside.gate(events)
    async with trio.open_nursery() as nursery:
        await nursery.start(gate.run)
        (client,) = inside.sockets([(socket.AF_INET, socket.SOCK_STREAM, 0)])
        with client:
            assert client.connect_ex(("192.0.2.9", 83))
        nursery.cancel_scope.cancel()
    assert events.kinds() == ["dial.refused"]


@flat_only
async def test_a_reset_connection_is_no_refusal(gate: Gate, inside: Inside, events: Events) -> None:
    with inside.tcp() as listener, inside.tcp() as client:
        await listener.bind(("192.0.2.10", 84))
        listener.listen()
        await client.connect(("192.0.2.10", 84))
        accepted, _ = await listener.accept()
        await client.send(b"unread")
        accepted.close()
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    with inside.tcp() as client, pytest.raises(ConnectionRefusedError):
        await client.connect(("192.0.2.10", 85))
    assert (await events.take("dial.refused"))["port"] == 85


@given(st.binary(max_size=bpf.KEPT))
def test_any_packet_is_decoded_or_passed_over(packet: bytes) -> None:
    watcher.decode(packet)


def test_the_filter_ends_in_both_answers_and_jumps_within_itself() -> None:
    program = bpf.refusals()
    assert [each[0] for each in program[-2:]] == [0x06, 0x06]
    assert all(
        here + 1 + max(true, false) < len(program) for here, (_, true, false, _) in enumerate(program[:-2])
    )
    assert len(bpf.encode(program)) == 8 * len(program)
