"""The load server, a process of its own outside: prints its port, then sends what it is asked for."""

from __future__ import annotations

import socket
import threading

# Bytes of one send.
BLOCK = memoryview(bytes(1 << 20))


def serve(connection: socket.socket) -> None:
    with connection:
        left = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
        while left:
            left -= connection.send(BLOCK[: min(left, len(BLOCK))])


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
