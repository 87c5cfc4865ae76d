"""What an unpacked image holds at a path, found without leaving its tree."""

from __future__ import annotations

import os
from pathlib import Path

from libos.images.errors import ImageError
from libos.images.store import Kept
from libos.kernel import mounts


def at(kept: Kept, path: str) -> str:
    """The host path, without links, of what stands at a path of the image. Links are followed as in the
    image: an absolute one leads to its own top, never out. ImageError where nothing is. openat2(2)."""
    top = os.open(kept.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = mounts.RESOLVE_IN_ROOT | mounts.RESOLVE_NO_MAGICLINKS
        fd = mounts.open_beneath(top, path.lstrip("/") or ".", os.O_PATH, resolve)
        try:
            return str(Path(f"/proc/self/fd/{fd}").readlink())
        finally:
            os.close(fd)
    except OSError as error:
        raise ImageError(f"image {kept.sources[0]}: it has no {path}: {error.strerror}") from None
    finally:
        os.close(top)
