"""Kept changes as a library's value: read, committed and discarded by name, without a supervisor."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from libos.kept import discarding, journal
from libos.kept.change import Change, entries
from libos.kept.committing import Chosen, commit
from libos.kept.comparing import Found
from libos.kept.errors import ChangesError, NothingMatchesError
from libos.kept.layers import Layers, opened_layers
from libos.kept.patch import patch
from libos.kept.selection import select
from libos.kept.store import Pair, Store, opened

_VERSION = 1


class Changes:
    """What is kept under a name, as it was when it was read: a sequence of `Change`, by mount and path.

    `mounts` are (mount point, directory of the host). All methods block; call them from a thread in an
    asynchronous program. While a run goes on, only reading is possible.
    """

    def __init__(self, name: str, mounts: tuple[tuple[str, str], ...], changes: tuple[Change, ...]) -> None:
        self.name = name
        self.mounts = mounts
        self._changes = changes

    def __iter__(self) -> Iterator[Change]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    def __getitem__(self, index: int) -> Change:
        return self._changes[index]

    def matching(self, patterns: Iterable[str]) -> Changes:
        """Those that the patterns name, all without patterns. NothingMatchesError, ManifestError."""
        wanted = list(patterns)
        return changes(self.name, wanted) if wanted else self

    def commit(self, patterns: Iterable[str] = (), *, force: bool = False) -> Changes:
        """Write changes to the host, those that the patterns name or all; give what is left.

        `patterns` are gitignore's, relative to a mount or with its mount point before them. With `force`
        what changed on the host meanwhile is overwritten. ConflictError where something did, and
        NothingMatchesError: nothing was done. ChangesError: in use, no room, or stopped midway, which the
        next call finishes. ManifestError for a pattern that cannot be read.
        """
        with _locked(self.name, "a commit") as store, choosing(store, patterns) as chosen:
            _refuse_images(self.name, chosen)
            others = commit(chosen, force=force)
        if others:
            raise ChangesError("changed by somebody else during the commit, and left: " + ", ".join(others))
        return changes(self.name)

    def discard(self, patterns: Iterable[str] = ()) -> Changes:
        """Forget changes, those that the patterns name or all, and then the name too; give what is left.

        Raises NothingMatchesError, ChangesError, ManifestError as `commit`.
        """
        wanted = list(patterns)
        if not wanted:
            discard_name(self.name)
            return Changes(self.name, (), ())
        with _locked(self.name, "a discard") as store, choosing(store, wanted) as chosen:
            for each in chosen:
                discarding.discard(each.layers, each.entries)
        return changes(self.name)

    def patch(self, patterns: Iterable[str] = ()) -> bytes:
        """The changes of text as a unified diff that `git apply` and `patch -p1` take in the mount's
        directory."""
        with Store(self.name) as store, choosing(store, patterns) as chosen:
            return b"".join(patch(each.layers, each.entries) for each in chosen)

    def json(self) -> dict[str, Any]:
        """All of it as JSON values, version 1. Within a version keys are only added."""
        return {
            "version": _VERSION,
            "name": self.name,
            "mounts": [{"at": at, "host": host} for at, host in self.mounts],
            "changes": [change.json() for change in self._changes],
        }


def changes(name: str, patterns: Iterable[str] = ()) -> Changes:
    """Read what is kept under a name, also while its run goes on; with patterns, what they name of it. An
    interrupted commit is finished or undone first. Raises ChangesError; NothingMatchesError; ManifestError
    where it cannot be a name, or for a pattern that cannot be read."""
    with Store(name) as store:
        _settle(store)
        mounts = tuple((pair.at, pair.host) for pair in store.pairs())
        with choosing(store, patterns) as chosen:
            listed = tuple(entry.change for each in chosen for entry in each.entries)
        return Changes(name, mounts, listed)


def discard_name(name: str) -> None:
    """Remove a name with all that is kept under it. Raises ChangesError where there is none or it is in
    use."""
    with opened(name, "a discard") as store:
        discarding.discard_all(store)


def _settle(store: Store) -> None:
    """Finish what was interrupted, unless the store is in use."""
    try:
        store.lock("a reader", wait=False)
    except ChangesError:
        return
    journal.recover(store)


@contextmanager
def _locked(name: str, purpose: str) -> Iterator[Store]:
    with opened(name, purpose) as store:
        journal.recover(store)
        yield store


def _refuse_images(name: str, chosen: Iterable[Chosen]) -> None:
    """The layers of an image are never written; libos.images.store marks the folder of its tree."""
    for each in chosen:
        host = each.layers.pair.host
        if any((folder / ".libos-image").exists() for folder in Path(host).parents):
            raise ChangesError(
                f"{host} is of an image, whose layers are never written: make an image with one layer more, "
                f"by libos image export {name} DIR"
            )


def _found(layers: Layers, *, note: bool) -> list[Found]:
    if note:
        return layers.note()
    found = layers.found()
    layers.originals.note(layers.upper, layers.lower, found)  # for this reading alone
    return found


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Errors of the operating system as ChangesError."""
    try:
        yield
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        raise ChangesError(f'"{name}": {where}{error.strerror}') from error


@contextmanager
def choosing(store: Store, patterns: Iterable[str]) -> Iterator[list[Chosen]]:
    """What the patterns name, mount by mount, with the trees open. NothingMatchesError."""
    wanted = list(patterns)
    with ExitStack() as stack, _told(store.name):
        chosen = [_of_pair(stack, store, pair, wanted) for pair in store.pairs()]
        if wanted and not any(each.entries for each in chosen):
            raise NothingMatchesError(
                f"no change matches {' '.join(wanted)}; libos diff {store.name} lists all of them"
            )
        yield [each for each in chosen if each.entries]


def _of_pair(stack: ExitStack, store: Store, pair: Pair, patterns: list[str]) -> Chosen:
    layers = stack.enter_context(opened_layers(store, pair))
    found = _found(layers, note=store.locked)
    return Chosen(layers, found, select(entries(layers, found), patterns, pair.at))
