"""The kernel's table of mounts: which mount a descriptor is of, and which mounts stand on which."""

from __future__ import annotations


def mount_id(fd: int) -> int:
    """The id of the mount in which a descriptor was opened. proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{fd}") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))


def parents() -> dict[int, int]:
    """The mount on which each mount of this mount namespace stands. proc_pid_mountinfo(5)."""
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        return {int(own): int(parent) for own, parent in (line.split(maxsplit=2)[:2] for line in file)}


def below(table: dict[int, int], top: int) -> set[int]:
    """The mount `top` and all that stand on it, directly or not."""
    children: dict[int, list[int]] = {}
    for own, parent in table.items():
        children.setdefault(parent, []).append(own)
    found, left = {top}, [top]
    while left:
        for child in children.get(left.pop(), ()):
            if child not in found:
                found.add(child)
                left.append(child)
    return found
