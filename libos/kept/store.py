"""Where changes are kept: one private folder a name, below the caller's state.

    $XDG_STATE_HOME/libos/changes/NAME/   ~/.local/state where the variable is unset
        lock             held (flock) by who uses it: a run until its world is gone, a commit, a discard
        record.json      {"version": 1, "mounts": [{"at": mount point, "host": directory, "folder": "0"} …]}
        0/upper, 0/work  overlayfs's, one pair a copy-on-write mount
        0/originals.json what the host's files were; see libos.kept.originals
        0/journal.json   a commit under way; see libos.kept.journal

Rules: each folder from libos/ down belongs to the caller and nobody else may write it; anything else is
refused, never mended. Small files are replaced whole, by rename, and are on disk before anything relies on
them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libos.errors import ManifestError
from libos.kept.errors import ChangesError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")
_VERSION = 1
# Seconds that a call waits for another one: longer than a killed run's world needs to go.
_PATIENCE = 2.0
_PAUSE = 0.02


@dataclass(frozen=True)
class Pair:
    """One copy-on-write mount: where it stood, whose changes these are, and the folder that holds them."""

    at: str
    host: str
    folder: str


def check_name(name: str) -> str:
    """Give the name back. ManifestError when changes cannot be kept under it."""
    if not _NAME.fullmatch(name):
        raise ManifestError(
            f"{name!r} cannot name kept changes: use up to 48 letters, digits, '-', '_' and '.', "
            "beginning with a letter or a digit"
        )
    return name


def home() -> Path:
    """The folder of all kept changes of this user; it need not exist."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path("~/.local/state").expanduser()
    return base / "libos" / "changes"


def names() -> list[str]:
    """The names under which changes are kept, sorted."""
    with contextlib.suppress(OSError):
        return sorted(each for each in os.listdir(home()) if _NAME.fullmatch(each))
    return []


class Store:
    """The checked folder of one name; its descriptors are open until `close`."""

    def __init__(self, name: str, *, make: bool = False) -> None:
        """Raises ChangesError where there is none (with `make` it is made) or it is not private."""
        self.name = check_name(name)
        self.path = home() / name
        self._lock_fd = -1
        top = self.path.parent.parent
        try:
            if make:
                top.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.fd = _private(top, make)
            for each in (self.path.parent, self.path):
                parent_fd, self.fd = self.fd, -1
                try:
                    self.fd = _private(each, make, parent_fd)
                finally:
                    os.close(parent_fd)
        except FileNotFoundError:
            kept = ", ".join(names())
            raise ChangesError(
                f'no changes are kept as "{name}"' + (f"; there are: {kept}" if kept else "")
            ) from None
        except OSError as error:
            raise ChangesError(f"{error.filename or self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the folder, and of its lock."""
        for fd in (self.fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self._lock_fd = -1

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- one at a time

    def lock(self, purpose: str, *, wait: bool = True) -> int:
        """Take the lock until `close` and give its descriptor: every copy of it holds the lock too.

        Raises ChangesError where another call has it, after two seconds unless not to `wait`.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open("lock", flags, 0o600, dir_fd=self.fd)
        end = time.monotonic() + (_PATIENCE if wait else 0)
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    holder = os.pread(fd, 100, 0).decode(errors="replace").strip() or "another process"
                    os.close(fd)
                    raise ChangesError(f'"{self.name}" is in use by {holder}; wait for its end') from None
            time.sleep(_PAUSE)
        with contextlib.suppress(OSError):  # a full disk: the lock counts, not the name of its holder
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{purpose} (process {os.getpid()})\n".encode(), 0)
        self._lock_fd = fd
        return fd

    @property
    def locked(self) -> bool:
        """Whether the lock is ours."""
        return self._lock_fd >= 0

    # --- small files

    def read(self, name: str) -> Any:
        """The JSON value of a file; None where there is none."""
        try:
            with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)) as file:
                return json.load(file)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ChangesError(
                f"{self.path / name} is damaged ({error}); libos discard {self.name}"
            ) from None

    def write(self, name: str, value: Any) -> None:
        """Replace a file by a JSON value, on disk when this returns."""
        temporary = f"{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(temporary, flags, 0o600, dir_fd=self.fd), "w") as file:
                json.dump(value, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self.fd)
            raise
        self.sync(os.path.dirname(name))

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone is no error."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)
        self.sync(os.path.dirname(name))

    def sync(self, folder: str = "") -> None:
        """Make the names in the folder durable."""
        fd = os.open(
            folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd
        )
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # --- the record

    def pairs(self) -> list[Pair]:
        """The mounts whose changes are here."""
        record = self.read("record.json") or {"version": _VERSION, "mounts": []}
        if record["version"] != _VERSION:
            raise ChangesError(f"{self.path} was written by another version of libos ({record['version']})")
        return [Pair(**each) for each in record["mounts"]]

    def record(self, pairs: list[Pair]) -> None:
        """Store the mounts."""
        self.write("record.json", {"version": _VERSION, "mounts": [vars(each) for each in pairs]})


def _private(path: Path, make: bool, parent_fd: int | None = None) -> int:
    """Open a folder of our own; ChangesError where others own it or can write it."""
    name = path if parent_fd is None else path.name
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent_fd)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
    found = os.fstat(fd)
    why = ""
    if found.st_uid != os.geteuid():
        why = f"belongs to uid {found.st_uid}, not to you; set XDG_STATE_HOME to a folder of yours"
    elif mode := stat.S_IMODE(found.st_mode) & 0o022:
        why = f"can be written by others (mode {mode:#o}); run: chmod go-w {path}"
    if why:
        os.close(fd)
        raise ChangesError(f"{path} {why}")
    return fd


@contextlib.contextmanager
def opened(name: str, purpose: str) -> Iterator[Store]:
    """The store of a name, locked for the block."""
    with Store(name) as store:
        store.lock(purpose)
        yield store
