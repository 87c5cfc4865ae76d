"""Forgetting what an app wrote: chosen changes, or all of a name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence

from libos.kept import upper
from libos.kept.change import Entry
from libos.kept.errors import ChangesError
from libos.kept.faults import reached
from libos.kept.layers import Layers
from libos.kept.removing import remove
from libos.kept.store import Store
from libos.kept.tree import Tree

# What is being removed; no name of kept changes begins with a dot.
_GONE = ".gone-"


def discard(layers: Layers, entries: Sequence[Entry]) -> None:
    """Take entries out of the upper layer: where they were, the app sees the host's again. The store must be
    locked. Interrupted, some of them are gone and the others are still there. Raises OSError."""
    upper.spell_out(layers.upper, layers.lower)
    parts = {part.path: part for entry in entries for part in entry.parts}
    upper.forget(layers.upper, [path for path, part in parts.items() if part.upper is not None and path])
    if b"" in parts:
        with layers.lower.opened(b"", os.O_PATH) as fd:
            os.fchmod(layers.upper.fd, os.fstat(fd).st_mode & 0o7777)
    hidden = [path for path, part in parts.items() if part.upper is None]
    # What is below a directory that comes back as a whole comes back with it.
    for path in sorted(hidden, key=lambda path: path.split(b"/"), reverse=True):
        _reveal(layers, path)
    upper.prune(layers.upper, layers.lower)
    layers.note()


def _reveal(layers: Layers, path: bytes) -> None:
    upper.reveal(layers.upper, layers.lower, path, f".libos-{secrets.token_hex(6)}".encode())


def discard_all(store: Store) -> None:
    """Remove everything that is kept under a name, and the name. The store must be locked; works whatever
    became of the host's directories. The name goes first, by one rename; what a killed call left of the rest
    is removed by the next. Raises ChangesError."""
    gone = f"{_GONE}{store.name}-{secrets.token_hex(6)}"
    try:
        with Tree.at(str(store.path.parent)) as home:
            os.rename(store.name, gone, src_dir_fd=home.fd, dst_dir_fd=home.fd)
            reached("name gone")
            for name in os.listdir(home.fd):
                if name.startswith(_GONE):
                    remove(home, os.fsencode(name))
                    reached("removed")
    except FileNotFoundError:
        pass  # another call was as quick
    except OSError as error:
        raise ChangesError(f"{store.path} cannot be removed: {error.strerror}") from error
