"""What a directory in memory looks like, whoever gives it: the kernel or the file server."""

from __future__ import annotations

# Scratch directories that programs share are sticky and open to all, as on every host; hier(7).
_SHARED_SCRATCH = frozenset(("/tmp", "/var/tmp"))  # noqa: S108 - paths in the world, not here


def memory_mode(at: str) -> int:
    """The permission bits of its root; it belongs to the app."""
    return 0o1777 if at in _SHARED_SCRATCH else 0o755
