"""Services of the host that tell what they were sent: over HTTPS, with an authority of their own, and raw."""

from __future__ import annotations

import gzip
import http.server
import socketserver
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services import serving

from libos.net.http.authority import Authority


@dataclass
class Api:
    """A service: its port, and the requests (or bytes) that it was sent. `ca` verifies it."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    @property
    def all_heard(self) -> bytes:
        """Everything."""
        return b"\n".join(self.heard)


class _Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the request itself; in gzip where that is asked for."""

    protocol_version = "HTTP/1.1"
    api: Api

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        request = f"{self.requestline}\n{self.headers}".encode() + self.rfile.read(length)
        self.api.heard.append(request)
        coded = "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(request) if coded else request
        self.send_response(200)
        if coded:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("X-Echo", self.headers.get("Authorization", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_TRACE = do_HEAD = do_CONNECT = answer  # noqa: N815 - as they are called

    def log_message(self, *args: object) -> None:
        """Say nothing on stderr."""


class _Raw(socketserver.BaseRequestHandler):
    api: Api

    def handle(self) -> None:
        try:
            while data := self.request.recv(65_536):
                self.api.heard.append(data)
        except ConnectionResetError:
            pass


class _Threads(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what some tests are about."""


@contextmanager
def https_api(ca: Path) -> Iterator[Api]:
    """An echo over HTTPS at localhost; its authority's certificate is written to `ca`."""
    authority = Authority("outside")
    ca.write_text(authority.pem)
    with http_api(authority.context("localhost")) as api:
        yield api


@contextmanager
def http_api(context: ssl.SSLContext | None = None) -> Iterator[Api]:
    """An echo at localhost, plain unless there is a context."""
    api = Api()
    server = _Threads(("127.0.0.1", 0), type("Echo", (_Echo,), {"api": api}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server) as api.port:
        yield api


class _Datagrams(socketserver.BaseRequestHandler):
    api: Api

    def handle(self) -> None:
        self.api.heard.append(self.request[0])


@contextmanager
def datagram_service() -> Iterator[Api]:
    """A UDP service at localhost that only listens."""
    api = Api()
    with serving(
        socketserver.UDPServer(("127.0.0.1", 0), type("Datagrams", (_Datagrams,), {"api": api}))
    ) as api.port:
        yield api


@contextmanager
def raw_service() -> Iterator[Api]:
    """A TCP service at localhost that only listens."""
    api = Api()
    socketserver.ThreadingTCPServer.daemon_threads = True
    with serving(
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Raw", (_Raw,), {"api": api}))
    ) as api.port:
        yield api
