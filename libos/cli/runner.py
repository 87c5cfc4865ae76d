"""Running one app in the foreground: supervisor, streams or terminal, events, control socket, report."""

from __future__ import annotations

import os
import re
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

import trio

from libos.app import App, ExitStatus
from libos.asking import CONNECT
from libos.cli.confining import confine
from libos.cli.enclosing import control_needs, enclose
from libos.cli.eventfile import EventFile, open_event_file
from libos.cli.relay import carry
from libos.cli.report import Report
from libos.cli.show import complain, harmless, say, say_plain
from libos.cli.signals import Forwarder
from libos.cli.status import exit_status
from libos.cli.terminal import CallerTerminal, reopen, same_terminal, terminal_size
from libos.control.folder import ControlError, check_name, open_folder
from libos.control.launching import describe, swept
from libos.control.server import serve
from libos.events import Event
from libos.manifest import Manifest
from libos.plan.rootids import wants_sub_ids
from libos.supervisor import Supervisor
from libos.unwrap import unwrapped
from libos.worlds.world import Change

# Events of a world that are kept for who looks at it late: some 1 MB, and as large as `Event.bounded` lets
# each be where an app makes its names long.
HISTORY = 2000
# What ended the app where a limit did, and how it gets more.
_LIMITS = {
    "memory": "the app ran out of memory (limits.memory); give it more with --memory",
    "cpu_time": "the app used up its processor time (limits.cpu_time); give it more with --ulimit cpu=",
    "output": "the app wrote more than limits.output to standard output and error",
    "file_size": "the app wrote a file beyond limits.file_size; allow larger ones with --ulimit fsize=",
}


@dataclass(frozen=True)
class Request:
    """What to run and how."""

    manifest: Manifest
    terminal: bool
    events: str | None
    report: bool
    serve_all: bool
    observe: Callable[[Event], None] | None = None  # is told every event, and may end the run by raising
    started: Callable[[App], None] | None = None  # is told the app once it runs
    # Whether this process goes behind Landlock, for good: not where it writes something afterwards.
    enclosed: bool = False


def run(request: Request) -> int:
    """Run the app to its end and give the exit status. Raises LibosError."""
    report = Report() if request.report else None
    with ExitStack() as stack:
        file = stack.enter_context(open_event_file(request.events)) if request.events is not None else None
        confine([request.manifest], sub_ids=wants_sub_ids(request.manifest))
        try:
            status = trio.run(_run, request, report, file)
        finally:
            if report is not None:
                _tell(report, request.manifest)
    _tell_end(status, request)
    return exit_status(status.returncode, status.reason)


def _tell(report: Report, manifest: Manifest) -> None:
    def passing() -> frozenset[str]:
        from libos.plan.syscalls import wanted_calls
        from libos.syscalls.resolving import resolve

        return frozenset(rule.call for rule in resolve(wanted_calls(manifest)).allowed)

    said, lines = report.remedies(manifest.source, passing=passing)
    say("\n".join(map(harmless, [*report.lines(), *said])))  # a line's end in a name is none
    say_plain(lines)


def _tell_end(status: ExitStatus, request: Request) -> None:
    if status.reason == "time":
        seconds = request.manifest.limits.time
        complain(
            f"the app's time ran out ({seconds:g} s); give it more with --timeout"
            if seconds
            else "time ran out"
        )
    elif status.reason in _LIMITS:
        complain(_LIMITS[status.reason])
    elif status.reason == "lost":
        complain("the world was lost: its keeper or its init was killed")


async def _run(request: Request, report: Report | None, file: EventFile | None) -> ExitStatus:
    # The reader outlives the supervisor, so that the last events are read; the nursery waits until they are.
    async with (
        AsyncExitStack() as readers,
        unwrapped(),
        trio.open_nursery() as nursery,
        Supervisor(
            serve_all=request.serve_all,
            history=HISTORY,
            sub_ids=wants_sub_ids(request.manifest),
            enclose=enclose([request.manifest], control_needs()) if request.enclosed else None,
        ) as supervisor,
    ):
        _allow_descriptors()
        observe = request.observe
        if report is not None or file is not None or observe is not None:
            events = await readers.enter_async_context(supervisor.events())
            nursery.start_soon(_observe, events, report, file, observe)
        status = await _run_app(supervisor, request)
    return status


def _allow_descriptors() -> None:
    """Raise our soft limit of descriptors, of which files and connections of the world take their part.

    Only here: a library leaves its caller's limits alone. The keeper was started before, so apps get the
    caller's own; programs that use select(2) rely on that, getrlimit(2).
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _observe(
    events: AsyncIterator[Event],
    report: Report | None,
    file: EventFile | None,
    observe: Callable[[Event], None] | None,
) -> None:
    async for event in events:
        if observe is not None:
            observe(event)
        if report is not None:
            report.note(event)
        if file is not None:
            await file.write(event)


async def _run_app(supervisor: Supervisor, request: Request) -> ExitStatus:
    asked = request.manifest.app.name
    name = asked or _own_name(request.manifest)
    async with unwrapped(), trio.open_nursery() as nursery:
        forwarder = Forwarder()
        await nursery.start(forwarder.run)
        with _take_name(supervisor, name, asked=asked is not None) as listener:
            with forwarder.start:
                app = await _start(supervisor, request, name)
            if forwarder.start.cancelled_caught:
                status = ExitStatus(-forwarder.early[0], "signal")
            else:
                if request.started is not None:
                    request.started(app)
                await forwarder.attach(app, lambda: app.end("killed"))
                status = await _attend(supervisor, app, listener, terminal=request.terminal)
        nursery.cancel_scope.cancel()
    return status


async def _start(supervisor: Supervisor, request: Request, name: str) -> App:
    if not request.terminal:
        return await supervisor.start(request.manifest, name=name)
    manifest = _with_terminal_type(request.manifest)
    return await supervisor.start(manifest, terminal=terminal_size(0), name=name)


async def _attend(
    supervisor: Supervisor, app: App, listener: socket.socket | None, *, terminal: bool
) -> ExitStatus:
    """Answer on the control socket, and carry the terminal if there is one, until the app ends."""
    async with unwrapped(), trio.open_nursery() as nursery:
        if listener is not None:
            await nursery.start(serve, app, listener, describe(app), supervisor)
            nursery.start_soon(_tell_question, app, "\r" if terminal else "")
        status = await (_attend_terminal(app) if terminal else app.wait())
        nursery.cancel_scope.cancel()
    return status


async def _tell_question(app: App, end: str) -> None:
    """Tell the person, once, that the app waits for an answer; `end` ends a line where the terminal does
    not."""
    await app.questions.beyond(0)
    asked = app.questions.open()[0]
    doing = "connect to" if asked.operation == CONNECT else "open"
    say(f"the app waits to {doing} {harmless(asked.path)}: answer with `libos ask {app.name}`{end}")


async def _attend_terminal(app: App) -> ExitStatus:
    """Carry the caller's terminal to the app's pty until the app ends."""
    assert app.terminal_fd is not None
    with CallerTerminal(0) as terminal, output_for(terminal) as out_fd:
        await carry(terminal, out_fd, app.terminal_fd, _AppJob(app), app.wait)
    return await app.wait()


@contextmanager
def output_for(terminal: CallerTerminal) -> Iterator[int]:
    """Give a non-blocking descriptor for what the app writes: the terminal's, unless stdout leads
    elsewhere."""
    if same_terminal(0, 1):
        yield terminal.fd
        return
    out_fd = reopen(1, os.O_WRONLY | os.O_APPEND)
    try:
        yield out_fd
    finally:
        os.close(out_fd)


class _AppJob:
    def __init__(self, app: App) -> None:
        self._app = app

    async def send_signal(self, number: int) -> None:
        await self._app.send_signal(number)

    async def stops(self) -> AsyncIterator[None]:
        async for change in self._app.job_changes():
            if change == Change.STOPPED:
                yield


def _with_terminal_type(manifest: Manifest) -> Manifest:
    """Tell the app the type of the caller's terminal, unless its manifest names one."""
    kind = os.environ.get("TERM")
    if kind is None or "TERM" in manifest.app.environment:
        return manifest
    environment = MappingProxyType({**manifest.app.environment, "TERM": kind})
    return replace(manifest, app=replace(manifest.app, environment=environment))


def _own_name(manifest: Manifest) -> str:
    """Make a name that no other `libos run` of this machine has now: the command's and this process's
    number."""
    stem = os.path.basename((manifest.app.command or ("app",))[0])
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", stem).strip("-_")[:40] or "app"
    return f"{stem}-{os.getpid()}"


@contextmanager
def _take_name(supervisor: Supervisor, name: str, *, asked: bool) -> Iterator[socket.socket | None]:
    """Take the world's name in the control folder; give its listening socket.

    Where the folder cannot be used, a world that nobody named runs without a socket, and the person is told.
    Raises ControlError when a running world has the name.
    """
    check_name(name)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(open_folder())
            listener = stack.enter_context(folder.listen(name))
        except ControlError as error:
            if asked:
                raise
            say(f"libos ps and exec will not find this world: {error}")
            yield None
            return
        with swept(supervisor, folder, name):
            yield listener
