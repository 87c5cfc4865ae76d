"""What a directory's whole listing told, to be told again as long as nothing of it changed.

A listing of names with attributes (READDIRPLUS) is a lookup a name. Where the directory says that nothing
changed (`Directory.unchanged`), the answers of the last time are given once more: each still counts as one
lookup, and only for inodes that the kernel holds.
"""

from __future__ import annotations

from typing import Any

from libos.fs.checks import DOTS
from libos.fs.dispatch import AnyInode, directory_of
from libos.fs.worlds import Open

# A name, the inode that it led to, and the entry that was told.
Row = tuple[bytes, AnyInode, Any]
# Names of a listing that is kept: a longer one would hold too much for a directory that may not be listed
# again.
MOST = 4096


def begins(opened: Open) -> None:
    """At the first name of a listing."""
    opened.told = []
    opened.mark = directory_of(opened.inode).unchanged()


def rows(opened: Open) -> list[Row]:
    """What was told of all names of this listing, if it is so still; else nothing."""
    inode = opened.inode
    if inode.listing is None or inode.listing[0] != opened.mark:
        return []  # nothing, or another listing than this one began as
    mark, told = inode.listing
    if mark != directory_of(inode).unchanged() or len(told) != len(opened.names) - len(DOTS):
        inode.listing = None
        return []
    return told


def ends(opened: Open) -> None:
    """At the end of a listing: keeps what it told, if that was all of it and nothing changed meanwhile."""
    told, opened.told = opened.told, []
    if opened.mark is None or len(told) != len(opened.names) - len(DOTS) or not 0 < len(told) <= MOST:
        return
    if opened.mark == directory_of(opened.inode).unchanged():
        opened.inode.listing = (opened.mark, told)
