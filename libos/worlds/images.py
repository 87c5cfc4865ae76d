"""The images of worlds: unpacked before a plan is made, and kept for as long as the supervisor runs."""

from __future__ import annotations

import os
from collections.abc import Iterable

import trio

from libos.images.errors import ImageError
from libos.images.reference import parse
from libos.manifest.problems import at_origin, error
from libos.namespace import HostSource, ImageSource, Mount


class HeldImages:
    """Trees of images that nobody removes until `close`. For one task at a time each call."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    async def unpack(self, mounts: Iterable[Mount]) -> None:
        """Unpack what is not yet, in a thread. ManifestError with what is wrong, at its place."""
        for mount in mounts:
            if isinstance(mount.source, ImageSource):
                from libos.images.unpacking import unpacked

                try:
                    reference = parse(mount.source.reference)
                    # Abandoned where it is cancelled: a tree appears whole or not at all.
                    await trio.to_thread.run_sync(unpacked, reference, abandon_on_cancel=True)
                except ImageError as wrong:
                    raise error([at_origin(mount.origin, str(wrong))]) from None

    def hold(self, mounts: Iterable[Mount]) -> None:
        """Hold the trees that these mounts show. ImageError where one was removed meanwhile."""
        for mount in mounts:
            if isinstance(mount.source, HostSource) and mount.source.image:
                from libos.images.store import folder_above, hold

                folder = folder_above(mount.source.path)
                if str(folder) not in self._fds:
                    self._fds[str(folder)] = hold(folder)

    def close(self) -> None:
        """Let go of all."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
