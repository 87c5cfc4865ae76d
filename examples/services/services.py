"""Services: unix sockets inside a world that lead out, to a program of this host and to Python.

    python examples/services/services.py

A small database stands outside and listens on a unix socket, as PostgreSQL and MySQL do. The program inside
has no network and not the socket's folder: it finds /run/db.sock, connects, and talks to the database. At
/run/clock.sock nobody listens but the function below. The program has a port of its own, too: this script
waits until it listens, without asking again and again, and reaches it by a unix socket of the host.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import trio

import libos

# Reads a table by the one socket, a time by the other, then answers at port 8000.
PROGRAM = """
import os, socket

def ask(path, question):
    with socket.socket(socket.AF_UNIX) as service:
        service.connect(path)
        service.sendall(question)
        service.shutdown(socket.SHUT_WR)
        return service.makefile().read().strip()

print("in /run:", *sorted(os.listdir("/run")))
print("bolts:", ask("/run/db.sock", b"GET bolt\\n"))
print("washers:", ask("/run/db.sock", b"GET washer\\n"))
print("the time:", ask("/run/clock.sock", b""))
server = socket.create_server(("127.0.0.1", 8000))
connection, _ = server.accept()
with connection:
    connection.sendall(b"hello, " + connection.recv(100))
try:
    ask("/run/db.sock", b"GET bolt\\n")
except OSError as error:
    print("after the revoke:", error.strerror)
"""
STOCK = {"bolt": "1200", "nut": "40"}


async def database(stream: trio.SocketStream) -> None:
    """The program outside: a line asks, a line answers."""
    asked = b""
    while not asked.endswith(b"\n"):
        asked += await stream.receive_some()
    item = asked.decode().split()[1]
    await stream.send_all(f"{STOCK.get(item, 'none')}\n".encode())
    await stream.aclose()


async def clock(stream: trio.SocketStream) -> None:
    """The service that is a function: it gets the stream of each connection."""
    await stream.send_all(b"half past nine\n")


async def run(folder: Path) -> int:
    """Serve the database, start the program, and reach it when it listens."""
    outside = trio.socket.socket(trio.socket.AF_UNIX)
    await outside.bind(str(folder / "db.sock"))
    outside.listen()
    manifest = {
        "include": ["python"],
        "app": {"command": ["python3", "-c", PROGRAM], "environment": {"PYTHONUNBUFFERED": "1"}},
        "mount": [
            {"at": "/run/db.sock", "service": f"unix!{folder}/db.sock"},
            {"at": "/run/clock.sock", "service": clock},
        ],
        "listen": [{"port": 8000, "publish": False}],
    }
    async with trio.open_nursery() as nursery, libos.Supervisor() as supervisor:
        nursery.start_soon(trio.serve_listeners, database, [trio.SocketListener(outside)])
        app = await supervisor.start(manifest, stdout=subprocess.PIPE)
        async with trio.open_nursery() as showing:
            showing.start_soon(show, app)
            await app.wait_listening(8000)
            publication = await app.publish(8000, f"unix:{folder}/app.sock")
            await app.grant("/run/db.sock").revoke()
            async with await trio.open_unix_socket(folder / "app.sock") as stream:
                await stream.send_all(b"world")
                print("by", publication.id, "from outside:", (await stream.receive_some()).decode())
        status = await app.wait()
        await app.aclose()
        nursery.cancel_scope.cancel()
    return status.returncode


async def show(app: libos.App) -> None:
    """Print what the program prints."""
    assert app.stdout is not None
    async for part in app.stdout:
        print(part.decode(), end="")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        raise SystemExit(trio.run(run, Path(made)))
