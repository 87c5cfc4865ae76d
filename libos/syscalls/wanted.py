"""What is asked for of system calls, as a value; see `libos.syscalls`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What every app gets unless its manifest says otherwise.
DEFAULT_PROFILE = "default"

# False: refused calls are answered and nobody is told. True: and an event tells of them. "pass": they are
# told of and let through, to learn what a program needs.
Log = bool | Literal["pass"]


@dataclass(frozen=True)
class Wanted:
    """A profile by name; what is allowed besides (calls, or groups as "@network"); what is refused after all,
    which wins; whether refusals are told; and whether there is a network, for a profile that has sockets only
    then."""

    profile: str = DEFAULT_PROFILE
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    log: Log = False
    network: bool = False


DEFAULT = Wanted()
