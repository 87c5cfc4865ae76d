"""A unix socket of a command's own, at which it serves."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

from libos.errors import HostError


def listen(path: str) -> socket.socket:
    """A socket that this user alone can connect to; one that nobody answers on is replaced. HostError."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(path).st_mode) and not _answers(path):
                os.unlink(path)
        umask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(umask)
        listener.listen()
    except OSError as error:
        listener.close()
        raise HostError(f"{path}: {error.strerror}; choose another path with --socket") from error
    return listener


def remove(path: str) -> None:
    """Remove it again."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except ConnectionRefusedError:
            return False
    return True
