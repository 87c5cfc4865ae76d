"""Paths of the host as a manifest writes them."""

from __future__ import annotations

import os


def absolute(path: str, base: str) -> str:
    """A path made absolute: `~` is the caller's home, the rest is relative to `base`. Pure."""
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))
