"""Process 1 of a world: builds the view, starts programs, reaps, opens sockets and moves mounts on request.

It holds every right in the world and takes orders from the supervisor alone, over one channel. The app cannot
reach it: it lives in a user namespace below K, signals from inside have no effect on process 1, and
/proc/1 is closed to it. It ends when the first program ends, and the kernel ends all that is left.

First it says {"event": "network"} with the sockets that were asked for, so that the supervisor can listen
while the root is built; then, where that was asked for, {"event": "hearing"} with a pipe that tells of
listen(2) and one that tells of refused calls (hearing.py, refusals.py); before both, in a world with
interposed calls, {"event": "interposed"} with a socket to which each program offers the listener of its
filter (refusals.offer); a step that fails is
{"event": "failed"}, and the world ends. Then it obeys:

    {"op": "spawn", "id": n, "argv": [...], "environment": {...}, "directory": path, "terminal": ... | null}
        fds: the standard streams that are no terminal; those that are, are named by
        "terminal": {"size": [rows, columns], "streams": [0, 1, 2]}
        answers {"event": "spawned", "id": n} fds: [pidfd] or [pidfd, pty]
             or {"event": "unstarted", "id": n, "errno": ..., "message": ...}
        then    {"event": "stopped" | "continued", "id": n}, {"event": "exit", "id": n, "status": wait status}
    {"op": "signal", "id": n, "signal": s}    to the program's process group
    {"op": "sockets", "request": r, "kinds": [[family, type, protocol] ...], "side": "app" | "gate"}
        answers {"event": "sockets"}; see network.py
    {"op": "mount", "request": r, "name": text, "step": {...}} fds: [tree], none where the step is a tmpfs
    {"op": "unmount" | "restrict" | "copy", "request": r, "name": text}   answers {"event": "done"}, for copy
        {"event": "copy"} fds: [tree]; see mounted.py
    {"op": "bind", "request": r, "name": text, "source": path, "step": {...}}
        answers {"event": "bound", "shown": [the names of the mounts of which something is shown]}
    {"op": "empty", "request": r}   takes all names from all programs; answers {"event": "done"}
    {"op": "look", "request": r, "path": path}   answers {"event": "look", "directory": ...}
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from libos.keeper import base, channel, entering, program, second, shares, terminal, world
from libos.keeper.hearing import Hearing
from libos.keeper.mounted import Mounted
from libos.keeper.network import APP, GATE, Network
from libos.keeper.starting import Starter
from libos.keeper.walls import Walls
from libos.kernel import process


def main(spec: dict[str, Any], fds: list[int]) -> NoReturn:
    """Become the init that `spec` describes; `fds` are its channel and the host trees. Never returns."""
    try:
        entering.become(spec["app"])
        process.die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        supervisor = entering.keep_only(fds)
        trees = list(range(entering.FIRST_FD + 1, entering.FIRST_FD + len(fds)))
        try:
            entering.enter_cgroups(trees, spec.get("cgroups", 0))
            network, starter, ahead, placed, wanted = _build(supervisor, spec, trees)
        except (OSError, MemoryError) as error:
            channel.send(supervisor, {"event": "failed", **channel.failure(error)})
            os._exit(1)
        mounted = Mounted(placed, noexec=spec["noexec"])
        Init(supervisor, wanted, starter, ahead, mounted, network).serve()
    except BrokenPipeError:
        os._exit(0)  # the supervisor is gone
    finally:
        os._exit(1)


def _build(
    supervisor: socket.socket, spec: dict[str, Any], trees: list[int]
) -> tuple[Network, Starter, program.Ahead, dict[str, int], Walls]:
    process.set_name("libos init")
    proc_fd = world.new_proc()
    network = Network(spec["network"], proc_fd, routed=spec["routed"])
    sockets = [*network.open_sockets(spec["sockets"]), *network.open_sockets(spec["gate_sockets"], GATE)]
    channel.send(supervisor, {"event": "network"}, sockets)
    _close(sockets)
    os.umask(0o022)
    answers = spec.get("answers")
    heard = Hearing(answers) if spec.get("hearing") or answers else None
    intake_fd = heard.intake.fileno() if heard is not None else None
    if interposed := spec.get("interposed", False):
        intake_fd = _offer_listeners(supervisor)
    limits = spec.get("rlimits", ())
    root = f"{base.FUSE}/{spec['world']}"
    ruleset_fd = second.ruleset(root, base.DEVICES)
    # Opened while nothing covers it: in the world it can only be read.
    sys_fd = os.open("sys", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc_fd)
    tells = bool(answers or interposed)
    wanted = Walls(
        *(spec["filter"], spec["app"], ruleset_fd, intake_fd, spec["filter_last"], tells, limits),
        spec["root"],
        sys_fd,
    )
    starter = Starter(second.world_ruleset(root))
    ahead = program.Ahead(wanted, starter)
    names = spec["world"], spec["hostname"]
    view = world.View(
        *names, spec["steps"], spec["masks"], shares.terminals(sys_fd), spec.get("disk"), spec["noexec"]
    )
    placed = world.build(view, trees, proc_fd, ahead.wait_for_walls)
    # The app has this process's id: without this, /proc/1 would list descriptors and take an oom_score_adj.
    process.prctl("become undumpable", process.PR_SET_DUMPABLE, 0)
    if heard is not None:
        heard.start()
        heard_fds = [heard.hints_fd, heard.refused_fd]
        channel.send(supervisor, {"event": "hearing"}, heard_fds)
        _close(heard_fds)
        heard.intake.detach()  # for the children of later programs
    return network, starter, ahead, placed, wanted


def _offer_listeners(supervisor: socket.socket) -> int:
    """Where programs' children offer the listeners of their filters to the supervisor, which answers for the
    calls that are interposed. The descriptor is for the children of all programs."""
    intake, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        channel.send(supervisor, {"event": "interposed"}, [theirs.fileno()])
    return intake.detach()


class Init:
    """The loop of process 1. Sync on purpose: nothing in it waits for the app or for an answer."""

    def __init__(
        self,
        supervisor: socket.socket,
        wanted: Walls,
        starter: Starter,
        ahead: program.Ahead,
        mounted: Mounted,
        network: Network,
    ) -> None:
        self._supervisor = supervisor
        self._network = network
        self._mounted = mounted
        self._walls = wanted
        self._starter = starter
        self._ahead: program.Ahead | None = ahead
        self._programs: dict[int, program.Program] = {}  # by pid
        self._readers: dict[int, Callable[[], None]] = {}  # by the descriptor that becomes readable
        self._poll = select.poll()
        wake_fd, woken_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(woken_fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._read(wake_fd, lambda: self._reap(wake_fd))
        self._read(supervisor.fileno(), self._request)

    def _read(self, fd: int, reader: Callable[[], None]) -> None:
        self._readers[fd] = reader
        self._poll.register(fd, select.POLLIN | select.POLLHUP)

    def _forget(self, fd: int) -> None:
        if self._readers.pop(fd, None) is not None:
            self._poll.unregister(fd)
            os.close(fd)

    def serve(self) -> NoReturn:
        """Serve until the first program ends or the supervisor closes its end."""
        while True:
            for fd, _ in self._poll.poll():
                if reader := self._readers.get(fd):  # an earlier one of this turn may have closed it
                    reader()

    def _request(self) -> None:
        received = channel.receive(self._supervisor)
        if received is None:
            os._exit(0)
        message, fds = received
        try:
            self._obey(message, fds)
        except (OSError, MemoryError) as error:
            self._say({"event": "error", "request": message.get("request"), **channel.failure(error)})
        finally:
            _close(fds)

    def _obey(self, message: dict[str, Any], fds: list[int]) -> None:
        match message["op"]:
            case "spawn":
                self._spawn(message, fds)
            case "signal":
                self._signal(message["id"], message["signal"])
            case "sockets":
                sockets = self._network.open_sockets(message["kinds"], message.get("side", APP))
                self._say({"event": "sockets", "request": message["request"]}, sockets)
                _close(sockets)
            case "mount":
                self._mounted.add(message["name"], message["step"], fds[0] if fds else None)
                self._say({"event": "done", "request": message["request"]})
            case "look":
                found = self._mounted.look(message["path"])
                self._say({"event": "look", "request": message["request"], "directory": found})
            case "bind":
                shown = self._mounted.bind(message["name"], message["source"], message["step"])
                self._say({"event": "bound", "request": message["request"], "shown": shown})
            case "copy":
                tree_fd = self._mounted.copy(message["name"])
                self._say({"event": "copy", "request": message["request"]}, [tree_fd])
                os.close(tree_fd)
            case "unmount" | "restrict" | "empty":
                self._take(message)
                self._say({"event": "done", "request": message["request"]})

    def _take(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "unmount":
                self._mounted.remove(message["name"])
            case "restrict":
                self._mounted.restrict(message["name"], alone=message["alone"])
            case "empty":
                world.enter_empty_root()

    def _spawn(self, message: dict[str, Any], fds: list[int]) -> None:
        try:
            started = self._start(message, fds)
        except (OSError, MemoryError) as error:
            self._say({"event": "unstarted", "id": message["id"], **channel.failure(error)})
            return
        self._programs[started.pid] = started
        self._read(started.report_fd, lambda: self._report_start(started))
        if started.state_fd is not None:
            self._read(started.state_fd, lambda: self._report_state(started))

    def _start(self, message: dict[str, Any], fds: list[int]) -> program.Program:
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return program.start(message, fds, self._walls, self._starter)
        if message["terminal"] is None:
            return ahead.start(message, fds)
        ahead.drop()  # it has no monitor
        return program.start(message, fds, self._walls, self._starter)

    def _report_start(self, started: program.Program) -> None:
        """Tell how execve(2) went: the report closes without a failure when it went well."""
        failure = started.read_report()
        self._forget(started.report_fd)
        started.report_fd = -1  # the number may be a later program's report soon
        if failure is not None:
            self._programs.pop(started.pid, None)  # its exit is no news any more
            self._say({"event": "unstarted", "id": started.id} | failure)
        else:
            self._say({"event": "spawned", "id": started.id}, [started.pidfd, *started.pty_fds])
        _close([started.pidfd, *started.pty_fds])

    def _report_state(self, started: program.Program) -> None:
        """Tell what the monitor of a terminal saw: the program stopped, or goes on."""
        assert started.state_fd is not None
        states = os.read(started.state_fd, 512)
        if not states:
            self._forget(started.state_fd)
        for state in states:
            event = "stopped" if state == terminal.STOPPED else "continued"
            self._say({"event": event, "id": started.id})

    def _signal(self, number: int, signal_number: int) -> None:
        for started in self._programs.values():
            if started.id == number:
                started.send_signal(signal_number)

    def _reap(self, wake_fd: int) -> None:
        _drain(wake_fd)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._programs:  # else an orphan of the app
                self._report_change(self._programs[pid], status)

    def _report_change(self, started: program.Program, status: int) -> None:
        if started.report_fd in self._readers:
            self._report_start(started)  # so that the end never comes before the start
        if started.pid not in self._programs:
            return
        if os.WIFSTOPPED(status):
            self._say({"event": "stopped", "id": started.id})
        elif os.WIFCONTINUED(status):
            self._say({"event": "continued", "id": started.id})
        else:
            del self._programs[started.pid]
            self._say({"event": "exit", "id": started.id, "status": status})
            if started.id == 0:
                os._exit(0)  # the kernel now ends whatever the first program left

    def _say(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        channel.send(self._supervisor, message, fds or [])


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 512):
            pass
    except BlockingIOError:
        pass
