"""How much an image may unpack to, and what was unpacked so far."""

from __future__ import annotations

from dataclasses import dataclass

from libos.images.errors import ImageError

# Bytes of all files together: a large image of today has some ten.
_BYTES = 16 << 30
# Entries of all layers: a distribution with a desktop has some 500,000.
_ENTRIES = 1_000_000
# Bytes of all names together, which are held while one layer is applied.
_NAMES = 256 << 20
# Names in one path; Linux takes some 2,000 in PATH_MAX.
_DEPTH = 128
# Bytes that come out for each that goes in. gzip makes 1,030 of one at most (RFC 1951), text some five.
_RATIO = 200
# Bytes that may come out before the ratio counts: a layer of zeros is small and no harm.
_FREE = 64 << 20


@dataclass(frozen=True)
class Bounds:
    """The most that one image may be: `size` in bytes, how many entries, how many names in a path, and how
    many bytes come out of a compressed one."""

    size: int = _BYTES
    entries: int = _ENTRIES
    depth: int = _DEPTH
    ratio: int = _RATIO


class Count:
    """What one image has unpacked to, in bytes and entries; each addition is judged. ImageError beyond."""

    def __init__(self, bounds: Bounds, size: int = 0, entries: int = 0) -> None:
        self.bounds = bounds
        self.size = size
        self.entries = entries
        self._names = 0

    def entry(self, name: int) -> None:
        """One more entry, whose name has so many characters."""
        self.entries += 1
        self._names += name
        if self.entries > self.bounds.entries:
            raise ImageError(f"it has more than {self.bounds.entries} entries (--max-entries)")
        if self._names > _NAMES:
            raise ImageError(f"the names of its entries have more than {_NAMES} bytes together")

    def add(self, size: int) -> None:
        """So many bytes more of a file."""
        self.size += size
        if self.size > self.bounds.size:
            raise ImageError(f"it unpacks to more than {self.bounds.size} bytes (--max-size)")

    def judge_ratio(self, size_in: int, size_out: int) -> None:
        """What has come out of a compressed stream so far."""
        if size_out > _FREE and size_out > self.bounds.ratio * size_in:
            raise ImageError(f"each byte of it unpacks to more than {self.bounds.ratio} (--max-ratio)")

    def judge_depth(self, names: int) -> None:
        """The number of names in a path."""
        if names > self.bounds.depth:
            raise ImageError(f"it has paths of more than {self.bounds.depth} names (--max-depth)")
