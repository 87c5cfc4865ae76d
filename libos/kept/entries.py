"""What overlayfs writes into its upper layer, and what two files have in common.

Kernel: filesystems/overlayfs.rst. A whiteout is a character device 0/0, or an empty file with the attribute
user.overlay.whiteout; a directory with user.overlay.opaque "y" hides all of the lower one. Attributes of
overlayfs itself are user.overlay.*.
"""

from __future__ import annotations

import os
import stat

from libos.kept.tree import Tree

OPAQUE = "user.overlay.opaque"
WHITEOUT = "user.overlay.whiteout"
ORIGIN = "user.overlay.origin"
# What overlayfs would look up elsewhere; with userxattr it makes none, so nobody honest has.
_FOREIGN = ("user.overlay.redirect", "user.overlay.metacopy")
_OWN = "user.overlay."
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_BLOCK = 1 << 20

_WORDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def kind_word(found: os.stat_result) -> str:
    """What it is, in a word."""
    return _WORDS.get(stat.S_IFMT(found.st_mode), "device")


def is_directory(found: os.stat_result | None) -> bool:
    """Whether it is there and a directory."""
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_whiteout(tree: Tree, path: bytes, found: os.stat_result) -> bool:
    """Whether an entry of the upper layer says that a name is gone."""
    if stat.S_ISCHR(found.st_mode):
        return found.st_rdev == 0
    return stat.S_ISREG(found.st_mode) and found.st_size == 0 and has(tree, path, WHITEOUT)


def is_opaque(tree: Tree, path: bytes) -> bool:
    """Whether a directory of the upper layer hides the lower one."""
    return raw_attributes(tree, path).get(OPAQUE) == b"y"


def has(tree: Tree, path: bytes, name: str) -> bool:
    """Whether an extended attribute is there."""
    return name in raw_attributes(tree, path)


def is_foreign(tree: Tree, path: bytes) -> bool:
    """Whether an entry refers to another one, which libos never lets overlayfs do."""
    return any(name in _FOREIGN for name in raw_attributes(tree, path))


def raw_attributes(tree: Tree, path: bytes) -> dict[str, bytes]:
    """All extended attributes of a file or directory that are of users, and its ACLs."""
    found = tree.stat(path)
    if found is None or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return {}  # user.* is for files and directories alone, xattr(7)
    try:
        with tree.opened(path) as fd:
            names = [name for name in os.listxattr(fd) if name.startswith("user.") or name in _ACLS]
            return {name: os.getxattr(fd, name) for name in names}
    except FileNotFoundError:
        return {}  # gone meanwhile, as while an app runs


def attributes(tree: Tree, path: bytes) -> dict[str, bytes]:
    """The extended attributes that an app or a person set: without those of overlayfs."""
    return {key: value for key, value in raw_attributes(tree, path).items() if not key.startswith(_OWN)}


def wanted_mode(tree: Tree, found: os.stat_result) -> int:
    """The permission bits that may be given on: never set-user-id, set-group-id only on directories."""
    return tree.mode(found) & (0o3777 if stat.S_ISDIR(found.st_mode) else 0o777)


def same(upper: Tree, lower: Tree, path: bytes, one: os.stat_result, other: os.stat_result) -> bool:
    """Whether the two files or directories at a path, of one kind, are the same to who reads them."""
    if wanted_mode(upper, one) != wanted_mode(lower, other) and not stat.S_ISLNK(one.st_mode):
        return False
    if stat.S_ISLNK(one.st_mode):
        return upper.target(path) == lower.target(path)
    if stat.S_ISDIR(one.st_mode):
        return _same_attributes(upper, lower, path)
    if one.st_mtime_ns != other.st_mtime_ns or one.st_size != other.st_size:
        return False
    if not stat.S_ISREG(one.st_mode):
        return True
    return _same_attributes(upper, lower, path) and same_content((upper, path), (lower, path))


def _same_attributes(upper: Tree, lower: Tree, path: bytes) -> bool:
    try:
        return attributes(upper, path) == attributes(lower, path)
    except PermissionError:
        return True  # of the host, and nobody's here: the app could not read them either


def same_content(one: tuple[Tree, bytes], other: tuple[Tree, bytes]) -> bool:
    """Whether two regular files hold the same bytes. What may not be read, or is gone, is not the same."""
    try:
        with one[0].opened(one[1]) as left, other[0].opened(other[1]) as right:
            while True:
                a, b = os.read(left, _BLOCK), os.read(right, _BLOCK)
                if a != b:
                    return False
                if not a:
                    return True
    except (PermissionError, FileNotFoundError):
        return False
