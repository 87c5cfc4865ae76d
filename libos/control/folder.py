"""The folder of control sockets: one private folder a user, one `<name>.sock` a running world.

Rules:
- The folder is `$XDG_RUNTIME_DIR/libos`, or `/tmp/libos-<uid>` where that variable is unset or names no
  directory of this user. It must be a directory of this user that nobody else can enter; anything else is
  refused, never mended.
- All work goes through one descriptor of the checked folder (`/proc/self/fd/N/<name>.sock`), so a folder
  that is exchanged after the check changes nothing, and the 108 bytes of a socket's address are enough for
  every name.
- A socket file without a listener is stale. Removing one, and taking a name, happen under the folder's lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from libos.control.peers import is_own
from libos.errors import LibosError, ManifestError

# A name is a file name and a host name at once: 63 bytes is the limit of a label (RFC 1035, section 2.3.4).
_LABEL = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_NAME = re.compile(rf"{_LABEL}(/{_LABEL})*")
# Between the names of a world below another one, in the name of its file: no name has it in it.
_BELOW = ","
# Characters of a name with those above it: what an address has room for (unix(7)).
_LONGEST = 80
_SUFFIX = ".sock"
# Connections that may wait for the server; more than a person's tools open at once.
_BACKLOG = 16
# Seconds until a supervisor that does not accept is given up.
CONNECT_SECONDS = 2.0


class ControlError(LibosError):
    """The control folder, or a world that was asked for, is not there or may not be used."""


def check_name(name: str) -> str:
    """Give the name back. Raises ManifestError when it cannot be a world's name."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise ManifestError(
            f"{name!r} cannot be a world's name: use up to 63 letters, digits, '-', '_' and '.', "
            "beginning with a letter or a digit; of one below another build/tests"
        )
    return name


def _file(name: str) -> str:
    """The name of a world's socket file."""
    return check_name(name).replace("/", _BELOW) + _SUFFIX


def folder_path() -> Path:
    """Say where this user's control sockets are."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        with contextlib.suppress(OSError):
            found = Path(runtime).stat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
                return Path(runtime) / "libos"
    return Path(f"/tmp/libos-{os.geteuid()}")  # noqa: S108 - owner and mode are checked in open_folder


@contextlib.contextmanager
def open_folder() -> Iterator[Folder]:
    """Make the folder when it is missing, check it, and hold it open.

    Raises ControlError when it is not a private directory of this user.
    """
    path = folder_path()
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    except OSError as error:
        raise ControlError(
            f"{path} cannot be made: {error.strerror}; set XDG_RUNTIME_DIR to a folder of yours"
        ) from error
    try:
        folder_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ControlError(f"{path}: {error.strerror}; remove it, libos makes it anew") from error
    try:
        _refuse_unless_private(path, os.fstat(folder_fd))
        yield Folder(path, folder_fd)
    finally:
        os.close(folder_fd)


def _refuse_unless_private(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise ControlError(
            f"{path} belongs to uid {found.st_uid}, not to you; set XDG_RUNTIME_DIR to a folder of yours"
        )
    if mode := stat.S_IMODE(found.st_mode) & 0o077:
        raise ControlError(f"{path} is open to others (mode {mode:#o}); run: chmod 700 {path}")


class Folder:
    """A checked control folder; its descriptor belongs to `open_folder`."""

    def __init__(self, path: Path, folder_fd: int) -> None:
        self.path = path
        self._fd = folder_fd

    def socket_path(self, name: str) -> Path:
        """Say where the socket of a world stands."""
        return self.path / _file(name)

    def names(self) -> list[str]:
        """Give the names that have a socket file, sorted, each before those below it."""
        entries = (entry.removesuffix(_SUFFIX) for entry in os.listdir(self._fd) if entry.endswith(_SUFFIX))
        found = (entry.replace(_BELOW, "/") for entry in entries if "/" not in entry)
        return sorted((name for name in found if _NAME.fullmatch(name)), key=lambda name: name.split("/"))

    def listen(self, name: str) -> socket.socket:
        """Take a name: give a listening socket for it. Raises ControlError when a running world has it."""
        with self._locked(), self._socket() as sock:
            self._remove_stale(name)
            try:
                sock.bind(self._address(name))
            except FileExistsError as error:
                raise AssertionError("the lock is held and the name was free") from error
            except OSError as error:
                if self._exists(name):
                    raise ControlError(
                        f'a world named "{name}" is running; choose another name, or: libos kill {name}'
                    ) from error
                raise ControlError(f"{self.socket_path(name)}: {error.strerror}") from error
            sock.listen(_BACKLOG)
            return sock.dup()

    def connect(self, name: str) -> socket.socket:
        """Reach a running world. Raises ControlError when there is none of that name."""
        with self._socket() as sock:
            sock.settimeout(CONNECT_SECONDS)
            try:
                sock.connect(self._address(name))
            except (FileNotFoundError, ConnectionRefusedError) as error:
                raise ControlError(f'no world named "{name}" is running; see: libos ps') from error
            except OSError as error:
                raise ControlError(f'the world "{name}" does not answer: {error}') from error
            if not is_own(sock):
                raise ControlError(
                    f"{self.socket_path(name)} is answered by no supervisor of yours; remove it"
                )
            return sock.dup()

    def sweep(self) -> None:
        """Remove every socket file that nobody listens on."""
        with self._locked():
            for name in self.names():
                self._remove_stale(name)

    def remove(self, name: str) -> None:
        """Remove the socket file of a world that has ended; one that is gone already is no error."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_file(name), dir_fd=self._fd)

    def _remove_stale(self, name: str) -> None:
        """Remove the file of a world that is gone; the lock is held."""
        with self._socket() as sock:
            sock.settimeout(CONNECT_SECONDS)
            try:
                sock.connect(self._address(name))
            except ConnectionRefusedError:
                self.remove(name)
            except OSError:
                return  # absent, or alive and busy: neither is stale

    def _exists(self, name: str) -> bool:
        with contextlib.suppress(OSError):
            os.stat(_file(name), dir_fd=self._fd, follow_symlinks=False)
            return True
        return False

    def _address(self, name: str) -> str:
        return f"/proc/self/fd/{self._fd}/{_file(name)}"

    def _socket(self) -> socket.socket:
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
