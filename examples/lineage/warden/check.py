"""Containers as a service: they outlive who asked, know nothing of each other, and gain by request."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, Property, scratch

import libos
from libos.control.clients import serve_clients
from libos.warden.service import Warden

TITLE = "Cloud Foundry Warden, 2011: containers as a service with a small interface"
HERE = Path(__file__).parent

PROPERTIES = {
    "outlives": Property(
        "a container and its job go on when the client that made them is gone: another one gets the output",
        "its grace time is 0",
        lambda saw: saw == "made\n",
    ),
    "apart": Property(
        "what one container writes is not in another one",
        "both are one container",
        lambda saw: saw == ["mine\n", ""],
    ),
    "net_out": Property(
        "a container reaches an address after the request for it, and not before",
        "it is requested at the beginning",
        lambda saw: saw == [1, 0],
    ),
    "stop": Property(
        "stop ends the jobs, and the container is there to be used again",
        "it is destroyed in place of stopped",
        lambda saw: saw == [-15, "again\n"],
    ),
}


class Client:
    """A client in a thread of its own: `client.py`'s, for trio."""

    def __init__(self, path: str) -> None:
        from runpy import run_path

        self._client = run_path(str(HERE / "client.py"))["Client"](path)

    async def ask(self, request: str, **fields: Any) -> dict[str, Any]:
        """The answer; that of an error is its text, under "error"."""
        try:
            answer: dict[str, Any] = await trio.to_thread.run_sync(
                partial(self._client.ask, request, **fields)
            )
        except RuntimeError as error:
            return {"error": str(error)}
        return answer

    def close(self) -> None:
        """Go away."""
        self._client.close()


@asynccontextmanager
async def service(supervisor: libos.Supervisor, folder: Path) -> AsyncIterator[str]:
    """The path of a service's socket."""
    path = str(folder / "warden.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        async with trio.open_nursery() as nursery:
            warden = Warden(supervisor, nursery)
            nursery.start_soon(warden.keep_time)
            await nursery.start(serve_clients, listener, warden.answer)
            yield path
            await warden.close()
            nursery.cancel_scope.cancel()


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Make containers, and ask for each property."""
    with scratch() as folder:
        async with service(supervisor, folder) as path:
            outlives = await _outlives(path, 0 if without == "outlives" else 600)
            client = Client(path)
            seen = {
                "outlives": outlives,
                "apart": await _apart(client, one=without == "apart"),
                "net_out": await _net_out(client, early=without == "net_out"),
                "stop": await _stop(client, "destroy" if without == "stop" else "stop"),
            }
            client.close()
    return seen


async def _outlives(path: str, grace: float) -> str:
    first = Client(path)
    handle = (await first.ask("create", grace_time=grace))["handle"]
    job = (await first.ask("spawn", handle=handle, script="echo made"))["job_id"]
    first.close()
    second = Client(path)
    if grace == 0:
        while handle in (await second.ask("list"))["handles"]:
            pass  # each question waits for its answer
    text = (await second.ask("link", handle=handle, job_id=job)).get("stdout", "")
    await second.ask("destroy", handle=handle)
    second.close()
    return str(text)


async def _apart(client: Client, *, one: bool) -> list[str]:
    handles = [(await client.ask("create"))["handle"] for _ in range(2)]
    await client.ask("run", handle=handles[0], script="echo mine > /tmp/file")
    read = "cat /tmp/file 2> /dev/null"
    found = [
        (await client.ask("run", handle=handle, script=read))["stdout"]
        for handle in (handles[0], handles[0] if one else handles[1])
    ]
    for handle in handles:
        await client.ask("destroy", handle=handle)
    return found


async def _net_out(client: Client, *, early: bool) -> list[int]:
    handle = (await client.ask("create"))["handle"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        request = partial(client.ask, "net_out", handle=handle, to=f"tcp!127.0.0.1!{port}")
        script = f"bash -c '(exec 3<>/dev/tcp/127.0.0.1/{port}) 2> /dev/null'"
        if early:
            await request()
        before = await client.ask("run", handle=handle, script=script)
        await request()
        after = await client.ask("run", handle=handle, script=script)
    await client.ask("destroy", handle=handle)
    return [before["exit_status"], after["exit_status"]]


async def _stop(client: Client, verb: str) -> list[Any]:
    handle = (await client.ask("create"))["handle"]
    job = (await client.ask("spawn", handle=handle, script="exec sleep 600"))["job_id"]
    await client.ask(verb, handle=handle)
    ended = await client.ask("link", handle=handle, job_id=job)
    again = await client.ask("run", handle=handle, script="echo again")
    await client.ask("destroy", handle=handle)
    return [ended.get("exit_status"), again.get("stdout")]
