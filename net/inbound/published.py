"""The outside end of a publication: one socket of the host, bound and listening.

Rules:
- It is made whole or not at all: an address in use is one HostError, and nothing is left of the attempt.
- The file of a unix socket is removed with it, also when the supervisor is killed (`Sweeper`), but only while
  it is the one that was made here. What stands at its path already is somebody's and stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from dataclasses import replace
from typing import Protocol

from libos.errors import HostError
from libos.net.inbound import datagrams
from libos.net.inbound.publication import Publication
from libos.net.sockets import family_of, listen_at

_BACKLOG = 4096


class Sweeper(Protocol):
    """Makes the files of unix sockets, and removes them, also when this process is killed."""

    def bound(self, path: str) -> socket.socket:
        """A unix stream socket that is bound to a path. OSError."""

    def remove(self, path: str) -> None:
        """Remove the file of a socket that `bound` has made. OSError."""

    def sweep(self, path: str) -> None:
        """Have a file removed then."""

    def keep(self, path: str) -> None:
        """Take that back."""


class Published:
    """A publication that listens outside. The constructor raises HostError where it cannot."""

    def __init__(self, publication: Publication, sweeper: Sweeper | None = None) -> None:
        self._sweeper = sweeper
        self._made: tuple[int, int] | None = None  # device and inode of the socket's file
        if publication.path is not None:
            self.socket = self._at_path(publication, publication.path)
            self.publication = publication
            return
        kind = socket.SOCK_STREAM if publication.network == "tcp" else socket.SOCK_DGRAM
        self.socket = socket.socket(family_of(publication.host), kind)
        try:
            if publication.network == "tcp":
                listen_at(self.socket, publication.host, publication.outside_port)
            else:
                datagrams.bind(self.socket, publication.host, publication.outside_port)
        except OSError as error:
            self.socket.close()
            raise HostError(_refused(publication, error)) from error
        # With the port that was chosen where any was asked for.
        self.publication = replace(publication, outside_port=self.socket.getsockname()[1])

    def _at_path(self, publication: Publication, path: str) -> socket.socket:
        try:
            listener = self._bound(path)
        except OSError as error:
            raise HostError(_refused(publication, error)) from error
        try:
            listener.setblocking(False)
            status = os.lstat(path)
            self._made = status.st_dev, status.st_ino
            # Sync: no checkpoint between the file and its place in the list.
            if self._sweeper is not None:
                self._sweeper.sweep(path)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            self._remove(path)
            raise HostError(_refused(publication, error)) from error
        except BaseException:
            listener.close()
            self._remove(path)
            raise
        return listener

    def _bound(self, path: str) -> socket.socket:
        if self._sweeper is not None:
            return self._sweeper.bound(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(path)
        except OSError:
            listener.close()
            raise
        return listener

    def _remove(self, path: str) -> None:
        made, self._made = self._made, None
        if made is None:
            return
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            if (status.st_dev, status.st_ino) == made:
                self._unlink(path)
        if self._sweeper is not None:
            self._sweeper.keep(path)

    def _unlink(self, path: str) -> None:
        if self._sweeper is not None:
            self._sweeper.remove(path)
        else:
            os.unlink(path)

    def close(self) -> None:
        """Stop listening. May be called again."""
        if self.publication.path is not None:
            self._remove(self.publication.path)
        self.socket.close()


def _refused(publication: Publication, error: OSError) -> str:
    cannot = f"port {publication.port} cannot be published at {publication}"
    if error.errno == errno.EADDRINUSE:
        if publication.path is not None:
            return f"{cannot}: {_what_stands_at(publication.path)}"
        return f"{cannot}: something listens there already; publish another port"
    if error.errno == errno.EACCES and publication.path is None:
        return (
            f"{cannot}: this user may not listen below "
            "net.ipv4.ip_unprivileged_port_start; publish a higher port"
        )
    if error.errno == errno.ENOENT and publication.path is not None:
        return f"{cannot}: the host has no folder {os.path.dirname(publication.path)}; make it"
    return f"{cannot}: {error.strerror}"


def _what_stands_at(path: str) -> str:
    with contextlib.suppress(OSError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return "that is a file already; choose another path"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            if probe.connect_ex(path) == errno.ECONNREFUSED:
                return "a program that is gone has left its socket there; remove it"
    return "something listens there already; choose another path"
