"""Every kind of file that a Python function can be, and a shell that uses them all.

    python examples/nodes.py

The app sees ordinary files. Behind each of them stands one of the functions below, in this process.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import trio

import libos
from libos.fs.node import Caller

files = libos.Files()
stock = {"bolt": 1200, "nut": 40}
released = trio.Event()


@files.text("/whoami")
def whoami(caller: Caller) -> str:
    """A text, made at each open. A function that is not async runs in a thread."""
    return f"you are user {caller.uid}\n"


@files.stream("/events")
async def events() -> AsyncIterator[str]:
    """What comes, as it comes: the reader waits for it, by read(2), select or epoll."""
    yield "waiting for an order\n"
    await released.wait()
    yield "an order was placed\n"


@files.sink("/metrics", by="line")
async def metrics(line: bytes) -> None:
    """Each line that the app writes. It writes as fast as this returns."""
    print(f"metric: {line.decode()}")


@files.control("/ctl")
async def order(command: str) -> str:
    """A command, and its reply on the same descriptor. An OSError is the errno of the write."""
    verb, _, item = command.partition(" ")
    if verb != "order" or item not in stock:
        raise FileNotFoundError(2, f"no such command or item: {command}")
    stock[item] -= 10
    released.set()
    return f"10 of {item}, {stock[item]} left\n"


@files.directory("/stock")
def entries() -> dict[str, str]:
    """A file for each thing there is at this moment."""
    return {item: f"{count}\n" for item, count in stock.items()}


@files.symlink("/scarcest")
def scarcest() -> str:
    """A link that leads elsewhere when things change."""
    return f"/stock/{min(stock, key=lambda item: stock[item])}"


log = files.log("/log")

SCRIPT = r"""
cat /whoami
cat /events > /tmp/events &
while ! grep -q waiting /tmp/events; do :; done
exec 3<>/ctl
echo order bolt >&3
cat <&3
wait
cat /tmp/events
echo "stock: $(ls /stock | xargs), fewest: $(cat /scarcest)"
echo orders 1 > /metrics
echo order gold >&3 2>/dev/null || echo "gold is refused"
echo done >> /log
"""


async def show_log() -> None:
    """The log's lines as they come, until it is closed."""
    async for line in log:
        print(f"log: {line.decode()}")


async def main() -> int:
    """Run the shell with these files beside what its manifest mounts."""
    manifest = {"include": ["shell"], "app": {"command": ["bash", "-c", SCRIPT]}}
    async with libos.Supervisor() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(show_log)
        app = await supervisor.start(manifest, files=files, stdout=subprocess.PIPE)
        assert app.stdout is not None
        async for chunk in app.stdout:
            print(chunk.decode(), end="")
        status = await app.wait()
        log.close()
    return status.returncode


if __name__ == "__main__":
    raise SystemExit(trio.run(main))
