"""The keeper's outside half: starts the inside half, maps its ids, and sweeps when the supervisor dies.

It stays in the host's namespaces and has the caller's rights, so it can remove what a supervisor that was
killed could not: its socket files, and the cgroups of its worlds once these are gone. It opens files and
looks at processes for a supervisor that has gone behind Landlock (opening.py, looking.py). It holds nothing
else and ends when either neighbour ends:

- the supervisor's end of the channel closes: the inside half (and so every world) is ended, files are swept;
- the inside half ends: the supervisor sees its own channel to it close, and closes this one.

Worlds die with the inside half, their parent; they become children of this one then (it is their
subreaper), which waits until they have gone. So the locks on their identities, which it holds with the
supervisor, last as long as any process that has one.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from libos.keeper import channel, inside
from libos.keeper.identity import keeper_maps, serves_root
from libos.kernel import namespaces, process

if TYPE_CHECKING:
    from libos.keeper.looking import Looks
    from libos.keeper.opening import Openings

# Milliseconds that the inside half gets to end by itself when its own channel closes.
_GRACE = 500
# How often the removal of a cgroup is tried, and the seconds between.
_TRIES, _PAUSE = 200, 0.005
# Signals that cannot be set, and the one that Python needs ignored: a closed channel is an error there.
_FIXED = {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}


def main(outside_fd: int, inside_fd: int, locks_fd: int | None = None, *, sub_ids: bool = False) -> None:
    """Run the keeper with its two channels to the supervisor, and the locks on identities; never returns.
    With `sub_ids` the caller's sub-ids are mapped too, where he has some (subids.py)."""
    for number in signal.valid_signals() - _FIXED:
        signal.signal(number, signal.SIG_DFL)  # what the caller ignored, as under nohup, is not for apps
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the supervisor's end ends the keeper
    supervisor = socket.socket(fileno=outside_fd)
    process.adopt_orphans()  # the worlds' inits, should the inside half end before them
    ours, theirs = channel.pair()
    child = os.fork()
    if child == 0:
        supervisor.close()
        ours.close()
        if locks_fd is not None:
            os.close(locks_fd)
        _run_inside(socket.socket(fileno=inside_fd), theirs)
    theirs.close()
    os.close(inside_fd)
    child_fd = os.pidfd_open(child)
    process.set_name("libos keeper")
    folders: list[str] = []
    try:
        _map_ids(ours, child, sub_ids=sub_ids)
        if sub_ids:
            process.set_no_new_privileges()  # newuidmap(1) was the last that had any to gain
        folders = _watch(supervisor)
    finally:
        _end(child, child_fd)
        _remove(folders)


def _run_inside(supervisor: socket.socket, outside: socket.socket) -> None:
    status = 1
    try:
        inside.main(supervisor, outside)
        status = 0
    except Exception:
        sys.excepthook(*sys.exc_info())  # the supervisor reads it and gives the last line as the reason
    finally:
        os._exit(status)


def _map_ids(ours: socket.socket, child: int, *, sub_ids: bool) -> None:
    """Answer the inside half's one request: to write the id maps of the user namespace that it made. With
    `sub_ids` the answer has the reason why they are not among them, "" where they are."""
    if channel.receive(ours) is None:
        return  # it failed before, and has told the supervisor why
    answer: channel.Message = {}
    try:
        if sub_ids:
            from libos.keeper import subids  # only here: no other keeper pays for it

            answer = {"lack": subids.map_process(child)}
        else:
            namespaces.write_id_ranges(f"/proc/{child}", *keeper_maps(), groups=serves_root())
    except (OSError, MemoryError) as error:
        answer = channel.failure(error)
    with suppress(OSError):
        channel.send(ours, answer)


def _watch(supervisor: socket.socket) -> list[str]:
    """Keep the list of what to sweep until the supervisor closes its end or dies; then sweep the files, and
    give the folders: cgroups, which can go only when no world is left."""
    files: set[str] = set()
    beyond = Beyond(supervisor)
    while (received := _received(supervisor)) is not None:
        message, fds = received
        if fds or "do" in message:
            beyond.serve(message, fds)
        files.update(message.get("sweep", ()))
        files.difference_update(message.get("keep", ()))
    folders = []
    for path in files:
        try:
            os.unlink(path)
        except IsADirectoryError:
            folders.append(path)
        except OSError:
            pass
    return folders


def _received(supervisor: socket.socket) -> tuple[channel.Message, list[int]] | None:
    """The next message; one whose descriptors could not be taken comes without them, and fails for it."""
    try:
        return channel.receive(supervisor)
    except channel.LostDescriptorsError as error:
        return error.message, []


class Beyond:
    """What is done for a supervisor that has gone behind Landlock; only such a one asks."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._openings: Openings | None = None
        self._looks: Looks | None = None

    def serve(self, message: channel.Message, fds: list[int]) -> None:
        """Answer one request. Its descriptors end here."""
        made: list[int] = []
        try:
            if message.get("do") == "look":
                self._look(message, fds)
                return
            if message.get("do") == "files":
                self._open().name_files(message["read"], message["written"])
                return
            answer, made = self._open().answer(message, fds)
            self._answer(answer, made)
        finally:
            for fd in (*fds, *made):
                os.close(fd)

    def _answer(self, answer: channel.Message, made: list[int]) -> None:
        try:
            channel.send(self._supervisor, answer, made)
        except BrokenPipeError:
            pass  # the supervisor is gone, as will be seen
        except OSError as error:
            if not made:
                raise
            # An app has too many descriptors on their way: unix(7), ETOOMANYREFS.
            self._answer(channel.failure(error), [])

    def _open(self) -> Openings:
        if self._openings is None:
            from libos.keeper.opening import Openings  # only here: no other keeper pays for it

            self._openings = Openings()
        return self._openings

    def _look(self, message: channel.Message, fds: list[int]) -> None:
        if self._looks is None:
            from libos.keeper.looking import Looks

            self._looks = Looks()
        self._looks.begin(message, fds)


def _end(child: int, child_fd: int) -> None:
    poll = select.poll()
    poll.register(child_fd, select.POLLIN)
    if not poll.poll(_GRACE):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _remove(folders: list[str]) -> None:
    """Wait until every world's init is gone, which are our children since theirs ended, and remove the
    folders. The locks are held until then."""
    with suppress(ChildProcessError):
        while True:
            os.wait()
    for folder in sorted(folders, key=len, reverse=True):  # what stands below another one first
        _remove_when_empty(folder)


def _remove_when_empty(folder: str) -> None:
    """The last process of a cgroup leaves it a moment after it was waited for."""
    for _ in range(_TRIES):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return
        except OSError:
            select.select((), (), (), _PAUSE)
