"""Changes of text as a unified diff, with the header lines of git that `git apply` reads."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable, Iterator

from libos.kept.change import Entry
from libos.kept.comparing import Found
from libos.kept.layers import Layers
from libos.kept.tree import Tree

# Bytes of a file beyond which its lines are not compared: difflib's time grows faster than its input.
_LARGEST = 1 << 20
# git looks for a NUL in this many bytes to tell what is binary; xdiff-interface.c.
_HEAD = 8000
_SPECIAL = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n", 0x09: b"\\t"}


def patch(layers: Layers, entries: Iterable[Entry]) -> bytes:
    """The diff of one mount's entries; paths are relative to the mount."""
    return b"".join(_entry(layers, entry) for entry in entries)


def _entry(layers: Layers, entry: Entry) -> bytes:
    part = entry.parts[0]
    old = entry.parts[1] if len(entry.parts) > 1 else part
    before = _side(layers.lower, old.path, old.lower)
    after = _side(layers.upper, part.path, part.upper)
    if entry.change.kind == "T":  # in a patch one thing goes and another comes
        return _one(entry, old, part, before, None) + _one(entry, old, part, None, after)
    return _one(entry, old, part, before, after)


def _one(entry: Entry, old: Found, part: Found, before: bytes | None, after: bytes | None) -> bytes:
    if before is None and after is None:
        return b""  # directories, fifos, sockets: a patch has no words for them
    head = [b"diff --git " + _quoted(b"a/" + old.path) + b" " + _quoted(b"b/" + part.path)]
    head += _modes(old, part, before is not None, after is not None)
    if entry.change.kind == "R":
        head += [
            b"similarity index 100%",
            b"rename from " + _quoted(old.path),
            b"rename to " + _quoted(part.path),
        ]
    names = (
        _quoted(b"a/" + old.path) if before is not None else b"/dev/null",
        _quoted(b"b/" + part.path) if after is not None else b"/dev/null",
    )
    return b"\n".join(head) + b"\n" + b"".join(_body(before or b"", after or b"", names))


def _side(tree: Tree, path: bytes, found: os.stat_result | None) -> bytes | None:
    """The content that a patch speaks of: a file's bytes, a link's target; None for all else."""
    if found is None:
        return None
    if stat.S_ISLNK(found.st_mode):
        return tree.target(path)
    if not stat.S_ISREG(found.st_mode):
        return None
    try:
        with tree.opened(path) as fd:
            return os.read(fd, _LARGEST + 1)
    except (PermissionError, FileNotFoundError):
        return b"\0"  # not to be read, or gone meanwhile: not to be shown


def _modes(old: Found, new: Found, was: bool, is_now: bool) -> list[bytes]:
    before, after = (_mode(found) for found in (old.lower, new.upper))
    if not was:
        return [b"new file mode " + after]
    if not is_now:
        return [b"deleted file mode " + before]
    return [b"old mode " + before, b"new mode " + after] if before != after else []


def _mode(found: os.stat_result | None) -> bytes:
    """The modes that git knows."""
    if found is None:
        return b""
    if stat.S_ISLNK(found.st_mode):
        return b"120000"
    return b"100755" if found.st_mode & 0o111 else b"100644"


def _body(before: bytes, after: bytes, names: tuple[bytes, bytes]) -> Iterator[bytes]:
    if before == after:
        return
    if any(b"\0" in side[:_HEAD] for side in (before, after)) or max(len(before), len(after)) > _LARGEST:
        yield b"Binary files " + names[0] + b" and " + names[1] + b" differ\n"
        return
    for line in difflib.diff_bytes(difflib.unified_diff, _lines(before), _lines(after), *names):
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _lines(content: bytes) -> list[bytes]:
    """Lines with their ends; a carriage return ends none."""
    parts = content.split(b"\n")
    return [line + b"\n" for line in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _quoted(path: bytes) -> bytes:
    """A path as git quotes it: in C's way where a byte is not plain."""
    if all(0x20 <= byte < 0x7F and byte not in (0x22, 0x5C) for byte in path):
        return path
    return b'"' + b"".join(_SPECIAL.get(byte) or _plain(byte) for byte in path) + b'"'


def _plain(byte: int) -> bytes:
    return bytes((byte,)) if 0x20 <= byte < 0x7F else b"\\%03o" % byte
