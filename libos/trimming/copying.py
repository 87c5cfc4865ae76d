"""The manifest whose runs change nothing outside: what is read-write becomes a copy.

Rules:
- A directory becomes copy-on-write, in memory, and ends with its run; a file is copied for each run.
- What a file server serves cannot be copied: written through it, it is refused.
- Nothing is published, kept or captured. What a run sends over granted connections, and to services, does go
  out: it cannot be taken back.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

from libos.errors import ManifestError
from libos.manifest import Manifest
from libos.namespace import HostSource, Mode, Mount, P9Source

# Bytes of files that are copied for a run, all together.
_MOST = 1 << 30


def on_copies(manifest: Manifest, folder: str) -> Manifest:
    """The manifest on copies, those of files below `folder`, which belongs to the run. Raises OSError, and
    ManifestError where there is too much to copy, or what has no copy."""
    copied = _Copies(folder)
    return replace(
        manifest,
        app=replace(manifest.app, name=None, keep=None),
        mounts=tuple(map(copied.mount, manifest.mounts)),
        listens=tuple(replace(each, host="", path=None, proxy_protocol=False) for each in manifest.listens),
        network=replace(manifest.network, capture=None, capture_limit=None),
    )


class _Copies:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._number = 0
        self._bytes = 0

    def mount(self, mount: Mount) -> Mount:
        """The mount on a copy of what it would write."""
        source = mount.source
        if mount.mode is Mode.READ_WRITE and isinstance(source, P9Source):
            raise ManifestError(
                f'"{mount.at}" is written by a file server, and no run has a copy of that: mount it read-only'
            )
        if mount.mode is not Mode.READ_WRITE or not isinstance(source, HostSource):
            return mount
        if os.path.isdir(source.path):
            return replace(mount, mode=Mode.COPY_ON_WRITE)
        if not os.path.isfile(source.path):
            return mount
        self._bytes += os.path.getsize(source.path)
        if self._bytes > _MOST:
            raise ManifestError(f'"{source.path}" is too large to be copied for each run')
        self._number += 1
        copy = os.path.join(self._folder, f"{self._number}-{os.path.basename(source.path)}")
        shutil.copy2(source.path, copy)
        return replace(mount, source=HostSource(copy))
