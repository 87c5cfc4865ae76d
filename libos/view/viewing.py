"""The page of an app, served by the program that runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from libos.unwrap import unwrapped
from libos.view.serving import listen, look
from libos.view.showing import Showing

if TYPE_CHECKING:
    from libos.app import App


@asynccontextmanager
async def viewing(app: App, *, port: int = 0) -> AsyncIterator[str]:
    """Serve the page of an app on 127.0.0.1 while the block lasts, and give its address with the token.

    What happened before is shown as far as the supervisor has kept it (`Supervisor(history=…)`). Raises
    ViewError where the port is taken. It must be left in the task that entered it.
    """
    showing = Showing(app.name)

    async def follow(showing: Showing) -> None:
        with app.events() as events:
            async for event in events:
                showing.take([event])
        showing.finish()

    with listen(port) as listener:
        async with unwrapped(), trio.open_nursery() as nursery:
            address = await nursery.start(look, listener, showing, follow)
            yield address
            nursery.cancel_scope.cancel()
