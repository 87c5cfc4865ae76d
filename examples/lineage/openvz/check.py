"""What an environment uses is counted, for it alone: held, the most, the limit, how often it was refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, Property
from probing import Talk, made, read

import libos

TITLE = "Virtuozzo and OpenVZ, 2005: many environments on one kernel, every resource counted"
HERE = Path(__file__).parent
MANIFEST = HERE / "environment.toml"
# Connections that the manifest lets be open at once.
LIMIT = 3

PROPERTIES = {
    "held": Property(
        "what is in use now is counted, and what is given back is not",
        "the connection is not closed",
        lambda saw: saw == [LIMIT, LIMIT - 1],
    ),
    "maxheld": Property(
        "the most that was in use at once is remembered",
        "only one is ever open at once",
        lambda saw: saw == LIMIT,
    ),
    "failcnt": Property(
        "what would go beyond the limit is refused, and each refusal is counted",
        "the manifest has no limit",
        lambda saw: saw == ["refused", 1],
    ),
    "own": Property(
        "each environment has counters of its own: what another one uses does not show",
        "both are one environment",
        lambda saw: saw == [LIMIT, 0],
    ),
}


async def environment(supervisor: libos.Supervisor, port: int, *, limited: bool = True) -> Talk:
    """The environment of the manifest, with the server's port."""
    value = read(MANIFEST)
    value["app"] |= {
        "command": ["bash", "-c", (HERE / "user.sh").read_text()],
        "environment": {"PORT": str(port)},
    }
    value["dial"][0]["to"] = f"tcp!127.0.0.1!{port}"
    if not limited:
        del value["dial"][0]["connections"]
    return await Talk.with_(supervisor, made(value, MANIFEST))


async def counters(talk: Talk) -> dict[str, int]:
    """The row of its connections."""
    names = ("held", "maxheld", "barrier", "limit", "failcnt")
    return dict(zip(names, map(int, (await talk.ask("row")).split()), strict=True))


async def served(stream: trio.SocketStream) -> None:
    """Greet, and hold the connection until the other side has gone."""
    await stream.send_all(b"hello\n")
    await stream.receive_some()


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Open, close and open too many connections, and read the counters."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, served, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        seen = await _observe(supervisor, port, without)
        nursery.cancel_scope.cancel()
    return seen


async def _observe(supervisor: libos.Supervisor, port: int, without: str | None) -> dict[str, Any]:
    first = await environment(supervisor, port, limited=without != "failcnt")
    second = first if without == "own" else await environment(supervisor, port)
    for _ in range(LIMIT):
        assert await first.ask("open") == "hello"
        if without == "maxheld":
            assert await first.ask("close") == "closed"
            await until_held(first, 0)
    full = await counters(first)
    own = [full["held"], (await counters(second))["held"]]
    beyond = await first.ask("open")
    failed = (await counters(first))["failcnt"]
    if without not in ("held", "maxheld"):
        assert await first.ask("close") == "closed"
        await until_held(first, LIMIT - 1 if beyond == "refused" else LIMIT)
    after = await counters(first)
    for talk in {first, second}:
        await talk.end()
    return {
        "held": [full["held"], after["held"]],
        "maxheld": after["maxheld"],
        "failcnt": [beyond, failed],
        "own": own,
    }


async def until_held(talk: Talk, held: int) -> None:
    """Wait until the supervisor has heard that a connection is closed."""
    while (await counters(talk))["held"] != held:
        pass  # each question waits for its answer
