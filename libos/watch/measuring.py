"""What limits measure now, asked of a running world.

Rules: it is asked when something has happened, at most once in AGAIN_SECONDS, and one question at a time: a
world in which nothing happens is not asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from libos.control.client import ask
from libos.control.folder import open_folder
from libos.errors import LibosError
from libos.seen.amounts import amount

# Seconds: sooner than a person compares numbers.
AGAIN_SECONDS = 1.0


class Measuring:
    """`now` has what each limit counts, as text."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked = -AGAIN_SECONDS
        self._task: asyncio.Task[None] | None = None
        self.now: dict[str, str] = {}

    def wanted(self, changed: Callable[[], None]) -> None:
        """Ask anew, unless it was done just now; `changed` is called when the answer differs."""
        if self._task is not None or time.monotonic() < self._asked + AGAIN_SECONDS:
            return
        self._asked = time.monotonic()
        self._task = asyncio.get_running_loop().create_task(self._ask(changed))

    def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()

    async def _ask(self, changed: Callable[[], None]) -> None:
        try:
            now = _shown(await asyncio.to_thread(_stats, self._name))
        except LibosError:
            now = {}  # it has just ended, or is stopped: its own events say so
        finally:
            self._task = None
        if now and now != self.now:
            self.now = now
            changed()


def _stats(name: str) -> dict[str, Any]:
    with open_folder() as folder:
        return ask(folder, name, {"request": "stats"})


def _shown(stats: dict[str, Any]) -> dict[str, str]:
    return {
        str(each["limit"]).removeprefix("limits."): _said(each)
        for each in stats.get("limits", ())
        if each.get("now") is not None or each.get("peak") is not None
    }


def _said(each: dict[str, Any]) -> str:
    key = str(each["limit"]).removeprefix("limits.")
    parts = [(word, each.get(word)) for word in ("now", "peak")]
    return ", ".join(f"{word} {_amount(key, value)}" for word, value in parts if value is not None)


def _amount(key: str, value: object) -> str:
    return amount(key, value) if isinstance(value, (int, float)) else str(value)
