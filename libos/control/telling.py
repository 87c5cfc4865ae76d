"""A world's events for a client of the control socket.

Request: {"request": "events"}. Answers: "events" with the world's "name" and how many are "kept", then "told"
with "events", a list of event objects as in an event file, as long as the world lives: first what is kept of
the earlier ones. At last "end". Long texts are cut, so that each event fits into a line.

Rules: a client that does not read loses events, and is told how many; it holds nobody up. At the world's end
its last events are still sent, for as long as END_SECONDS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from libos.control.channel import Channel
from libos.control.wire import MAX_LINE, Message, ProtocolError, encode
from libos.events import Reader
from libos.unwrap import unwrapped

if TYPE_CHECKING:
    from libos.app import App

# Seconds that a client gets to take the last events. One that is stopped must not hold the world's end up for
# long.
END_SECONDS = 1.0
# Events in one line at the most, so that the first ones are there soon.
_MOST = 100
# Bytes of a line that further events may fill: one more always fits.
_ROOM = MAX_LINE // 8


async def tell_events(channel: Channel, app: App) -> None:
    """Tell the world's events until the client goes away or the world has ended. Raises OSError."""
    with app.events() as events:
        await channel.send({"answer": "events", "name": app.name, "kept": events.waiting})
        # Shielded, so that no line is left half sent when the world's socket goes.
        telling = trio.CancelScope(shield=True)
        async with unwrapped(), trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, channel, telling)
            nursery.start_soon(_until_over, telling)
            with telling:
                await _tell(channel, events)
            nursery.cancel_scope.cancel()


async def _until_gone(channel: Channel, telling: trio.CancelScope) -> None:
    try:
        await channel.receive()  # whatever it says: it has asked for all there is
    except (ProtocolError, OSError):
        pass
    telling.cancel()


async def _until_over(telling: trio.CancelScope) -> None:
    try:
        await trio.sleep_forever()
    finally:
        telling.deadline = trio.current_time() + END_SECONDS


async def _tell(channel: Channel, events: Reader) -> None:
    batch: list[Message] = []
    room = _ROOM
    async for event in events:
        batch.append(event.bounded().value())
        room -= len(encode(batch[-1]))
        if room < 0 or len(batch) >= _MOST or not events.waiting:
            await channel.send({"answer": "told", "events": batch})
            batch, room = [], _ROOM
    await channel.send({"answer": "end"})
