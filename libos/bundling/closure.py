"""The closure of a program: what a run used of what its manifest shows of the host. Pure.

- Bundled are mounts of host files and directories that are read-only and alone at their place. All others
  stay what they are: what may be written belongs to the user, and a union's elements are not told apart.
- A path of an inner mount is the inner mount's. What was looked for and is absent is in no closure.
- A directory that was listed is there with those of its names that were used, and no others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from libos.events import Event
from libos.manifest import Manifest
from libos.namespace import HostSource, Mode, Mount


@dataclass
class Closure:
    """The paths in the world that were used of each mount, by mount point. `note` takes the run's events."""

    used: dict[str, set[str]] = field(default_factory=dict)
    untold: int = 0

    def note(self, event: Event) -> None:
        """Keep what an event says."""
        if event.kind == "path.used":
            self.used.setdefault(str(event.fields["mount"]), set()).add(str(event.fields["path"]))
        elif event.kind == "path.untold":
            self.untold += 1


def bundled(manifest: Manifest) -> list[Mount]:
    """The mounts of a manifest that a bundle takes over."""
    places = Counter(mount.at for mount in manifest.mounts)
    return [
        mount
        for mount in manifest.mounts
        if isinstance(mount.source, HostSource)
        and mount.mode is Mode.READ_ONLY
        and not mount.revocable
        and places[mount.at] == 1
    ]
