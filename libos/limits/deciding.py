"""Deciding how limits are held: pure, each limit by the first of these that is there.

| limit                    | cgroup v2 or v1, a whole world     | else                                       |
|--------------------------|------------------------------------|--------------------------------------------|
| memory                   | memory.max, no swap                | missing; allowed: RLIMIT_DATA, each process|
| processes                | pids.max                           | RLIMIT_NPROC in the app's own user namespac|
| cpus                     | cpu.max                            | missing; allowed: nothing                  |
| cpu_share                | cpu.weight                         | missing; allowed: nothing                  |
| latency                  | cpu.weight, cpu.idle               | missing; allowed: nothing                  |
| cpuset                   | cpuset.cpus                        | missing; allowed: nothing                  |
| cpu_time                 |                                    | RLIMIT_CPU, each process, as the key says  |
| open_files               |                                    | RLIMIT_NOFILE, each process, as the key say|
| file_size                |                                    | RLIMIT_FSIZE, each file, as the key says   |
| disk                     |                                    | size= of what is in memory                 |
| output                   |                                    | counted by the supervisor                  |

What is missing stops a start unless the manifest allows it by name: a limit that holds each process alone is
none for a program that forks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from libos.limits.model import Cgroup, Cgroups, Controller, Decision, Missing, Place, Setting, Told
from libos.manifest.model import Limits

# Processes and threads of an app that says nothing. Far more than a build or a browser takes, far less than
# what a machine has: a systemd login gets a third of some 30,000 (TasksMax), docker sets no limit.
DEFAULT_PROCESSES = 4096
# What libos itself has in a world's cgroup: init and its thread, what hears of listen(2), a monitor.
OWN_PROCESSES = 4
# Microseconds; the kernel's own period for quotas. Kernel: scheduler/sched-bwc.rst.
_PERIOD = 100_000
# cpu.shares of 2 to 262144 are a weight of 1 to 10000 in version 2, as runc and systemd turn them.
_SHARES, _WEIGHTS = (2, 262_144), (1, 10_000)
# The first kernel that counts processes by user namespace. user_namespaces(7), commit 21d1c5e386bc.
_COUNTED_BY_NAMESPACE = (5, 14)

_REMEDY = "start libos as root, or by `systemd-run --user --scope -p Delegate=yes libos …`; "


class Host(NamedTuple):
    """What deciding needs to know of the machine. `cgroups` is asked only where a limit needs one."""

    cgroups: Callable[[], Cgroups]
    kernel: tuple[int, int]


class _InCgroup(NamedTuple):
    """How one key is held by a controller: what is written in either version, in words what that does."""

    controller: Controller
    settings: Callable[[Limits], dict[int, tuple[Setting, ...]]]
    does: str


def decide(limits: Limits, host: Host, *, kept: bool = False) -> Decision:
    """How these limits are held. `kept`: copy-on-write changes go to a folder of the host's."""
    deciding = _Deciding(limits, host)
    for key, held in _CGROUP_KEYS.items():
        if getattr(limits, key) is not None:
            deciding.by_cgroup(key, held)
    if limits.processes is None:
        deciding.default_processes()
    deciding.each_process()
    if limits.disk is not None:
        deciding.disk(limits.disk, kept=kept)
    if limits.output is not None:
        reason = "standard output and error pass through the supervisor, which ends the app beyond it"
        deciding.told.append(Told("output", bytes_text(limits.output), "supervisor", reason))
    return deciding.decision()


def _memory(limits: Limits) -> dict[int, tuple[Setting, ...]]:
    value = str(limits.memory)
    return {
        1: (
            Setting("memory", "memory.limit_in_bytes", value),
            Setting("memory", "memory.memsw.limit_in_bytes", value, optional=True),
        ),
        2: (
            Setting("memory", "memory.max", value),
            Setting("memory", "memory.swap.max", "0", optional=True),
        ),
    }


def _pids(limits: Limits) -> dict[int, tuple[Setting, ...]]:
    both = (Setting("pids", "pids.max", str((limits.processes or 0) + OWN_PROCESSES)),)
    return {1: both, 2: both}


def _cpus(limits: Limits) -> dict[int, tuple[Setting, ...]]:
    quota = math.ceil((limits.cpus or 0) * _PERIOD)
    return {
        1: (
            Setting("cpu", "cpu.cfs_period_us", str(_PERIOD)),
            Setting("cpu", "cpu.cfs_quota_us", str(quota)),
        ),
        2: (Setting("cpu", "cpu.max", f"{quota} {_PERIOD}"),),
    }


def _cpu_share(limits: Limits) -> dict[int, tuple[Setting, ...]]:
    share = limits.cpu_share or 0
    part = (share - _SHARES[0]) / (_SHARES[1] - _SHARES[0])
    weight = round(_WEIGHTS[0] + part * (_WEIGHTS[1] - _WEIGHTS[0]))
    return {1: (Setting("cpu", "cpu.shares", str(share)),), 2: (Setting("cpu", "cpu.weight", str(weight)),)}


# cpu.shares and cpu.weight of each class: the least that there is, what everybody has, ten times that.
_LATENCIES = {"best-effort": (2, 1), "normal": (1024, 100), "priority": (10_240, 1000)}


def _latency(limits: Limits) -> dict[int, tuple[Setting, ...]]:
    """cpu.idle lets a group run where nobody else wants to (Linux 5.15); the weight is for older kernels, and
    comes first: an idle group takes none."""
    shares, weight = _LATENCIES[limits.latency or "normal"]
    idle = (Setting("cpu", "cpu.idle", "1", optional=True),) if limits.latency == "best-effort" else ()
    return {
        1: (Setting("cpu", "cpu.shares", str(shares)), *idle),
        2: (Setting("cpu", "cpu.weight", str(weight)), *idle),
    }


def _cpuset(limits: Limits) -> dict[int, tuple[Setting, ...]]:
    both = (Setting("cpuset", "cpuset.cpus", limits.cpuset or ""),)
    return {1: both, 2: both}


_CGROUP_KEYS = {
    "memory": _InCgroup("memory", _memory, "all its processes and its files in memory; no swap"),
    "processes": _InCgroup("pids", _pids, f"all its processes and threads, and {OWN_PROCESSES} of libos"),
    "cpus": _InCgroup("cpu", _cpus, "all its processes together, in each tenth of a second"),
    "cpu_share": _InCgroup("cpu", _cpu_share, "all its processes together, where others want the processor"),
    "latency": _InCgroup("cpu", _latency, "all its processes together, where others want the processor"),
    "cpuset": _InCgroup("cpuset", _cpuset, "all its processes; they cannot choose others"),
}


class _Deciding:
    def __init__(self, limits: Limits, host: Host) -> None:
        self._limits = limits
        self._host = host
        self._found: Cgroups | None = None
        self._places: dict[Controller, Place] = {}
        self._settings: list[Setting] = []
        self._rlimits: list[tuple[str, int]] = []
        self._disk: int | None = None
        self._missing: list[Missing] = []
        self.told: list[Told] = []

    def by_cgroup(self, key: str, held: _InCgroup) -> None:
        """Hold one key by its controller where there is one, else as well as it goes."""
        place = self._cgroups().place(held.controller)
        if place is not None:
            self._places[held.controller] = place
            self._settings += held.settings(self._limits)[place.version]
            self.told.append(Told(key, self._asked(key), f"cgroup v{place.version}", held.does))
        elif key == "processes" and self._host.kernel >= _COUNTED_BY_NAMESPACE:
            assert self._limits.processes is not None
            self._rlimits.append(("nproc", self._limits.processes))
            reason = "counted in the app's user namespace; a program of `libos exec` has a count of its own"
            self.told.append(Told(key, self._asked(key), "rlimit", reason))
        else:
            self._lack(key)

    def _lack(self, key: str) -> None:
        instead = "nothing holds it"
        if key == "memory" and self._limits.memory is not None:
            self._rlimits.append(("data", self._limits.memory))
            instead = "each process alone is held, and what processes share or write to memory files is not"
        why = self._cgroups().why
        remedy = f'{_REMEDY}or allow it: --allow-missing limits.{key}, allow_missing = ["limits.{key}"]'
        self._missing.append(Missing(f"limits.{key}", f"{why}; without one, {instead}", remedy))
        mechanism = "rlimit" if key == "memory" else "MISSING"
        self.told.append(Told(key, self._asked(key), mechanism, f"MISSING: {why}; {instead}"))

    def default_processes(self) -> None:
        """What holds a fork bomb where nothing was said."""
        if self._host.kernel >= _COUNTED_BY_NAMESPACE:
            self._rlimits.append(("nproc", DEFAULT_PROCESSES))
            reason = "what an app has unless said, counted in its user namespace: a fork bomb ends at it"
            self.told.append(Told("processes", str(DEFAULT_PROCESSES), "rlimit", reason))

    def each_process(self) -> None:
        """Hold what is meant for each process or file alone."""
        limits = self._limits
        if limits.cpu_time is not None:
            seconds = math.ceil(limits.cpu_time)
            self._rlimits.append(("cpu", seconds))
            told = Told("cpu_time", f"{seconds} s", "rlimit", "each process alone; then SIGXCPU ends it")
            self.told.append(told)
        if limits.open_files is not None:
            self._rlimits.append(("nofile", limits.open_files))
            reason = "each process alone; then EMFILE"
            self.told.append(Told("open_files", str(limits.open_files), "rlimit", reason))
        if limits.file_size is not None:
            self._rlimits.append(("fsize", limits.file_size))
            reason = "each file alone; a write beyond it is SIGXFSZ, or EFBIG where that is ignored"
            self.told.append(Told("file_size", bytes_text(limits.file_size), "rlimit", reason))

    def disk(self, size: int, *, kept: bool) -> None:
        """Hold what is written to memory; what is kept on the host's disk cannot be held."""
        self._disk = size
        reason = "each copy-on-write mount and /dev/shm, in memory; then ENOSPC"
        if kept:
            reason = "MISSING: changes that are kept go to the host's disk, which no mount can bound"
            remedy = "give the mount a quota, leave keep out, or allow it: --allow-missing limits.disk"
            self._missing.append(Missing("limits.disk", reason.removeprefix("MISSING: "), remedy))
        self.told.append(Told("disk", bytes_text(size), "tmpfs size", reason))

    def _cgroups(self) -> Cgroups:
        if self._found is None:
            self._found = self._host.cgroups()
        return self._found

    def _asked(self, key: str) -> str:
        value = getattr(self._limits, key)
        return bytes_text(value) if key == "memory" else f"{value:g}" if key == "cpus" else str(value)

    def decision(self) -> Decision:
        """What came of it."""
        cgroup = Cgroup(tuple(self._places.items()), tuple(self._settings)) if self._places else None
        return Decision(
            cgroup,
            tuple(self._rlimits),
            self._disk,
            self._limits.output,
            tuple(self.told),
            tuple(self._missing),
        )


def bytes_text(size: int) -> str:
    """A number of bytes as people write it: "512M"."""
    for unit, factor in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size} bytes"
