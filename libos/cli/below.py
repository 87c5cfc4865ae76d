"""The client's side of `libos run --name build/tests`: a world below one that runs.

The supervisor of the world above starts it, from the options as they were written; the streams, the terminal
and signals are carried as those of `libos exec`.
"""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import trio

from libos.cli.executor import converse
from libos.control.channel import Channel
from libos.control.folder import ControlError, open_folder
from libos.control.wire import MAX_LINE, Message, encode
from libos.manifest.limiting import LimitOptions
from libos.manifest.reading import noted

if TYPE_CHECKING:
    from libos.cli.options import ViewOptions
    from libos.manifest import Manifest

# Given beside the options, or of no use below another world.
_APART = frozenset({"manifest_path", "name", "keep", "record", "capture", "timeout", *LimitOptions._fields})


def run_below(view: ViewOptions, manifest: Manifest, *, terminal: bool) -> int:
    """Run the app below the world that its name begins with, and give its exit status. `manifest` is that of
    the options, which are known to be good. Raises LibosError."""
    name, variables = manifest.app.name or "", list(view.environment)
    if terminal and "TERM" in os.environ and "TERM" not in manifest.app.environment:
        variables.append("TERM")
    view = replace(view, environment=tuple(variables))
    above = name.rpartition("/")[0]
    if view.keep is not None or view.record or view.capture is not None:
        raise ControlError(
            f'--keep, --record and --capture are for worlds that stand alone, not below "{above}"'
        )
    with open_folder() as folder:
        connection = folder.connect(above)
    with noted() as files:
        view.manifest()
    message = _message(view, name, files)
    if len(encode(message)) > MAX_LINE:
        raise ControlError(f"the manifest with all that it includes is more than {MAX_LINE >> 10} KiB")
    return trio.run(converse, Channel(connection), message, terminal)


def _message(view: ViewOptions, name: str, files: dict[str, str]) -> Message:
    path = view.manifest_path
    return {
        "request": "launch",
        "name": name,
        "manifest": None if path is None else os.path.abspath(path),
        "files": files,
        "folder": os.getcwd(),
        "options": _said(view),
        "limits": {key: said for key in LimitOptions._fields if (said := _plain(getattr(view, key)))},
    }


def _said(view: ViewOptions) -> dict[str, Any]:
    """What was written on the command line, its variables with their values."""
    said = {each.name: _plain(getattr(view, each.name)) for each in fields(view) if each.name not in _APART}
    said["environment"] = [
        f"{text}={os.environ[text]}" if text in os.environ else text for text in view.environment
    ]
    if view.timeout is not None:
        said["time"] = view.timeout
    return {key: value for key, value in said.items() if value}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
