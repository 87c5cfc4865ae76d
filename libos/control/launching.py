"""A world below a running one, started for one client of the control socket.

Rules:
- It lives as long as its client's connection, and its standard streams are the client's, as in `execution`.
  It has a control socket of its own, by its whole name.
- The client's options are text and are read here, from the client's folder, with the same errors; so what is
  judged is what is started. Its files come with them: this process may be behind walls of its own, and reads
  for nobody.

Request: {"request": "launch", "name": "build/tests", "manifest": PATH or null, "files": {PATH: TEXT},
"folder": PATH, "options": {...}, "limits": {...}}: the arguments of `libos.manifest.from_options`, and the
files that it reads. Answers as to "exec".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from libos.control.channel import Channel
from libos.control.execution import converse, stream_options
from libos.control.folder import Folder, open_folder
from libos.control.wire import Message, ProtocolError
from libos.unwrap import unwrapped

if TYPE_CHECKING:
    from libos.app import App
    from libos.manifest import Manifest
    from libos.supervisor import Supervisor

# Serves the control socket of an app: `libos.control.server.serve`.
Serve = Callable[..., Awaitable[None]]
# Options of `from_options` that a client gives: those with one text, and those with several.
_TEXTS = frozenset(
    {"directory", "hostname", "user", "level", "time", "syscalls", "namespace", "namespace_mode"}
)
_LISTS = frozenset({"command", "mounts", "environment", "dials", "publish", "include", "allow_missing"})
_LIMITS = frozenset({"memory", "cpus", "cpu_shares", "cpuset_cpus", "pids_limit", "ulimits"})


async def launch(
    channel: Channel,
    supervisor: Supervisor,
    above: App,
    message: Message,
    descriptors: list[int],
    serve: Serve,
) -> None:
    """Start the world that `message` asks for below `above`, and return after its end. Raises LibosError."""
    streams = stream_options(message, descriptors)
    name = message.get("name")
    if not isinstance(name, str) or not name.startswith(f"{above.name}/"):
        raise ProtocolError(f'a world below "{above.name}" has a name that begins so')
    manifest = await trio.to_thread.run_sync(_manifest, message)
    with open_folder() as folder, folder.listen(name) as listener, swept(supervisor, folder, name):
        app = await supervisor.start(manifest, parent=above, name=name, **streams)
        try:
            async with unwrapped(), trio.open_nursery() as nursery:
                await nursery.start(partial(serve, app, listener, describe(app), supervisor))
                await converse(channel, app)
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await app.kill()
                await app.aclose()


def _manifest(message: Message) -> Manifest:
    """The manifest that is asked for. Raises ManifestError, ProtocolError."""
    from libos.manifest import from_options
    from libos.manifest.limiting import LimitOptions
    from libos.manifest.reading import given

    folder, path, files = (message.get(key) for key in ("folder", "manifest", "files"))
    if not isinstance(folder, str) or not (path is None or isinstance(path, str)):
        raise ProtocolError('"folder" is a text, and "manifest" is one or null')
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise ProtocolError('"files" has a text for each path')
    options = _checked(message.get("options"), _TEXTS, _LISTS)
    limits = _checked(message.get("limits"), _LIMITS - {"ulimits"}, frozenset({"ulimits"}))
    if "ulimits" in limits:
        limits["ulimits"] = tuple(limits["ulimits"])
    with given(files):
        return from_options(path, base=folder, environ={}, limits=LimitOptions(**limits), **options)


def _checked(said: object, texts: frozenset[str], lists: frozenset[str]) -> dict[str, Any]:
    if not isinstance(said, dict) or not said.keys() <= texts | lists:
        raise ProtocolError("a launch has options that this supervisor does not know")
    for key, value in said.items():
        items = value if key in lists and isinstance(value, list) else [value]
        if (key in lists) != isinstance(value, list) or not all(isinstance(each, str) for each in items):
            raise ProtocolError(f'the option "{key}" of a launch has the wrong type')
    return dict(said)


def describe(app: App) -> dict[str, object]:
    """What is told of a world's plan with its status."""
    plan = app.plan
    return {
        "command": list(plan.command),
        "listens": [{"inside": listen.port, "outside": listen.published} for listen in plan.listens],
        "dials": [str(rule) for rule in plan.dials],
    }


@contextmanager
def swept(supervisor: Supervisor, folder: Folder, name: str) -> Iterator[None]:
    """Have the socket file of a name removed, also when this process is killed."""
    path = str(folder.socket_path(name))
    supervisor.sweep(path)
    try:
        yield
    finally:
        folder.remove(name)
        supervisor.keep(path)
