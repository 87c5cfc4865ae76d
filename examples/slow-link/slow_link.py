"""Measure a slow link from inside: `python examples/slow-link/slow_link.py [--capture FILE]`.

A service on this machine answers at once; the world sees it behind a link of 8 Mbit/s and 40 ms each way.
With `--capture` what the link carries goes to a file that Wireshark and tshark open.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import trio

import libos

HERE = Path(__file__).parent


async def serve(stream: trio.SocketStream) -> None:
    """Send each "." back; send as many bytes as a line asks for."""
    try:
        while data := await stream.receive_some(100):
            if data.strip(b"."):
                await stream.send_all(bytes(int(data)))
                break
            await stream.send_all(data)
        await stream.aclose()
    except trio.BrokenResourceError:
        pass


def manifest(port: int) -> dict[str, Any]:
    """slow.toml, its service at the port that was free, and a file to capture to where one is asked for."""
    with open(HERE / "slow.toml", "rb") as file:
        raw = tomllib.load(file)
    raw["dial"][0]["via"] = f"tcp!127.0.0.1!{port}"
    raw["mount"][0]["host"] = str(HERE / "measure.py")
    if sys.argv[1:2] == ["--capture"]:
        raw["network"]["capture"] = str(Path(sys.argv[2]).absolute())
    return raw


async def main() -> int:
    """Give the app's status."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listeners[0].socket.getsockname()[1]
    async with libos.Supervisor() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        app = await supervisor.start(manifest(port))
        status = await app.wait()
        nursery.cancel_scope.cancel()
    return status.returncode


sys.exit(trio.run(main))
