"""Dialing through a gate: what is granted is reached, what fails outside is a reset and an event."""

from __future__ import annotations

import errno
import os
import socket
from functools import partial

import pytest
import trio
from network import (
    Events,
    Inside,
    Resolver,
    closed_port,
    descriptors,
    echo,
    everything,
    flat_only,
    nothing_left_open,
    private,
    serve,
)

from libos.net.address import Address, parse
from libos.net.gate import Gate
from libos.net.naming.names import Names

pytest_plugins = ["gates"]


@pytest.mark.parametrize(
    ("host", "family", "at"),
    [
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("localhost", socket.AF_INET, "127.0.0.1"),
        ("localhost", socket.AF_INET6, "::1"),
        ("service.example", socket.AF_INET, "198.18.0.2"),
    ],
)
async def test_a_granted_address_is_reached(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery, host: str, family: int, at: str
) -> None:
    port = await serve(nursery, echo)
    await gate.dial(private(f"tcp!{host}!{port}"))
    with inside.tcp(family) as client:
        await client.connect((at, port))
        await client.send(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert await everything(client) == b"hello"
    assert (await events.take("dial.open"))["address"] == f"tcp!{host}!{port}"
    closed = await events.take("dial.close")
    assert (closed["sent"], closed["received"], closed["error"]) == (5, 5, None)


async def test_an_ipv6_literal_is_reached(gate: Gate, inside: Inside, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo, host="::1")
    await gate.dial(Address("tcp", "::1", port))
    with inside.tcp(socket.AF_INET6) as client:
        await client.connect(("::1", port))
        await client.send(b"hello")
        assert await client.recv(10) == b"hello"


@flat_only
async def test_grants_of_the_start_are_there_when_it_has_started(
    inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    asked = []

    async def open_sockets(specs: list[tuple[int, int, int]]) -> list[socket.socket]:
        asked.append(len(specs))
        return await inside.open_sockets(specs)

    port = await serve(nursery, echo)
    dials = [Address("tcp", "127.0.0.1", port), parse("tcp!a.example!80"), parse("tcp!a.example!80")]
    gate = Gate("w", open_sockets, Names("world"), events)
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(partial(gate.run, dials))
        with inside.tcp() as client:
            await client.connect(("127.0.0.1", port))
        running.cancel_scope.cancel()
    assert asked == [5]  # one request for the watcher, the responder's two and two listeners


async def test_nothing_listens_outside(gate: Gate, inside: Inside, events: Events) -> None:
    port = closed_port()
    await gate.dial(Address("tcp", "127.0.0.1", port))
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    fields = await events.take("error")
    assert fields["operation"] == "dial"
    assert fields["address"] == f"tcp!127.0.0.1!{port}"
    assert "ECONNREFUSED" in str(fields["error"])
    assert "dial.open" not in events.kinds()


async def test_a_name_with_a_closed_port_keeps_its_errno(gate: Gate, inside: Inside, events: Events) -> None:
    port = closed_port()
    await gate.dial(private(f"tcp!service.example!{port}"))
    with inside.tcp() as client:
        await client.connect(("198.18.0.2", port))
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    assert "ECONNREFUSED" in str((await events.take("error"))["error"])


async def test_a_name_that_nobody_knows_outside(gate: Gate, inside: Inside, events: Events) -> None:
    await gate.dial(parse("tcp!gone.invalid!443"))
    with inside.tcp() as client:
        await client.connect(("198.18.0.2", 443))
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    assert "the name gone.invalid is not known outside" in str((await events.take("error"))["error"])


async def test_an_outside_that_never_answers_ends_in_a_timeout(
    gate: Gate, inside: Inside, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libos.net.outbound.outside.DIAL_SECONDS", 0.2)
    with socket.socket() as full, socket.socket() as filling, socket.socket() as more:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (filling, more):  # a full backlog drops every further SYN
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        await gate.dial(Address("tcp", "127.0.0.1", port))
        with inside.tcp() as client:
            await client.connect(("127.0.0.1", port))
            with pytest.raises(ConnectionResetError):
                await client.recv(1)
    assert "ETIMEDOUT" in str((await events.take("error"))["error"])


async def test_a_grant_that_is_closed_refuses_at_once_and_resets_what_was_open(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    address = Address("tcp", "127.0.0.1", port)
    grant = await gate.dial(address)
    assert await gate.dial(address) is grant
    with inside.tcp() as client, inside.tcp() as later:
        await client.connect(("127.0.0.1", port))
        await client.send(b"x")
        assert await client.recv(1) == b"x"
        grant.close()
        grant.close()
        with pytest.raises(ConnectionRefusedError):
            await later.connect(("127.0.0.1", port))
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    again = await gate.dial(address)
    assert again is not grant
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        await client.send(b"y")
        assert await client.recv(1) == b"y"


@flat_only
async def test_an_address_where_the_app_listens_cannot_be_granted(gate: Gate, inside: Inside) -> None:
    with inside.tcp() as app:
        await app.bind(("10.1.2.3", 5432))
        app.listen()
        with pytest.raises(
            OSError, match=r"tcp!10\.1\.2\.3!5432 cannot be granted: Address already in use"
        ) as caught:
            await gate.dial(parse("tcp!10.1.2.3!5432"))
        assert caught.value.errno == errno.EADDRINUSE
    await gate.dial(parse("tcp!10.1.2.3!5432"))


@flat_only
async def test_the_app_cannot_listen_at_a_granted_address_but_beside_it(gate: Gate, inside: Inside) -> None:
    await gate.dial(parse("tcp!10.1.2.4!5432"))
    with inside.tcp() as app:
        for host in ("10.1.2.4", "0.0.0.0"):
            with pytest.raises(OSError, match="in use") as caught:
                await app.bind((host, 5432))
            assert caught.value.errno == errno.EADDRINUSE
        await app.bind(("127.0.0.1", 5432))


@flat_only
async def test_a_failed_start_leaves_nothing_open(inside: Inside, events: Events) -> None:
    with inside.tcp() as app:
        await app.bind(("10.1.2.5", 80))
        app.listen()
        gate = inside.gate(events)
        async with nothing_left_open():
            with pytest.raises(OSError, match="cannot be granted"):
                await gate.run([parse("tcp!a.example!80"), parse("tcp!10.1.2.5!80")])


async def test_dialing_after_the_end_is_a_broken_pipe(inside: Inside, events: Events) -> None:
    gate = inside.gate(events)
    async with trio.open_nursery() as nursery:
        await nursery.start(gate.run)
        nursery.cancel_scope.cancel()
    async with nothing_left_open():
        with pytest.raises(BrokenPipeError):
            await gate.dial(parse("tcp!a.example!80"))


@pytest.mark.parametrize("host", ["127.0.0.1", "slow.example"])
async def test_what_was_written_right_before_the_end_arrives(
    inside: Inside, events: Events, nursery: trio.Nursery, host: str
) -> None:
    """A program writes, closes and exits; nothing of it has been carried when its world ends."""
    trio.socket.set_custom_hostname_resolver(Resolver())
    got = []
    arrived = trio.Event()

    async def service(stream: trio.SocketStream) -> None:
        got.append(b"".join([part async for part in stream]))
        arrived.set()

    data = os.urandom(300_000)
    gate = inside.gate(events)
    port = await serve(nursery, service)
    async with trio.open_nursery() as running:
        await running.start(partial(gate.run, [private(f"tcp!{host}!{port}")]))
        (app,) = inside.sockets([(socket.AF_INET, socket.SOCK_STREAM, 0)])
        with app:
            app.connect((host if host == "127.0.0.1" else "198.18.0.2", port))
            app.sendall(data)
        await gate.finish()
        running.cancel_scope.cancel()
    with trio.fail_after(20):
        await arrived.wait()
    assert got == [data]


async def test_a_connection_whose_server_does_not_close_is_told_of_before_the_end(
    inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    async def service(_: trio.SocketStream) -> None:
        await trio.sleep_forever()

    gate = inside.gate(events)
    port = await serve(nursery, service)
    async with trio.open_nursery() as running:
        await running.start(partial(gate.run, [Address("tcp", "127.0.0.1", port)]))
        with inside.tcp() as app:
            await app.connect(("127.0.0.1", port))
            await app.send(b"all there is")
        await gate.finish()
        assert events.kinds() == ["dial.open"]
        await gate.close()
        assert events.kinds() == ["dial.open", "dial.close"]
    await gate.close()


async def test_the_end_does_not_wait_where_nothing_is_open_nor_for_ever(
    inside: Inside, events: Events, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = inside.gate(events)
    port = await serve(nursery, echo)
    async with trio.open_nursery() as running:
        await running.start(partial(gate.run, [Address("tcp", "127.0.0.1", port)]))
        monkeypatch.setattr("libos.net.gate.FINISH_SECONDS", 1000.0)
        with trio.fail_after(20):
            await gate.finish()
        monkeypatch.setattr("libos.net.gate.FINISH_SECONDS", 0.05)
        with inside.tcp() as held:
            await held.connect(("127.0.0.1", port))
            await gate.finish()
        with inside.tcp() as refused, pytest.raises(ConnectionRefusedError):
            await refused.connect(("192.0.2.7", 1))
        await gate.finish()
        assert "dial.refused" in events.kinds()
        running.cancel_scope.cancel()
    await gate.finish()


@pytest.mark.usefixtures("many_descriptors")
async def test_five_hundred_connections_at_once(inside: Inside, events: Events) -> None:
    """All are open before the first one is used, and each gets its own bytes back."""
    trio.socket.set_custom_hostname_resolver(Resolver())
    count = 500
    opened = trio.Event()
    waiting = []

    async def client(port: int) -> None:
        with inside.tcp() as connection:
            await connection.connect(("127.0.0.1", port))
            waiting.append(connection)
            if len(waiting) == count:
                opened.set()
            await opened.wait()
            mine = os.urandom(1000)
            await connection.send(mine)
            connection.shutdown(socket.SHUT_WR)
            assert await everything(connection) == mine

    async with nothing_left_open(), trio.open_nursery() as running:
        gate = inside.gate(events, connection_limit=count)
        port = await serve(running, echo)
        await running.start(gate.run, [Address("tcp", "127.0.0.1", port)])
        async with trio.open_nursery() as clients:
            for _ in range(count):
                clients.start_soon(client, port)
        running.cancel_scope.cancel()
    assert events.kinds().count("dial.close") == count
    assert "error" not in events.kinds()


@pytest.mark.parametrize("steps", range(40))
async def test_cancelled_at_any_point_it_leaves_no_descriptor(
    inside: Inside, events: Events, steps: int
) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    async with nothing_left_open(), trio.open_nursery() as running:
        port = await serve(running, echo)

        async def world() -> None:
            gate = inside.gate(events)
            async with trio.open_nursery() as nursery:
                await nursery.start(gate.run, [private(f"tcp!service.example!{port}")])
                await gate.dial(Address("tcp", "127.0.0.1", port))
                for host in ("198.18.0.2", "127.0.0.1"):
                    with inside.tcp() as client:
                        await client.connect((host, port))
                        await client.send(b"x")
                        await client.recv(1)

        running.start_soon(world)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        running.cancel_scope.cancel()
    opened, closed = events.kinds().count("dial.open"), events.kinds().count("dial.close")
    assert opened == closed
    assert descriptors()
