"""Published ports: reached where they were published and nowhere else, reset until the app listens."""

from __future__ import annotations

import errno
import socket
from functools import partial

import pytest
import trio
from network import Events, Inside, closed_port, everything, flat_only, nothing_left_open

from libos.errors import HostError
from libos.net.address import Address, parse
from libos.net.gate import Gate
from libos.net.inbound.publication import Publication, conflict, parse_publication
from libos.net.inbound.published import Published
from libos.net.naming.names import Names

pytest_plugins = ["gates"]


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("0.0.0.0:80", "0.0.0.0", 80, "0.0.0.0:80"),
        ("[::1]:8000", "::1", 8000, "[::1]:8000"),
        ("[::]:0", "::", 0, "[::]:0"),
    ],
)
def test_where_to_publish_is_read(text: str, host: str, port: int, shown: str) -> None:
    publication = parse_publication(8080, text)
    assert publication == Publication(8080, host, port)
    assert str(publication) == shown


@pytest.mark.parametrize(
    ("port", "text", "why"),
    [
        (0, "8000", "1 to 65535"),
        (65536, "8000", "1 to 65535"),
        (80, "65536", "up to 65535"),
        (80, "", "IP:PORT"),
        (80, "127.0.0.1:", "IP:PORT"),
        (80, "127.0.0.1:http", "IP:PORT"),
        (80, ":8000", "is not an IP address"),
        (80, "localhost:8000", "is not an IP address"),
        (80, "::1:8000", "in brackets"),
        (80, "[127.0.0.1]:8000", "in brackets"),
        (80, "[fe80::1%eth0]:8000", "without a zone"),
    ],
)
def test_where_nothing_can_be_published_is_a_value_error(port: int, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_publication(port, text)
    assert why in str(caught.value)


def test_a_publication_that_would_go_in_circles_is_found() -> None:
    publication = parse_publication(8000, "8000")
    for host in ("127.0.0.1", "::1", "localhost", "db.localhost"):
        assert "circles" in str(conflict(publication, Address("tcp", host, 8000)))
    assert conflict(publication, parse("tcp!127.0.0.1!8001")) is None
    assert conflict(publication, parse("tcp!api.example.com!8000")) is None


async def test_an_address_in_use_is_an_error_before_anything_is_asked_of_the_world() -> None:
    async def open_sockets(specs: object) -> list[socket.socket]:
        raise AssertionError("nothing is to be opened")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        gate = Gate("w", open_sockets, Names("world"), lambda kind, fields: None)
        async with nothing_left_open():
            with pytest.raises(HostError, match="something listens there already"):
                await gate.run([], [Publication(1, outside_port=closed_port()), parse_publication(80, where)])


def test_an_address_of_another_machine_cannot_be_had() -> None:
    with pytest.raises(HostError, match="Cannot assign"):
        Published(parse_publication(80, "192.0.2.1:0"))


class World:
    """A gate that publishes port 8000, and the app that may listen there."""

    def __init__(self, inside: Inside, events: Events, port: int) -> None:
        self.inside = inside
        self.events = events
        self.port = port

    async def connect(self) -> trio.socket.SocketType:
        client = trio.socket.socket()
        await client.connect(("127.0.0.1", self.port))
        return client

    async def is_reset(self) -> None:
        with trio.socket.socket() as client, pytest.raises(ConnectionResetError):
            await client.connect(("127.0.0.1", self.port))  # the reset may come before this is done
            await client.recv(1)


async def published(nursery: trio.Nursery, inside: Inside, events: Events) -> World:
    gate = inside.gate(events, connection_limit=300)
    (publication,) = await nursery.start(partial(gate.run, [], [Publication(8000)]))
    return World(inside, events, publication.outside_port)


@pytest.mark.parametrize(
    ("family", "host"),
    [
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::"),
    ],
)
async def test_the_app_is_reached(inside: Inside, events: Events, family: int, host: str) -> None:
    async with nothing_left_open(), trio.open_nursery() as nursery:
        world = await published(nursery, inside, events)
        with inside.tcp(family) as app:
            app.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await app.bind((host, 8000))
            app.listen()
            for _ in range(2):
                with await world.connect() as client:
                    accepted, peer = await app.accept()
                    assert peer[0] in ("127.0.0.1", "::1", "::ffff:127.0.0.1")
                    with accepted:
                        await accepted.send(b"served")
                    client.shutdown(socket.SHUT_WR)
                    assert await everything(client) == b"served"
                opened = await events.take("listen.open")
                assert (opened["address"], opened["port"]) == (f"tcp!127.0.0.1!{world.port}", 8000)
                assert opened["peer"] == "127.0.0.1"
                assert (await events.take("listen.close"))["sent"] == len(b"served")
        nursery.cancel_scope.cancel()
    assert events.kinds() == []


async def test_an_app_that_does_not_listen_is_a_reset_and_one_event(inside: Inside, events: Events) -> None:
    async with nothing_left_open(), trio.open_nursery() as nursery:
        world = await published(nursery, inside, events)
        await world.is_reset()
        fields = await events.take("error")
        assert (fields["operation"], fields["port"]) == ("listen", 8000)
        assert "ECONNREFUSED" in str(fields["error"])
        nursery.cancel_scope.cancel()
    assert events.kinds() == []  # the watcher does not tell the gate's own attempts


async def test_it_is_published_at_that_address_alone(inside: Inside, events: Events) -> None:
    async with trio.open_nursery() as nursery:
        world = await published(nursery, inside, events)
        for family, host in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
            with trio.socket.socket(family) as client, pytest.raises(ConnectionRefusedError):
                await client.connect((host, world.port))
        nursery.cancel_scope.cancel()
    with trio.socket.socket() as client, pytest.raises(ConnectionRefusedError):
        await client.connect(("127.0.0.1", world.port))


@flat_only
async def test_a_world_that_has_ended_is_a_reset(inside: Inside, events: Events) -> None:
    calls = 0

    async def open_sockets(specs: list[tuple[int, int, int]]) -> list[socket.socket]:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        return await inside.open_sockets(specs)

    async with nothing_left_open(), trio.open_nursery() as nursery:
        gate = Gate("w", open_sockets, Names("world"), events)
        (publication,) = await nursery.start(partial(gate.run, [], [Publication(8000)]))
        await World(inside, events, publication.outside_port).is_reset()
        assert "EPIPE" in str((await events.take("error"))["error"])
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("many_descriptors")
async def test_two_hundred_connections_at_once_are_all_served(inside: Inside, events: Events) -> None:
    """Sockets that were asked for ahead are used and closed, also when the app moves from IPv4 to IPv6."""
    async with nothing_left_open(), trio.open_nursery() as nursery:
        world = await published(nursery, inside, events)

        async def client() -> None:
            with await world.connect() as connection:
                await connection.send(b"x")
                assert await connection.recv(1) == b"x"

        async def serve(listener: trio.socket.SocketType) -> None:
            async def one(accepted: trio.socket.SocketType) -> None:
                with accepted:
                    await accepted.send(await accepted.recv(1))

            async with trio.open_nursery() as serving:
                while True:
                    accepted, _ = await listener.accept()
                    serving.start_soon(one, accepted)

        for family, host in (
            (socket.AF_INET, "127.0.0.1"),
            (socket.AF_INET6, "::1"),
            (socket.AF_INET, "0.0.0.0"),
        ):
            with inside.tcp(family) as app:
                app.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                await app.bind((host, 8000))
                app.listen(500)
                async with trio.open_nursery() as both:
                    both.start_soon(serve, app)
                    async with trio.open_nursery() as clients:
                        for _ in range(200):
                            clients.start_soon(client)
                    both.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    assert events.kinds().count("listen.close") == 600
    assert set(events.kinds()) == {"listen.open", "listen.close"}
