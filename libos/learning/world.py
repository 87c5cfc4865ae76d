"""The world in which a program is learned: the caller's own files, served in full, and a network with names.

Rules:
- The root's directories are read-only. The home directory, the working directory and /tmp are copy-on-write
  where the host mounts nothing below them: what the program writes there ends with the run.
- Of /proc, /dev and /sys the program gets what every world has.
- Of the environment it gets NAMES and what the caller names.
- Every host name leads outside, at PORTS. Addresses, loopback and other ports are refused, and the refusal is
  told: an option grants them.
- Calls beyond the profile strict are let through and told.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

# Variables that are taken over where they are set.
NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
# What programs on the network listen on mostly: web, ssh, git, mail, DNS, databases, the web again.
PORTS = "80,443,22,9418,25,465,587,993,53,853,3306,5432,6379,27017,8000,8080,8443"
# What every world has of its own, or that is no file system to be served.
_OWN = ("proc", "dev", "sys")


def learning_world(environment: Mapping[str, str], directory: str) -> dict[str, Any]:
    """Give the manifest, as a mapping."""
    taken = {name: environment[name] for name in NAMES if name in environment}
    return {
        "app": {"directory": directory, "environment": taken, "record": True},
        "mount": _mounts(environment.get("HOME", "/"), directory),
        "dial": [{"to": f"tcp!*!{PORTS}", "private": True}],
        "syscalls": {"profile": "strict", "log": "pass"},
        # So much that it limits nothing: but a cgroup counts then.
        "limits": {"memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")},
        "allow_missing": ["limits.memory", "limits.processes"],
    }


def _mounts(home: str, directory: str) -> list[dict[str, Any]]:
    places: dict[str, str] = {}
    for name in sorted(os.listdir("/")):
        path = f"/{name}"
        if name not in _OWN and (os.path.isdir(path) or os.path.isfile(path)):
            places[path] = "read-only"
    if os.path.islink("/etc/resolv.conf") or os.path.islink("/etc/hosts"):
        del places["/etc"]  # a world has these of its own, and nothing can stand on a link
        kept = (name for name in os.listdir("/etc") if name not in ("hosts", "resolv.conf"))
        places |= {f"/etc/{name}": "read-only" for name in kept if _can_be_mounted(f"/etc/{name}")}
    copied: list[str] = []
    for path in dict.fromkeys(("/tmp", os.path.realpath(home), directory)):  # noqa: S108 - the caller's
        inside = any(path == each or path.startswith(each + "/") for each in copied)
        # The working directory is a mount of its own, as it will be: what is moved out of it is copied.
        inside = inside and path != directory
        if path == "/" or inside or not os.path.isdir(path) or mounted_below(path):
            continue
        places[path] = "copy-on-write"
        copied.append(path)
    return [{"at": path, "host": path, "mode": mode} for path, mode in sorted(places.items())]


def _can_be_mounted(path: str) -> bool:
    return os.path.isdir(path) or os.path.isfile(path)


def mounted_below(path: str) -> bool:
    """Whether the host mounts something below a directory, which an overlay would not reach."""
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        return any(line.split()[4].startswith(path.rstrip("/") + "/") for line in file)
