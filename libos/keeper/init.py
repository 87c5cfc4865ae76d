"""Process 1 of a world: builds the view, starts programs, reaps, opens sockets and moves mounts on request.

It holds every right in the world and takes orders from the supervisor alone, over one channel. The app cannot
reach it: it lives in a user namespace below K, signals from inside have no effect on process 1, and
/proc/1 is closed to it. It ends when the first program ends, and the kernel ends all that is left.

    {"op": "spawn", "id": n, "argv": […], "environment": {…}, "directory": path, "terminal": [rows, columns] | null}
                                              fds: [stdin, stdout, stderr], or none for a terminal
        answers {"event": "spawned", "id": n} fds: [pidfd] or [pidfd, pty]
             or {"event": "unstarted", "id": n, "errno": …, "message": …}
        then    {"event": "stopped" | "continued", "id": n}, {"event": "exit", "id": n, "status": wait status}
    {"op": "signal", "id": n, "signal": s}    to the program's process group
    {"op": "sockets", "request": r, "kinds": [[family, type, protocol] …]}   answers {"event": "sockets"} fds: […]
    {"op": "attach", "request": r, "at": path}  fds: [tree];   {"op": "detach", "request": r, "at": path}
"""

from __future__ import annotations

import os
import select
import signal
import socket
from typing import Any, NoReturn

from libos.keeper import channel, program, world
from libos.kernel import mounts, process

_READABLE = select.POLLIN | select.POLLHUP


def main(spec: dict[str, Any], fds: list[int]) -> NoReturn:
    """Become the init that `spec` describes; `fds` are its channel and the host trees. Never returns."""
    try:
        process.die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        supervisor = _keep_only(fds)
        trees = list(range(_FIRST + 1, _FIRST + len(fds)))
        try:
            _build(spec, trees)
        except OSError as error:
            channel.send(supervisor, {"event": "failed", "errno": error.errno, "message": error.strerror})
            os._exit(1)
        Init(supervisor, spec).serve()
    except BrokenPipeError:
        os._exit(0)  # the supervisor is gone
    finally:
        os._exit(1)


# The channel stands at the first descriptor after the standard three, the host trees behind it.
_FIRST = 3


def _keep_only(fds: list[int]) -> socket.socket:
    """Close all that the keeper had open but `fds`, which move to the first numbers."""
    high = [os.dup(fd) for fd in fds]  # dup'ed above everything open: a move cannot overwrite a source
    for target, fd in enumerate(high, _FIRST):
        os.dup2(fd, target, inheritable=False)
    process.close_from(_FIRST + len(fds))
    return socket.socket(fileno=_FIRST)


def _build(spec: dict[str, Any], trees: list[int]) -> None:
    process.set_name("libos init")
    world.set_up_network(spec["netlink"])
    world.build(spec["world"], spec["hostname"], spec["steps"], trees)
    world.set_sysctls(spec["sysctls"])
    os.umask(0o022)


class Init:
    """The loop of process 1. Sync on purpose: nothing in it waits for the app or for the supervisor's answer."""

    def __init__(self, supervisor: socket.socket, spec: dict[str, Any]) -> None:
        self._supervisor = supervisor
        self._filter: bytes = spec["filter"]
        self._programs: dict[int, int] = {}  # pid: id
        self._starting: dict[int, program.Starting] = {}  # descriptor of the exec report: what starts
        self._poll = select.poll()
        self._poll.register(supervisor, select.POLLIN)
        self._wake_fd, self._woken_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake_fd, select.POLLIN)
        signal.set_wakeup_fd(self._woken_fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        sockets = open_sockets(spec["sockets"])
        self._say({"event": "ready"}, sockets)
        _close(sockets)

    def serve(self) -> NoReturn:
        """Serve until the first program ends or the supervisor closes its end."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._starting:
                    self._report_start(self._starting[fd])
                elif fd == self._wake_fd:
                    self._reap()
                else:
                    self._request()

    def _request(self) -> None:
        received = channel.receive(self._supervisor)
        if received is None:
            os._exit(0)
        message, fds = received
        try:
            self._obey(message, fds)
        except OSError as error:
            text = error.strerror or str(error)
            self._say(
                {"event": "error", "request": message.get("request"), "errno": error.errno, "message": text}
            )
        finally:
            _close(fds)

    def _obey(self, message: dict[str, Any], fds: list[int]) -> None:
        match message["op"]:
            case "spawn":
                self._spawn(message, fds)
            case "signal":
                self._signal(message["id"], message["signal"])
            case "sockets":
                sockets = open_sockets(message["kinds"])
                self._say({"event": "sockets", "request": message["request"]}, sockets)
                _close(sockets)
            case "attach":
                world.attach_tree(message["at"], os.dup(fds[0]))
                self._say({"event": "attached", "request": message["request"]})
            case "detach":
                mounts.unmount(message["at"])
                self._say({"event": "detached", "request": message["request"]})

    def _spawn(self, message: dict[str, Any], fds: list[int]) -> None:
        try:
            starting = program.start(message, fds, self._filter)
        except OSError as error:
            self._say(
                {"event": "unstarted", "id": message["id"], "errno": error.errno, "message": str(error)}
            )
            return
        self._programs[starting.pid] = starting.id
        self._starting[starting.report_fd] = starting
        self._poll.register(starting.report_fd, _READABLE)

    def _report_start(self, starting: program.Starting) -> None:
        """Tell how execve(2) went: the report closes without a word when it went well."""
        self._poll.unregister(starting.report_fd)
        del self._starting[starting.report_fd]
        report = starting.read_report()
        if report is not None:
            self._programs.pop(starting.pid, None)  # its exit is no news any more
            self._say({"event": "unstarted", "id": starting.id, **report})
        else:
            self._say({"event": "spawned", "id": starting.id}, starting.fds)
        _close(starting.fds)

    def _signal(self, number: int, signal_number: int) -> None:
        for pid, known in self._programs.items():
            if known == number:
                # The group, as a terminal does it: a shell's children get the signal too.
                os.killpg(pid, signal_number)

    def _reap(self) -> None:
        _drain(self._wake_fd)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._report_change(pid, status)

    def _report_change(self, pid: int, status: int) -> None:
        if pid not in self._programs:
            return  # an orphan of the app
        for starting in [each for each in self._starting.values() if each.pid == pid]:
            self._report_start(starting)  # so that the end never comes before the start
        if pid not in self._programs:
            return
        number = self._programs[pid]
        if os.WIFSTOPPED(status):
            self._say({"event": "stopped", "id": number, "signal": os.WSTOPSIG(status)})
        elif os.WIFCONTINUED(status):
            self._say({"event": "continued", "id": number})
        else:
            del self._programs[pid]
            self._say({"event": "exit", "id": number, "status": status})
            if number == 0:
                os._exit(0)  # the kernel now ends whatever the first program left

    def _say(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        channel.send(self._supervisor, message, fds or [])


def open_sockets(kinds: list[list[int]]) -> list[int]:
    """Open sockets in this world's network, non-blocking, for the supervisor to use. socket(2)."""
    opened: list[int] = []
    try:
        for family, kind, protocol in kinds:
            made = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            opened.append(made.detach())
    except OSError:
        _close(opened)
        raise
    return opened


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 512):
            pass
    except BlockingIOError:
        pass
