"""Patterns of names: a name comes to be when a program asks for it, and its listeners before the answer."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import dns.message
import dns.name
import dns.rcode
import dns.reversename
import pytest
import trio
from network import Events, Inside, echo, flat_only, nothing_left_open, private, serve

from libos.net.gate import Gate
from libos.net.granting import directory
from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target
from libos.net.naming.names import RESOLVER, Names

pytest_plugins = ["gates"]

SERVER = (str(RESOLVER), 53)


def pattern(to: str, *deny: str) -> Rule:
    return Rule(parse_target(to), tuple(parse_target(each) for each in deny), private=True)


async def ask(inside: Inside, name: str, kind: str = "A") -> tuple[int, list[str]]:
    """The code and the records of an answer."""
    query = dns.message.make_query(name, kind)
    with inside.udp() as client, trio.fail_after(20):
        await client.connect(SERVER)
        await client.send(query.to_wire())
        answer = dns.message.from_wire(await client.recv(4096))
    assert query.is_response(answer)
    return answer.rcode(), [record.to_text() for rrset in answer.answer for record in rrset]


async def address(inside: Inside, name: str) -> str:
    code, (found,) = await ask(inside, name)
    assert code == dns.rcode.NOERROR
    return found


async def refused(inside: Inside, host: str, port: int) -> bool:
    with inside.tcp() as client:
        try:
            await client.connect((host, port))
        except ConnectionRefusedError:
            return True
    return False


async def test_a_name_gets_its_address_and_its_listeners_with_the_answer(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    await gate.dial(pattern(f"tcp!*.example!{port},81"))
    first = await address(inside, "API.example.")
    assert await address(inside, "api.example.") == first != await address(inside, "db.example.")
    with inside.tcp() as client:
        await client.connect((first, port))
        await client.send(b"x")
        assert await client.recv(1) == b"x"
    assert (await events.take("dial.open"))["address"] == f"tcp!api.example!{port}"
    assert not await refused(inside, first, 81)
    assert await refused(inside, first, 82)
    _, names = await ask(inside, dns.reversename.from_address(first).to_text(), "PTR")
    assert names == ["api.example."]


async def test_other_types_of_a_covered_name_are_empty_and_open_nothing(gate: Gate, inside: Inside) -> None:
    await gate.dial(pattern("tcp!**.example!443"))
    for name, kind in (("a.example.", "AAAA"), ("a.example.", "HTTPS"), ("_x._tcp.a.example.", "SRV")):
        assert await ask(inside, name, kind) == (dns.rcode.NOERROR, [])
    assert gate.names.given == []


async def test_what_no_pattern_covers_or_what_is_denied_does_not_exist(
    gate: Gate, inside: Inside, events: Events
) -> None:
    await gate.dial(pattern("tcp!*.example!443", "tcp!secret.example!443"))
    for name in (
        "example.",
        "a.b.example.",
        "a.example.org.",
        "secret.example.",
        "\\000.example.",
        "1.2.3.4.",
    ):
        assert await ask(inside, name) == (dns.rcode.NXDOMAIN, [])
        assert (await events.take("name.absent"))["type"] == "A"
    assert gate.names.given == []


async def test_only_full_names_are_in_the_hosts_file(gate: Gate, inside: Inside) -> None:
    await gate.dial(pattern("tcp!*.example!443"))
    await address(inside, "api.example.")
    assert "example" not in gate.names.hosts()
    await gate.dial(private("tcp!api.example!80"))
    assert f"{await address(inside, 'api.example.')}\tapi.example\n" in gate.names.hosts()


async def test_a_pattern_that_comes_later_is_there_for_names_that_are_there(
    gate: Gate, inside: Inside
) -> None:
    await gate.dial(private("tcp!full.example!80"))
    await gate.dial(pattern("tcp!*.example!443"))
    full, given = await address(inside, "full.example."), await address(inside, "given.example.")
    assert not await refused(inside, full, 443)
    await gate.dial(pattern("tcp!**.example!8443"))
    assert not await refused(inside, full, 8443)
    assert not await refused(inside, given, 8443)


async def test_a_pattern_that_is_taken_back_takes_names_listeners_and_connections_with_it(
    gate: Gate, inside: Inside, nursery: trio.Nursery
) -> None:
    port = await serve(nursery, echo)
    grant = await gate.dial(pattern(f"tcp!*.example!{port}"))
    at = await address(inside, "api.example.")
    with inside.tcp() as client:
        await client.connect((at, port))
        await client.send(b"x")
        assert await client.recv(1) == b"x"
        grant.close()
        with pytest.raises(ConnectionResetError):
            await client.recv(1)
    assert await refused(inside, at, port)
    assert await ask(inside, "api.example.") == (dns.rcode.NXDOMAIN, [])
    assert gate.names.given == []
    await gate.dial(pattern(f"tcp!*.example!{port}"))
    assert await address(inside, "api.example.") != at


async def test_narrowing_takes_one_name_out(gate: Gate, inside: Inside) -> None:
    grant = await gate.dial(pattern("tcp!*.example!443"))
    one, other = await address(inside, "one.example."), await address(inside, "other.example.")
    grant.narrow(deny=[parse_target("tcp!one.example!443")])
    assert await refused(inside, one, 443)
    assert not await refused(inside, other, 443)
    assert await ask(inside, "one.example.") == (dns.rcode.NXDOMAIN, [])


async def test_beyond_the_bound_the_name_used_least_recently_makes_room(
    gate: Gate, inside: Inside, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MOST_NAMES", 3)
    port = await serve(nursery, echo)
    await gate.dial(pattern(f"tcp!*.example!{port}"))
    first, second, third = [await address(inside, f"n{number}.example.") for number in (1, 2, 3)]
    with inside.tcp() as client:
        await client.connect((first, port))
        await client.send(b"x")
        assert await client.recv(1) == b"x"  # open, and so it stays
        assert await address(inside, "n2.example.") == second  # used, so n3 is the oldest that is idle
        fourth = await address(inside, "n4.example.")
        assert gate.names.given == ["n1.example", "n2.example", "n4.example"]
        assert await refused(inside, third, port)
        await client.send(b"y")
        assert await client.recv(1) == b"y"
    again = await address(inside, "n3.example.")
    assert len({first, second, third, fourth, again}) == 5


async def test_where_every_name_is_in_use_the_next_one_fails_with_an_event(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MOST_NAMES", 1)
    port = await serve(nursery, echo)
    await gate.dial(pattern(f"tcp!*.example!{port}"))
    with inside.tcp() as client:
        await client.connect((await address(inside, "n1.example."), port))
        await client.send(b"x")
        assert await client.recv(1) == b"x"
        assert await ask(inside, "n2.example.") == (dns.rcode.SERVFAIL, [])
    event = await events.take("error")
    assert (event["operation"], event["address"]) == ("name", "n2.example")
    assert "EMFILE" in str(event["error"])


async def test_the_listeners_of_patterns_are_bounded_too(
    gate: Gate, inside: Inside, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "MOST_LISTENERS", 20)
    grant = await gate.dial(pattern("tcp!*.example!1-10"))
    for number in range(4):
        await address(inside, f"n{number}.example.")
    assert gate.names.given == ["n2.example", "n3.example"]
    await gate.dial(pattern("tcp!*.example!101-105"))
    assert gate.names.given == ["n3.example"]
    grant.close()
    await gate.dial(pattern("tcp!*.other.example!1-21"))
    assert await ask(inside, "a.other.example.") == (dns.rcode.SERVFAIL, [])
    assert "21 listeners" in str((await events.take("error"))["error"])


@flat_only
async def test_a_port_where_the_app_listens_on_all_addresses_fails_the_name(
    gate: Gate, inside: Inside, events: Events
) -> None:
    await gate.dial(pattern("tcp!*.example!4433"))
    with inside.tcp() as app:
        await app.bind(("0.0.0.0", 4433))
        app.listen()
        assert await ask(inside, "api.example.") == (dns.rcode.SERVFAIL, [])
        assert "in use" in str((await events.take("error"))["error"])
        assert gate.names.given == []
    await address(inside, "api.example.")


async def test_many_ask_for_one_name_at_once_and_get_one_answer(gate: Gate, inside: Inside) -> None:
    await gate.dial(pattern("tcp!*.example!443"))
    got = []

    async def client() -> None:
        got.append(await address(inside, "api.example."))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(client)
    assert len(got) == 20
    assert len(set(got)) == 1


@flat_only
async def test_while_names_wait_for_their_listeners_others_are_answered(
    inside: Inside, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libos.net.naming.dns._WAITING", 2)
    let = trio.Event()
    asked = 0

    async def open_sockets(specs: list[tuple[int, int, int]]) -> list[socket.socket]:
        nonlocal asked
        asked += 1
        if asked > 1:
            await let.wait()
        return await inside.open_sockets(specs)

    gate = Gate("w", open_sockets, Names("world"), events)
    async with nothing_left_open(), trio.open_nursery() as nursery:
        await nursery.start(gate.run, [pattern("tcp!*.example!443")])
        with inside.udp() as flooding:
            await flooding.connect(SERVER)
            for number in range(50):
                await flooding.send(dns.message.make_query(f"n{number}.example.", "A").to_wire())
            assert await ask(inside, "localhost.") == (dns.rcode.NOERROR, ["127.0.0.1"])
            let.set()
            got = {
                dns.message.from_wire(await flooding.recv(4096)).question[0].name.to_text() for _ in range(2)
            }
        assert got == {"n0.example.", "n1.example."}
        assert await address(inside, "n7.example.")
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def opening_a_name(
    inside: Inside, events: Events, let: trio.Event
) -> AsyncIterator[tuple[Gate, trio.socket.SocketType]]:
    """A gate that has been asked for a name and gets the socket for it when it is let; gives it, and who
    asked."""
    opening = trio.Event()

    async def open_sockets(specs: Sequence[tuple[int, int, int]]) -> list[socket.socket]:
        if len(specs) == 1:
            opening.set()
            await let.wait()
        return await inside.open_sockets(specs)

    gate = Gate("w", open_sockets, Names("world"), events)
    async with nothing_left_open(), trio.open_nursery() as nursery:
        await nursery.start(gate.run, [pattern("tcp!*.example!443")])
        with inside.udp() as client:
            await client.connect(SERVER)
            await client.send(dns.message.make_query("a.example.", "A").to_wire())
            await opening.wait()
            yield gate, client
        nursery.cancel_scope.cancel()


@flat_only
async def test_the_end_while_a_name_is_being_opened_leaves_nothing(inside: Inside, events: Events) -> None:
    async with opening_a_name(inside, events, trio.Event()) as (gate, _):
        pass
    assert gate.names.given == []


@flat_only
async def test_a_grant_that_goes_while_its_name_is_being_opened_leaves_no_listener(
    inside: Inside, events: Events
) -> None:
    let = trio.Event()
    async with opening_a_name(inside, events, let) as (gate, client):
        gate.grants[0].close()
        let.set()
        assert dns.message.from_wire(await client.recv(4096)).rcode() == dns.rcode.NXDOMAIN
        assert await refused(inside, "198.18.0.2", 443)


@pytest.mark.usefixtures("many_descriptors")
async def test_a_thousand_names_are_held_and_more_are_served(gate: Gate, inside: Inside) -> None:
    await gate.dial(pattern("tcp!*.example!443"))
    query = dns.message.make_query("x.example.", "A")
    with inside.udp() as client, trio.fail_after(50):
        await client.connect(SERVER)
        for number in range(1100):
            query.question[0].name = dns.name.from_text(f"n{number}.example.")
            await client.send(query.to_wire())
            answer = dns.message.from_wire(await client.recv(4096))
            assert answer.rcode() == dns.rcode.NOERROR
    assert len(gate.names.given) == 1000
    assert gate.names.given[0] == "n100.example"


@flat_only
async def test_a_udp_pattern_binds_its_places(gate: Gate, inside: Inside) -> None:
    await gate.dial(pattern("udp!*.example!5000"))
    at = await address(inside, "api.example.")
    with inside.udp() as app:
        with pytest.raises(OSError, match="in use") as caught:
            await app.bind((at, 5000))
        assert caught.value.errno == errno.EADDRINUSE
