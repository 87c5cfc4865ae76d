"""What a manifest and a command line say of limits: the grammars of [limits], and docker's options.

Each function turns one written value into its meaning or raises ValueError with a sentence that says what
would be right, as in `libos.manifest.values`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

from libos.manifest import values
from libos.manifest.model import Limits

# The most of a host's processors that anybody names: CONFIG_NR_CPUS is 8192 at most.
_PROCESSORS = 8192
# cpu.shares of cgroup v1: MIN_SHARES and MAX_SHARES, kernel/sched/sched.h. Docker's --cpu-shares too.
_SHARES = (2, 262_144)
# PID_MAX_LIMIT, linux/threads.h.
_PROCESSES = 4_194_304
# fs.nr_open's usual value; and what a program needs to load its libraries beside its standard streams.
_DESCRIPTORS = (8, 1_048_576)
# Below this no program of today starts, and the kernel cannot even end one in good order.
_LEAST_MEMORY = 4 << 20
# Worlds below one: libos has some four processes and a dozen descriptors for each.
_CHILDREN = 1000
# The least first: lmctfy's CpuSpec had the same two beside what everybody has.
LATENCIES = ("best-effort", "normal", "priority")
_FEATURE = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?"


def memory(value: int | str) -> int:
    """Bytes of memory of the whole world."""
    if (amount := values.size(value)) < _LEAST_MEMORY:
        raise ValueError(f'a memory of "{value}" starts no program: write at least "4M"')
    return amount


def processes(value: int) -> int:
    """How many processes and threads."""
    return _within(value, 1, _PROCESSES, "processes")


def cpus(value: float) -> float:
    """How many processors' time: 1.5 is one and a half of them."""
    if not 0.01 <= value <= _PROCESSORS:
        raise ValueError(f"cpus of {value} is out of range: it is 0.01 to {_PROCESSORS}, as 1.5")
    return float(value)


def cpu_share(value: int) -> int:
    """A weight against others that want the processor: 1024 is what everybody has."""
    return _within(value, *_SHARES, "cpu_share")


def cpuset(value: str) -> str:
    """Which processors, as cpuset(7) lists them: "0-3,5"."""
    if not re.fullmatch(r"\s*[0-9]{1,4}(-[0-9]{1,4})?(\s*,\s*[0-9]{1,4}(-[0-9]{1,4})?)*\s*", value, re.ASCII):
        raise ValueError(f'"{value}" is no list of processors: write numbers and ranges, as "0-3,5"')
    for part in value.split(","):
        first, _, last = part.strip().partition("-")
        if last and int(last) < int(first):
            raise ValueError(f'"{part.strip()}" is no range of processors: write the lower number first')
    return re.sub(r"\s", "", value)


def open_files(value: int) -> int:
    """How many descriptors a process may have open."""
    return _within(value, *_DESCRIPTORS, "open_files")


def children(value: int) -> int:
    """How many worlds may run below it, at whatever depth."""
    return _within(value, 0, _CHILDREN, "children")


def latency(value: str) -> str:
    """A class of latency: how soon it gets a processor that others want too."""
    if value not in LATENCIES:
        raise ValueError(
            f'"{value}" is no class of latency: write {", ".join(LATENCIES[:-1])} or {LATENCIES[-1]}'
        )
    return value


def feature(value: str) -> str:
    """What may be missing: the name that the error gives, as "limits.memory"."""
    if not re.fullmatch(_FEATURE, value):
        raise ValueError(f'"{value}" names nothing that can be missing: write one as "limits.memory"')
    return value


def _within(value: int, least: int, most: int, what: str) -> int:
    if not least <= value <= most:
        raise ValueError(f"{what} of {value} is out of range: it is {least} to {most}")
    return value


# What reads the value of each key of [limits].
KEYS: Mapping[str, Callable[[Any], Any]] = {
    "time": values.duration,
    "memory": memory,
    "processes": processes,
    "cpus": cpus,
    "cpu_share": cpu_share,
    "cpuset": cpuset,
    "cpu_time": values.duration,
    "open_files": open_files,
    "file_size": values.amount,
    "disk": values.size,
    "output": values.amount,
    "children": children,
    "latency": latency,
}


def limits(raw: Mapping[str, Any], origin: Callable[[tuple[str | int, ...]], str]) -> Limits:
    """The checked table [limits]; `origin` tells where a path of keys stands."""
    origins = {key: origin(("limits", key)) for key in raw}
    return Limits(**{key: KEYS[key](value) for key, value in raw.items()}, origins=origins)


def merge_limits(under: Limits, over: Limits) -> Limits:
    """Key by key: what `over` says replaces."""
    said = {each.name: getattr(over, each.name) for each in fields(Limits) if each.compare}
    kept = {key: getattr(under, key) if value is None else value for key, value in said.items()}
    return Limits(**kept, origins={**under.origins, **over.origins})


class LimitOptions(NamedTuple):
    """Docker's options, as they were given; None is not given."""

    memory: str | None = None
    cpus: str | None = None
    cpu_shares: str | None = None
    cpuset_cpus: str | None = None
    pids_limit: str | None = None
    ulimits: tuple[str, ...] = ()


# The option, the key that it means, and what reads its text.
_OPTIONS: tuple[tuple[str, str, str, Callable[[str], Any]], ...] = (
    ("memory", "--memory", "memory", memory),
    ("cpus", "--cpus", "cpus", lambda text: cpus(_number(text))),
    ("cpu_shares", "--cpu-shares", "cpu_share", lambda text: cpu_share(_whole(text))),
    ("cpuset_cpus", "--cpuset-cpus", "cpuset", cpuset),
    ("pids_limit", "--pids-limit", "processes", lambda text: processes(_whole(text))),
)
# Docker's and bash's names of resource limits, and what reads each.
_ULIMITS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "nofile": ("open_files", lambda text: open_files(_whole(text))),
    "fsize": ("file_size", lambda text: values.amount(_whole(text))),
    "cpu": ("cpu_time", lambda text: values.duration(_whole(text))),
    "nproc": ("processes", lambda text: processes(_whole(text))),
}


def given(options: LimitOptions) -> Iterator[tuple[str, str, Callable[[str], tuple[str, Any]]]]:
    """Each option that was given: its name, its text, and what reads that as a key of [limits] with its
    value, or raises ValueError."""
    for field, option, key, parse in _OPTIONS:
        text = getattr(options, field)
        if text is not None:
            yield option, text, partial(_keyed, key, parse)
    for text in options.ulimits:
        yield "--ulimit", text, ulimit


def _keyed(key: str, parse: Callable[[str], Any], text: str) -> tuple[str, Any]:
    return key, parse(text)


def ulimit(text: str) -> tuple[str, Any]:
    """NAME=LIMIT as docker's --ulimit: the key that it means, and its value. Where a soft and a hard one are
    given they must be one: what a program may raise is no limit."""
    name, _, limit = text.partition("=")
    if name not in _ULIMITS:
        raise ValueError(f'"{name}" is no limit here: write one of {", ".join(_ULIMITS)}, as nofile=1024')
    soft, colon, hard = limit.partition(":")
    if colon and soft != hard:
        raise ValueError(f'"{limit}" is two limits, and the app could raise the first: write {name}={hard}')
    key, parse = _ULIMITS[name]
    return key, parse(soft)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
        raise ValueError(f'"{text}" is no whole number')
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text, re.ASCII):
        raise ValueError(f'"{text}" is no number: write one as 1.5')
    return float(text)
