"""Grants under strain: taken back in mid-transfer, limits of nothing, peers that do not read, floods."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
import trio.testing
from network import Events, Inside, echo, everything, nothing_left_open, serve

from libos.net.address import Address, parse
from libos.net.gate import Gate
from libos.net.granting.rule import Limits, Rule
from libos.net.granting.target import parse_target, target_of
from libos.net.sockets import abort

pytest_plugins = ["gates"]


def rule(port: int, **limits: int) -> Rule:
    return Rule(target_of(Address("tcp", "127.0.0.1", port)), limits=Limits(**limits))


async def flood(stream: trio.SocketStream) -> None:
    """Send without end."""
    try:
        while True:
            await stream.send_all(bytes(1 << 16))
    except trio.BrokenResourceError:
        pass


async def hold(stream: trio.SocketStream) -> None:
    """Read nothing."""
    await trio.sleep_forever()


@pytest.fixture
async def client(inside: Inside) -> AsyncIterator[trio.socket.SocketType]:
    with inside.tcp() as made:
        yield made


async def test_a_grant_that_goes_in_mid_transfer_resets_both_sides(
    gate: Gate, client: trio.socket.SocketType, events: Events, nursery: trio.Nursery
) -> None:
    broken = trio.Event()

    async def service(stream: trio.SocketStream) -> None:
        await flood(stream)
        broken.set()

    port = await serve(nursery, service)
    grant = await gate.dial(rule(port))
    await client.connect(("127.0.0.1", port))
    got = 0
    while got < 5_000_000:
        got += len(await client.recv(1 << 16))
    grant.close()
    with pytest.raises(ConnectionResetError):
        while await client.recv(1 << 16):
            pass
    with trio.fail_after(20):
        await broken.wait()
    closed = await events.take("dial.close")
    assert closed["error"] == "the grant was taken back"
    assert closed["received"] == grant.meter.received.total >= 5_000_000
    assert (grant.open, grant.opened) == (0, 1)


@pytest.mark.parametrize("limit", ["sent", "received", "connections"])
async def test_a_limit_of_nothing_reaches_nobody(
    gate: Gate, client: trio.socket.SocketType, events: Events, nursery: trio.Nursery, limit: str
) -> None:
    reached = []

    async def service(stream: trio.SocketStream) -> None:
        reached.append(stream)

    port = await serve(nursery, service)
    grant = await gate.dial(rule(port, **{limit: 0}))
    await client.connect(("127.0.0.1", port))
    with pytest.raises(ConnectionResetError):
        await client.recv(1)
    limited = await events.take("dial.limited")
    assert (limited["grant"], limited["limit"]) == (grant.id, limit)
    assert str(limited["error"]).startswith("EDQUOT: ")
    await trio.testing.wait_all_tasks_blocked()
    assert (reached, grant.refused, grant.open) == ([], 1, 0)
    assert "dial.open" not in events.kinds()
    assert "error" not in events.kinds()


async def test_the_connection_beyond_the_limit_is_refused_and_the_others_stay(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    grant = await gate.dial(rule(port, connections=2))
    with inside.tcp() as one, inside.tcp() as two, inside.tcp() as three, inside.tcp() as four:
        for each in (one, two):
            await each.connect(("127.0.0.1", port))
            await each.send(b"x")
            assert await each.recv(1) == b"x"
        await three.connect(("127.0.0.1", port))
        with pytest.raises(ConnectionResetError):
            await three.recv(1)
        one.close()
        await events.take("dial.close")
        await trio.testing.wait_all_tasks_blocked()
        await four.connect(("127.0.0.1", port))
        await four.send(b"y")
        assert await four.recv(1) == b"y"
        await two.send(b"z")
        assert await two.recv(1) == b"z"
    assert (grant.opened, grant.refused) == (4, 1)


async def test_narrowing_ends_the_youngest_that_are_too_many(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    grant = await gate.dial(rule(port))
    with inside.tcp() as old, inside.tcp() as young:
        for each in (old, young):
            await each.connect(("127.0.0.1", port))
            await each.send(b"x")
            assert await each.recv(1) == b"x"
        grant.narrow(limits=Limits(connections=1))
        with pytest.raises(ConnectionResetError):
            await young.recv(1)
        assert (await events.take("dial.close"))["error"] == "the grant was narrowed"
        await old.send(b"y")
        assert await old.recv(1) == b"y"
        grant.narrow(deny=[parse_target("tcp!127.0.0.1!1-2")])
        await old.send(b"z")
        assert await old.recv(1) == b"z"
        grant.narrow(deny=[parse_target(f"tcp!127.0.0.1!{port}")])
        with pytest.raises(ConnectionResetError):
            await old.recv(1)
    with inside.tcp() as late, pytest.raises(ConnectionRefusedError):
        await late.connect(("127.0.0.1", port))
    denied = await events.take("dial.denied")
    assert denied == {"address": f"tcp!127.0.0.1!{port}", "grant": grant.id, "reason": "deny", "count": 1}


async def test_bytes_that_have_passed_count_against_a_narrower_total(
    gate: Gate, client: trio.socket.SocketType, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    grant = await gate.dial(rule(port, sent=1000))
    await client.connect(("127.0.0.1", port))
    await client.send(b"12345")
    assert await client.recv(10) == b"12345"
    grant.narrow(limits=Limits(sent=3, received=2000))
    assert grant.rule.limits == Limits(sent=3, received=2000)
    await client.send(b"6")
    with pytest.raises(ConnectionResetError):
        await client.recv(1)
    assert (await events.take("dial.limited"))["limit"] == "sent"
    assert grant.meter.sent.total == 5


async def test_taking_back_what_refused_lets_the_next_grant_be_dialed(
    gate: Gate, inside: Inside, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    to = target_of(Address("tcp", "127.0.0.1", port))
    first = await gate.dial(Rule(to, deny=(to,)))
    await gate.dial(rule(port))
    with inside.tcp() as client, pytest.raises(ConnectionRefusedError):
        await client.connect(("127.0.0.1", port))
    first.close()
    await gate.refresh()
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        await client.send(b"x")
        assert await client.recv(1) == b"x"


@pytest.mark.parametrize("rate", [None, 1 << 30])
async def test_a_peer_that_stops_reading_holds_the_other_up(
    gate: Gate, client: trio.socket.SocketType, nursery: trio.Nursery, rate: int | None
) -> None:
    """Two kernel buffers and a block are on their way at most."""
    port = await serve(nursery, hold)
    grant = await gate.dial(Rule(parse_target(f"tcp!127.0.0.1!{port}"), limits=Limits(rate=rate)))
    await client.connect(("127.0.0.1", port))

    async def send() -> None:
        while True:
            await client.send(bytes(1 << 20))

    async with trio.open_nursery() as sending:
        sending.start_soon(send)
        await trio.testing.wait_all_tasks_blocked(0.3)
        before = grant.meter.sent.total
        assert 0 < before < 32 << 20
        await trio.testing.wait_all_tasks_blocked(0.2)
        assert grant.meter.sent.total - before <= 1 << 20
        sending.cancel_scope.cancel()
    grant.close()


async def test_an_app_that_ends_its_side_still_gets_the_answer_within_a_rate(
    gate: Gate, client: trio.socket.SocketType, nursery: trio.Nursery
) -> None:
    async def service(stream: trio.SocketStream) -> None:
        question = b"".join([bytes(part) async for part in stream])
        await stream.send_all(question * 3)

    port = await serve(nursery, service)
    await gate.dial(rule(port, rate=1_000_000))
    await client.connect(("127.0.0.1", port))
    await client.send(bytes(30_000))
    client.shutdown(socket.SHUT_WR)
    assert len(await everything(client)) == 90_000


async def test_an_outside_that_ends_its_side_still_gets_the_rest(
    gate: Gate, client: trio.socket.SocketType, nursery: trio.Nursery
) -> None:
    got = bytearray()
    arrived = trio.Event()

    async def service(stream: trio.SocketStream) -> None:
        await stream.send_eof()
        async for part in stream:
            got.extend(part)
        arrived.set()

    port = await serve(nursery, service)
    await gate.dial(rule(port, sent=100))
    await client.connect(("127.0.0.1", port))
    assert await client.recv(1) == b""
    await client.send(b"the rest")
    client.close()
    with trio.fail_after(20):
        await arrived.wait()
    assert got == b"the rest"


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_a_burst_of_connections_is_carried_within_the_limit(
    inside: Inside, events: Events, count: int
) -> None:
    """All are tried at once; the world holds 256 at most, and each gets its byte back or waits its turn."""
    most, done = 0, 0
    at_once = trio.CapacityLimiter(min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))

    async def client(port: int) -> None:
        nonlocal most, done
        async with at_once:
            with inside.tcp() as connection:
                await connection.connect(("127.0.0.1", port))
                await connection.send(b"x")
                assert await connection.recv(1) == b"x"
                most = max(most, grant.open)
        done += 1

    async with nothing_left_open(), trio.open_nursery() as running:
        gate = inside.gate(events, connection_limit=256)
        port = await serve(running, echo)
        await running.start(gate.run)
        grant = await gate.dial(rule(port))
        with trio.fail_after(300):
            async with trio.open_nursery() as clients:
                for _ in range(count):
                    clients.start_soon(client, port)
        assert (done, grant.opened) == (count, count)
        assert most <= 256
        running.cancel_scope.cancel()
    assert events.kinds().count("dial.close") == count


async def test_an_answer_that_is_no_sends_nothing_outside(
    inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    asked: list[tuple[str, str, float | None]] = []
    reached = []

    async def consult(grant: str, address: Address, seconds: float | None) -> bool:
        asked.append((grant, str(address), seconds))
        await trio.lowlevel.checkpoint()
        return len(asked) > 1

    async def service(stream: trio.SocketStream) -> None:
        reached.append(stream)
        await echo(stream)

    port = await serve(nursery, service)
    gate = inside.gate(events)
    gate.consult = consult
    to = target_of(parse(f"tcp!127.0.0.1!{port}"))
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(partial(gate.run, [Rule(to, ask=True, ask_seconds=5.0)]))
        with inside.tcp() as first, inside.tcp() as second:
            await first.connect(("127.0.0.1", port))
            await first.send(b"secret")
            with pytest.raises(OSError, match="reset") as caught:
                await first.recv(1)
            assert (caught.value.errno, reached) == (errno.ECONNRESET, [])
            assert (await events.take("dial.denied"))["reason"] == "answer"
            await second.connect(("127.0.0.1", port))
            await second.send(b"x")
            assert await second.recv(1) == b"x"
        running.cancel_scope.cancel()
    assert asked == [("d1", f"tcp!127.0.0.1!{port}", 5.0)] * 2
    assert "error" not in events.kinds()


@pytest.mark.parametrize("end", ["close", "reset", "say and close", "say and reset", "say and half-close"])
async def test_a_question_goes_with_the_app(
    inside: Inside, events: Events, nursery: trio.Nursery, end: str
) -> None:
    asked, answer, withdrawn = trio.Event(), trio.Event(), trio.Event()

    async def consult(grant: str, address: Address, seconds: float | None) -> bool:
        asked.set()
        try:
            await answer.wait()
        except trio.Cancelled:
            withdrawn.set()
            raise
        return True

    port = await serve(nursery, echo)
    gate = inside.gate(events)
    gate.consult = consult
    to = target_of(parse(f"tcp!127.0.0.1!{port}"))
    async with nothing_left_open(), trio.open_nursery() as running:
        await running.start(partial(gate.run, [Rule(to, ask=True)]))
        with inside.tcp() as client, trio.fail_after(20):
            await client.connect(("127.0.0.1", port))
            await asked.wait()
            if "say" in end:
                await client.send(b"hello")
            if end == "say and half-close":
                client.shutdown(socket.SHUT_WR)
                await trio.testing.wait_all_tasks_blocked(0.01)
                answer.set()
                assert await everything(client) == b"hello"
            elif "reset" in end:
                abort(socket.socket(fileno=client.detach()))
                await withdrawn.wait()
            else:
                client.close()
                if "say" in end:  # it may have ended its side alone, and wait for the answer
                    await trio.testing.wait_all_tasks_blocked(0.01)
                    answer.set()
                    await events.take("dial.close")
                else:
                    await withdrawn.wait()
        running.cancel_scope.cancel()
