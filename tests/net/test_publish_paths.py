"""Unix sockets of the host as published addresses, and publications that come and go while the gate runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from network import Events, Inside, closed_port, everything, nothing_left_open

from libos.errors import HostError
from libos.net.address import parse
from libos.net.gate import Gate
from libos.net.inbound.publication import Publication, parse_publication
from libos.net.inbound.published import Published

pytest_plugins = ["gates"]


class Swept:
    """Files that would be removed if the process were killed."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def bound(self, path: str) -> socket.socket:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.bind(path)
            return socket.socket(fileno=made.detach())

    def remove(self, path: str) -> None:
        os.unlink(path)

    def sweep(self, path: str) -> None:
        self.files.append(path)

    def keep(self, path: str) -> None:
        self.files.remove(path)


@contextmanager
def listening(inside: Inside, port: int) -> Iterator[trio.socket.SocketType]:
    """The app's listener; it is bound and listens at once."""
    (raw,) = inside.sockets([(socket.AF_INET, socket.SOCK_STREAM, 0)])
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    raw.bind(("127.0.0.1", port))
    raw.listen()
    with trio.socket.from_stdlib_socket(raw) as app:
        yield app


async def answer(app: trio.socket.SocketType) -> None:
    """Send each that connects three bytes."""
    while True:
        accepted, _ = await app.accept()
        with accepted:
            await accepted.send(b"yes")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("unix:app.sock", "absolute path"),
        ("unix:", "absolute path"),
        ("unix:/run/", "absolute path"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        ("5353/sctp", "tcp or udp"),
    ],
)
def test_where_nothing_can_be_published_is_a_value_error(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_publication(53, text)


def test_udp_has_neither_paths_nor_the_proxy_protocol_and_is_named_once() -> None:
    with pytest.raises(ValueError, match="for tcp alone"):
        parse_publication(53, "unix:/run/x", network="udp")
    with pytest.raises(ValueError, match="for tcp alone"):
        parse_publication(53, "53/udp", proxy_protocol=True)
    with pytest.raises(ValueError, match="write it once"):
        parse_publication(53, "53/udp", network="tcp")
    assert parse_publication(53, "5353/udp") == Publication(53, outside_port=5353, network="udp")
    assert parse_publication(53, "5353", network="udp").address == "udp!127.0.0.1!5353"


async def test_an_app_is_reached_at_a_path_which_ends_with_the_gate(
    inside: Inside, events: Events, tmp_path: Path
) -> None:
    path = str(tmp_path / "app.sock")
    swept = Swept()
    gate = inside.gate(events, sweeper=swept)
    with listening(inside, 8000) as app:
        async with nothing_left_open(), trio.open_nursery() as nursery:
            await nursery.start(partial(gate.run, [], [parse_publication(8000, f"unix:{path}")]))
            assert swept.files == [path]
            nursery.start_soon(answer, app)
            with trio.socket.socket(socket.AF_UNIX) as client:
                await client.connect(path)
                assert await everything(client) == b"yes"
            opened = await events.take("listen.open")
            assert (opened["address"], opened["peer"]) == (f"unix!{path}", "")
            nursery.cancel_scope.cancel()
    assert os.listdir(tmp_path) == []
    assert swept.files == []


@pytest.mark.parametrize("kind", ["file", "left", "taken"])
def test_what_stands_at_a_path_stays_and_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "app.sock"
    swept = Swept()
    if kind == "file":
        path.write_text("mine")
        why = "a file already"
    else:
        holder = socket.socket(socket.AF_UNIX)
        holder.bind(str(path))
        if kind == "taken":
            holder.listen()
            why = "listens there already"
        else:
            holder.close()
            why = "is gone has left its socket"
    before = path.lstat()
    with pytest.raises(HostError, match=why):
        Published(parse_publication(80, f"unix:{path}"), swept)
    if kind == "taken":
        holder.close()
    assert path.lstat().st_ino == before.st_ino
    assert swept.files == []


def test_a_path_in_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="has no folder"):
        Published(parse_publication(80, f"unix:{tmp_path}/none/app.sock"))


def test_a_path_that_somebody_else_has_taken_over_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    published = Published(parse_publication(80, f"unix:{path}"))
    path.unlink()
    path.write_text("another's")
    published.close()
    assert path.read_text() == "another's"


async def test_where_one_address_is_taken_no_path_is_left(inside: Inside, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = [parse_publication(1, f"unix:{path}"), Publication(2, outside_port=taken.getsockname()[1])]
        gate = inside.gate(lambda kind, fields: None)
        async with nothing_left_open():
            with pytest.raises(HostError):
                await gate.run([], wanted)
    assert not path.exists()
    assert gate.publications.live == []


async def test_a_port_is_published_while_the_gate_runs_and_taken_back(
    inside: Inside, gate: Gate, events: Events
) -> None:
    publication = gate.publish(Publication(8000))
    assert publication.address.startswith("tcp!127.0.0.1!")
    port = publication.publication.outside_port
    assert [each.number for each in gate.publications.live] == [1]
    with listening(inside, 8000) as app, trio.socket.socket() as client:
        await client.connect(("127.0.0.1", port))
        accepted, _ = await app.accept()
        with accepted:
            await accepted.send(b"x")
            assert await client.recv(1) == b"x"
            publication.close()
            publication.close()
            with pytest.raises(ConnectionResetError):
                await client.recv(1)
            closed = await events.take("listen.close")
            assert closed["error"] == "the grant or its world has ended"
        with trio.socket.socket() as late, pytest.raises(ConnectionRefusedError):
            await late.connect(("127.0.0.1", port))
    assert gate.publications.live == []
    assert gate.publish(Publication(8000, outside_port=port)).number == 2


async def test_a_taken_port_is_one_error_and_changes_nothing(gate: Gate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = Publication(80, outside_port=taken.getsockname()[1])
        with pytest.raises(HostError, match="something listens there already"):
            gate.publish(wanted)
    assert gate.publications.live == []


async def test_a_port_that_the_app_dials_of_itself_is_not_published(gate: Gate) -> None:
    port = closed_port()
    grant = await gate.dial(parse(f"tcp!127.0.0.1!{port}"))
    with pytest.raises(HostError, match="circles"):
        gate.publish(Publication(port))
    grant.close()
    gate.publish(Publication(port))


async def test_a_gate_that_does_not_run_publishes_nothing(inside: Inside) -> None:
    gate = inside.gate(lambda kind, fields: None)
    with pytest.raises(BrokenPipeError):
        gate.publish(Publication(8000))
