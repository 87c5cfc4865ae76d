"""The learner's folder of one stop.

    manifest.toml   the learner's; made from the stop's start, and never written again but when asked
    files/          what the manifest mounts
    attack/         the programs of the stop

Rules:
- `files` and `attack` are made anew before each run, so that a run finds them as they were, whatever the last
  one did to them, and a learner who removes something gets it back.
- Links are copied as links; nothing is followed out of the folder, and nothing outside it is removed.
- Only one run at a time uses the folder, also where two tours are open.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import trio

from libos.tour.collection import TourError
from libos.tour.reading import FOLDERS
from libos.tour.stop import Stop

MANIFEST = "manifest.toml"
# Seconds between two looks whether somebody else's run is over.
_AGAIN = 0.05
# Seconds that somebody else's run is waited for: three of the longest.
_PATIENCE = 180.0


class Workspace:
    """The folder of a stop below `home`, the learner's folder for the stops of one collection."""

    def __init__(self, stop: Stop, home: Path) -> None:
        self.stop = stop
        self.folder = home / stop.name
        self.manifest = self.folder / MANIFEST

    async def prepare(self) -> None:
        """Make the folder, or what is missing of it. Raises TourError."""
        async with self.alone():
            await trio.to_thread.run_sync(self._complete)

    async def fresh(self) -> None:
        """Make `files` and `attack` anew; the manifest is left as it is. Raises TourError."""
        async with self.alone():
            await trio.to_thread.run_sync(self.refresh)

    def _complete(self) -> None:
        self.refresh()
        if not os.path.lexists(self.manifest):
            self.begin_anew()

    def begin_anew(self) -> None:
        """Put the start's manifest back. Raises TourError."""
        with _told(self.folder):
            self.write(self.stop.start.read_bytes())

    def write(self, manifest: bytes) -> None:
        """Write another manifest, as a whole: a full disk leaves what was there. Raises TourError."""
        with _told(self.folder):
            make_private(self.folder)
            made = self.folder / f".{MANIFEST}.new"
            made.write_bytes(manifest)
            os.replace(made, self.manifest)

    def remove(self) -> None:
        """Remove the folder with all that is in it. Raises TourError."""
        with _told(self.folder):
            _remove(self.folder)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until nobody else runs something here, and keep others waiting. Raises TourError."""
        with _told(self.folder):
            make_private(self.folder)
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with trio.move_on_after(_PATIENCE) as waiting:
                while not _locked(fd):  # noqa: ASYNC110 - a lock of another process, and no event tells
                    await trio.sleep(_AGAIN)
            if waiting.cancelled_caught:
                raise TourError(f"{self.folder}: another libos tour runs something here: end it first")
            yield
        finally:
            os.close(fd)

    def refresh(self) -> dict[str, str]:
        """Make `files` and `attack` what the stop has, and give what `state` does. Raises TourError."""
        with _told(self.folder):
            for name in FOLDERS:
                _remove(self.folder / name)
                if (self.stop.folder / name).is_dir():
                    shutil.copytree(self.stop.folder / name, self.folder / name, symlinks=True)
                else:
                    (self.folder / name).mkdir()
                _own(str(self.folder / name))
        return self.state()

    def state(self) -> dict[str, str]:
        """What each path below `files` is, to be compared: a kind, and a digest or a link's target. The
        stop's modes are there again afterwards, whatever a run did to them. Raises TourError."""
        top = self.folder / "files"
        with _told(self.folder):
            _own(str(top))
            found = {path: _what(top / path) for path in _paths(top)}
            for path, mode in sorted((self.stop.modes or {}).items(), reverse=True):
                # By what is really there: no link of a stop leads a mode out of the folder.
                if os.path.realpath(top / path) == os.path.join(os.path.realpath(top), path):
                    with suppress(FileNotFoundError):
                        os.chmod(top / path, mode)
        return found


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, each for its owner alone. Raises OSError."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
            # Of each file that could not be copied: from, to, "[Errno 28] No space left on device: …".
            reason = error.args[0][0][2].partition("] ")[2].partition(":")[0]
        else:
            reason = error.strerror or str(error)
        where = error.filename or folder
        raise TourError(
            f"{where}: {reason}; the tour keeps its files below XDG_STATE_HOME: it must be a folder of yours "
            "with room in it"
        ) from error


def _paths(top: Path) -> Iterator[str]:
    for folder, below, names in os.walk(top):
        yield from (os.path.relpath(os.path.join(folder, name), top) for name in [*below, *names])


def _what(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return f"file {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return f"link {os.readlink(path)}" if stat.S_ISLNK(mode) else f"kind {stat.S_IFMT(mode):o}"


def _own(folder: str) -> None:
    """Give the owner what modes, or an installation that is read-only, keep from him."""
    os.chmod(folder, 0o755)  # noqa: S103 - below a private folder
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            _own(entry.path)
        elif entry.is_file(follow_symlinks=False):
            os.chmod(entry.path, entry.stat(follow_symlinks=False).st_mode & 0o777 | 0o644)


def _remove(path: Path) -> None:
    """Remove what stands there, also where modes keep its owner out."""
    if not os.path.lexists(path):
        return
    if path.is_dir() and not path.is_symlink():
        _own(str(path))
        shutil.rmtree(path)
    else:
        path.unlink()
