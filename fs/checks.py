"""What a node may give back. Whatever else it gives is its fault (TypeError, ValueError), found before the
kernel sees it: a reply that the kernel refuses leaves the program waiting.
"""

from __future__ import annotations

from libos.fs.node import NAME_MAX, TARGET_MAX, Attributes, Handle

# What every listing begins with.
DOTS = (b".", b"..")
_DOTS = frozenset(DOTS)


def checked_names(names: object) -> list[bytes]:
    """A whole listing, "." and ".." added; TypeError or ValueError for what cannot be a name."""
    if not isinstance(names, list):
        raise TypeError(f"a listing is a list of bytes, not {type(names).__name__}")
    # All at once: a listing of ten thousand names is nothing unusual.
    if not {bytes}.issuperset(map(type, names)):
        raise TypeError("a listing holds something that is not bytes")
    whole = b"/".join(names)
    sizes = set(map(len, names))
    if names and (b"\0" in whole or whole.count(b"/") >= len(names) or max(sizes) > NAME_MAX or 0 in sizes):
        raise ValueError(f"not a name among {names[:20]!r}")
    if not _DOTS.isdisjoint(names):
        raise ValueError('a listing is without "." and ".."')
    return [*DOTS, *names]


def checked_attributes(attributes: object) -> Attributes:
    """What stat and setattr give."""
    if not isinstance(attributes, Attributes):
        raise TypeError(f"attributes expected, not {type(attributes).__name__}")
    return attributes


def checked_handle(handle: object) -> Handle:
    """What open and create give."""
    if not isinstance(handle, Handle):
        raise TypeError(f"not a handle: {type(handle).__name__}")
    return handle


def checked_target(target: object) -> bytes:
    """What a link may hold; the kernel refuses a longer reply, and the request would hang."""
    raw = checked_bytes(target)
    if not 0 < len(raw) <= TARGET_MAX or b"\0" in raw:
        raise ValueError(f"not a link's target: {raw!r}")
    return raw


def checked_bytes(value: object) -> bytes:
    """Bytes, and nothing that is almost bytes."""
    if not isinstance(value, bytes):
        raise TypeError(f"bytes expected, not {type(value).__name__}")
    return value
