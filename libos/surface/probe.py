"""The probe: counts what the process in which it runs could touch, by asking the kernel as that process.

It is handed to a Python as text (`python3 -I -S -c TEXT ORDER`), so that it runs where libos is not.

Rules:
- Standard library only, one thread; nothing is opened but directories, mount points and files of /proc, and
  nothing is changed.
- The order (JSON, the first argument) has `most` (files) and `seconds`, after which the walk stops;
  `host_devices`, the file systems of the host; `reaching`, the paths below which what is written leaves the
  world though the file system is the world's own; `leave_out`, a path that belongs to the probe.
- Each mount is walked by itself, those that can be written first, so that a directory that is mounted twice
  is met where most can be done with it. A directory is walked once, a file counted once, whatever its names.
- What the kernel makes up (KERNEL) is no file.
- The answer is lines of JSON: {"seen": N} while it walks, and the counts at last.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
from typing import Any

# File systems that show the kernel's state: proc(5), sysfs(5), cgroups(7), and what mounts on access.
KERNEL = frozenset(
    ("proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "securityfs", "debugfs", "tracefs", "configfs")
    + ("fusectl", "bpf", "pstore", "efivarfs", "binfmt_misc", "autofs", "nsfs", "rpc_pipefs", "selinuxfs")
    + ("hugetlbfs",)
)
# Files between two looks at the clock.
_STRIDE = 512
# Seconds between two lines that tell how far the walk is.
_TELL = 0.2
_RTF_UP, _RTF_REJECT = 0x1, 0x200  # route(8), linux/route.h
_ESCAPE = re.compile(r"\\([0-7]{3})")  # mountinfo: space, tab, line break, backslash


class Mount:
    """One line of proc_pid_mountinfo(5)."""

    def __init__(self, line: str) -> None:
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        self.number = fields[0]
        self.device = fields[2]
        self.point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        self.kind, _, above = right.split(" ", 2)
        self.options = frozenset(fields[5].split(",")) | (frozenset(above.strip().split(",")) & {"ro"})


class EnoughError(Exception):
    """The walk is as long as it may be."""


class Walk:
    """What a walk has counted. `counts` are the numbers; `complete` is False where it was stopped."""

    def __init__(self, order: dict[str, Any], mounts: list[Mount]) -> None:
        self.counts = dict.fromkeys(
            (
                *("files", "bytes", "directories", "unreadable", "writable", "writable_bytes", "copies"),
                *("makeable", "programs", "setuid", "setuid_works", "sockets", "devices"),
            ),
            0,
        )
        self.complete = True
        self._order = order
        self._mounts = {mount.point: mount for mount in mounts}  # of two at one point the later one counts
        self._directories: set[tuple[int, int]] = set()
        self._files: set[tuple[int, int]] = set()
        self._end = time.monotonic() + order["seconds"]
        self._told = time.monotonic()
        self._looked = 0
        # Of the mount that is being walked:
        self._leaves = True
        self._nosuid = self._nodev = False
        self._no_new_privs = _status("NoNewPrivs") == "1"

    def run(self) -> None:
        """Walk every mount, files that are mounted singly first."""
        mounts = [mount for mount in self._mounts.values() if self._counts(mount)]
        try:
            for mount in sorted(mounts, key=lambda each: ("ro" in each.options, each.point)):
                self._enter(mount)
                if _is_directory(mount.point) is False:
                    self._single(mount.point)
            for mount in sorted(mounts, key=lambda each: ("ro" in each.options, each.point)):
                self._enter(mount)
                if _is_directory(mount.point):
                    self._tree(mount.point)
        except EnoughError:
            self.complete = False

    def _counts(self, mount: Mount) -> bool:
        mine = self._order["leave_out"]
        return mount.kind not in KERNEL and not (mine and _below(mount.point, mine))

    def _enter(self, mount: Mount) -> None:
        self._leaves = mount.device in self._order["host_devices"]
        self._nosuid, self._nodev = "nosuid" in mount.options, "nodev" in mount.options

    def _single(self, path: str) -> None:
        try:
            info = os.lstat(path)
        except OSError:
            return
        self._files.add((info.st_dev, info.st_ino))
        self._file(path, info, self._reaches(path))

    def _tree(self, top: str) -> None:
        waiting = [top]
        while waiting:
            path = waiting.pop()
            try:
                info = os.lstat(path)
                if (info.st_dev, info.st_ino) in self._directories:
                    continue
                self._directories.add((info.st_dev, info.st_ino))
                with os.scandir(path) as entries:
                    reaches = self._reaches(path)
                    self._directory(path, reaches)
                    self._list(entries, reaches, waiting)
            except FileNotFoundError:
                continue  # it went while we walked
            except OSError:
                self.counts["unreadable"] += 1

    def _list(self, entries: Any, reaches: bool, waiting: list[str]) -> None:
        for entry in entries:
            self._tick()
            if entry.path in self._mounts or entry.path == self._order["leave_out"]:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            key = (info.st_dev, info.st_ino)
            if key in self._files:
                continue
            if info.st_nlink > 1:
                self._files.add(key)
            self._file(entry.path, info, reaches)

    def _tick(self) -> None:
        self._looked += 1
        if self._looked % _STRIDE:
            return
        now = time.monotonic()
        if now > self._end:
            raise EnoughError
        if now > self._told + _TELL:
            self._told = now
            _say({"seen": self.counts["files"]})

    def _reaches(self, path: str) -> bool:
        """Whether what is written there leaves the world."""
        return self._leaves or any(_below(path, top) for top in self._order["reaching"])

    def _directory(self, path: str, reaches: bool) -> None:
        self.counts["directories"] += 1
        self.counts["makeable"] += reaches and os.access(path, os.W_OK)

    def _file(self, path: str, info: os.stat_result, reaches: bool) -> None:
        counts, mode = self.counts, info.st_mode
        if counts["files"] >= self._order["most"]:
            raise EnoughError
        counts["files"] += 1
        if stat.S_ISREG(mode):
            self._regular(path, info, reaches)
        elif stat.S_ISSOCK(mode):
            counts["sockets"] += os.access(path, os.W_OK)
        elif stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            counts["devices"] += not self._nodev and (os.access(path, os.R_OK) or os.access(path, os.W_OK))

    def _regular(self, path: str, info: os.stat_result, reaches: bool) -> None:
        counts, mode = self.counts, info.st_mode
        if os.access(path, os.R_OK):
            counts["bytes"] += info.st_size
        if os.access(path, os.W_OK):
            counts["writable" if reaches else "copies"] += 1
            counts["writable_bytes"] += info.st_size if reaches else 0
        if not mode & 0o111 or not os.access(path, os.X_OK):
            return
        counts["programs"] += 1
        if mode & stat.S_ISUID or (mode & stat.S_ISGID and mode & stat.S_IXGRP):
            counts["setuid"] += 1
            counts["setuid_works"] += not (self._nosuid or self._no_new_privs)


def _is_directory(path: str) -> bool | None:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return None


def _below(path: str, top: str) -> bool:
    return path == top or top == "/" or path.startswith(top + "/")


def _status(key: str) -> str:
    """A line of proc_pid_status(5); empty where there is none."""
    for line in _lines("/proc/self/status"):
        if line.startswith(key + ":"):
            return line.partition(":")[2].strip()
    return ""


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []


def table() -> list[Mount]:
    """All mounts of this process's mount namespace below its root."""
    return [Mount(line) for line in _lines("/proc/self/mountinfo")]


def mounts() -> list[Mount]:
    """The mounts that this process sees, without those that others cover; its root alone where there is no
    /proc."""
    return [mount for mount in table() if _on_top(mount)] or [Mount("0 0 0:0 / / rw - none none rw")]


def _on_top(mount: Mount) -> bool:
    """Whether the mount's point leads to it. Its device does not tell: btrfs has one for each subvolume."""
    try:
        point_fd = os.open(mount.point, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return f"mnt_id:\t{mount.number}" in _lines(f"/proc/self/fdinfo/{point_fd}")
    finally:
        os.close(point_fd)


def namespaces() -> dict[str, str]:
    """This process's namespaces by kind, namespaces(7)."""
    try:
        kinds = [kind for kind in os.listdir("/proc/self/ns") if not kind.endswith("_for_children")]
        return {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in sorted(kinds)}
    except OSError:
        return {}


def processes() -> int:
    """How many processes it sees, itself left out."""
    try:
        return sum(name.isdigit() and int(name) != os.getpid() for name in os.listdir("/proc"))
    except OSError:
        return 0


def routes() -> list[tuple[int, int]]:
    """Destinations of IPv4 routes that lead somewhere, as (first address, mask) in the host's order."""
    found = []
    for line in _lines("/proc/net/route")[1:]:
        fields = line.split()
        if int(fields[3], 16) & (_RTF_UP | _RTF_REJECT) == _RTF_UP:
            first, mask = (int.from_bytes(bytes.fromhex(fields[at]), sys.byteorder) for at in (1, 7))
            found.append((first, mask))
    return found


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main(order: dict[str, Any]) -> None:
    """Count, and say what was counted."""
    walk = Walk({**order, "host_devices": frozenset(order["host_devices"])}, mounts())
    walk.run()
    _say(
        {
            **walk.counts,
            "complete": walk.complete,
            "processes": processes(),
            "capabilities": int(_status("CapEff") or "0", 16).bit_count(),
            "no_new_privs": _status("NoNewPrivs") == "1",
            "filtered": _status("Seccomp") == "2",
            "namespaces": namespaces(),
            "routes": routes(),
        }
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
