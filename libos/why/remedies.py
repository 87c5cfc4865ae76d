"""What would grant a thing: lines of a manifest, and the option of `libos run`. Pure.

Rules: exactly the thing that was asked for, and no more of it. The lines are TOML that can be appended to a
manifest as they stand, unless `within` says where they belong.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from libos.harmless import is_seen
from libos.seen.attempts import Attempt
from libos.sensitive import sensitive

_MODES = {"rw": "read-write", "cow": "copy-on-write"}
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
# The option of `libos run` for a key of [limits].
_LIMIT_OPTIONS = {
    "memory": "--memory",
    "cpus": "--cpus",
    "cpu_share": "--cpu-shares",
    "cpuset": "--cpuset-cpus",
    "processes": "--pids-limit",
    "time": "--timeout",
    "open_files": "--ulimit nofile=",
    "file_size": "--ulimit fsize=",
    "cpu_time": "--ulimit cpu=",
}


@dataclass(frozen=True)
class Remedy:
    """What would grant a thing. `option` is "" where no option does; `warning` is what a person must know
    first; `words` are those of `libos allow`."""

    lines: tuple[str, ...]
    option: str = ""
    words: str = ""
    within: str = ""
    warning: str = ""


def mount(path: str, mode: str = "", *, on_host: bool = True) -> Remedy:
    """For a path: the host's own at the same place, or, where the host has none, an empty text."""
    if not is_text(path):
        return Remedy(
            (), warning="its name is not UTF-8, and a manifest is: mount the directory that holds it"
        )
    lines = ["[[mount]]", f"at = {quoted(path)}"]
    if not on_host:
        return Remedy(
            (*lines, 'text = ""'), warning="the host has no such path either: say what is to stand there"
        )
    lines.append(f"host = {quoted(path)}")
    if mode in _MODES:
        lines.append(f'mode = "{_MODES[mode]}"')
    suffix = f":{mode}" if mode in _MODES else ""
    why = sensitive(path)
    return Remedy(
        tuple(lines),
        "" if ":" in path else f"-v {shlex.quote(f'{path}:{path}{suffix}')}",
        shlex.quote(path_word(path, mode)),
        warning=f"{path} is sensitive: {why}" if why else "",
    )


def path_word(path: str, mode: str = "") -> str:
    """The word of `libos allow` for exactly this path: what an app looked for may end like a mode."""
    if mode in _MODES:
        return f"{path}:{mode}"
    return f"{path}:ro" if path.endswith((":ro", ":rw", ":cow")) else path


def is_text(name: str) -> bool:
    """Whether a name is Unicode, as a manifest is; names of files are bytes."""
    return name.isprintable() or not any("\ud800" <= char <= "\udfff" for char in name)


def dial(to: str) -> Remedy:
    """For an address."""
    return Remedy(("[[dial]]", f"to = {quoted(to)}"), f"--dial {shlex.quote(to)}", shlex.quote(to))


def call(name: str) -> Remedy:
    """For a system call."""
    return calls([name])


def calls(names: Sequence[str]) -> Remedy:
    """For system calls."""
    allowed = ", ".join(map(quoted, names))
    return Remedy(("[syscalls]", f"allow = [{allowed}]"), "", shlex.join(names))


def limit(key: str, value: str | int | float) -> Remedy:
    """For more of a limit."""
    said = quoted(value) if isinstance(value, str) else str(value)
    option = _LIMIT_OPTIONS.get(key, "")
    if option:
        option += f"{value}" if option.endswith("=") else f" {value}"
    return Remedy(("[limits]", f"{key} = {said}"), option, shlex.quote(f"{key}={value}"))


def remedy_of(attempt: Attempt, *, on_host: bool) -> Remedy | None:
    """For something that was tried in vain; None where no line of a manifest grants it."""
    if attempt.kind == "path" and "mount" not in attempt.details:
        remedy = mount(attempt.what, on_host=on_host)
        return remedy if remedy.lines else None
    if attempt.kind == "dial":
        return dial(attempt.what)
    if attempt.kind == "name":
        return dial(f"tcp!{attempt.what}!443")
    if attempt.kind == "call" and not attempt.what.isdigit():
        return call(attempt.what)
    return None


def quoted(value: str) -> str:
    """A text as a TOML string: a basic string (toml.io, v1.0.0, String), with what cannot be seen escaped.
    One that is no Unicode gives a string that no TOML parser takes."""
    return f'"{"".join(map(_quoted, value))}"'


def _quoted(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if is_seen(char):
        return char
    return _SHORT.get(char) or (f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}")
