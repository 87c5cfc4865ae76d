"""What was counted in one place, as a value, and the rows in which people read it. Pure.

The rows are data: a key of the JSON form, its words, and how it is compared with the place outside. Each is
defined in docs/explanation/surface.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# The version of the JSON form; within one, keys are only added.
VERSION = 1
# The kinds of namespaces(7), which a place shares with the caller or has for its own.
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


@dataclass(frozen=True)
class Survey:
    """One place. `problem` says why it was not measured; then every number is 0. Where `complete` is False
    the walk was stopped, and the numbers of files are at least what they say."""

    place: str
    about: str  # how the place was made: a command line, a manifest
    needed: bool = False  # it was asked for, and not only compared with
    files: int = 0
    bytes: int = 0
    directories: int = 0
    unreadable: int = 0
    writable: int = 0
    writable_bytes: int = 0
    copies: int = 0
    makeable: int = 0
    programs: int = 0
    setuid: int = 0
    setuid_works: int = 0
    sockets: int = 0
    devices: int = 0
    processes: int = 0
    capabilities: int = 0
    system_calls: int = 0
    system_calls_checked: int = 0
    endpoints: int = 0
    shared_namespaces: tuple[str, ...] = ()
    complete: bool = True
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table. `bytes` are shown as such; with `share` its part of the outside is shown."""

    key: str
    words: str
    bytes: bool = False
    share: bool = False


ROWS = (
    Row("files", "files that it sees", share=True),
    Row("bytes", "bytes that it can read", bytes=True, share=True),
    Row("writable", "files of the host that it can write", share=True),
    Row("writable_bytes", "bytes of these", bytes=True),
    Row("makeable", "directories of the host where it can make files"),
    Row("copies", "files whose change ends with the world"),
    Row("programs", "programs that it can execute", share=True),
    Row("setuid", "set-uid and set-gid programs"),
    Row("setuid_works", "of these, with effect"),
    Row("devices", "devices that it can open"),
    Row("sockets", "unix sockets that it can connect to"),
    Row("endpoints", "addresses that it can reach, with ports"),
    Row("system_calls", "system calls"),
    Row("capabilities", "capabilities"),
    Row("shared_namespaces", "namespaces shared with the host"),
    Row("processes", "other processes that it sees"),
    Row("unreadable", "directories that it cannot list"),
)


def number(survey: Survey, key: str) -> int:
    """The number of a row."""
    value = getattr(survey, key)
    return len(value) if isinstance(value, tuple) else int(value)


def share(part: int, whole: int) -> float | None:
    """A part of the whole in percent; None of nothing."""
    return 100 * part / whole if whole else None


def survey_json(survey: Survey) -> Mapping[str, Any]:
    """The survey as JSON values."""
    said = asdict(survey)
    return said | {"seconds": round(survey.seconds, 3)}
