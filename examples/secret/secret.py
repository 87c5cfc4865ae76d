"""A program uses a token that it never sees.

    python examples/secret/secret.py

The API is a small HTTPS server on this machine, with a certificate authority of its own. The program holds a
placeholder: the supervisor puts the token in its place on the way to the API, and nowhere else.
"""

from __future__ import annotations

import http.server
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

import libos
from libos.net.http.authority import Authority

PROGRAM = """
import os, socket, sys, urllib.error, urllib.request
word = os.environ["API_TOKEN"]
print("the program holds", word[:12] + "…", flush=True)

def ask(path, **headers):
    request = urllib.request.Request(f"https://localhost:{sys.argv[1]}{path}", headers=headers)
    try:
        return urllib.request.urlopen(request).read().decode().strip()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode().strip()}"

print("as it is meant:  ", ask("/who", Authorization=f"Bearer {word}"))
print("an echo:         ", ask("/echo", Authorization=f"Bearer {word}"))
print("in another header:", ask("/echo", Cookie=f"token={word}"))
print("in the address:  ", ask(f"/echo?{word}"), flush=True)
elsewhere = socket.create_connection(("localhost", int(sys.argv[2])))
try:
    elsewhere.sendall(word.encode())
    print("to another host: ", elsewhere.recv(100) or "nothing came back")
except ConnectionResetError as error:
    print("to another host: ", error)
"""


class Api(http.server.BaseHTTPRequestHandler):
    """Knows who has the token, and shows to everybody what he sent."""

    def do_GET(self) -> None:
        """Answer."""
        credentials = self.headers["Authorization"]
        known = credentials == f"Bearer {os.environ['API_TOKEN']}"
        text = f"you sent {credentials}" if self.path == "/echo" else f"known: {known}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of a connection that breaks off: that is the point here."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def served(ca: Path | None = None) -> Iterator[int]:
    """The API, over HTTPS where its authority is to be written to a file; gives its port."""
    with Server(("127.0.0.1", 0), Api) as server:
        if ca is not None:
            authority = Authority("an API")
            ca.write_text(authority.pem)
            server.socket = authority.context("localhost").wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


async def main(folder: str) -> int:
    """Run the program, then tell what was refused."""
    os.environ["API_TOKEN"] = secrets.token_urlsafe(30)
    ca = Path(folder, "ca.pem")
    with served(ca) as api, served() as other:
        to = f"tcp!localhost!{api}"
        manifest = {
            "include": ["python"],
            "app": {"command": ["python3", "-c", PROGRAM, str(api), str(other)]},
            "dial": [{"to": to, "ca": str(ca)}, {"to": f"tcp!localhost!{other}"}],
            "secret": [
                {"name": "API_TOKEN", "environment": "API_TOKEN", "header": "Authorization", "to": [to]}
            ],
        }
        async with libos.Supervisor() as supervisor, supervisor.events() as events:
            app = await supervisor.start(manifest)
            status = await app.wait()
            async for event in events:
                if event.kind == "secret.refused":
                    print(f"refused: {event.fields['secret']} in {event.fields['where']}")
                if event.kind == "app.exit":
                    return status.returncode
    raise AssertionError("an app that ended has an exit event")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.exit(trio.run(main, name))
