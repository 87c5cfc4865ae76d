"""The stops of a folder, in order: libos's own, or those of a folder that somebody names.

Rules: a stop that cannot be read takes no other one with it; it is listed with its error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from libos.errors import LibosError, ManifestError
from libos.tour.reading import read_stop
from libos.tour.stop import Stop

OWN = Path(__file__).parent / "stops"
# Characters of a folder's digest in the name under which its learners' files are kept.
_DIGEST = 8


class TourError(LibosError):
    """What was asked of the tour cannot be done; nothing was."""

    exit_status = 2


@dataclass(frozen=True)
class Unreadable:
    """A stop's folder that cannot be read as one."""

    name: str
    error: str


@dataclass(frozen=True)
class Collection:
    """The stops of one folder by their numbers, and what is there beside them."""

    folder: Path
    stops: tuple[Stop, ...]
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def key(self) -> str:
        """The name under which learners' files for these stops are kept."""
        if self.folder == OWN:
            return "stops"
        digest = hashlib.sha256(str(self.folder).encode("utf-8", "surrogateescape")).hexdigest()
        return f"stops-{digest[:_DIGEST]}"

    @property
    def names(self) -> list[str]:
        """The stops' names, in order."""
        return [stop.name for stop in self.stops]

    def get(self, name: str) -> Stop:
        """A stop by its name or number. Raises TourError."""
        for stop in self.stops:
            if name in (stop.name, str(stop.number)):
                return stop
        for broken in self.unreadable:
            if name == broken.name:
                raise TourError(broken.error)
        raise TourError(f'there is no stop "{name}": there are {", ".join(self.names) or "none"}')


def collection(folder: Path | None = None) -> Collection:
    """The stops in a folder, or libos's own; the folder may be one stop itself. Raises TourError where there
    are none."""
    top = OWN if folder is None else Path(folder).resolve()
    stops: list[Stop] = []
    unreadable = []
    for each in _folders(top):
        try:
            stops.append(read_stop(each))
        except ManifestError as error:
            unreadable.append(Unreadable(each.name, str(error)))
    if not stops and not unreadable:
        raise TourError(f"{top}: no stop is there: libos tour new DIR makes one")
    stops.sort(key=lambda stop: (stop.number, stop.name))
    return Collection(top, tuple(stops), tuple(unreadable))


def _folders(top: Path) -> Iterator[Path]:
    if (top / "stop.toml").exists():
        yield top
        return
    try:
        found = sorted(top.iterdir())
    except OSError as error:
        raise TourError(f"{top}: {error.strerror}") from error
    yield from (each for each in found if (each / "stop.toml").exists())
