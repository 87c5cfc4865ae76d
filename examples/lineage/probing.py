"""Running programs for a check: in a world, and outside of any."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trio
from claims import MissingError

import libos

Manifest = libos.Manifest | Mapping[str, Any]


def read(file: Path) -> dict[str, Any]:
    """A manifest's file as a value that can be changed; `made` makes a manifest of it again."""
    return tomllib.loads(file.read_text())


def made(value: Mapping[str, Any], file: Path) -> libos.Manifest:
    """The manifest of a value that was read from a file, whose folder its relative paths start at."""
    return libos.from_mapping(value, base=file.parent)


async def said(supervisor: libos.Supervisor, manifest: Manifest, **options: Any) -> str:
    """Run a manifest's program to its end in a world of its own, and give what it wrote, errors included."""
    app = await supervisor.start(manifest, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    text = await drained(app)
    await app.wait()
    await app.aclose()
    return text


async def drained(program: libos.Process) -> str:
    """What a program writes until its end."""
    assert program.stdout is not None
    return b"".join([part async for part in program.stdout]).decode(errors="replace").rstrip("\n")


async def outside(command: Sequence[str]) -> str:
    """Run a program without any world, and give what it wrote, errors included."""
    try:
        done = await trio.run_process(
            command, capture_stdout=True, stderr=subprocess.STDOUT, check=False, stdin=b""
        )
    except FileNotFoundError:
        raise MissingError(f"there is no {command[0]} here: install the package that has it") from None
    return done.stdout.decode(errors="replace").rstrip("\n")


async def as_root(namespaces: Sequence[str], command: Sequence[str]) -> str:
    """As `outside`, by root of a user namespace of its own and of `namespaces` (unshare(1)'s options).

    Raises MissingError where the host gives nobody such a namespace.
    """
    text = await outside(["unshare", "--user", "--map-root-user", *namespaces, *command])
    if text.startswith("unshare: "):
        raise MissingError(f"{text}: libos doctor says what gives user namespaces here")
    return text


def fields(text: str) -> Any:
    """What a probe printed as JSON on its last line. Raises AssertionError where it did not."""
    try:
        return json.loads(text.splitlines()[-1])
    except (IndexError, ValueError):
        raise AssertionError(f"the program said no JSON: {text!r}") from None


class Talk:
    """A program in a world that answers lines: each line that it is told, it answers with one."""

    def __init__(self, app: libos.App) -> None:
        self.app = app
        self._rest = b""

    @classmethod
    async def with_(cls, supervisor: libos.Supervisor, manifest: Manifest) -> Talk:
        """Start it."""
        return cls(await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    async def ask(self, line: str) -> str:
        """Tell it a line, and give its answer."""
        assert self.app.stdin is not None
        await self.app.stdin.send_all(line.encode() + b"\n")
        return await self.line()

    async def line(self) -> str:
        """The next line that it writes. Raises AssertionError where it ends instead."""
        assert self.app.stdout is not None
        while b"\n" not in self._rest:
            part = await self.app.stdout.receive_some()
            if not part:
                raise AssertionError(f"the program ended after {self._rest!r}")
            self._rest += part
        answer, _, self._rest = self._rest.partition(b"\n")
        return answer.decode(errors="replace")

    async def end(self) -> None:
        """End its world."""
        await self.app.kill()
        await self.app.aclose()


class Events:
    """The events of a supervisor, from the beginning of the block on."""

    def __init__(self, supervisor: libos.Supervisor) -> None:
        self._supervisor = supervisor
        self._stack = AsyncExitStack()
        self._events: AsyncIterator[libos.Event]

    async def __aenter__(self) -> Events:
        self._events = await self._stack.enter_async_context(self._supervisor.events())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def until_exit(self, world: str) -> list[libos.Event]:
        """All events of a world until the last one of it, which tells of its app's end."""
        told = []
        async for event in self._events:
            if event.world == world:
                told.append(event)
                if event.kind == "app.exit":
                    break
        return told
