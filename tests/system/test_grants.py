"""What is granted of the network works: a dialled service, a published port, nothing beside them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from running import one_line
from services import echo_server, free_port, web_server
from worlds import RunError, Worlds

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


def test_curl_fetches_from_a_granted_service_by_name_and_address(worlds: Worlds) -> None:
    with web_server() as port:
        for host in ("localhost", "127.0.0.1"):
            dials = [f"tcp!{host}!{port}"]
            result = worlds.run("curl", "-sS", f"http://{host}:{port}/x", dials=dials)
            assert result.out == f"page /x for {host}:{port}\n"
            opened = result.of_kind("dial.open")
            assert [event["address"] for event in opened] == dials
            assert len(result.of_kind("dial.close")) == 1


def test_only_the_granted_port_of_a_host_is_open(worlds: Worlds) -> None:
    with web_server() as port, web_server() as other:
        script = f"curl -sS http://127.0.0.1:{other}/; curl -sS http://127.0.0.1:{port}/"
        result = worlds.run("sh", "-c", script, dials=[f"tcp!127.0.0.1!{port}"])
    assert result.out == f"page / for 127.0.0.1:{port}\n"
    assert result.refused == {("tcp", "127.0.0.1", other)}


def test_a_granted_service_that_is_down_is_a_reset_and_an_event(worlds: Worlds) -> None:
    port = free_port()
    result = worlds.run(
        "curl", "-sS", f"http://127.0.0.1:{port}/", dials=[f"tcp!127.0.0.1!{port}"], check=False
    )
    assert result.status != 0
    assert any(event["kind"] == "error" for event in result.events), result.events


def test_much_data_goes_through_a_dial_unchanged(worlds: Worlds) -> None:
    code = """
import hashlib, os, socket, sys, threading
data = os.urandom(1 << 20) * 32
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    def send(): s.sendall(data); s.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send); thread.start()
    got = hashlib.sha256()
    while block := s.recv(1 << 16): got.update(block)
    thread.join()
print(got.hexdigest() == hashlib.sha256(data).hexdigest())
"""
    with echo_server() as port:
        assert worlds.python(code, str(port), dials=[f"tcp!127.0.0.1!{port}"]).out == "True\n"


def test_a_published_port_that_is_taken_stops_the_start(worlds: Worlds) -> None:
    with web_server() as port, pytest.raises(RunError) as raised:
        worlds.run("true", publish=[f"{port}:8000"])
    assert str(port) in str(raised.value)


SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"x" * 10_000
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer): request_queue_size = 128
server = Server(("", 8000), Handler)
print("listening", flush=True)
server.serve_forever()
"""


@asynccontextmanager
async def published(supervisor: libos.Supervisor, where: str) -> AsyncIterator[libos.App]:
    """A web server in a world, once it listens."""
    manifest = {
        "libos": 1,
        "include": ["python"],
        "app": {"command": ["python3", "-c", SERVER]},
        "listen": [{"port": 8000, "publish": where}],
    }
    app = await supervisor.start(manifest, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert app.stdout is not None
    assert await one_line(app.stdout) == b"listening\n"
    yield app
    await app.kill()
    await app.aclose()


async def fetch(port: int) -> bytes:
    """All that a web server answers to one request."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join([chunk async for chunk in stream]).partition(b"\r\n\r\n")[2]


async def test_a_web_server_answers_fifty_connections_at_once(supervisor: libos.Supervisor) -> None:
    port = free_port()
    pages: list[bytes] = []

    async def client(connected: trio.Event) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            waiting.discard(connected)
            if not waiting:
                all_connected.set()
            await all_connected.wait()
            await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
            pages.append(b"".join([chunk async for chunk in stream]).partition(b"\r\n\r\n")[2])

    waiting = {trio.Event() for _ in range(50)}
    all_connected = trio.Event()
    async with published(supervisor, f"127.0.0.1:{port}"), trio.open_nursery() as nursery:
        for each in list(waiting):
            nursery.start_soon(client, each)
    assert pages == [b"x" * 10_000] * 50


async def test_a_published_port_answers_on_its_address_alone_and_closes_with_the_app(
    supervisor: libos.Supervisor,
) -> None:
    port = free_port()
    async with published(supervisor, f"127.0.0.1:{port}"):
        assert await fetch(port) == b"x" * 10_000
        for address in other_addresses():
            with pytest.raises(ConnectionRefusedError):
                await trio.to_thread.run_sync(connect, address, port)
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", port)


def connect(address: str, port: int) -> None:
    """Connect and close."""
    socket.create_connection((address, port), timeout=20).close()


def other_addresses() -> list[str]:
    """Addresses of this machine but 127.0.0.1; all of 127.0.0.0/8 are."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells the address that would be used
        except OSError:
            return ["127.0.0.2"]
        return ["127.0.0.2", probe.getsockname()[0]]
