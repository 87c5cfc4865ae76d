"""A world as code: devices that are typed, and jobs that are linked with those they need.

A job says what it needs by the types of its parameters. Linking gives it exactly that; what is not linked is
not in the world. A wrong device is a type error before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeyValue:
    """A tree of files that can be read: `mirage-kv`."""

    folder: str

    def mount(self, at: str) -> dict[str, Any]:
        """As a [[mount]] of a manifest."""
        return {"at": at, "host": self.folder}


@dataclass(frozen=True)
class Block:
    """Memory that can be written, of a size, which goes with the world: `mirage-block`."""

    size: str

    def mount(self, at: str) -> dict[str, Any]:
        """As a [[mount]] of a manifest."""
        return {"at": at, "memory": self.size}


@dataclass(frozen=True)
class Linked:
    """A job with its devices: what `register` makes a manifest of."""

    command: tuple[str, ...]
    mounts: tuple[dict[str, Any], ...]


def register(name: str, job: Linked, *, system: Iterable[str] = ("base",)) -> dict[str, Any]:
    """The manifest of a job that is linked."""
    return {
        "include": list(system),
        "app": {"name": name, "command": list(job.command)},
        "mount": list(job.mounts),
    }
