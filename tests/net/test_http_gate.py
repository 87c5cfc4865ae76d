"""HTTP grants of a gate: counted, limited, narrowed and taken back as other grants are."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from network import Events, Inside, everything, serve

from libos.net.gate import Gate
from libos.net.granting.rule import Limits, Rule
from libos.net.granting.target import parse_target
from libos.net.http.rules import Http, HttpRule

pytest_plugins = ["gates"]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def answer(stream: trio.SocketStream) -> None:
    while data := await stream.receive_some(65536):
        for _ in range(data.count(b"\r\n\r\n")):
            await stream.send_all(ANSWER)


def rule(port: int, **keys: object) -> Rule:
    http = Http((HttpRule(path="/v1/**"),), tls=False)
    return Rule(parse_target(f"tcp!localhost!{port}"), http=http, **keys)  # type: ignore[arg-type]  # Rule's own


def get(port: int, path: str = "/v1/x", *headers: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", f"Host: localhost:{port}", *headers, "", "")
    return "\r\n".join(lines).encode()


async def test_a_connection_is_told_from_its_beginning_to_its_end(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    trio.socket.set_custom_hostname_resolver(None)
    port = await serve(nursery, answer)
    grant = await gate.dial(rule(port))
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        await client.send(get(port, "/v1/x", "Connection: close"))
        got = await everything(client)
    assert got.startswith(b"HTTP/1.1 200")
    opened, asked, closed = [await events.take(kind) for kind in ("dial.open", "http.request", "dial.close")]
    assert opened["connection"] == asked["connection"] == closed["connection"]
    assert opened["grant"] == asked["grant"] == grant.id
    assert (closed["sent"], closed["received"]) == (len(get(port, "/v1/x", "Connection: close")), len(got))
    assert closed["error"] is None
    assert grant.meter.sent.total == closed["sent"]


async def test_a_grant_that_is_taken_back_resets_what_is_open(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    trio.socket.set_custom_hostname_resolver(None)
    port = await serve(nursery, answer)
    grant = await gate.dial(rule(port))
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        await client.send(get(port))
        assert (await client.recv(100)).startswith(b"HTTP/1.1 200")
        grant.close()
        with pytest.raises(ConnectionResetError):
            await client.recv(100)
    assert "taken back" in str((await events.take("dial.close"))["error"])


@pytest.mark.parametrize("limits", [Limits(sent=100), Limits(received=100)])
async def test_the_limits_of_a_grant_hold_for_its_requests(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery, limits: Limits
) -> None:
    trio.socket.set_custom_hostname_resolver(None)
    port = await serve(nursery, answer)
    grant = await gate.dial(rule(port, limits=limits))
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        with pytest.raises(ConnectionResetError):
            for _ in range(10):
                await client.send(get(port))
                assert await client.recv(100)
            await everything(client)
    assert (await events.take("dial.limited"))["grant"] == grant.id
    assert grant.meter.sent.total <= 100 or limits.sent is None
    assert grant.meter.received.total <= 100 or limits.received is None


async def test_a_request_that_is_refused_never_connects_outside(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    trio.socket.set_custom_hostname_resolver(None)
    reached = trio.Event()

    async def note(stream: trio.SocketStream) -> None:
        reached.set()

    port = await serve(nursery, note)
    await gate.dial(rule(port))
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        await client.send(get(port, "/v2"))
        assert (await everything(client)).startswith(b"HTTP/1.1 403")
    await events.take("dial.close")
    assert not reached.is_set()


async def test_what_an_app_sent_before_it_ended_still_goes_out(
    gate: Gate, inside: Inside, events: Events, nursery: trio.Nursery
) -> None:
    trio.socket.set_custom_hostname_resolver(None)
    heard = bytearray()

    async def slow(stream: trio.SocketStream) -> None:
        while data := await stream.receive_some(65536):
            heard.extend(data)

    port = await serve(nursery, slow)
    await gate.dial(rule(port))
    body = b"x" * 100_000
    with inside.tcp() as client:
        await client.connect(("127.0.0.1", port))
        await client.send(
            f"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        sent = 0
        while sent < len(body):
            sent += await client.send(body[sent:])
    await gate.finish()
    with trio.fail_after(20):
        while not heard.endswith(b"x" * 100_000):
            await trio.testing.wait_all_tasks_blocked()


async def test_https_is_refused_in_a_world_that_trusts_no_authority(gate: Gate, inside: Inside) -> None:
    gate._web.trusted = False
    with pytest.raises(OSError, match="no certificate authority"):
        await gate.dial(Rule(parse_target("tcp!localhost!443"), http=Http()))
    with inside.tcp() as client, pytest.raises(ConnectionRefusedError):
        await client.connect(("127.0.0.1", 443))
