"""Secrets at the gate: where the value goes, where a placeholder is refused, what comes back."""

from __future__ import annotations

import base64
import socket
from urllib.parse import quote

import dns.message
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from network import Events, Inside, Resolver, everything, flat_only, nothing_left_open
from webs import HOST, VALUE, Scene, scene, secret

from libos.net.carried import Carried
from libos.net.gate import Gate
from libos.net.granting.rule import Rule
from libos.net.granting.target import parse_target
from libos.net.http.rules import Http, HttpRule
from libos.net.http.secrets import Cover, PlaceholderError, Scanner, Secret, Secrets
from libos.net.http.web import Web
from libos.net.naming.names import Names
from libos.net.relay import relay

pytest_plugins = ["gates"]

HERE = parse_target(f"tcp!{HOST}!80")
PLAIN = Http(tls=False)
TOKEN = secret(to=f"tcp!{HOST}!80")
WORD = TOKEN.placeholder.decode()


def request(*headers: str, line: str = "GET /v1/x", body: str = "") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {HOST}", *headers, "", body]).encode("latin-1")


def whole_body(answer: bytes) -> bytes:
    """The body of an answer, without its chunks."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return body
    parts = bytearray()
    while (size := int(body.split(b"\r\n", 1)[0], 16)) > 0:
        body = body.split(b"\r\n", 1)[1]
        parts += body[:size]
        body = body[size + 2 :]
    return bytes(parts)


async def refused(there: Scene, data: bytes) -> dict[str, object]:
    answer = await there.exchange(data)
    assert answer.startswith(b"HTTP/1.1 403 "), answer
    assert VALUE not in answer
    return await there.events.take("secret.refused")


async def test_the_value_takes_the_placeholders_place_in_its_header() -> None:
    async with scene(secrets=(TOKEN,)) as there:
        await there.exchange(request(f"Authorization: Bearer {WORD}", "Connection: close"))
        heard = bytes(there.outside.heard)
        assert b"authorization: Bearer " + VALUE + b"\r\n" in heard
        assert TOKEN.placeholder not in heard
        assert VALUE.decode() not in str(there.events.seen)


async def test_it_takes_it_in_basic_credentials_too() -> None:
    async with scene(secrets=(TOKEN,)) as there:
        given_in = base64.b64encode(f"user:{WORD}".encode()).decode()
        await there.exchange(request(f"Authorization: Basic {given_in}", "Connection: close"))
        expected = base64.b64encode(b"user:" + VALUE)
        assert b"authorization: Basic " + expected in bytes(there.outside.heard)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (request(f"X-Other: {WORD}"), "x-other"),
        (request(f"Cookie: a={WORD}"), "cookie"),
        (request(f"Proxy-Authorization: Bearer {WORD}"), "proxy-authorization"),
        (request(f"Connection: {WORD}"), "connection"),
        (request(f"{WORD}: x"), "the name of a header"),
        (
            request("Proxy-Authorization: Basic " + base64.b64encode(f"u:{WORD}".encode()).decode()),
            "proxy-auth",
        ),
        (request(line=f"GET /v1/{WORD}"), "the path"),
        (request(line=f"GET /v1/x?token={WORD}"), "the path"),
        (request(line=f"GET /v1/%6cibos-{WORD[6:]}"), "the path"),
        (request(line=f"GET /{WORD}/../v1/x"), "the path"),
        (request(line=f"{WORD} /v1/x"), "the method"),
        (request("Content-Length: 46", line="POST /v1/x", body=WORD), "the body"),
    ],
)
async def test_the_placeholder_anywhere_else_is_refused_and_told(data: bytes, where: str) -> None:
    async with scene(secrets=(TOKEN,)) as there:
        told = await refused(there, data)
        assert (told["secret"], told["grant"]) == ("TOKEN", "d1")
        assert where in str(told["where"])
        assert TOKEN.placeholder not in there.outside.heard
        assert VALUE not in there.outside.heard


async def test_a_placeholder_in_pieces_of_a_body_is_refused_before_its_end_is_sent() -> None:
    async with scene(secrets=(TOKEN,)) as there:
        chunks = "".join(
            f"5\r\n{part}\r\n" for part in ("aaaaa", *[WORD[at : at + 5] for at in range(0, 45, 5)])
        )
        data = request(
            "Transfer-Encoding: chunked", line="POST /v1/x", body=chunks + f"1\r\n{WORD[45:]}\r\n0\r\n\r\n"
        )
        there.outside.handler = _silent
        assert (await refused(there, data))["where"] == "the body"


async def _silent(stream: trio.abc.Stream) -> None:
    while await stream.receive_some(65536):
        pass


async def test_another_grant_of_the_world_refuses_it() -> None:
    async with scene(secrets=(secret(to="tcp!other.example!443"),)) as there:
        word = next(iter(there.web.secrets)).placeholder.decode()
        told = await refused(there, request(f"Authorization: Bearer {word}"))
        assert told["where"] == "the header authorization"
        assert there.outside.connections == 0


async def test_a_grant_that_covers_the_same_is_not_the_one_that_is_named() -> None:
    async with scene(secrets=(secret(to="tcp!*!80"),)) as there:
        word = next(iter(there.web.secrets)).placeholder.decode()
        await refused(there, request(f"Authorization: Bearer {word}"))


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_an_echo_does_not_tell_the_value(framing: str) -> None:
    async with scene(secrets=(TOKEN,)) as there:

        async def handler(stream: trio.abc.Stream) -> None:
            heard = bytes(await stream.receive_some(65536))
            assert VALUE in heard
            assert b"accept-encoding: identity" in heard and b"br" not in heard and b"range" not in heard
            body = heard + quote(VALUE, safe="").encode() + VALUE[:10]
            head = b"HTTP/1.1 200 " + VALUE + b"\r\nX-Echo: " + VALUE + b"\r\n"
            if framing == "length":
                await stream.send_all(head + b"Content-Length: %d\r\n\r\n" % len(body))
            elif framing == "chunked":
                await stream.send_all(head + b"Transfer-Encoding: chunked\r\n\r\n")
            else:
                await stream.send_all(head + b"Connection: close\r\n\r\n")
            for at in range(0, len(body), 7):
                part = body[at : at + 7]
                await stream.send_all(b"%x\r\n%b\r\n" % (len(part), part) if framing == "chunked" else part)
            if framing == "chunked":
                await stream.send_all(b"0\r\n\r\n")
            await stream.aclose()

        there.outside.handler = handler
        headers = (
            f"Authorization: Bearer {WORD}",
            "Accept-Encoding: br, gzip",
            "Range: bytes=0-3",
            "Connection: close",
        )
        answer = await there.exchange(request(*headers))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert VALUE not in answer and quote(VALUE, safe="").encode() not in answer
        body = whole_body(answer)
        assert b"Bearer " + b"*" * len(VALUE) in body
        assert body.endswith(VALUE[:10])  # a part of it is no secret


async def test_an_encoded_answer_of_a_host_with_a_secret_is_refused() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"
    async with scene(secrets=(TOKEN,), answer=answer) as there:
        got = await there.exchange(request("Connection: close"))
        assert got.startswith(b"HTTP/1.1 502 ") and b"encoded" in got


async def test_an_upgraded_connection_is_looked_at_both_ways() -> None:
    async with scene((HttpRule(path="/v1/x", upgrade=True),), secrets=(TOKEN,)) as there:

        async def handler(stream: trio.abc.Stream) -> None:
            await stream.receive_some(65536)
            await stream.send_all(
                b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + VALUE
            )
            await _silent(stream)

        there.outside.handler = handler
        async with await there.connect() as app:
            await app.send_all(request(f"Authorization: {WORD}", "Upgrade: x", "Connection: upgrade"))
            got = bytearray()
            while not got.endswith(b"*" * len(VALUE)):
                got += await app.receive_some(100)
            await app.send_all(WORD[:20].encode())
            await app.send_all(WORD[20:].encode())
            with pytest.raises(trio.BrokenResourceError):
                while True:
                    await app.receive_some(100)
        assert "upgraded" in str((await there.events.take("secret.refused"))["where"])
        assert (await there.events.take("http.refused"))["status"] is None
        assert "secret.refused" not in there.kinds()


async def test_functions_of_the_caller_do_not_see_it() -> None:
    seen: list[str] = []

    async def look(asked: object) -> None:
        seen.append(repr(asked))

    async def look_at_both(asked: object, answer: object) -> None:
        seen.append(repr(asked) + repr(answer))

    answer = b"HTTP/1.1 200 OK\r\nX: " + VALUE + b"\r\nContent-Length: 2\r\n\r\nok"
    http = Http(on_request=look, on_response=look_at_both)
    async with scene(secrets=(TOKEN,), http=http, answer=answer) as there:
        await there.exchange(request(f"Authorization: {WORD}", "Connection: close"))
        assert len(seen) == 2 and WORD in seen[0]
        assert VALUE.decode() not in "".join(seen)


async def test_the_bytes_of_other_grants_are_looked_at_too(nursery: trio.Nursery) -> None:
    events = Events()
    tap = Web("w", events, Secrets([TOKEN])).tap({"grant": "d2"})
    app, inside = socket.socketpair()
    outside, service = socket.socketpair()
    for each in (app, inside, outside, service):
        each.setblocking(False)
    failures: list[OSError] = []

    async def run() -> None:
        try:
            await relay(inside, outside, Carried(tap=tap))
        except OSError as error:
            failures.append(error)

    nursery.start_soon(run)
    with trio.socket.from_stdlib_socket(app) as asking, trio.socket.from_stdlib_socket(service) as heard:
        await asking.send(b"before " + TOKEN.placeholder[:30])
        got = await heard.recv(100)
        await asking.send(TOKEN.placeholder[30:] + b" after")
        try:
            got += await everything(heard)
        except ConnectionResetError:
            pass
        assert TOKEN.placeholder not in got and b"after" not in got
    assert (await events.take("secret.refused"))["where"] == "the bytes of a connection"
    assert "EACCES" not in str(failures) and "placeholder of TOKEN" in str(failures[0])


@flat_only
async def test_a_placeholder_in_a_name_is_asked_nobody(inside: Inside, events: Events) -> None:
    asked = Resolver()
    trio.socket.set_custom_hostname_resolver(asked)
    web = Web("w", events, Secrets([TOKEN]))
    gate = Gate("w", inside.open_sockets, Names("world"), events, web=web)
    pattern = Rule(parse_target("tcp!*.example!443"), private=True)
    async with nothing_left_open(), trio.open_nursery() as nursery:
        await nursery.start(gate.run, [pattern])
        given = {}
        for label in (TOKEN.placeholder.decode(), "other"):
            with inside.udp() as client:
                await client.connect(("198.18.0.1", 53))
                await client.send(dns.message.make_query(f"{label}.example.", "A").to_wire())
                given[label] = str(dns.message.from_wire(await client.recv(4096)).answer[0][0])
        for address in given.values():
            with inside.tcp() as client:
                await client.connect((address, 443))
                with pytest.raises(ConnectionResetError):
                    await client.recv(1)
        refused = await events.take("secret.refused")
        assert (refused["secret"], refused["where"], refused["grant"]) == ("TOKEN", "a name", "d1")
        assert asked.asked == ["other.example"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("value", [b"short", b"with\nline break", b" spaces around it ", b"nul\0inside", b""])
def test_a_value_that_no_header_can_hold_is_an_error_that_does_not_show_it(value: bytes) -> None:
    with pytest.raises(ValueError, match="the value of TOKEN") as raised:
        Secret("TOKEN", value, b"authorization", ())
    assert not value or repr(value.decode())[1:-1] not in str(raised.value)


def test_a_secret_does_not_show_itself() -> None:
    assert VALUE.decode() not in repr(TOKEN)
    assert TOKEN.placeholder != secret().placeholder


@given(st.lists(st.binary(max_size=60)), st.integers(0, 46), st.integers(0, 46))
def test_a_placeholder_is_found_however_it_is_cut(around: list[bytes], one: int, other: int) -> None:
    word = TOKEN.placeholder
    first, second = sorted((one, other))
    pieces = [*around, word[:first], word[first:second], word[second:], *around]
    scanner = Scanner([TOKEN], "here")
    passed = b""
    with pytest.raises(PlaceholderError):
        for piece in pieces:
            scanner.take(piece)
            passed += piece
    assert word not in passed


@given(
    st.lists(st.sampled_from([VALUE, VALUE[:5], VALUE[5:], VALUE[:-1], b"x", b"s3", b"s3s3cret-", b"\0" * 9]))
)
def test_a_cover_changes_the_value_alone_and_no_length(pieces: list[bytes]) -> None:
    cover = Cover([VALUE])
    got = b"".join(map(cover.feed, pieces)) + cover.rest()
    whole = b"".join(pieces)
    assert got == whole.replace(VALUE, b"*" * len(VALUE))
