"""Two slots on disk, and which of them is to be used.

    FOLDER/a/root, FOLDER/b/root     the trees, each with its seal beside it
    FOLDER/slots.json                {"a": {"priority": 1, "tries": 0, "successful": true}, "b": …}
    FOLDER/lock                      held (flock) by who installs

Rules:
- The slot of the highest priority is used that was successful or has tries left. A try is taken, durably,
  before the slot is used: who is killed while it is tried has used it up.
- A tree is installed into the other slot, beside it first, and takes its place by renames; the flags are
  written last, so a slot that is half made has no priority.

The flags are those of the GPT partitions of Chrome OS and CoreOS: cgpt(1), "coreos disk layout".
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from libos.kept.removing import remove
from libos.kept.tree import Tree
from libos.kernel.files import sync_filesystem
from libos.slots.errors import SlotError
from libos.slots.sealing import seal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMES = ("a", "b")
# How often a new slot is tried before the old one is used again; update_engine's of Chrome OS is 6.
TRIES = 3


@dataclass(frozen=True)
class Flags:
    """Of one slot. A priority of 0 is never used."""

    priority: int = 0
    tries: int = 0
    successful: bool = False

    @property
    def usable(self) -> bool:
        """Whether the slot may be used."""
        return self.priority > 0 and (self.successful or self.tries > 0)


class Slots:
    """The slots of a folder. All methods block; one process uses a folder at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def flags(self) -> dict[str, Flags]:
        """The flags of both slots. SlotError where they cannot be read."""
        try:
            value = json.loads((self.folder / "slots.json").read_bytes())
            return {name: Flags(**value[name]) for name in NAMES}
        except FileNotFoundError:
            return {name: Flags() for name in NAMES}
        except (ValueError, KeyError, TypeError):
            raise SlotError(f"{self.folder / 'slots.json'} is damaged: install both slots again") from None

    def best(self) -> str | None:
        """The slot that is to be used; None where there is none."""
        flags = self.flags()
        usable = [name for name in NAMES if flags[name].usable]
        return max(usable, key=lambda name: flags[name].priority, default=None)

    def install(self, tree: Path, key: Ed25519PrivateKey, *, tries: int = TRIES) -> str:
        """Copy a tree into the slot that is not the best, seal and sign it, and make it the best, to be tried
        so often; give its name. SlotError, OSError: the best slot stays what it was."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            name = "b" if self.best() == "a" else "a"
            self._set(name, Flags())
            new, old, place = (self.folder / f"{name}{ending}" for ending in (".new", ".old", ""))
            self._remove(new, old)
            new.mkdir()
            shutil.copytree(tree, new / "root", symlinks=True)
            seal(new, key)
            self._sync()
            with suppress(FileNotFoundError):
                place.rename(old)
            new.rename(place)
            self._sync()
            priority = max(each.priority for each in self.flags().values()) + 1
            self._set(name, Flags(priority, tries))
            self._remove(old)
            return name

    def take_try(self, name: str) -> bool:
        """Use a slot once more: whether it may be. Costs a try where it was not successful yet."""
        flags = self.flags()[name]
        if flags.usable and not flags.successful:
            self._set(name, replace(flags, tries=flags.tries - 1))
        return flags.usable

    def succeeded(self, name: str) -> None:
        """The slot is good: it is used without tries from now on."""
        self._set(name, replace(self.flags()[name], tries=0, successful=True))

    def failed(self, name: str) -> None:
        """The slot is bad: it is never used again."""
        self._set(name, Flags())

    def _set(self, name: str, flags: Flags) -> None:
        both = {**self.flags(), name: flags}
        new = self.folder / "slots.json.new"
        with open(new, "w") as file:
            json.dump({each: asdict(both[each]) for each in NAMES}, file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.folder / "slots.json")

    def _remove(self, *places: Path) -> None:
        with Tree.at(os.path.realpath(self.folder)) as tree:
            for place in places:
                remove(tree, os.fsencode(place.name))

    def _sync(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_filesystem(fd)
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise SlotError(f"another process installs into {self.folder}: wait for its end") from None
        finally:
            os.close(fd)
