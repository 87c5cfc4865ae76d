"""On which side of a world's network a socket is made.

A flat world has one side. A routed one has the app's, where its own loopback is, and the gate's, where every
other address is local. So the host's loopback services are listened for on the app's side, as they are in a
flat world.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Sequence

from libos.net.sockets import OpenSockets, Spec

APP, GATE = "app", "gate"
# Sockets of one request: a message carries 253 descriptors (SCM_MAX_FD in unix(7)).
_MOST = 200


class Sides:
    """Makes sockets on either side. `gate` is None in a flat world, where both are one."""

    def __init__(self, app: OpenSockets, gate: OpenSockets | None = None) -> None:
        self.app = app
        self.gate = app if gate is None else gate
        self.routed = gate is not None

    async def open(self, wanted: Sequence[tuple[str, Spec]]) -> list[socket.socket]:
        """Sockets for (side, spec), in order, all or none, in one request a side, or in several where they
        are many. Raises what `OpenSockets` raises."""
        if not self.routed:
            return await _ask(self.app, [spec for _, spec in wanted])
        made: dict[int, socket.socket] = {}
        try:
            for side, ask in ((APP, self.app), (GATE, self.gate)):
                places = [place for place, (wanted_side, _) in enumerate(wanted) if wanted_side == side]
                if places:
                    made |= zip(places, await _ask(ask, [wanted[place][1] for place in places]), strict=True)
                    if side == GATE:
                        _share([made[place] for place in places])
        except BaseException:
            for each in made.values():
                each.close()
            raise
        return [made[place] for place in range(len(wanted))]


def _share(sockets: Sequence[socket.socket]) -> None:
    """Let a range's listener stand beside those of single addresses at its port: these are found first."""
    for each in sockets:
        if each.family in (socket.AF_INET, socket.AF_INET6):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


@functools.lru_cache(maxsize=4096)  # each world gives the same addresses to its names
def side_of(literal: str) -> str:
    """The side on which a literal address is listened for."""
    return APP if ipaddress.ip_address(literal).is_loopback else GATE


async def _ask(open_sockets: OpenSockets, specs: Sequence[Spec]) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for start in range(0, len(specs), _MOST):
            made += await open_sockets(list(specs[start : start + _MOST]))
    except BaseException:
        for each in made:
            each.close()
        raise
    return made
