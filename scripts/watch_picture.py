"""Draw `libos watch` as an SVG: the agent of the demonstration, recorded, as it is seen before it ends.

watch_picture.py FILE.svg
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import trio

import libos
from libos.watch.screen import Watch
from libos.watch.sources import Take

TOP = Path(__file__).parent.parent
# Columns and rows.
SIZE = (104, 38)
# What is selected in the picture.
SELECTED = "/etc/shadow"


async def run_agent() -> list[libos.Event]:
    """Run the demonstration's agent, and give its events."""
    os.chdir(TOP)  # so that a picture says where the manifest is in a checkout
    sys.path.insert(0, str(TOP / "examples" / "agent"))
    demo = importlib.import_module("demo")
    manifest = libos.load(demo.MANIFEST.relative_to(TOP))
    manifest = replace(manifest, app=replace(manifest.app, record=True))
    found: list[libos.Event] = []
    with demo.price_service() as address:
        trio.socket.set_custom_hostname_resolver(demo.DemoNames(address))
        async with libos.Supervisor() as supervisor, supervisor.events() as events:
            await supervisor.start(manifest, name="agent")
            async for event in events:
                found.append(event)
                if event.kind == "app.exit":
                    return found
    raise AssertionError("the supervisor ended before its app")


class Told:
    """A source that tells these events, and then nothing."""

    name = "agent"
    over = False
    trouble = why_not_running = ""

    def __init__(self, events: Sequence[libos.Event]) -> None:
        self._events = list(events)

    @contextlib.contextmanager
    def followed(self, take: Take) -> Iterator[None]:
        take(self._events)
        yield


async def draw(events: Sequence[libos.Event]) -> str:
    """The picture."""
    view = Watch(Told(events), measured=False)
    async with view.run_test(size=SIZE) as pilot:
        for _ in range(200):
            await pilot.pause()
            if getattr(view.subject, "what", "") == SELECTED:
                return view.export_screenshot(title="libos watch agent")
            await pilot.press("down")
    raise AssertionError(f"the agent did not look for {SELECTED}")


def alone(svg: str) -> str:
    """The picture without the fonts that its maker would load from elsewhere: the reader's own will do."""
    return re.sub(r"@font-face\s*{[^}]*}|<!--.*?-->", "", svg, flags=re.DOTALL).replace("Fira Code, ", "")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(alone(asyncio.run(draw(trio.run(run_agent)[:-1]))))
