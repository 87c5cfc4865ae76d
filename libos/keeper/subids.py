"""The sub-ids of an ordinary user: what subuid(5) and subgid(5) give, and who writes them into K's maps.

Only for a root inside (superuser.py): K then holds, beside the caller's own id, as many ids as make 65,536
from `APP_ID` on, and the app's namespace takes them from there. Rules:

- The kernel lets nobody but a privileged program map them: newuidmap(1) and newgidmap(1), which read the two
  files themselves. What is read here only says beforehand what they will allow.
- All of them or none: where one of the two maps cannot be made, the caller's own id stands alone in both that
  the app is given.
- All worlds of a user share his sub-ids, as they share his own id.
"""

from __future__ import annotations

import os
import pwd
import shutil
from typing import NamedTuple

from libos.keeper.identity import APP_ID, SLOT, serves_root
from libos.kernel import namespaces

# A keeper has no environment: where systems have the two programs.
_PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin"
_FILES = {"newuidmap": "/etc/subuid", "newgidmap": "/etc/subgid"}
# What 0 leaves of the ids that packages may use: a root's world has as many.
WANTED = SLOT - 1
# Seconds for a program that writes one line; a name service may be asked for the user's name.
_TIMEOUT = 10.0


class Offer(NamedTuple):
    """The first sub-uid and sub-gid, of `WANTED` each; or why there are none, in plain words."""

    uid: int = 0
    gid: int = 0
    lack: str = ""


def offer() -> Offer:
    """Read what this caller would be given. Starts nothing."""
    if serves_root():
        return Offer(lack="root's worlds have ids of their own")
    name = _name()
    if name is None:
        return Offer(lack=f"uid {os.geteuid()} has no name in passwd(5), and newuidmap wants one")
    first: list[int] = []
    for program, path in _FILES.items():
        if shutil.which(program, path=_PATH) is None:
            return Offer(lack=f"{program} is not installed (package uidmap)")
        try:
            with open(path) as file:
                first.append(first_of(file.read(), (name, str(os.geteuid()))))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            return Offer(lack=f"{path} gives {name} no {WANTED} ids in a row: {reason}")
    uid, gid = first
    return Offer(uid, gid)


def first_of(text: str, names: tuple[str, str]) -> int:
    """Give where the first range begins that is long enough, in a text as subuid(5) describes it, of a user
    known by his name and his number. Raises ValueError where there is none."""
    longest = 0
    for line in text.splitlines():
        owner, _, numbers = line.partition(":")
        start, _, length = numbers.partition(":")
        if owner in names and start.isdecimal() and length.isdecimal():
            if int(length) >= WANTED:
                return int(start)
            longest = max(longest, int(length))
    raise ValueError(f"the longest range has {longest}" if longest else "no line names the user")


def map_process(pid: int) -> str:
    """Write both maps of a process in a new user namespace of the caller's; give why there are no sub-ids in
    them, "" where they are there. Without them it is the caller's own id alone. Raises OSError where not
    even that can be mapped."""
    offered = offer()
    lack = offered.lack
    own = {"newuidmap": (os.geteuid(), offered.uid), "newgidmap": (os.getegid(), offered.gid)}
    for program, (caller, first) in own.items():
        lack = lack or _run(program, pid, caller, first)
    if lack:
        _map_alone(pid)
    return lack


def _map_alone(pid: int) -> None:
    """Map the caller's own id in each map that is still empty: one may have been written."""
    own = [namespaces.IdRange(APP_ID, os.geteuid(), 1)], [namespaces.IdRange(APP_ID, os.getegid(), 1)]
    names = ("uid_map", "gid_map")
    empty = [name for name in names if not _read(f"/proc/{pid}/{name}").strip()]
    namespaces.write_id_ranges(f"/proc/{pid}", *own, only=empty)


def _run(program: str, pid: int, caller: int, first: int) -> str:
    """Have one map written; give why it was not."""
    import subprocess  # only here: no other keeper pays for it

    command = [program, str(pid), *map(str, (APP_ID, caller, 1, APP_ID + 1, first, WANTED))]
    try:
        done = subprocess.run(
            [shutil.which(program, path=_PATH) or program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            env={},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} failed: {error}"
    if done.returncode == 0:
        return ""
    words = " ".join(done.stderr.split())[:200] or f"status {done.returncode}"
    return f"{program} failed: {words.removeprefix(program + ': ')}"


def _name() -> str | None:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
