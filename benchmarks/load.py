"""The load servers, a process of their own outside: prints their ports as JSON, by what each does.

`send`: sends as many bytes as it is asked for. `greet`: sends one byte and ends the connection. `keep`: sends
one byte and holds the connection. `http`: answers each request head with a few bytes.
"""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import Callable

# Bytes of one send.
BLOCK = memoryview(bytes(1 << 20))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_kept: list[socket.socket] = []


def send(connection: socket.socket) -> None:
    with connection:
        left = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
        while left:
            left -= connection.send(BLOCK[: min(left, len(BLOCK))])


def greet(connection: socket.socket) -> None:
    with connection:
        connection.send(b"!")


def keep(connection: socket.socket) -> None:
    connection.send(b"!")
    _kept.append(connection)


def http(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        got = b""
        while chunk := connection.recv(65536):
            *heads, got = (got + chunk).split(b"\r\n\r\n")
            for _ in heads:
                connection.send(ANSWER)


def in_thread(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    threading.Thread(target=serve, args=(connection,), daemon=True).start()


def accept(server: socket.socket, serve: Callable[[socket.socket], None], at_once: bool) -> None:
    while True:
        connection, _ = server.accept()
        if at_once:
            serve(connection)
        else:
            in_thread(serve, connection)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    accepting = []
    ports = {}
    for role, at_once in ((send, False), (greet, True), (keep, True), (http, False)):
        server = socket.create_server(("127.0.0.1", 0), backlog=4096)
        ports[role.__name__] = server.getsockname()[1]
        accepting.append(threading.Thread(target=accept, args=(server, role, at_once)))
    print(json.dumps(ports), flush=True)
    for each in accepting:
        each.start()
