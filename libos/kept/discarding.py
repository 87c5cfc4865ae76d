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
    became of the host's directories. Interrupted, the next call goes on. Raises ChangesError."""
    try:
        for name in sorted(os.listdir(store.fd), key=lambda name: (name == "lock", name == "record.json")):
            if name != "lock":
                with Tree(os.dup(store.fd)) as tree:
                    remove(tree, os.fsencode(name))
                reached("removed")
        with Tree(os.dup(store.fd)) as tree:
            remove(tree, b"lock")
        os.rmdir(store.path)
    except OSError as error:
        raise ChangesError(f"{store.path} cannot be removed: {error.strerror}") from error
