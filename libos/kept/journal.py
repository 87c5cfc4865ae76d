"""A commit of one mount, written down so that it is whole whatever interrupts it.

    prepare   everything new is made beside its place: nothing of the host's has changed. Interrupted: undone.
    apply     one rename a path. Interrupted: finished.
    clean     the upper layer forgets what the host has now. Interrupted: finished.

The journal is on disk before each phase begins, and goes when the last has ended. `recover` is called under
the lock before anything else is done with kept changes, so nobody sees a phase that is not over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

from libos.kept import steps, upper
from libos.kept.errors import ChangesError
from libos.kept.faults import reached
from libos.kept.layers import Layers, opened_layers
from libos.kept.steps import Step
from libos.kept.store import Store

_VERSION = 1


class Journal:
    """The journal of a commit under way."""

    def __init__(self, layers: Layers, planned: Sequence[Step], linked: Sequence[str]) -> None:
        """`linked` are paths that the commit leaves alone, but whose ctime it may change: further names."""
        self.layers = layers
        self.steps = list(planned)
        self.linked = list(linked)

    def save(self, phase: str) -> None:
        """Enter a phase."""
        value = {
            "version": _VERSION,
            "phase": phase,
            "steps": [step.json() for step in self.steps],
            "linked": self.linked,
        }
        self.layers.store.write(self.layers.journal, value)
        reached(f"journal {phase}")

    def undo(self) -> None:
        """Take away what was prepared. Raises OSError."""
        for step in self.steps:
            steps.undo(step, self.layers.lower)
            reached("undone")
        self._end()

    def finish(self) -> list[Step]:
        """Do all that is left to do from the phase apply on; give the steps whose place was another's.
        Raises OSError; then the journal stays, and the next call goes on."""
        layers = self.layers
        others = [step for step in self.steps if not steps.apply(step, layers.upper, layers.lower)]
        self._sync()
        self.steps = [step for step in self.steps if step not in others]
        self.save("clean")
        self.clean()
        return others

    def clean(self) -> None:
        """Let the upper layer forget what was committed, and the journal go."""
        layers = self.layers
        cleared = [os.fsencode(path) for step in self.steps for path in step.clears]
        upper.forget(layers.upper, cleared)
        upper.prune(layers.upper, layers.lower)
        self._note_again([os.fsdecode(path) for path in cleared])
        self._end()

    def _note_again(self, cleared: list[str]) -> None:
        originals = self.layers.originals
        for path in cleared:
            originals.known.pop(path, None)
        for path in self.linked:
            originals.renew(path, self.layers.lower.stat(os.fsencode(path)))
        self.layers.save()
        reached("noted")

    def _sync(self) -> None:
        """Make the renames durable: each directory in which one was done."""
        folders = {os.fsencode(step.path).rpartition(b"/")[0] for step in self.steps}
        for folder in sorted(folders):
            gone = contextlib.suppress(FileNotFoundError, NotADirectoryError)
            with gone, self.layers.lower.opened(folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
                os.fsync(fd)
        reached("synced")

    def _end(self) -> None:
        self.layers.store.remove(self.layers.journal)
        reached("journal gone")


def recover(store: Store) -> None:
    """Finish or undo what an interrupted commit left. The store must be locked. Raises ChangesError."""
    for pair in store.pairs():
        value = store.read(f"{pair.folder}/journal.json")
        if value is not None:
            try:
                with opened_layers(store, pair) as layers:
                    _recover(layers, value)
            except OSError as error:
                raise ChangesError(
                    f"an interrupted commit to {pair.host} cannot be finished yet: {error.strerror}; "
                    "mend that and call again, what is there is as the commit left it"
                ) from error


def _recover(layers: Layers, value: dict[str, Any]) -> None:
    if value["version"] != _VERSION:
        raise ChangesError(
            "an interrupted commit was written by another version of libos: finish it with that"
        )
    journal = Journal(layers, [Step(**each) for each in value["steps"]], value["linked"])
    match value["phase"]:
        case "prepare":
            journal.undo()
        case "apply":
            journal.finish()
        case "clean":
            journal.clean()
