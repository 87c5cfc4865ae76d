"""Requests by a grant with HTTP rules: what passes, what is refused, and that what is hostile is not sent."""

from __future__ import annotations

import socket
import struct

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from webs import HOST, exchange, scene

from libos.net.http.messages import Refused, Request, Response
from libos.net.http.rules import Http, HttpRule

GET = f"GET /v1/things HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


def request(line: str, *headers: str, body: str = "") -> bytes:
    head = [line + " HTTP/1.1", f"Host: {HOST}", *headers, "", body]
    return "\r\n".join(head).encode("latin-1")


async def test_a_request_that_a_rule_lets_pass_is_answered_and_told() -> None:
    async with scene() as there:
        answer = await there.exchange(GET)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nok")
        told = await there.events.take("http.request")
        assert (told["method"], told["host"], told["path"], told["status"]) == (
            "GET",
            HOST,
            "/v1/things",
            200,
        )
        assert b"host: api.example" in there.outside.heard.lower()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("GET /v2/things", "no rule"),
        ("DELETE /v1/things", "no rule"),
        ("GET /v1/../v2/secret", "no rule"),
        ("GET /v1/%2e%2e/v2", "no rule"),
        ("GET /%761/things/../../v2", "no rule"),
        ("GET //v1/things", "several ways"),
        ("GET /v1%2Fthings", "several ways"),
        ("GET /v1/..%2Fv2", "dot segments"),
        ("GET /v1/a/..;/..;/v2", "dot segment"),
        ("GET /v1/%252e%252e/v2", "escape of an escape"),
        ("GET /v1/..\\v2", "percent-encoded"),
        ("GET /v1/%5c..%5cv2", "backslash"),
        ("GET /v1/%00", "control"),
        ("GET /v1/%zz", "no escape"),
        ("GET /v1/x#y", "fragment"),
        ("GET /../v1/x", "above the root"),
        ("GET v1/x", "neither a path"),
        ("GET http://other.example/v1/x", "connected to"),
        ("GET http://api.example@other.example/v1/x", "host"),
        ("GET https://api.example/v1/x", "scheme"),
        ("GET ftp://api.example/v1/x", "neither a path"),
        ("CONNECT other.example:443", "no rule"),
        ("OPTIONS *", "no rule"),
        ("PRI *", "neither a path"),
    ],
)
async def test_what_the_rules_do_not_let_pass_is_never_sent(line: str, reason: str) -> None:
    async with scene() as there:
        answer = await there.exchange(request(line))
        assert answer.split(b" ")[1] in (b"400", b"403", b"421"), answer
        assert reason in str((await there.events.take("http.refused"))["reason"])
        assert there.outside.connections == 0


async def test_what_was_normalized_is_what_is_sent() -> None:
    async with scene() as there:
        await there.exchange(request("GET /v2/../v1/%7euser/./x?q=../%2e", "Connection: close"))
        assert there.outside.heard.startswith(b"GET /v1/~user/x?q=../%2e HTTP/1.1\r\n")


async def test_a_slash_that_is_encoded_passes_where_both_readings_do() -> None:
    async with scene() as there:
        await there.exchange(request("GET /v1/@scope%2fname", "Connection: close"))
        assert there.outside.heard.startswith(b"GET /v1/@scope%2Fname HTTP/1.1\r\n")


HOSTILE = {
    "two lengths": (b"Content-Length: 3", b"Content-Length: 4"),
    "two equal lengths": (b"Content-Length: 3", b"Content-Length: 3"),
    "a list of lengths": (b"Content-Length: 3, 3",),
    "a signed length": (b"Content-Length: +3",),
    "an enormous length": (b"Content-Length: " + b"9" * 30,),
    "length and chunks": (b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "two codings": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "an unknown coding": (b"Transfer-Encoding: xchunked",),
    "a coding of two": (b"Transfer-Encoding: gzip, chunked",),
    "obs-fold": (b"X-A: b", b" c: d"),
    "a folded coding": (b"Transfer-Encoding:", b" chunked"),
    "a space before the colon": (b"Content-Length : 3",),
    "a tab before the colon": (b"Transfer-Encoding\t: chunked",),
    "an underscore": (b"Content_Length: 3",),
    "no colon": (b"nonsense",),
    "an empty name": (b": x",),
    "a bare line feed": (b"X-A: b\nTransfer-Encoding: chunked",),
    "a bare carriage return": (b"X-A: b\rX-B: c",),
    "a null byte": (b"X-A: \0",),
    "a second Host": (b"Host: other.example",),
    "the same Host again": (b"Host: api.example",),
    "an upgrade to HTTP/2": (b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings"),
    "a WebSocket": (b"Upgrade: websocket", b"Connection: Upgrade"),
    "very many headers": tuple(b"X-%d: y" % number for number in range(300)),
    "a header of 1 MB": (b"X-A: " + b"a" * (1 << 20),),
}


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=list(HOSTILE))
async def test_a_hostile_head_is_refused_and_never_forwarded(headers: tuple[bytes, ...]) -> None:
    async with scene() as there:
        head = b"\r\n".join((b"POST /v1/x HTTP/1.1", b"Host: api.example", *headers, b"", b"abc"))
        answer = await there.exchange(head)
        assert answer[:9] == b"HTTP/1.1 " and answer[9:12] in (b"400", b"403", b"431", b"501"), answer
        assert (await there.events.take("http.refused"))["reason"]
        assert there.outside.connections == 0


@pytest.mark.parametrize(
    "head",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/x HTTP/2.0\r\nHost: api.example\r\n\r\n",
        b"GET /v1/x HTTP/0.9\r\nHost: api.example\r\n\r\n",
        b"GET /v1/x\r\nHost: api.example\r\n\r\n",
        b"GET  /v1/x HTTP/1.1\r\nHost: api.example\r\n\r\n",
        b"GET\t/v1/x\tHTTP/1.1\r\nHost: api.example\r\n\r\n",
        b" GET /v1/x HTTP/1.1\r\nHost: api.example\r\n\r\n",
        b"\r\nGET /v1/x HTTP/1.1\r\nHost: api.example\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nHost: other.example\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nHost: api.example:8080\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nHost: api.example, other.example\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: api.example\r\n\r\n",
    ],
)
async def test_a_hostile_first_line_or_host_is_refused(head: bytes) -> None:
    async with scene() as there:
        answer = await there.exchange(head)
        assert answer[9:12] in (b"400", b"421", b"505"), answer
        assert there.outside.connections == 0


@pytest.mark.parametrize(
    "body",
    [b"zz\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n0\r\n\r\n", b"3\r\nabcX0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n"],
)
async def test_bad_chunks_end_the_exchange(body: bytes) -> None:
    async with scene() as there:
        answer = await there.exchange(
            b"POST /v1/x HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        )
        assert answer[9:12] in (b"400", b"200"), answer
        assert b"abc" not in there.outside.heard or b"X0" not in there.outside.heard


async def test_what_follows_an_early_answer_is_no_second_request() -> None:
    async with scene() as there:
        smuggled = b"GET /v1/second HTTP/1.1\r\nHost: api.example\r\n\r\n"
        head = b"POST /v1/first HTTP/1.1\r\nHost: api.example\r\nContent-Length: 10000\r\n\r\n"
        answer = await there.exchange(head + smuggled)
        assert answer.count(b"HTTP/1.1 200") == 1
        assert there.kinds().count("http.request") == 1
        assert there.outside.connections == 1


async def test_requests_share_a_connection_and_each_is_judged() -> None:
    async with scene() as there:
        three = request("GET /v1/a") + request("GET /v1/b") + request("GET /v2/c") + request("GET /v1/d")
        answer = await there.exchange(three)
        assert answer.count(b"HTTP/1.1 200") == 2
        assert answer.count(b"HTTP/1.1 403") == 1
        assert there.outside.connections == 1
        assert b"/v2/c" not in there.outside.heard and b"/v1/d" not in there.outside.heard


async def test_a_connection_that_the_outside_closed_is_made_anew() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    async with scene(answer=answer) as there:
        got = await there.exchange(request("GET /v1/a") + request("GET /v1/b", "Connection: close"))
        assert got.count(b"HTTP/1.1 200") == 2
        assert there.outside.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\nok",
        b"HTTP/2 200 OK\r\n\r\n",
        b"220 smtp.example ready\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * (1 << 20) + b"\r\n\r\n",
    ],
)
async def test_a_malformed_answer_is_an_error_inside(answer: bytes) -> None:
    async with scene(answer=answer) as there:
        assert (await there.exchange(GET)).startswith(b"HTTP/1.1 502 ")
        assert (await there.events.take("error"))["operation"] == "http"


async def test_an_answer_that_breaks_off_is_a_reset() -> None:
    async with scene() as there:

        async def handler(stream: trio.abc.Stream) -> None:
            await stream.receive_some(65536)
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
            await stream.aclose()

        there.outside.handler = handler
        async with await there.connect() as app:
            await app.send_all(GET)
            with pytest.raises(trio.BrokenResourceError):
                while await app.receive_some(65536):
                    pass
        assert "broke off" in str((await there.events.take("broken"))["error"])


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun"])
async def test_an_app_that_has_gone_is_not_held_up_by_an_outside_that_never_answers(answer: bytes) -> None:
    asked, ended = trio.Event(), trio.Event()

    async def say_no_more(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        asked.set()
        try:
            while await stream.receive_some():
                pass
        finally:
            ended.set()

    async with scene() as there:
        there.outside.handler = say_no_more
        app = await there.connect()
        await app.send_all(GET)
        await asked.wait()
        if answer:
            await app.receive_some()
        app.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        app.socket.close()
        with trio.fail_after(20):
            await ended.wait()


async def test_an_outside_that_is_not_there_is_told() -> None:
    async with scene() as there:
        there.outside.port = 1
        answer = await there.exchange(GET)
        assert answer.startswith(b"HTTP/1.1 502 ") and b"cannot be reached: ECONNREFUSED" in answer


async def test_a_long_body_passes_both_ways_without_being_kept() -> None:
    size = 32 * 1024 * 1024
    async with scene() as there:

        async def handler(stream: trio.abc.Stream) -> None:
            head = bytearray()
            while b"\r\n\r\n" not in head:
                head += await stream.receive_some(1024)
            got = len(head.partition(b"\r\n\r\n")[2])
            await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while got < size:
                data = await stream.receive_some(65536)
                got += len(data)
                await stream.send_all(b"%x\r\n%b\r\n" % (len(data), bytes(data)))
            await stream.send_all(b"0\r\n\r\n")

        there.outside.handler = handler
        got = 0
        async with await there.connect() as app, trio.open_nursery() as nursery:
            head = (
                f"POST /v1/x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
            )

            async def send() -> None:
                await app.send_all(head.encode())
                for _ in range(size // 65536):
                    await app.send_all(b"x" * 65536)

            nursery.start_soon(send)
            while data := await app.receive_some(65536):
                got += len(data)
        assert got > size
        assert there.carried.received == got


async def test_an_answer_without_a_length_is_chunked_for_the_app() -> None:
    async with scene() as there:

        async def handler(stream: trio.abc.Stream) -> None:
            await stream.receive_some(65536)
            await stream.send_all(b"HTTP/1.0 200 OK\r\n\r\nall of it")
            await stream.aclose()

        there.outside.handler = handler
        answer = await there.exchange(GET)
        assert b"transfer-encoding: chunked" in answer.lower() and b"all of it" in answer


async def test_an_upgrade_passes_where_a_rule_says_so() -> None:
    async with scene((HttpRule(path="/v1/socket", upgrade=True),)) as there:

        async def handler(stream: trio.abc.Stream) -> None:
            heard = await stream.receive_some(65536)
            assert b"upgrade: websocket" in heard.lower()
            await stream.send_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello"
            )
            while data := await stream.receive_some(65536):
                await stream.send_all(data)

        there.outside.handler = handler
        async with await there.connect() as app:
            await app.send_all(request("GET /v1/socket", "Upgrade: websocket", "Connection: Upgrade"))
            got = bytearray()
            while not got.endswith(b"\r\n\r\nhello"):
                got += await app.receive_some(1)
            assert got.startswith(b"HTTP/1.1 101 ")
            await app.send_all(b"\0\xff anything")
            assert await app.receive_some(100) == b"\0\xff anything"
        assert (await there.events.take("http.request"))["status"] == 101


async def test_connect_passes_where_a_rule_names_it() -> None:
    rules = (HttpRule(("CONNECT",), "db.example:*", upgrade=True),)
    async with scene(rules) as there:

        async def handler(stream: trio.abc.Stream) -> None:
            assert (await stream.receive_some(65536)).startswith(b"CONNECT db.example:5432 HTTP/1.1\r\n")
            await stream.send_all(b"HTTP/1.1 200 Connected\r\n\r\n")
            while data := await stream.receive_some(65536):
                await stream.send_all(data)

        there.outside.handler = handler
        refused = await there.exchange(request("CONNECT other.example:443"))
        assert refused.startswith(b"HTTP/1.1 403 ")
        async with await there.connect() as app:
            await app.send_all(request("CONNECT db.example:5432"))
            got = b""
            while not got.endswith(b"\r\n\r\n"):
                got += await app.receive_some(100)
            assert got.startswith(b"HTTP/1.1 200 ")
            await app.send_all(b"raw")
            assert await app.receive_some(100) == b"raw"


async def test_functions_may_change_headers_and_refuse() -> None:
    seen: list[tuple[str, str]] = []

    async def on_request(asked: Request) -> None:
        seen.append((asked.method, asked.target))
        if asked.path == "/v1/no":
            raise Refused("not this one")
        asked.headers.append(("X-Added", "yes"))

    async def on_response(asked: Request, response: Response) -> None:
        response.headers = [(name, value) for name, value in response.headers if name != "x-inner"]
        response.status = 200

    answer = b"HTTP/1.1 200 OK\r\nX-Inner: 1\r\nContent-Length: 2\r\n\r\nok"
    async with scene(answer=answer, http=Http(on_request=on_request, on_response=on_response)) as there:
        got = await there.exchange(request("GET /v1/yes?a=b") + request("GET /v1/no"))
        assert b"HTTP/1.1 200" in got and b"x-inner" not in got.lower()
        assert b"HTTP/1.1 403" in got and b"not this one" in got
        assert b"x-added: yes" in there.outside.heard.lower()
        assert b"/v1/no" not in there.outside.heard
        assert seen == [("GET", "/v1/yes?a=b"), ("GET", "/v1/no")]


@pytest.mark.parametrize("header", [("Host", "other"), ("Content-Length", "9"), ("X-A", "a\r\nX-B: c")])
async def test_a_function_cannot_break_a_message(header: tuple[str, str]) -> None:
    async def on_request(asked: Request) -> None:
        asked.headers.append(header)

    async with scene(http=Http(on_request=on_request)) as there:
        assert (await there.exchange(GET)).startswith(b"HTTP/1.1 502 ")
        assert there.outside.connections == 0


async def _send(data: bytes) -> tuple[bytes, bytes]:
    async with scene() as there:
        async with await there.connect() as app:
            answer = await exchange(app, data, eof=True)
        return answer, bytes(there.outside.heard)


PIECES = st.sampled_from(
    [
        b"GET ", b"POST ", b"/v1/x", b"/v2/x", b"/v1/../v2/x", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n",
        b"\r\n\r\n", b"Host: api.example", b"Host: b", b"Content-Length: 5", b"Content-Length: 0",
        b"Transfer-Encoding: chunked", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"hello", b": ", b" ", b"\0", b"\xff",
        b"Connection: keep-alive",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=14).map(b"".join)))
def test_whatever_bytes_come_only_requests_that_pass_are_sent(data: bytes) -> None:
    answer, heard = trio.run(_send, data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    for line in heard.split(b"\r\n"):
        if line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
            assert line in (b"GET /v1/x HTTP/1.1", b"POST /v1/x HTTP/1.1")
