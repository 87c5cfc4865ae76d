"""libos gives one program its own view of the world.

The public names are imported when they are first used, so that `import libos` costs nothing and the keeper,
which has only the standard library, can import its own part.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libos.app import App, ExitStatus, Process
    from libos.asking import Asked, OnAsk
    from libos.dialing import DialGrant
    from libos.errors import (
        CommandError,
        CommandNotFoundError,
        HostError,
        LibosError,
        ManifestError,
        SupervisorError,
    )
    from libos.events import Event
    from libos.files import Files
    from libos.granting import host, memory
    from libos.grants import Grant
    from libos.interposing import CONTINUE, CONTINUE_ANYWAY, Answer, Give, Monitor, SystemCall
    from libos.kept import Change, Changes, ChangesError, ConflictError, NothingMatchesError, changes
    from libos.manifest import Manifest, from_mapping, load, load_namespace
    from libos.oneshot import arun, run
    from libos.supervisor import Supervisor

_HOMES = {
    "Answer": "libos.interposing",
    "App": "libos.app",
    "CONTINUE": "libos.interposing",
    "CONTINUE_ANYWAY": "libos.interposing",
    "Asked": "libos.asking",
    "Change": "libos.kept",
    "Changes": "libos.kept",
    "ChangesError": "libos.kept",
    "CommandError": "libos.errors",
    "CommandNotFoundError": "libos.errors",
    "ConflictError": "libos.kept",
    "DialGrant": "libos.dialing",
    "Event": "libos.events",
    "ExitStatus": "libos.app",
    "Grant": "libos.grants",
    "Files": "libos.files",
    "Give": "libos.interposing",
    "HostError": "libos.errors",
    "LibosError": "libos.errors",
    "Manifest": "libos.manifest",
    "ManifestError": "libos.errors",
    "Monitor": "libos.interposing",
    "NothingMatchesError": "libos.kept",
    "OnAsk": "libos.asking",
    "Process": "libos.app",
    "Supervisor": "libos.supervisor",
    "SupervisorError": "libos.errors",
    "SystemCall": "libos.interposing",
    "arun": "libos.oneshot",
    "changes": "libos.kept",
    "from_mapping": "libos.manifest",
    "host": "libos.granting",
    "load": "libos.manifest",
    "load_namespace": "libos.manifest",
    "memory": "libos.granting",
    "run": "libos.oneshot",
}

__all__ = [
    "CONTINUE",
    "CONTINUE_ANYWAY",
    "Answer",
    "App",
    "Asked",
    "Change",
    "Changes",
    "ChangesError",
    "CommandError",
    "CommandNotFoundError",
    "ConflictError",
    "DialGrant",
    "Event",
    "ExitStatus",
    "Files",
    "Give",
    "Grant",
    "HostError",
    "LibosError",
    "Manifest",
    "ManifestError",
    "Monitor",
    "NothingMatchesError",
    "OnAsk",
    "Process",
    "Supervisor",
    "SupervisorError",
    "SystemCall",
    "arun",
    "changes",
    "from_mapping",
    "host",
    "load",
    "load_namespace",
    "memory",
    "run",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'libos' has no attribute '{name}'")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
