"""One kept mount with its two trees open: what the app wrote, and what the host has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from libos.kept.comparing import Found, compare
from libos.kept.errors import ChangesError
from libos.kept.originals import Originals
from libos.kept.store import Pair, Store
from libos.kept.tree import Tree


class Layers:
    """The trees of one pair, and the notes about its originals."""

    def __init__(self, store: Store, pair: Pair, upper: Tree, lower: Tree) -> None:
        self.store = store
        self.pair = pair
        self.upper = upper
        self.lower = lower
        self.originals = Originals(store.read(self._notes))

    @property
    def _notes(self) -> str:
        return f"{self.pair.folder}/originals.json"

    @property
    def journal(self) -> str:
        """The name of this pair's journal in the store."""
        return f"{self.pair.folder}/journal.json"

    def found(self) -> list[Found]:
        """All that the upper layer says now."""
        return list(compare(self.upper, self.lower))

    def note(self) -> list[Found]:
        """Note new originals, and give what was found. The store must be locked.

        On a full disk the notes are not stored: the next call takes the same ones, until a run begins, which
        needs them stored.
        """
        found = self.found()
        if self.originals.note(self.upper, self.lower, found):
            with suppress(OSError):
                self.save()
        return found

    def begin(self, moment: int) -> None:
        """A run begins."""
        self.originals.since = moment
        self.save()

    def save(self) -> None:
        """Store the notes."""
        self.store.write(self._notes, self.originals.values())


@contextmanager
def opened_layers(store: Store, pair: Pair) -> Iterator[Layers]:
    """A pair with its trees open. ChangesError where the host's directory is gone."""
    with ExitStack() as stack:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            upper = stack.enter_context(Tree(os.open(f"{pair.folder}/upper", flags, dir_fd=store.fd)))
            lower = stack.enter_context(Tree.at(pair.host, os.O_PATH))
        except OSError as error:
            raise ChangesError(f"{pair.host} (mounted at {pair.at}): {error.strerror}") from error
        yield Layers(store, pair, upper, lower)
