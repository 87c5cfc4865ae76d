"""`via` a function of the caller: it gets the stream that the app opened, in place of any outside."""

from __future__ import annotations

import errno
import socket

import pytest
import trio
from network import Events, Inside, everything, nothing_left_open

from libos.net.address import Address
from libos.net.gate import Gate
from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target
from libos.net.outbound.function import ByFunction

pytest_plugins = ["gates"]


async def test_a_function_gets_the_stream(gate: Gate, inside: Inside, events: Events) -> None:
    ended = trio.Event()

    async def shout(stream: trio.SocketStream, address: Address) -> None:
        async for part in stream:
            await stream.send_all(bytes(part).upper())
        await stream.send_all(str(address).encode())
        ended.set()

    grant = await gate.dial(Rule(parse_target("tcp!service.example!25"), via=ByFunction(shout)))
    with inside.tcp() as client:
        await client.connect(("198.18.0.2", 25))
        await client.send(b"hello ")
        client.shutdown(socket.SHUT_WR)
        assert await everything(client) == b"HELLO tcp!service.example!25"
    assert ended.is_set()
    assert (await events.take("dial.close"))["error"] is None
    with trio.fail_after(20):
        while grant.open:  # noqa: ASYNC110 - its task ends after the event, and tells nobody
            await trio.sleep(0.005)


async def test_a_function_that_goes_on_is_ended_with_its_connection(
    gate: Gate, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libos.net.outbound.function._FINISH_SECONDS", 0.05)
    cancelled = trio.Event()

    async def hang(stream: trio.SocketStream) -> None:
        await stream.send_eof()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with nothing_left_open():
        grant = await gate.dial(Rule(parse_target("tcp!service.example!25"), via=ByFunction(hang)))
        with inside.tcp() as client:
            await client.connect(("198.18.0.2", 25))
            client.shutdown(socket.SHUT_WR)
            assert await everything(client) == b""
        with trio.fail_after(20):
            await cancelled.wait()
        grant.close()


async def test_a_function_that_does_not_read_holds_the_app_up(
    gate: Gate, inside: Inside, events: Events
) -> None:
    """What is on its way is bounded by the kernel's buffers, and by what relays may keep."""

    async def deaf(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    grant = await gate.dial(Rule(parse_target("tcp!service.example!25"), via=ByFunction(deaf)))
    with inside.tcp() as client:
        await client.connect(("198.18.0.2", 25))
        sent = 0
        with trio.move_on_after(0.3):
            while True:
                sent += await client.send(bytes(1 << 20))
        assert grant.meter.sent.total <= sent < 64 << 20
        grant.close()
        with pytest.raises(OSError, match="reset") as caught:
            await client.recv(1)
        assert caught.value.errno == errno.ECONNRESET
    assert (await events.take("dial.close"))["error"] == "the grant was taken back"
