"""Which identity each world of root has: a slot of the host's ids, and no other world has it meanwhile.

Rules:
- A slot is taken by a lock on its byte of a file that all supervisors of root share (`keeper.identity`), so
  nobody has to be asked, and what a killed supervisor held is free when its worlds have gone.
- A slot that a world gave back is used again first: the user namespaces that its mounts need are there. A few
  are kept for that, the others are free for other supervisors.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from libos.errors import HostError
from libos.keeper.identity import SLOTS, Identity, keeper_identity, serves_root, slot_identity

# Root's own folder for what lives as long as the machine runs: hier(7).
FOLDER = "/run/libos"
_FILE = "ids"
# Slots that are kept after use.
_KEPT = 16
# struct flock: type, whence, start, length, pid (fcntl_locking(2)); each field aligned as C does.
_FLOCK = "@hhqqi"


class Identities:
    """The identities of one supervisor's worlds. `locks_fd` is None where all of them are the caller."""

    def __init__(self, locks_fd: int | None) -> None:
        self.locks_fd = locks_fd
        self._caller = keeper_identity()
        self._kept: list[int] = []
        self._taken: set[int] = set()
        self._next = random.randrange(1, SLOTS)  # noqa: S311 - no secret: it only keeps supervisors apart

    def take(self) -> Identity:
        """Give an identity that no other world has. Raises HostError where all are taken."""
        if self.locks_fd is None:
            return self._caller
        slot = self._kept.pop() if self._kept else self._lock_one(self.locks_fd)
        self._taken.add(slot)
        return slot_identity(slot)

    def give_back(self, identity: Identity) -> bool:
        """Give an identity back when its world's last process has gone; whether it is kept for the next."""
        if self.locks_fd is None:
            return True
        slot = next(slot for slot in self._taken if slot_identity(slot) == identity)
        self._taken.remove(slot)
        if len(self._kept) < _KEPT:
            self._kept.append(slot)
            return True
        _set_lock(self.locks_fd, fcntl.F_UNLCK, slot)
        return False

    def _lock_one(self, locks_fd: int) -> int:
        for _ in range(1, SLOTS):
            slot, self._next = self._next, self._next % (SLOTS - 1) + 1
            if (
                slot not in self._taken
                and slot not in self._kept
                and _set_lock(locks_fd, fcntl.F_WRLCK, slot)
            ):
                return slot
        raise HostError(
            f"{SLOTS - 1} worlds of root run on this machine, and each has ids of its own: end some"
        )


@contextmanager
def identities() -> Iterator[Identities]:
    """Give the identities of this process's worlds. Raises HostError where the file of locks cannot be."""
    if not serves_root():
        yield Identities(None)
        return
    try:
        locks_fd = _open_locks()
    except OSError as error:
        raise HostError(
            f"{FOLDER}/{_FILE}, which keeps the ids of root's worlds apart, cannot be used: "
            f"{error.strerror}; give root a writable /run, or start libos as an ordinary user"
        ) from error
    try:
        yield Identities(locks_fd)
    finally:
        os.close(locks_fd)


def _open_locks() -> int:
    with suppress(FileExistsError):
        os.mkdir(FOLDER, 0o700)
    folder_fd = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(folder_fd)
        if found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o022:
            raise OSError(errno.EPERM, "the folder is not root's alone to write")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(_FILE, flags, 0o600, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)


def _set_lock(locks_fd: int, kind: int, slot: int) -> bool:
    """Lock or unlock a slot's byte; False where another supervisor has it. Raises OSError."""
    try:
        fcntl.fcntl(locks_fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, slot, 1, 0))
    except (BlockingIOError, PermissionError):  # EAGAIN, EACCES
        return False
    return True
