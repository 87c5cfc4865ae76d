"""Running a stack in the foreground, or detached: control sockets, what is shown, signals, the end.

Detached, the stack runs in a process of its own session, which tells through a pipe that all worlds are
ready, or why they are not; then the stack is stopped.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial

import trio

from libos.app import App
from libos.cli.confining import confine
from libos.cli.enclosing import control_needs, enclose, log_needs
from libos.cli.eventfile import EventFile, open_event_file
from libos.cli.runner import HISTORY
from libos.cli.show import complain, harmless, say
from libos.control.channel import Channel
from libos.control.clients import serve_clients
from libos.control.folder import Folder, open_folder
from libos.control.launching import describe, swept
from libos.control.server import serve
from libos.control.wire import Message, ProtocolError
from libos.errors import LibosError
from libos.events import Event
from libos.plan.rootids import wants_sub_ids
from libos.stack import Running, Stack, run_stack
from libos.stack.output import folder_of
from libos.supervisor import Supervisor
from libos.unwrap import unwrapped
from libos.worlds.outside import Enclosure

Tell = Callable[[dict[str, str]], None]

# Written to who detached when all worlds are ready; anything else is the reason why not.
_READY = b"ready"
_PROGRAM = "from libos.cli.main import main; main()"
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(stack: Stack, *, events: str | None, ready_fd: int | None = None) -> int:
    """Run the stack to its end and give the status of the whole. Raises LibosError."""
    if ready_fd is None:
        return _run_here(stack, events, _show, None)
    with open(ready_fd, "wb", buffering=0) as pipe:
        try:
            return _run_here(stack, events, _quiet, pipe.write)
        except Exception as error:
            expected = isinstance(error, LibosError)
            pipe.write((str(error) if expected else f"libos failed: {error!r}").encode())
            raise


def detach(stack: Stack, events: str | None) -> int:
    """Run the stack in a process of its own; return once it is ready, or with its status where it failed."""
    read_fd, write_fd = os.pipe()
    command = [sys.executable, "-P", "-c", _PROGRAM, "up", stack.source, "--ready-fd", str(write_fd)]
    command += ["--events", os.path.abspath(events)] if events is not None else []
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=nowhere, stdout=nowhere, stderr=nowhere, pass_fds=[write_fd], start_new_session=True
    ) as process:
        os.close(write_fd)
        with open(read_fd, "rb") as pipe:
            told = pipe.read(len(_READY))
            if told == _READY:
                process.returncode = 0  # it goes on without us: nobody waits for it
                return 0
            told += pipe.read()
        status = process.wait()
    complain(told.decode(errors="replace") or f"the stack ended with status {status}")
    return status or 1


def _run_here(stack: Stack, events: str | None, tell: Tell, told: Callable[[bytes], object] | None) -> int:
    with ExitStack() as files:
        file = files.enter_context(open_event_file(events)) if events is not None else None
        folder = files.enter_context(open_folder())
        listener = files.enter_context(folder.listen(stack.name))
        confine((member.manifest for member in stack.members), sub_ids=_want_sub_ids(stack))
        return trio.run(partial(_run, stack, folder, listener, file, tell, told))


def _want_sub_ids(stack: Stack) -> bool:
    return any(wants_sub_ids(member.manifest) for member in stack.members)


def _enclosing(stack: Stack) -> Callable[[], Enclosure | None]:
    """What puts this process behind Landlock: its worlds' trees, its records, and control sockets."""
    own = (*control_needs(), *log_needs(folder_of(stack.name)))
    return enclose((member.manifest for member in stack.members), own)


async def _run(
    stack: Stack,
    folder: Folder,
    listener: socket.socket,
    file: EventFile | None,
    tell: Tell,
    told: Callable[[bytes], object] | None,
) -> int:
    async with (
        AsyncExitStack() as readers,
        unwrapped(),
        trio.open_nursery() as nursery,
        Supervisor(
            spare=False, history=HISTORY, sub_ids=_want_sub_ids(stack), enclose=_enclosing(stack)
        ) as supervisor,
    ):
        if file is not None:
            events = await readers.enter_async_context(supervisor.events())
            nursery.start_soon(_observe, events, file)
        with swept(supervisor, folder, stack.name):
            async with unwrapped(), trio.open_nursery() as beside:
                result: list[int] = []
                attend = partial(_attend, supervisor, folder)
                running = await beside.start(_run_stack, supervisor, stack, attend, tell, result, beside)
                beside.start_soon(serve_clients, listener, partial(_answer, running))
                beside.start_soon(_stop_on_signal, running, beside)
                beside.start_soon(_tell_ready, running, told)
    return result[0] if result else 128 + signal.SIGKILL


async def _run_stack(
    supervisor: Supervisor,
    stack: Stack,
    attend: Callable[[App], object],
    tell: Tell,
    result: list[int],
    beside: trio.Nursery,
    task_status: trio.TaskStatus[Running],
) -> None:
    status = await run_stack(supervisor, stack, attend=attend, tell=tell, task_status=task_status)  # type: ignore[arg-type]  # partial
    result.append(status)
    beside.cancel_scope.cancel()


async def _stop_on_signal(running: Running, beside: trio.Nursery) -> None:
    """The first signal stops the worlds in order, a second Ctrl-C kills them."""
    with trio.open_signal_receiver(*_STOPS) as signals:
        async for number in signals:
            if running.stopping and number == signal.SIGINT:
                beside.cancel_scope.cancel()
            elif not running.stopping:
                say("stopping; once more kills" if number == signal.SIGINT else "stopping")
                running.stop()


async def _tell_ready(running: Running, told: Callable[[bytes], object] | None) -> None:
    ready = await running.ready()
    if told is None:
        if ready or not running.stopping:
            say("all worlds are ready" if ready else "not all worlds could be started")
    elif ready:
        told(_READY)
    else:
        failed = [f"{each.name}: {each.reason}" for each in running.services.values() if each.status]
        told("\n".join(failed or ["the stack was stopped before all of its worlds were ready"]).encode())
        running.stop()


async def _answer(running: Running, channel: Channel, message: Message, _descriptors: list[int]) -> None:
    """Answer about the stack: "status", "down" and "kill"; who asked for its end stays until it has come."""
    match message.get("request"):
        case "status":
            await channel.send({"answer": "status", **_describe_stack(running)})
        case "down" | "kill":
            await channel.send({"answer": "done"})
            running.stop()
            await trio.sleep_forever()
        case other:
            raise ProtocolError(f"a stack knows no request {other!r}")


def _describe_stack(running: Running) -> dict[str, object]:
    stack = running.stack
    worlds = [service.describe() for service in running.services.values()]
    command = ["libos", "up", stack.source]
    return {"name": stack.name, "pid": os.getpid(), "command": command, "stack": worlds}


async def _attend(supervisor: Supervisor, folder: Folder, app: App) -> None:
    """Answer on the app's own control socket, so that libos exec and its kin find the world."""
    with folder.listen(app.name) as listener, swept(supervisor, folder, app.name):
        await serve(app, listener, describe(app), supervisor)


async def _observe(events: AsyncIterator[Event], file: EventFile) -> None:
    async for event in events:
        await file.write(event)


def _show(record: dict[str, str]) -> None:
    text = f"{record['world']} | {harmless(record['line'])}"
    if record["stream"] == "libos":
        say(text)
    else:
        print(text, flush=True)


def _quiet(_record: dict[str, str]) -> None:
    """Kept, and not shown."""
