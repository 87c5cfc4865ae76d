"""Other ways outside: what is read as one, what each does, and what proxies do that hang, lie and close."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from network import Events, Inside, closed_port, echo, everything, nothing_left_open, serve

from libos.net.address import Address, parse
from libos.net.gate import Gate
from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target
from libos.net.outbound.connecting import ByWay
from libos.net.outbound.function import ByFunction
from libos.net.outbound.via import Proxy, UnixPath, parse_via

pytest_plugins = ["gates"]

Serve = Callable[[trio.SocketStream], Awaitable[None]]


@pytest.mark.parametrize(
    ("text", "via", "shown"),
    [
        ("tcp!127.0.0.1!9000", Address("tcp", "127.0.0.1", 9000), "tcp!127.0.0.1!9000"),
        ("unix!/run/x.sock", UnixPath("/run/x.sock"), "unix!/run/x.sock"),
        (
            "socks5://Proxy.example:1080",
            Proxy("socks5", "proxy.example", 1080),
            "socks5://proxy.example:1080",
        ),
        ("http://[::1]:3128/", Proxy("http", "::1", 3128), "http://[::1]:3128"),
        (
            "socks5://bob:s%40cret@proxy.example:1080",
            Proxy("socks5", "proxy.example", 1080, "bob", "s@cret"),
            "socks5://bob:…@proxy.example:1080",
        ),
    ],
)
def test_a_way_is_read_and_shown_without_its_password(text: str, via: object, shown: str) -> None:
    assert parse_via(text) == via
    assert str(parse_via(text)) == shown
    assert "cret" not in repr(parse_via(text))
    assert ByWay(parse_via(text)) == ByWay(parse_via(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nowhere", "is no way outside"),
        ("unix!run/x", "absolute path"),
        ("unix!/" + "x" * 107, "at most 107 bytes"),
        ("tcp!host", "is not a dial string"),
        ("socks5h://a:1", "write socks5://"),
        ("https://a:1", '"https" is not known'),
        ("socks5://a", "HOST:PORT and nothing behind it"),
        ("socks5://a:0", "1 to 65535"),
        ("socks5://a:99999", "out of range"),
        ("http://a:1/path", "nothing behind it"),
        ("http://a:1?x=1", "nothing behind it"),
        ("http://:1", "the host is empty"),
        ("socks5://bob@a:1", "a password is 1 to 255"),
        ("socks5://:secret@a:1", "a user name is 1 to 255"),
        ("socks5://bob:" + "secret" * 50 + "@a:1", "a password is 1 to 255"),
        ("http://b%3Aob:secret@a:1", "has no colon"),
        ("http://bob:sec%0Dret@a:1", "a password is 1 to 255"),
    ],
)
def test_what_is_no_way_says_what_would_be(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_via(text)
    assert "secret" not in str(caught.value)


class Proxied:
    """A gate with one grant of `service.example` by a way, and an app that dials it."""

    def __init__(self, gate: Gate, inside: Inside, events: Events) -> None:
        self._gate = gate
        self._inside = inside
        self.events = events

    async def grant(self, via: str, to: str = "tcp!service.example!25") -> None:
        await self._gate.dial(Rule(parse_target(to), via=ByWay(parse_via(via))))

    async def talk(self, say: bytes = b"hello") -> bytes:
        with self._inside.tcp() as client:
            await client.connect(("198.18.0.2", 25))
            await client.send(say)
            client.shutdown(socket.SHUT_WR)
            return await everything(client)

    async def fails(self) -> str:
        with self._inside.tcp() as client, trio.fail_after(20):
            await client.connect(("198.18.0.2", 25))
            with pytest.raises(ConnectionResetError):
                await client.recv(1)
        fields = await self.events.take("error")
        assert fields["operation"] == "dial"
        assert "dial.open" not in self.events.kinds()
        return str(fields["error"])


@pytest.fixture
async def proxied(gate: Gate, inside: Inside, events: Events) -> Proxied:
    return Proxied(gate, inside, events)


class GoneError(Exception):
    """The client has gone in the middle of a message."""


async def exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        if not more:
            raise GoneError(data)
        data += more
    return data


async def socks5(stream: trio.SocketStream, asked: list[object], reply: int = 0) -> None:
    """A SOCKS5 server that is the destination too: RFC 1928, RFC 1929."""
    _, count = await exactly(stream, 2)
    methods = await exactly(stream, count)
    if 2 in methods:
        await stream.send_all(b"\5\2")
        _, size = await exactly(stream, 2)
        user = await exactly(stream, size)
        (size,) = await exactly(stream, 1)
        asked.append((user, await exactly(stream, size)))
        await stream.send_all(b"\1\0")
    else:
        await stream.send_all(b"\5\0")
    _, _, _, kind = await exactly(stream, 4)
    size = {1: 4, 4: 16}.get(kind) or (await exactly(stream, 1))[0]
    host = await exactly(stream, size)
    (port,) = struct.unpack("!H", await exactly(stream, 2))
    asked.append((kind, host, port))
    # The server's first words come with the answer.
    await stream.send_all(b"\5" + bytes([reply]) + b"\0\1\0\0\0\0\0\0" + b"220 ready\n")
    if reply == 0:
        await echo(stream)


async def http(stream: trio.SocketStream, asked: list[object], status: str = "200 OK") -> None:
    """A proxy with CONNECT that answers a byte at a time, and is the destination too."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await exactly(stream, 1)
    asked.append(head.decode().split("\r\n"))
    answer = f"HTTP/1.1 {status}\r\nVia: 1.1 test\r\n\r\n".encode()
    for at in range(len(answer) - 1):
        await stream.send_all(answer[at : at + 1])
        await trio.testing.wait_all_tasks_blocked()
    await stream.send_all(answer[-1:] + b"220 ready\n")
    await echo(stream)


async def hang(stream: trio.SocketStream) -> None:
    """Accept, and say nothing."""
    await trio.sleep_forever()


async def test_another_address(proxied: Proxied, nursery: trio.Nursery) -> None:
    port = await serve(nursery, echo)
    await proxied.grant(f"tcp!127.0.0.1!{port}")
    assert await proxied.talk() == b"hello"
    opened = await proxied.events.take("dial.open")
    assert (opened["address"], opened["to"]) == ("tcp!service.example!25", f"127.0.0.1:{port}")


async def test_a_unix_socket(proxied: Proxied, nursery: trio.Nursery, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with trio.socket.socket(socket.AF_UNIX) as listener:
        await listener.bind(str(path))
        listener.listen()
        nursery.start_soon(trio.serve_listeners, echo, [trio.SocketListener(listener)])
        await proxied.grant(f"unix!{path}")
        data = bytes(range(256)) * 20_000
        await big(proxied, data)
        assert (await proxied.events.take("dial.open"))["to"] is None
        closed = await proxied.events.take("dial.close")
        assert (closed["sent"], closed["received"], closed["error"]) == (len(data), len(data), None)


async def big(proxied: Proxied, data: bytes) -> None:
    with proxied._inside.tcp() as client:
        await client.connect(("198.18.0.2", 25))
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                await trio.SocketStream(client).send_all(data)
                client.shutdown(socket.SHUT_WR)

            nursery.start_soon(send)
            assert await everything(client) == data


async def test_a_unix_socket_that_is_not_there(proxied: Proxied, tmp_path: Path) -> None:
    await proxied.grant(f"unix!{tmp_path}/s")
    assert await proxied.fails() == f"ENOENT: No such file or directory: unix!{tmp_path}/s"


async def test_a_unix_socket_whose_backlog_is_full_is_waited_for(
    proxied: Proxied, nursery: trio.Nursery, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    with trio.socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        await listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        await proxied.grant(f"unix!{path}")
        got = []

        async def client() -> None:
            got.append(await proxied.talk())

        async with trio.open_nursery() as clients:
            clients.start_soon(client)
            await trio.testing.wait_all_tasks_blocked(0.01)
            clients.start_soon(trio.serve_listeners, echo, [trio.SocketListener(listener)])
            while not got:  # noqa: ASYNC110 - the answer comes from another task
                await trio.sleep(0.005)
            clients.cancel_scope.cancel()
        assert got == [b"hello"]


@pytest.mark.parametrize("login", ["", "bob:s%40cret@"])
async def test_a_socks5_proxy_gets_the_name(proxied: Proxied, nursery: trio.Nursery, login: str) -> None:
    asked: list[object] = []
    port = await serve(nursery, partial(socks5, asked=asked))
    await proxied.grant(f"socks5://{login}127.0.0.1:{port}")
    assert await proxied.talk() == b"220 ready\nhello"
    assert asked[-1] == (3, b"service.example", 25)
    assert asked[:-1] == ([(b"bob", b"s@cret")] if login else [])
    assert "cret" not in str(proxied.events.seen)


async def test_a_socks5_proxy_gets_literal_addresses_as_such(
    proxied: Proxied, nursery: trio.Nursery, inside: Inside
) -> None:
    asked: list[object] = []
    port = await serve(nursery, partial(socks5, asked=asked))
    await proxied.grant(f"socks5://127.0.0.1:{port}", to="tcp!10.1.2.3!25")
    with inside.tcp() as client:
        await client.connect(("10.1.2.3", 25))
        assert await client.recv(100) == b"220 ready\n"
    assert asked == [(1, socket.inet_aton("10.1.2.3"), 25)]


@pytest.mark.parametrize("login", ["", "bob:s3cret@"])
async def test_an_http_proxy_connects_and_keeps_what_the_server_says_first(
    proxied: Proxied, nursery: trio.Nursery, login: str
) -> None:
    asked: list[list[str]] = []
    port = await serve(nursery, partial(http, asked=asked))  # type: ignore[arg-type]  # a list of anything
    await proxied.grant(f"http://{login}127.0.0.1:{port}")
    assert await proxied.talk() == b"220 ready\nhello"
    (head,) = asked
    assert head[0] == "CONNECT service.example:25 HTTP/1.1"
    assert "Host: service.example:25" in head
    assert ("Proxy-Authorization: Basic Ym9iOnMzY3JldA==" in head) == bool(login)
    assert "s3cret" not in str(proxied.events.seen)


@pytest.mark.parametrize(
    ("reply", "name"),
    [(2, "EACCES"), (4, "EHOSTUNREACH"), (5, "ECONNREFUSED"), (1, "EPROTO"), (77, "EPROTO")],
)
async def test_a_socks5_proxy_that_refuses(
    proxied: Proxied, nursery: trio.Nursery, reply: int, name: str
) -> None:
    port = await serve(nursery, partial(socks5, asked=[], reply=reply))
    await proxied.grant(f"socks5://127.0.0.1:{port}")
    error = await proxied.fails()
    assert error.startswith(name + ": ")
    assert f"the proxy socks5://127.0.0.1:{port}" in error


@pytest.mark.parametrize(
    ("status", "name"), [("403 No", "EACCES"), ("407 Who", "EACCES"), ("502 Bad", "EPROTO"), ("x", "EPROTO")]
)
async def test_an_http_proxy_that_refuses(
    proxied: Proxied, nursery: trio.Nursery, status: str, name: str
) -> None:
    port = await serve(nursery, partial(http, asked=[], status=status))
    await proxied.grant(f"http://127.0.0.1:{port}")
    assert (await proxied.fails()).startswith(name + ": ")


@pytest.mark.parametrize("scheme", ["socks5", "http"])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\5",
        b"\5\xff",
        b"\4\0" * 30,
        b"\5\2\1\1",
        b"\5\0\5\0\0\3\xff\xff\xff",
        b"\5\0\5\0\0\3\2\xff\xff\0\0",
        b"\5\0\5\0\0\x09" + b"\0" * 20,
        b"HTTP/1.1 ",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\r\n\r\n",
        b"\0" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000,
    ],
    ids=lambda answer: repr(answer[:12]),
)
async def test_a_proxy_that_lies_or_closes_is_an_error(
    proxied: Proxied, nursery: trio.Nursery, scheme: str, answer: bytes
) -> None:
    async def lie(stream: trio.SocketStream) -> None:
        try:
            await stream.send_all(answer)
            await stream.send_eof()
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass

    port = await serve(nursery, lie)
    await proxied.grant(f"{scheme}://127.0.0.1:{port}")
    error = await proxied.fails()
    assert error.startswith(("EPROTO: ", "EACCES: ", "ECONNRESET: ", "EPIPE: ")), error


@pytest.mark.parametrize("scheme", ["socks5", "http", "tcp", "unix"])
async def test_a_way_that_hangs_ends_in_a_timeout(
    proxied: Proxied,
    nursery: trio.Nursery,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("libos.net.outbound.outside.DIAL_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as filling:
        full.bind(str(tmp_path / "s"))
        full.listen(0)
        filling.connect(str(tmp_path / "s"))
        with socket.socket() as deaf, socket.socket() as one, socket.socket() as two:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            for each in (one, two):  # a full backlog drops every further SYN
                each.setblocking(False)
                each.connect_ex(deaf.getsockname())
            silent = await serve(nursery, hang)
            way = f"{scheme}://127.0.0.1:{silent}"
            way = {"tcp": f"tcp!127.0.0.1!{deaf.getsockname()[1]}", "unix": f"unix!{tmp_path}/s"}.get(
                scheme, way
            )
            await proxied.grant(way)
            assert (await proxied.fails()).startswith("ETIMEDOUT: ")


@pytest.mark.parametrize("scheme", ["socks5", "http"])
async def test_a_proxy_that_is_not_there(proxied: Proxied, scheme: str) -> None:
    way = f"{scheme}://127.0.0.1:{closed_port()}"
    await proxied.grant(way)
    assert await proxied.fails() == f"ECONNREFUSED: Connection refused: {way}"


@pytest.mark.parametrize("steps", range(12))
async def test_a_grant_that_goes_while_a_proxy_is_asked_leaves_nothing(
    gate: Gate, inside: Inside, nursery: trio.Nursery, steps: int
) -> None:
    async def proxy(stream: trio.SocketStream) -> None:
        try:
            await socks5(stream, asked=[])
        except (GoneError, trio.BrokenResourceError):
            pass

    port = await serve(nursery, proxy)
    way = ByWay(parse_via(f"socks5://bob:x@127.0.0.1:{port}"))
    async with nothing_left_open():
        grant = await gate.dial(Rule(parse_target("tcp!service.example!25"), via=way))
        with inside.tcp() as client:
            await client.connect(("198.18.0.2", 25))
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            grant.close()
            with pytest.raises(ConnectionResetError):
                while await client.recv(100):
                    pass


async def test_equal_rules_are_one_grant(gate: Gate) -> None:
    async def answer(stream: trio.SocketStream) -> None: ...

    def rule(via: object) -> Rule:
        return Rule(parse_target("tcp!a.example!1"), via=via)  # type: ignore[arg-type]  # one of both

    by_proxy = [await gate.dial(rule(ByWay(parse_via("socks5://p:1")))) for _ in range(2)]
    by_function = [await gate.dial(rule(ByFunction(answer))) for _ in range(2)]
    assert by_proxy[0] is by_proxy[1]
    assert by_function[0] is by_function[1] is not by_proxy[0]
    assert parse("tcp!a.example!1") == Address("tcp", "a.example", 1)
