"""The responder: granted names have their address, others do not exist, and nothing that is sent ends it."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from network import Events, Inside

from libos.net.address import parse
from libos.net.gate import Gate
from libos.net.naming.lookups import Lookups
from libos.net.naming.messages import Query, read
from libos.net.naming.names import RESOLVER

pytest_plugins = ["gates"]

SERVER = (str(RESOLVER), 53)


async def ask(inside: Inside, query: dns.message.Message) -> dns.message.Message:
    with inside.udp() as client, trio.fail_after(20):
        await client.connect(SERVER)
        await client.send(query.to_wire())
        answer = dns.message.from_wire(await client.recv(4096))
        assert query.is_response(answer)
        return answer


async def answers(inside: Inside, name: str, kind: str) -> list[str]:
    answer = await ask(inside, dns.message.make_query(name, kind))
    assert answer.rcode() == dns.rcode.NOERROR
    return [record.to_text() for rrset in answer.answer for record in rrset]


async def test_a_granted_name_has_its_address_and_nothing_else(
    gate: Gate, inside: Inside, events: Events
) -> None:
    await gate.dial(parse("tcp!api.example!443"))
    assert await answers(inside, "API.example.", "A") == ["198.18.0.2"]
    for kind in ("AAAA", "MX", "TXT", "HTTPS", "ANY"):
        assert await answers(inside, "api.example.", kind) == []
    fields = {"name": "api.example", "type": "A", "addresses": ["198.18.0.2"], "untold": 0}
    assert events.seen == [("name.found", fields)]


async def test_localhost_and_the_own_name_are_known(gate: Gate, inside: Inside) -> None:
    assert await answers(inside, "localhost.", "A") == ["127.0.0.1"]
    assert await answers(inside, "localhost.", "AAAA") == ["::1"]
    assert await answers(inside, "world.", "A") == ["127.0.1.1"]


async def test_addresses_have_their_names(gate: Gate, inside: Inside) -> None:
    await gate.dial(parse("tcp!api.example!443"))
    assert await answers(inside, "2.0.18.198.in-addr.arpa.", "PTR") == ["api.example."]
    assert await answers(inside, "1.0.0.127.in-addr.arpa.", "PTR") == ["localhost."]


async def test_another_name_does_not_exist_and_is_told_once_for_both_families(
    gate: Gate, inside: Inside, events: Events
) -> None:
    for kind in ("A", "AAAA"):
        answer = await ask(inside, dns.message.make_query("Gone.Example.", kind))
        assert answer.rcode() == dns.rcode.NXDOMAIN
        (soa,) = answer.authority
        assert (soa.rdtype, soa.ttl, soa[0].minimum) == (dns.rdatatype.SOA, 0, 0)
    assert events.seen == [("name.absent", {"name": "gone.example", "type": "A", "untold": 0})]


async def test_edns_and_its_size_are_answered(gate: Gate, inside: Inside) -> None:
    query = dns.message.make_query("localhost.", "A", use_edns=0, payload=1232)
    answer = await ask(inside, query)
    assert answer.edns == 0
    assert answer.flags & dns.flags.AA and answer.flags & dns.flags.RA


async def test_what_is_no_query_is_answered_as_such(gate: Gate, inside: Inside) -> None:
    query = dns.message.make_query("localhost.", "A")
    query.set_opcode(dns.opcode.STATUS)
    assert (await ask(inside, query)).rcode() == dns.rcode.NOTIMP
    with inside.udp() as client, trio.fail_after(20):
        await client.connect(SERVER)
        await client.send(b"\x12\x34" + b"\x01\x00" + b"\x00\x05" + bytes(6))  # five questions, none there
        answer = await client.recv(512)
    assert answer[:2] == b"\x12\x34"
    assert answer[2] & 0x80 and answer[3] & 15 == dns.rcode.FORMERR


async def test_it_answers_over_tcp_and_several_times(gate: Gate, inside: Inside) -> None:
    with inside.tcp() as client, trio.fail_after(20):
        await client.connect(SERVER)
        for _ in range(3):
            query = dns.message.make_query("localhost.", "A")
            wire = query.to_wire()
            for part in (len(wire).to_bytes(2, "big")[:1], len(wire).to_bytes(2, "big")[1:] + wire):
                await client.send(part)
            length = int.from_bytes(await client.recv(2), "big")
            answer = dns.message.from_wire(await client.recv(length))
            assert query.is_response(answer)


async def test_tcp_clients_that_say_nothing_or_nonsense_are_let_go(
    gate: Gate, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libos.net.naming.dns._IDLE", 0.05)
    for data in (b"", b"\xff\xff", b"\x00\x00", b"\x00\x03abc"):
        with inside.tcp() as client, trio.fail_after(20):
            await client.connect(SERVER)
            if data:
                await client.send(data)
            assert await client.recv(1) == b""
    assert await answers(inside, "localhost.", "A") == ["127.0.0.1"]


async def test_garbage_in_a_row_does_not_end_it(gate: Gate, inside: Inside) -> None:
    with inside.udp() as client:
        await client.connect(SERVER)
        for number in range(200):
            await client.send(bytes([number]) * (number * 7 % 300))
    assert await answers(inside, "localhost.", "A") == ["127.0.0.1"]


async def test_what_is_asked_in_another_way_is_refused_as_such(gate: Gate, inside: Inside) -> None:
    chaos = dns.message.make_query("version.bind.", "TXT", rdclass="CH")
    assert (await ask(inside, chaos)).rcode() == dns.rcode.REFUSED
    later = dns.message.make_query("localhost.", "A", use_edns=1)
    assert (await ask(inside, later)).rcode() == dns.rcode.BADVERS


async def test_an_empty_answer_says_how_long_it_may_be_kept(gate: Gate, inside: Inside) -> None:
    await gate.dial(parse("tcp!api.example!443"))
    for kind in ("AAAA", "HTTPS", "SVCB"):
        answer = await ask(inside, dns.message.make_query("api.example.", kind))
        assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
        assert answer.flags & dns.flags.AA and answer.flags & dns.flags.RA
        assert [(each.rdtype, each.ttl) for each in answer.authority] == [(dns.rdatatype.SOA, 5)]


HEAD = b"\x12\x34\x01\x00\x00\x01" + bytes(6)


@pytest.mark.parametrize(
    "question",
    [
        b"\xc0\x0c\x00\x01\x00\x01",  # a label that points to itself
        b"\x01a\xc0\x0c\x00\x01\x00\x01",  # and one that comes back to its own beginning
        b"\xc0\x12\x00\x01\x00\x01\xc0\x0c",  # two that point to each other
        b"\xff\xff\x00\x01\x00\x01",
        b"\x3f" + b"a" * 62,
        (b"\x3f" + b"a" * 63) * 4 + b"\x00\x00\x01\x00\x01",  # a name of 257 bytes
        b"\x00",
    ],
)
async def test_names_that_cannot_be_read_are_format_errors(
    gate: Gate, inside: Inside, question: bytes
) -> None:
    with inside.udp() as client, trio.fail_after(20):
        await client.connect(SERVER)
        await client.send(HEAD + question)
        answer = await client.recv(512)
    assert answer[:2] == b"\x12\x34"
    assert answer[2] & 0x80 and answer[3] & 15 == dns.rcode.FORMERR


async def test_a_flood_of_absent_names_is_bounded_in_events_and_others_are_answered(
    gate: Gate, inside: Inside, events: Events
) -> None:
    query = dns.message.make_query("x.invalid.", "A")
    with inside.udp() as flooding, inside.udp() as client, trio.fail_after(30):
        await flooding.connect(SERVER)
        await client.connect(SERVER)
        for number in range(3000):
            query.question[0].name = dns.name.from_text(f"n{number}.invalid.")
            await flooding.send(query.to_wire())
            if number % 500 == 0:
                while True:  # what finds the socket full is lost, as it is anywhere
                    await client.send(dns.message.make_query("localhost.", "A").to_wire())
                    with trio.move_on_after(1):
                        assert dns.message.from_wire(await client.recv(4096)).answer
                        break
    absent = [fields for kind, fields in events.seen if kind == "name.absent"]
    assert 100 <= len(absent) < 1500


async def test_absent_names_are_told_once_a_second_and_counted_beyond_a_hundred() -> None:
    events = Events()
    now = 100.0
    absences = Lookups("name.absent", events, lambda: now)
    for number in range(150):
        absences.note(f"n{number}", "A")
        absences.note(f"n{number}", "AAAA")
    assert [fields["name"] for _, fields in events.seen] == [f"n{number}" for number in range(100)]
    now += 1.0
    absences.note("n7", "A")
    absences.note("later", "A")
    assert events.seen[100:] == [("name.absent", {"name": "later", "type": "A", "untold": 100})]
    now += 2.0
    absences.note("n7", "A")
    assert events.seen[-1] == ("name.absent", {"name": "n7", "type": "A", "untold": 0})


QUERY = dns.message.make_query("api.example.", "A", use_edns=0).to_wire()


@settings(deadline=None)
@given(st.binary(max_size=600), st.integers(0, len(QUERY)), st.integers(0, len(QUERY)))
def test_any_bytes_are_answered_or_passed_over(data: bytes, cut: int, rest: int) -> None:
    for message in (data, QUERY[:cut] + data, QUERY[:2] + data, QUERY[:cut] + data + QUERY[rest:]):
        query = read(message)
        if isinstance(query, Query):
            query.absent()
            query = query.wire(datagram=True)
        if query is not None:
            assert query[:2] == message[:2]
            assert query[2] & 0x80
            assert len(query) <= 1232
            dns.message.from_wire(query)
