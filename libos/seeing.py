"""What a running world does on the network and uses of the machine, as JSON values: for `App.connections`,
`App.stats` and the commands of these names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import trio

from libos.programs import programs

if TYPE_CHECKING:
    from libos.dialing import Dials
    from libos.net.carrier import Connection
    from libos.net.gate import Gate
    from libos.net.granting.dialed import Dialed

Row = dict[str, object]


def connections(gate: Gate) -> list[Row]:
    """Each connection that is open, oldest first: its number, which way it goes ("dial" or "listen"), the
    fields of its open event, what it has carried, how long, and the program where it was found."""
    return [_connection(each) for each in gate.carrier.connections.values()]


def _connection(connection: Connection) -> Row:
    carried = connection.carried
    return {
        "connection": connection.number,
        "kind": connection.kind,
        **connection.fields,
        "sent": carried.sent,
        "received": carried.received,
        "seconds": round(trio.current_time() - connection.began, 6),
        "pid": None,
        "program": None,
        **connection.who,
    }


async def stats(init: int, dials: Dials, counts: Iterable[Mapping[str, object]], gate: Gate) -> Row:
    """What a world has used: its programs, what each dial grant has carried, what counted mounts have, and
    what has passed the link of a routed world."""
    found = await trio.to_thread.run_sync(programs, init)
    return {
        "programs": [{"pid": each.pid, "program": each.name, "resident": each.resident} for each in found],
        "dials": [_dial(grant.live) for grant in dials],
        "mounts": [dict(each) for each in counts],
        "link": await _link(gate),
    }


async def _link(gate: Gate) -> Row | None:
    try:
        counters = await gate.counters()
    except OSError:  # the world has just ended
        return None
    return None if counters is None else dict(vars(counters))


def _dial(live: Dialed) -> Row:
    limits = live.rule.limits
    return {
        "id": live.id,
        "to": str(live.rule.to),
        "open": live.open,
        "opened": live.opened,
        "refused": live.refused,
        "sent": live.meter.sent.total,
        "received": live.meter.received.total,
        "limits": {key: value for key, value in vars(limits).items() if value is not None},
    }
