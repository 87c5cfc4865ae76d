"""The demonstration: an untrusted agent does its job in a world that holds only what agent.toml names.

    make demo          or          python examples/agent/demo.py

It starts the service that the agent calls, runs the agent, and prints the report of what was asked for and
not given. The service's name exists for this program alone: a world's names are resolved by its supervisor,
outside, at the moment of the call, so that here a resolver of our own can answer for `prices.example`.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trio

import libos
from libos.cli.report import Report

HERE = Path(__file__).parent
MANIFEST = HERE / "agent.toml"
NAME, PORT = "prices.example", 8765
PRICES = {"bolt": 0.11, "nut": 0.04, "washer": 0.02}


class PriceService(BaseHTTPRequestHandler):
    """A small web service, outside the world: it gives prices to those who know the token."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Bearer token-of-the-demo"
        body = json.dumps(PRICES).encode() if known else b'"who are you?"'
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        print(f"[the service, outside: {format % args}]", flush=True)


def listening_server() -> ThreadingHTTPServer:
    """The service at the first of this machine's loopback addresses where its port is free: all of
    127.0.0.0/8 are, and another demonstration may be running."""
    for number in range(1, 255):
        try:
            return ThreadingHTTPServer((f"127.0.0.{number}", PORT), PriceService)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                sys.exit(f"the demonstration's service cannot listen on port {PORT}: {error.strerror}")
    sys.exit(f"the demonstration's service finds no loopback address with port {PORT} free")


@contextmanager
def price_service() -> Iterator[str]:
    """The service for as long as the block runs; gives its address."""
    with listening_server() as server:
        thread = threading.Thread(target=server.serve_forever, name="price service")
        thread.start()
        try:
            yield str(server.server_address[0])
        finally:
            server.shutdown()
            thread.join()


class DemoNames(trio.abc.HostnameResolver):
    """Answers for the service's name; every other name is the system's affair."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def getaddrinfo(self, host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host in (NAME, NAME.encode()):
            host = self._address
        return await trio.to_thread.run_sync(socket.getaddrinfo, host, port, *rest)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        return await trio.to_thread.run_sync(socket.getnameinfo, sockaddr, flags)


async def note_refusals(events: AsyncIterator[libos.Event], report: Report) -> None:
    """Take down what is refused, until the app has ended."""
    async for event in events:
        report.note(event)
        if event.kind == "app.exit":
            return


async def run_agent(address: str) -> int:
    """Run the agent with its streams on ours, then print the report; gives the agent's exit status."""
    trio.socket.set_custom_hostname_resolver(DemoNames(address))
    report = Report()
    async with (
        libos.Supervisor() as supervisor,
        supervisor.events() as events,
        trio.open_nursery() as nursery,
    ):
        app = await supervisor.start(MANIFEST)
        nursery.start_soon(note_refusals, events, report)
        status = await app.wait()
    print("\nthe report (as `libos run --report` prints it):")
    print("\n".join(report.lines()))
    return status.returncode


def main() -> int:
    project = HERE / "project"
    before = {path.name: path.read_bytes() for path in project.iterdir()}
    print(
        f"what {MANIFEST.name} gives the agent: a copy of {project.name}/, a token, {NAME} on port {PORT}\n",
        flush=True,
    )
    with price_service() as address:
        status = trio.run(run_agent, address)
    after = {path.name: path.read_bytes() for path in project.iterdir()}
    print(f"\n{project.name}/ is {'as it was' if after == before else 'CHANGED'}: {', '.join(sorted(after))}")
    return status if after == before else 1


if __name__ == "__main__":
    sys.exit(main())
