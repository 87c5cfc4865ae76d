"""Services of the host for the tests: a web server and an echo server in threads of the test process."""

from __future__ import annotations

import http.server
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"page {self.path} for {self.headers['Host']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing on stderr."""


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    """Serve in a thread; gives the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        assert isinstance(server, socketserver.TCPServer | socketserver.UDPServer)
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def web_server() -> Iterator[int]:
    """A web server on 127.0.0.1; gives its port. Each page says its path and the Host that was asked."""
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)) as port:
        yield port


@contextmanager
def echo_server() -> Iterator[int]:
    """A server on 127.0.0.1 that sends back what it gets; gives its port."""
    socketserver.ThreadingTCPServer.daemon_threads = True
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo)) as port:
        yield port


def free_port(family: socket.AddressFamily = socket.AF_INET) -> int:
    """A port of the loopback address on which nobody listens."""
    with socket.socket(family) as server:
        server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
