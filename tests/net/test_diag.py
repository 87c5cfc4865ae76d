"""sock_diag: its messages, and who listens in a namespace, with the gate's own listeners left out."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from network import Inside

from libos.net.address import parse
from libos.net.diag import codec
from libos.net.diag.listening import Listening
from libos.net.gate import Gate

pytest_plugins = ["gates"]

HEADER = struct.Struct("=IHHII")


def message(kind: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, 0, 1, 0) + body


def entry(family: int, address: str, port: int, inode: int) -> bytes:
    raw = socket.inet_pton(family, address).ljust(16, b"\0")
    ids = struct.pack("!HH16s16s", port, 0, raw, bytes(16)) + bytes(12)
    return struct.pack("=BBBB", family, codec.LISTEN, 0, 0) + ids + struct.pack("=IIIII", 0, 0, 0, 0, inode)


def test_a_request_is_that_of_the_kernels_headers() -> None:
    made = codec.request(socket.AF_INET6, socket.IPPROTO_TCP, 1 << codec.LISTEN, sequence=7)
    assert len(made) == 16 + 56
    assert HEADER.unpack_from(made) == (72, 20, 0x301, 7, 0)
    assert struct.unpack_from("=BBBBI", made, 16) == (socket.AF_INET6, 6, 0, 0, 1 << 10)
    assert made[24:] == bytes(48)


def test_answers_are_read_up_to_the_end_of_the_dump() -> None:
    packet = message(20, entry(socket.AF_INET, "127.0.0.1", 80, 5))
    packet += message(20, entry(socket.AF_INET6, "::", 443, 6) + b"\1\2\3\4")  # attributes are passed over
    first = codec.decode(packet)
    assert [(each.address, each.port, each.inode) for each in first.sockets] == [
        ("127.0.0.1", 80, 5),
        ("::", 443, 6),
    ]
    assert not first.done
    assert codec.decode(packet + message(3, bytes(4))).done


def test_a_refusal_is_its_errno() -> None:
    with pytest.raises(OSError, match=r"\w") as caught:
        codec.decode(message(2, struct.pack("=i", -errno.ENOENT) + bytes(16)))
    assert caught.value.errno == errno.ENOENT


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_an_error(packet: bytes) -> None:
    try:
        codec.decode(packet)
    except (ValueError, OSError):
        pass


@given(st.binary(max_size=80), st.integers(0, 40))
def test_any_message_is_an_answer_or_an_error(body: bytes, kind: int) -> None:
    try:
        codec.decode(message(kind, body))
    except (ValueError, OSError):
        pass


def listener(inside: Inside, family: int, host: str, port: int) -> socket.socket:
    (made,) = inside.sockets([(family, socket.SOCK_STREAM, 0)])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    return made


@pytest.mark.parametrize(
    ("host", "found"),
    [("127.0.0.1", True), ("0.0.0.0", True), ("::1", True), ("::", True), ("127.0.0.2", False)],
)
async def test_who_listens_at_the_loopback_is_found(inside: Inside, host: str, found: bool) -> None:
    listening = Listening(inside.open_sockets, set)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with listener(inside, family, host, 7001) as made:
        assert 7001 not in await listening.ports()  # bound only
        made.listen()
        assert (7001 in await listening.ports()) is found
    assert 7001 not in await listening.ports()
    listening.close()


async def test_hundreds_of_listeners_are_all_found(inside: Inside) -> None:
    """More than one packet of a dump holds."""
    listening = Listening(inside.open_sockets, set)
    opened = [listener(inside, socket.AF_INET, "127.0.0.1", port) for port in range(20000, 20400)]
    for each in opened:
        each.listen()
    assert set(range(20000, 20400)) <= await listening.ports()
    for each in opened:
        each.close()
    assert not set(range(20000, 20400)) & await listening.ports()
    listening.close()


async def test_a_hint_makes_who_waits_look_again(inside: Inside) -> None:
    listening = Listening(inside.open_sockets, set)
    looked = 0
    ports = listening.ports

    async def counted() -> set[int]:
        nonlocal looked
        looked += 1
        return await ports()

    listening.ports = counted  # type: ignore[method-assign]  # to see each look
    with listener(inside, socket.AF_INET, "127.0.0.1", 7002) as made:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listening.wait, 7002)
            await trio.testing.wait_all_tasks_blocked()
            assert looked == 1
            listening.hint()  # too early: it looks, and goes on waiting
            await trio.testing.wait_all_tasks_blocked()
            assert looked == 2
            made.listen()
            await trio.testing.wait_all_tasks_blocked()
            assert looked == 2  # nobody polls
            listening.hint()
        assert looked == 3
        with trio.fail_after(20):
            await listening.wait(7002)  # at once
    listening.close()


async def test_what_the_gate_listens_for_is_not_the_apps(inside: Inside, gate: Gate) -> None:
    grant = await gate.dial(parse("tcp!localhost!7003"))
    assert 7003 not in await gate.listening.ports()
    grant.close()
    with listener(inside, socket.AF_INET, "127.0.0.1", 7003) as made:
        made.listen()
        assert 7003 in await gate.listening.ports()
