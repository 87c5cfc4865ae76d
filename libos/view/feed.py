"""The stream of changes to one browser, as server-sent events (HTML standard, section 9.2).

Rules:
- A message is what has changed since the last one, as JSON; its id is the version of the page that the
  browser then shows. A browser that comes back says the last id that it had (Last-Event-ID), and goes on from
  there.
- A message is made as soon as there is a new version, of which there are only so many a second (showing.py).
  The next one is made when the last one has been taken: a slow browser gets fewer and larger ones, and
  nothing is kept for it.
- A comment is sent when nothing has changed for a while, so that both sides know that the other is there.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache

import trio

from libos.view.board import Board

# Seconds of silence after which a comment is sent: below what proxies and browsers cut.
SILENCE_SECONDS = 15.0
# What a browser waits before it comes back, in milliseconds.
RETRY_MILLISECONDS = 500
# Asks the browser to load the page again.
_ANEW = b"event: anew\ndata:\n\n"
SILENCE = b": nothing has changed\n\n"

Send = Callable[[bytes], Awaitable[None]]


class Feeds:
    """What all browsers that look at one board share: they are woken, and messages are made once."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.ended = False
        self._changed = trio.Event()
        self._message = lru_cache(maxsize=8)(self._make)

    def publish(self) -> None:
        """Make the next version of the board and wake who waits for it."""
        if self.board.publish():
            self._wake()

    def renew(self, board: Board) -> None:
        """Go on with another board: each browser is told to load the page again."""
        self.board = board
        self._message.cache_clear()
        self._wake()

    def end(self) -> None:
        """Say that nothing will change any more; each browser is told once it has the rest."""
        self.ended = True
        self._wake()

    async def follow(self, version: int, send: Send) -> None:
        """Send what changes from that version on, until `end`. Whoever goes away cancels it."""
        await send(f"retry: {RETRY_MILLISECONDS}\n\n".encode())
        board = self.board
        if version > board.version:
            await send(_ANEW)
            return
        while True:
            if board is not self.board:
                await send(_ANEW)
                return
            if version < self.board.version:
                now = self.board.version
                await send(self._message(version, now))
                version = now
            elif self.ended:
                await send(b"event: end\ndata:\n\n")
                return
            else:
                await self._wait(send)

    async def _wait(self, send: Send) -> None:
        changed = self._changed
        with trio.move_on_after(SILENCE_SECONDS) as silence:
            await changed.wait()
        if silence.cancelled_caught:
            await send(SILENCE)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _make(self, version: int, now: int) -> bytes:
        """Give the message that leads from one version to the board's, `now`."""
        parts = [[part.id, part.parent, part.html, part.lit] for part in self.board.since(version)]
        return f"id: {now}\ndata: {json.dumps(parts, separators=(',', ':'))}\n\n".encode()
