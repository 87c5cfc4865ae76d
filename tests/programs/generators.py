"""Generators and sources for the tests of streams."""

from __future__ import annotations

import errno
import math
from collections.abc import AsyncIterator

import trio
import trio.testing

from libos.fs.node import refusal


async def three() -> AsyncIterator[str]:
    for number in range(3):
        yield f"{number}\n"


class Source:
    """A generator that yields what the test sends, and tells how it ended."""

    def __init__(self) -> None:
        self.send, self.receive = trio.open_memory_channel[str](math.inf)
        self.yielded = 0
        self.begun = trio.Event()
        self.closed = trio.Event()

    async def generate(self) -> AsyncIterator[str]:
        try:
            self.begun.set()
            async for item in self.receive.clone():
                self.yielded += 1
                yield item
        finally:
            self.closed.set()


async def raising() -> AsyncIterator[str]:
    yield "before"
    raise ValueError("broken")


async def refusing() -> AsyncIterator[str]:
    yield "before"
    raise refusal(errno.ENOLINK)
