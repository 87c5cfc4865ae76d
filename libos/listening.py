"""Telling where the app of a world listens, by `listen.ready`: at each TCP port of a [[listen]] once, and in
a world that is recorded at each further port once, which is reached from nowhere.

Rule: it is told once the kernel says so; what the kernel cannot tell is an `error`, and no end of the world.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from libos.errors import SupervisorError

if TYPE_CHECKING:
    import trio

    from libos.manifest import Listen
    from libos.net.diag.listening import Listening

NOWHERE = "nowhere"
# Ports that are told of one world: an app can listen at as many as it likes.
_MOST = 1000


class Ready:
    """What is told of one world. `observe` takes a kind of event and its fields; nothing is an error any more
    once the world is `gone`."""

    def __init__(
        self, listening: Listening, observe: Callable[[str, Mapping[str, object]], None], gone: trio.Event
    ) -> None:
        self._listening = listening
        self._observe = observe
        self._gone = gone

    async def tell(self, listen: Listen) -> None:
        """Tell when the app listens at a port for the first time."""
        if listen.network != "tcp":
            return
        try:
            await self._listening.wait(listen.port)
        except (OSError, SupervisorError) as error:
            self._failed(listen.port, error)
            return
        self._observe("listen.ready", {"port": listen.port, "publish": listen.published})

    async def tell_others(self, listens: Sequence[Listen]) -> None:
        """Tell of each port at which it listens beyond these."""
        known = {each.port for each in listens if each.network == "tcp"}
        while len(known) < _MOST:
            try:
                found = await self._listening.beyond(known)
            except (OSError, SupervisorError) as error:
                self._failed(0, error)
                return
            for port in sorted(found):
                self._observe("listen.ready", {"port": port, "publish": NOWHERE})
            known |= found

    def _failed(self, port: int, error: Exception) -> None:
        ends = isinstance(error, OSError) and error.errno == errno.EPIPE  # and `gone` comes a moment later
        if not ends and not self._gone.is_set():
            self._observe("error", {"operation": "listen", "port": port, "error": str(error)})
