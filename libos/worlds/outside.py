"""What a supervisor behind Landlock has the keeper's outside half do, which is not behind it.

Rules:
- Without Landlock around this process everything is done here, and nobody is asked.
- A tree in which the rules of this process reach as far as its mount does is opened here too, without a
  detour. Everything else is opened outside: see libos.keeper.opening for what is checked there.
- Requests go one at a time, from the trio thread, and are answered at once. One that is not answered in time
  is EIO, and so are all later ones until its answer has come: it would be taken for another's.
- What could not be sent or taken, since an app made too many descriptors be on their way, is EMFILE for the
  request alone: unix(7), ETOOMANYREFS.
- Looks at other processes are for worker threads; each has a socket of its own for its answer.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import NamedTuple

import trio

from libos.fs.host_opening import DIRECT, Opening
from libos.keeper import channel
from libos.kernel import pending, procfs
from libos.worlds.messages import close_all

# Seconds in which an answer comes, unless the keeper is stopped.
_PATIENCE = 10
# struct timeval.
_TIMEOUT = struct.pack("@ll", _PATIENCE, 0)


class Enclosure(NamedTuple):
    """What is around this process: `covers(directory_fd, writable)` says whether it may do below a directory
    what such a mount gives; `read` and `written` are the files that it will open by path, whatever stands
    there then."""

    covers: Callable[[int, bool], bool]
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


class Outside:
    """That of one supervisor, by its channel to the keeper's outside half."""

    def __init__(self, keeper: socket.socket) -> None:
        self._keeper = keeper
        self._covers: Callable[[int, bool], bool] | None = None
        self._numbers = count()
        self._late = False

    def enclosed(self, enclosure: Enclosure) -> None:
        """This process has gone behind Landlock. Raises OSError."""
        self._covers = enclosure.covers
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEOUT)
        if enclosure.read or enclosure.written:
            files = {"read": enclosure.read, "written": enclosure.written}
            channel.send(self._keeper, {"do": "files", **files})

    def opening(
        self, directory_fd: int, *, writable: bool, owner: tuple[int, int], only: bytes = b""
    ) -> Opening:
        """Who opens the files of a tree, or of it the `only` one of this name. Raises OSError."""
        if self._covers is None or self._covers(directory_fd, writable):
            return DIRECT
        number = next(self._numbers)
        message = {"do": "tree", "tree": number, "write": writable, "owner": owner, "only": _text(only)}
        self.request(message, [directory_fd])
        return _Remote(self, number)

    async def read(self, path: str) -> int:
        """A descriptor of a file of the host, open for reading. Raises OSError."""
        try:
            return await trio.to_thread.run_sync(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:
            if self._covers is None:
                raise
        return self.opened({"do": "file", "path": path, "flags": os.O_RDONLY})  # another file by now

    def open_file(self, path: str, flags: int) -> int:
        """A descriptor of a file of the host: open(2), what is made there with mode 0666. Raises OSError."""
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o666)
        except PermissionError:
            if self._covers is None:
                raise
        return self.opened({"do": "file", "path": path, "flags": flags})

    def bound(self, path: str) -> socket.socket:
        """A unix socket that is bound to a path. Raises OSError."""
        if self._covers is not None:
            return socket.socket(fileno=self.opened({"do": "bind", "path": path}))
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.bind(path)
        except OSError:
            made.close()
            raise
        return made

    def remove(self, path: str) -> None:
        """Remove the file of a socket that `bound` has made. Raises OSError."""
        if self._covers is None:
            os.unlink(path)
        else:
            self.request({"do": "unbind", "path": path})

    # --- looking at processes, in a worker thread

    def look_around(self, openers: list[int]) -> pending.Look:
        """See `libos.kernel.pending.look`; nothing is seen where nobody answers."""
        if self._covers is None:
            return pending.look(openers)
        seen = self._look({"look": "stuck", "openers": openers})
        try:
            return pending.Look([pending.Stuck(*each) for each in seen["stuck"]], set(seen["waiting"]))
        except (KeyError, TypeError):
            return pending.Look([], set())

    def open_sockets(self, init: int) -> list[tuple[int, int]]:
        """See `libos.kernel.procfs.open_sockets`; nothing is seen where nobody answers."""
        if self._covers is None:
            return procfs.open_sockets(init)
        try:
            found = self._look({"look": "sockets", "init": init})["sockets"]
            return [(int(pid), int(inode)) for pid, inode in found]
        except (KeyError, TypeError, ValueError):
            return []

    def executes(self, thread: int, path: str) -> bool:
        """Whether what a thread executes is the host's file at a path."""
        if self._covers is not None:
            return self._look({"look": "same", "thread": thread, "path": path}).get("same") is True
        try:
            return os.path.samefile(f"/proc/{thread}/exe", path)
        except OSError:
            return False

    def _look(self, message: channel.Message) -> channel.Message:
        ours, theirs = channel.pair()
        with ours:
            try:
                with theirs:
                    ours.settimeout(_PATIENCE)
                    channel.send(self._keeper, {"do": "look", **message}, [theirs.fileno()])
                received = channel.receive(ours)
            except (OSError, ValueError):
                return {}
        return {} if received is None else received[0]

    # --- requests, on the trio thread

    def executed(self, thread: int) -> str:
        """The path of what a thread executes, as the kernel shows it: proc_pid_exe(5). Raises OSError."""
        if self._covers is None:
            return os.readlink(f"/proc/{thread}/exe")
        answer, _ = self._ask({"do": "exe", "thread": thread}, (), 0)
        return str(answer.get("path", ""))

    def opened(self, message: channel.Message, fds: Sequence[int] = ()) -> int:
        """The descriptor that a request gives. Raises OSError."""
        (fd,) = self.request(message, fds, wanted=1)
        return fd

    def request(self, message: channel.Message, fds: Sequence[int] = (), wanted: int = 0) -> list[int]:
        """The descriptors that a request gives, as many as are `wanted`. Raises OSError: what was answered,
        or EIO where that is no answer."""
        return self._ask(message, fds, wanted)[1]

    def _ask(
        self, message: channel.Message, fds: Sequence[int], wanted: int
    ) -> tuple[channel.Message, list[int]]:
        self._settle()
        try:
            channel.send(self._keeper, message, fds)
        except OSError as error:  # nothing went
            raise _error(error.errno if error.errno == errno.ETOOMANYREFS else errno.EIO) from error
        answer, made = self._answer()
        number = answer.get("errno")
        if number is None and len(made) == wanted:
            return answer, made
        close_all(made)
        raise _error(number if isinstance(number, int) else errno.EIO)

    def _answer(self) -> tuple[channel.Message, list[int]]:
        try:
            received = channel.receive(self._keeper)
        except channel.LostDescriptorsError as error:
            raise _error(errno.EMFILE) from error
        except BlockingIOError as error:
            self._late = True
            raise _error(errno.EIO) from error
        except (OSError, ValueError) as error:
            raise _error(errno.EIO) from error
        if received is None:
            raise _error(errno.EIO)
        return received

    def _settle(self) -> None:
        """Take the answer that came late. EIO while it has not come."""
        if not self._late:
            return
        poll = select.poll()
        poll.register(self._keeper, select.POLLIN)
        if not poll.poll(0):
            raise _error(errno.EIO)
        self._late = False
        _, made = self._answer()
        close_all(made)


class _Remote(Opening):
    """The calls of one tree, by the keeper's outside half."""

    def __init__(self, outside: Outside, number: int) -> None:
        self._outside = outside
        self._number = number

    def _message(self, do: str, **more: object) -> channel.Message:
        return {"do": do, "tree": self._number, **more}

    def _do(self, fds: Sequence[int], do: str, **more: object) -> None:
        self._outside.request(self._message(do, **more), fds)

    def open(self, file_fd: int, flags: int) -> int:
        return self._outside.opened(self._message("open", flags=flags), [file_fd])

    def names(self, directory_fd: int) -> list[bytes]:
        fd = self.open(directory_fd, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return [os.fsencode(name) for name in os.listdir(fd)]
        finally:
            os.close(fd)

    def create(self, directory_fd: int, name: bytes, flags: int, mode: int) -> int:
        message = self._message("create", name=_text(name), flags=flags, mode=mode)
        return self._outside.opened(message, [directory_fd])

    def mkdir(self, directory_fd: int, name: bytes, mode: int) -> None:
        self._do([directory_fd], "mkdir", name=_text(name), mode=mode)

    def symlink(self, target: bytes, directory_fd: int, name: bytes) -> None:
        self._do([directory_fd], "symlink", name=_text(name), target=_text(target))

    def mknod(self, directory_fd: int, name: bytes, mode: int) -> None:
        self._do([directory_fd], "mknod", name=_text(name), mode=mode)

    def link(self, file_fd: int, directory_fd: int, name: bytes) -> None:
        self._do([file_fd, directory_fd], "link", name=_text(name))

    def remove(self, directory_fd: int, name: bytes, *, directory: bool) -> None:
        self._do([directory_fd], "remove", name=_text(name), directory=directory)

    def rename(self, old_fd: int, name: bytes, new_fd: int, new_name: bytes, flags: int) -> None:
        names = {"name": _text(name), "new": _text(new_name)}
        self._do([old_fd, new_fd], "rename", flags=flags, **names)

    def close(self) -> None:
        with suppress(OSError):  # the keeper is gone, and the tree with it
            self._do([], "close")


def _text(name: bytes) -> str:
    """A name's bytes as characters, whatever they are."""
    return name.decode("latin-1")


def _error(number: int) -> OSError:
    number = errno.EMFILE if number == errno.ETOOMANYREFS else number
    return OSError(number, os.strerror(number))
