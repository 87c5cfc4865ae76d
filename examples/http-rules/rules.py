"""A program may read what an API has and change nothing, though it speaks to it freely.

    python examples/http-rules/rules.py

The API is a small web server on this machine. What the program asks for is judged by method and path before
anything is sent; a function of ours sees each request that passes and adds a header.
"""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import trio

import libos
from libos.net.http.messages import Request

PROGRAM = """
import http.client, sys
for method, path in [
    ("GET", "/v1/items"), ("GET", "/v1/items/7"), ("DELETE", "/v1/items/7"), ("GET", "/admin"),
    ("GET", "/v1/items/../../admin"), ("GET", "/v1/items%2F..%2F..%2Fadmin"), ("GET", "/v1/keys"),
]:
    api = http.client.HTTPConnection("localhost", int(sys.argv[1]))
    api.request(method, path)
    answer = api.getresponse()
    print(f"{method:6} {path:28} {answer.status} {answer.read().decode().strip()}", flush=True)
"""
RULES = [
    {"path": "/v1/keys/**", "action": "refuse"},
    {"path": "/v1/keys", "action": "refuse"},
    {"method": ["GET", "HEAD"], "path": "/v1/**"},
]


class Api(http.server.BaseHTTPRequestHandler):
    """Does what it is asked."""

    def answer(self) -> None:
        """Say what was done."""
        body = f"done for {self.headers['X-Caller']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_DELETE = answer  # noqa: N815 - as http.server calls them

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def api() -> Iterator[int]:
    """The API, until the block ends; gives its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


async def name_the_caller(request: Request) -> None:
    """Tell the API who asks."""
    request.headers.append(("X-Caller", "the program"))


async def main() -> int:
    """Run the program."""
    with api() as port:
        manifest = {
            "include": ["python"],
            "app": {"command": ["python3", "-c", PROGRAM, str(port)]},
            "dial": [
                {
                    "to": f"tcp!localhost!{port}",
                    "http": RULES,
                    "tls": False,
                    "http_request": name_the_caller,
                }
            ],
        }
        async with libos.Supervisor() as supervisor:
            app = await supervisor.start(manifest)
            return (await app.wait()).returncode


if __name__ == "__main__":
    sys.exit(trio.run(main))
