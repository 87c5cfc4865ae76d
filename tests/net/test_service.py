"""Services: a unix socket inside that leads to one outside, to an address, or to a function."""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from network import Events, closed_port, echo, everything, nothing_left_open, serve

from libos.net.gate import Gate
from libos.net.outbound.connecting import ByWay
from libos.net.outbound.function import ByFunction
from libos.net.outbound.service import Service, answered_by, parse_service

pytest_plugins = ["gates"]


def offered(gate: Gate, folder: Path, way: ByWay | ByFunction) -> tuple[Service, str]:
    path = str(folder / "inside.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    service = Service("/run/db.sock", listener, way)
    gate.offer(service)
    return service, path


async def connected(path: str) -> trio.socket.SocketType:
    client = trio.socket.socket(socket.AF_UNIX)
    await client.connect(path)
    return client


async def serve_unix(
    nursery: trio.Nursery, path: str, handler: Callable[[trio.SocketStream], Awaitable[None]]
) -> None:
    listener = trio.socket.socket(socket.AF_UNIX)
    await listener.bind(path)
    listener.listen()
    nursery.start_soon(trio.serve_listeners, handler, [trio.SocketListener(listener)])


@pytest.mark.parametrize("text", ["", "/run/x", "unix!x", "udp!h!1", "tcp!h", "http://h:1", "socks5://h:1"])
def test_what_is_no_service(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_service(text)


async def test_bytes_pass_to_a_unix_socket_and_back(gate: Gate, events: Events, tmp_path: Path) -> None:
    outside = str(tmp_path / "outside.sock")
    async with trio.open_nursery() as nursery:
        await serve_unix(nursery, outside, echo)
        _, path = offered(gate, tmp_path, parse_service(f"unix!{outside}"))
        data = os.urandom(3_000_000)
        with await connected(path) as client:
            async with trio.open_nursery() as both:

                async def send() -> None:
                    await trio.SocketStream(client).send_all(data)
                    client.shutdown(socket.SHUT_WR)

                both.start_soon(send)
                assert await everything(client) == data
        opened = await events.take("dial.open")
        assert (opened["address"], opened["service"]) == ("unix!/run/db.sock", f"unix!{outside}")
        closed = await events.take("dial.close")
        assert (closed["sent"], closed["received"], closed["error"]) == (len(data), len(data), None)
        nursery.cancel_scope.cancel()


async def test_an_address_and_a_function_answer(gate: Gate, events: Events, tmp_path: Path) -> None:
    async def upper(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data.upper())

    async with trio.open_nursery() as nursery:
        port = await serve(nursery, echo)
        for folder, way, answer in (
            ("a", parse_service(f"tcp!127.0.0.1!{port}"), b"ask"),
            ("f", answered_by(upper), b"ASK"),
        ):
            os.mkdir(tmp_path / folder)
            service, path = offered(gate, tmp_path / folder, way)
            with await connected(path) as client:
                await client.send(b"ask")
                client.shutdown(socket.SHUT_WR)
                assert await everything(client) == answer
            await events.take("dial.close")
            service.close()
        nursery.cancel_scope.cancel()


async def test_a_function_with_an_optional_argument_gets_the_stream_alone(gate: Gate, tmp_path: Path) -> None:
    async def answer(stream: trio.SocketStream, greeting: bytes = b"hi") -> None:
        await stream.send_all(greeting)

    _, path = offered(gate, tmp_path, answered_by(answer))
    with await connected(path) as client:
        assert await everything(client) == b"hi"


async def test_an_outside_that_is_not_there_ends_the_connection_and_is_told(
    gate: Gate, events: Events, tmp_path: Path
) -> None:
    _, path = offered(gate, tmp_path, parse_service(f"tcp!127.0.0.1!{closed_port()}"))
    with await connected(path) as client:
        assert await everything(client) == b""
    error = await events.take("error")
    assert (error["operation"], error["address"]) == ("dial", "unix!/run/db.sock")
    assert "ECONNREFUSED" in str(error["error"])


async def test_a_function_that_raises_ends_the_connection_and_is_told(
    gate: Gate, events: Events, tmp_path: Path
) -> None:
    async def broken(stream: trio.SocketStream) -> None:
        raise KeyError("no such row")

    _, path = offered(gate, tmp_path, answered_by(broken))
    with await connected(path) as client:
        assert await everything(client) == b""
    assert "no such row" in str((await events.take("error"))["error"])


async def test_what_is_taken_back_refuses_and_ends_what_is_open(
    gate: Gate, events: Events, tmp_path: Path
) -> None:
    async with nothing_left_open(), trio.open_nursery() as nursery:
        outside = str(tmp_path / "outside.sock")
        await serve_unix(nursery, outside, echo)
        service, path = offered(gate, tmp_path, parse_service(f"unix!{outside}"))
        with await connected(path) as client:
            await client.send(b"x")
            assert await client.recv(1) == b"x"
            service.close()
            service.close()
            assert await everything(client) == b""
            with pytest.raises(BrokenPipeError):
                await client.send(b"more")
        assert (await events.take("dial.close"))["error"] == "the grant or its world has ended"
        with trio.socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
            await late.connect(path)
        nursery.cancel_scope.cancel()


async def test_descriptors_are_not_passed_on(gate: Gate, tmp_path: Path) -> None:
    """They are closed unseen: nothing stays open on the way, and the bytes beside them arrive."""
    async with nothing_left_open(), trio.open_nursery() as nursery:
        seen: list[bytes] = []
        arrived = trio.Event()

        async def take(stream: trio.SocketStream) -> None:
            data, ancillary, _, _ = await stream.socket.recvmsg(100, 100)
            seen.append(data)
            assert ancillary == []
            arrived.set()

        outside = str(tmp_path / "outside.sock")
        await serve_unix(nursery, outside, take)
        service, path = offered(gate, tmp_path, parse_service(f"unix!{outside}"))
        read_fd, write_fd = os.pipe()
        with await connected(path) as client:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write_fd]))]
            await client.sendmsg([b"with"], rights)
            os.close(write_fd)
            await arrived.wait()
            assert seen == [b"with"]
            # The only other end of the pipe was the one on its way: closed, so this is an end of file.
            assert await trio.lowlevel.FdStream(os.dup(read_fd)).receive_some(1) == b""
        os.close(read_fd)
        service.close()
        nursery.cancel_scope.cancel()


async def test_a_gate_that_has_ended_takes_no_service(gate: Gate, tmp_path: Path) -> None:
    ended = Gate("e", gate._sides.app, gate.names, lambda kind, fields: None)
    listener = socket.socket(socket.AF_UNIX)
    service = Service("/x", listener, parse_service("unix!/x"))
    with pytest.raises(BrokenPipeError):
        ended.offer(service)
    service.close()
