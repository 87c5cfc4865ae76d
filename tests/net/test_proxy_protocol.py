"""The PROXY protocol: the bytes of its specification, and an app that reads them before the first byte."""

from __future__ import annotations

import socket
import struct
from functools import partial
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from network import Events, Inside, everything, nothing_left_open

from libos.net.inbound.proxy_protocol import header
from libos.net.inbound.publication import Publication

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")


def test_a_header_of_ipv4_is_that_of_the_specification() -> None:
    made = header(socket.AF_INET, ("192.0.2.1", 56324), ("198.51.100.9", 443))
    addresses = bytes([192, 0, 2, 1, 198, 51, 100, 9]) + struct.pack("!HH", 56324, 443)
    assert made == SIGNATURE + b"\x21\x11" + struct.pack("!H", 12) + addresses


def test_a_header_of_ipv6_is_that_of_the_specification() -> None:
    made = header(socket.AF_INET6, ("2001:db8::1", 1, 0, 0), ("::1", 2, 0, 0))
    addresses = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(15) + b"\x01"
    assert made == SIGNATURE + b"\x21\x21" + struct.pack("!H", 36) + addresses + struct.pack("!HH", 1, 2)


ENDS = st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65535))
ENDS6 = st.tuples(st.ip_addresses(v=6).map(str), st.integers(0, 65535), st.just(0), st.just(0))


@given(st.tuples(ENDS, ENDS) | st.tuples(ENDS6, ENDS6))
def test_a_header_reads_back_as_both_ends(ends: tuple[tuple[object, ...], tuple[object, ...]]) -> None:
    family = socket.AF_INET6 if len(ends[0]) == 4 else socket.AF_INET
    made = header(family, *ends)
    length, rest = struct.unpack("!H", made[14:16])[0], made[16:]
    width = (length - 4) // 2
    hosts = [socket.inet_ntop(family, rest[:width]), socket.inet_ntop(family, rest[width : 2 * width])]
    given_hosts = [socket.inet_ntop(family, socket.inet_pton(family, str(end[0]))) for end in ends]
    assert len(rest) == length
    assert hosts == given_hosts
    assert struct.unpack("!HH", rest[-4:]) == (ends[0][1], ends[1][1])


def test_a_header_of_a_unix_socket_has_both_names_in_full_width() -> None:
    made = header(socket.AF_UNIX, "", "/run/app.sock")
    assert made == SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + bytes(108) + b"/run/app.sock".ljust(
        108, b"\0"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_app_learns_who_connected_before_the_first_byte(
    inside: Inside, events: Events, host: str
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    async with nothing_left_open(), trio.open_nursery() as nursery:
        gate = inside.gate(events)
        wanted = Publication(8000, host, proxy_protocol=True)
        (publication,) = await nursery.start(partial(gate.run, [], [wanted]))
        with inside.tcp() as app, trio.socket.socket(family) as client:
            app.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await app.bind(("127.0.0.1", 8000))
            app.listen()
            await client.connect((host, publication.outside_port))
            await client.send(b"GET")
            client.shutdown(socket.SHUT_WR)
            accepted, _ = await app.accept()
            with accepted:
                seen = await everything(accepted)
            assert seen == header(family, client.getsockname(), client.getpeername()) + b"GET"
        nursery.cancel_scope.cancel()


async def test_the_app_learns_at_which_path_it_was_reached(
    inside: Inside, events: Events, tmp_path: Path
) -> None:
    path = str(tmp_path / "app.sock")
    async with nothing_left_open(), trio.open_nursery() as nursery:
        gate = inside.gate(events)
        await nursery.start(partial(gate.run, [], [Publication(8000, path=path, proxy_protocol=True)]))
        with inside.tcp() as app, trio.socket.socket(socket.AF_UNIX) as client:
            app.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await app.bind(("127.0.0.1", 8000))
            app.listen()
            await client.connect(path)
            client.shutdown(socket.SHUT_WR)
            accepted, _ = await app.accept()
            with accepted:
                assert await everything(accepted) == header(socket.AF_UNIX, "", path)
        nursery.cancel_scope.cancel()
