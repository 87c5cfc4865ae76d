"""A keeper, or an init, that sends garbage: `entry` writes the script that a supervisor starts as its keeper.

It is the real one, but for the message that is garbled: every one of its sends passes `garbled`.
"""

from __future__ import annotations

from pathlib import Path

import libos

ENTRY = """
import os, socket, sys
sys.path.insert(0, {top!r})
from libos.keeper import channel, inside, outside
send = channel.send
GARBAGE = {garbage!r}
worlds = 0  # that the keeper has told of: in the second one's init it is 1
def garble(end, message, fds=()):
    global worlds
    second, worlds = worlds == 1, worlds + (message.get("event") == "world")
    if message.get("event") != {event!r} or not (second or {event!r} == "ready"):
        return send(end, message, fds)
    kind, value = GARBAGE
    if kind == "packet":
        end.send(value)
    elif kind == "update":
        send(end, message | value, fds)
    elif kind == "without":
        send(end, {{key: each for key, each in message.items() if key != value}}, fds)
    elif kind == "more":
        send(end, message, [*fds, *[0] * value])
    elif kind == "fewer":
        send(end, message, [])
    elif kind == "other":
        send(end, message, [0 for _ in fds])
    elif kind == "twice":
        send(end, message, fds)
        send(end, message, fds)
channel.send = garble
outside.main(int(sys.argv[1]), int(sys.argv[2]))
"""
Garbage = tuple[str, object]

GARBAGE: list[Garbage] = [
    ("packet", b"{"),
    ("packet", b"\xff\xfe"),
    ("packet", b"[]"),
    ("packet", b"{}"),
    ("packet", b"\0"),
    ("packet", b"[" * 60_000),
    ("packet", b"x" * 100_000),
    ("packet", b'{"event": "exit", "id": 0, "status": "none"}'),
    ("packet", b'{"event": "exit", "id": [], "status": 1}'),
    ("packet", b'{"event": "spawned", "id": 0}'),
    ("packet", b'{"event": "error", "request": 1, "errno": "x"}'),
    ("packet", b'{"event": "done", "request": {}}'),
    ("packet", b'{"event": "failed"}'),
    ("packet", b'{"event": "world", "world": []}'),
    ("packet", b'{"event": "gone", "world": {}}'),
    ("update", {"event": "unheard of"}),
    ("update", {"request": 77}),
    ("without", "event"),
    ("more", 3),
    ("more", 200),
    ("fewer", None),
    ("other", None),
    ("twice", None),
]


def entry(path: Path, event: str, garbage: Garbage) -> str:
    """Write the keeper's entry that garbles a message of this kind of event."""
    top = str(Path(libos.__file__).parent.parent)
    path.write_text(ENTRY.format(top=top, event=event, garbage=garbage))
    return str(path)
