"""UDP from outside: a flow for each peer, answers find their way back, nobody is pushed out by a flood."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from network import Events, Inside, nothing_left_open

from libos.net import watcher
from libos.net.carrier import Carrier
from libos.net.gate import Gate
from libos.net.inbound.app_port import AppPort
from libos.net.inbound.datagrams import Datagrams, bind
from libos.net.inbound.flows import Flows
from libos.net.inbound.publication import Publication
from libos.net.naming.names import Names

pytest_plugins = ["gates"]


@contextmanager
def app_at(inside: Inside, host: str, port: int) -> Iterator[trio.socket.SocketType]:
    (raw,) = inside.sockets([(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM, 0)])
    raw.bind((host, port))
    with trio.socket.from_stdlib_socket(raw) as app:
        yield app


async def echo(app: trio.socket.SocketType) -> None:
    while True:
        data, peer = await app.recvfrom(65535)
        await app.sendto(data, peer)


def client_of(gate_port: int, host: str = "127.0.0.1") -> trio.socket.SocketType:
    raw = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    raw.setblocking(False)
    raw.connect((host, gate_port))
    return trio.socket.from_stdlib_socket(raw)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
async def test_datagrams_and_their_answers_pass(
    inside: Inside, gate: Gate, events: Events, host: str
) -> None:
    published = gate.publish(Publication(5353, network="udp"))
    assert published.address.startswith("udp!127.0.0.1!")
    with app_at(inside, host, 5353) as app:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, app)
            port = published.publication.outside_port
            with client_of(port) as one, client_of(port) as other:
                for client, data in ((one, b"first"), (other, b"second"), (one, b""), (one, b"x" * 9000)):
                    await client.send(data)
                    assert await client.recv(65535) == data
                first, second = gate.carrier.connections.values()
                assert (first.kind, first.fields["peer"]) == ("listen", "127.0.0.1")
                assert (first.carried.sent, second.carried.sent) == (9005, 6)
            nursery.cancel_scope.cancel()
    opened = [await events.take("listen.open") for _ in range(2)]
    assert [each["connection"] for each in opened] == [1, 2]
    assert {(each["port"], each["peer"]) for each in opened} == {(5353, "127.0.0.1")}
    published.close()
    closed = sorted([(await events.take("listen.close"))["sent"] for _ in range(2)], key=str)
    assert closed == [6, 9005]
    assert gate.carrier.connections == {}
    assert events.kinds() == []


@pytest.mark.parametrize("outside", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_an_answer_leaves_from_the_address_that_was_written_to(
    inside: Inside, gate: Gate, outside: str
) -> None:
    """The client is connected, so its kernel drops what comes from another address."""
    everywhere = "::" if ":" in outside else "0.0.0.0"
    published = gate.publish(Publication(5353, everywhere, network="udp"))
    with (
        app_at(inside, "127.0.0.1", 5353) as app,
        client_of(published.publication.outside_port, outside) as c,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo, app)
            await c.send(b"who")
            with trio.fail_after(20):
                assert await c.recv(100) == b"who"
            nursery.cancel_scope.cancel()


async def test_an_app_that_does_not_listen_is_told_once_and_found_later(
    inside: Inside, gate: Gate, events: Events
) -> None:
    published = gate.publish(Publication(5353, network="udp"))
    with client_of(published.publication.outside_port) as client:
        for _ in range(5):
            await client.send(b"lost")
        fields = await events.take("error")
        assert (fields["operation"], fields["port"]) == ("listen", 5353)
        assert "ECONNREFUSED" in str(fields["error"])
        with app_at(inside, "::1", 5353) as app:
            await client.send(b"found")
            while (received := await app.recvfrom(100))[0] != b"found":
                pass
            await app.sendto(b"yes", received[1])
            assert await client.recv(100) == b"yes"
            await events.take("listen.open")
        await client.send(b"gone")  # the app is not there any more: its flow ends
        assert "ECONNREFUSED" in str((await events.take("listen.close"))["error"])
    await gate.finish()
    assert events.kinds() == []  # the watcher does not tell the gate's own attempts


class Bench:
    """Flows alone, with small bounds."""

    def __init__(self, inside: Inside, events: Events, *, idle: float, most: int) -> None:
        self.outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bind(self.outside, "127.0.0.1", 0)
        self.port: int = self.outside.getsockname()[1]
        watched = inside.sockets(watcher.specs(watcher.FLAT))
        self.watching = watcher.Watcher(watched, Names("world"), events)
        app = AppPort(5353, inside.open_sockets, self.watching)
        fields: dict[str, object] = {"address": "udp!here", "port": 5353}
        self.flows = Flows(
            Datagrams(self.outside),
            app,
            self.watching,
            events,
            Carrier(events),
            fields,
            idle_seconds=idle,
            most=most,
        )

    def close(self) -> None:
        self.outside.close()
        self.watching.close()


async def test_an_idle_flow_ends(inside: Inside, events: Events) -> None:
    async with nothing_left_open():
        bench = Bench(inside, events, idle=0.05, most=10)
        with app_at(inside, "127.0.0.1", 5353) as app, client_of(bench.port) as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bench.flows.run)
                nursery.start_soon(echo, app)
                for number in (1, 2):
                    await client.send(b"x")
                    assert await client.recv(10) == b"x"
                    closed = await events.take("listen.close")
                    assert (closed["connection"], closed["error"], closed["sent"]) == (number, None, 1)
                assert len(bench.flows) == 0
                nursery.cancel_scope.cancel()
        bench.close()


async def test_a_flood_of_peers_does_not_push_out_who_is_served(inside: Inside, events: Events) -> None:
    async with nothing_left_open():
        bench = Bench(inside, events, idle=100, most=4)
        with app_at(inside, "127.0.0.1", 5353) as app, client_of(bench.port) as served:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bench.flows.run)
                await served.send(b"served")
                _, peer = await app.recvfrom(100)
                await app.sendto(b"yes", peer)
                assert await served.recv(100) == b"yes"
                for number in range(20):
                    with client_of(bench.port) as flood:
                        await flood.send(b"%d" % number)
                        assert (await app.recvfrom(100))[0] == b"%d" % number
                assert len(bench.flows) == 4
                await served.send(b"again")
                data, again = await app.recvfrom(100)
                assert (data, again) == (b"again", peer)
                nursery.cancel_scope.cancel()
        bench.close()
