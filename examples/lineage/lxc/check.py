"""The same kernel mechanisms: namespaces of each kind, attaching to them, a limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from claims import Evidence, Property
from probing import Talk, drained, fields, made, outside, read, said

import libos

TITLE = "lxc, 2008: a driver in user space for the kernel's namespaces and cgroups"
HERE = Path(__file__).parent
MANIFEST = HERE / "container.toml"
# What a further program of a world shares with the first; each has a user namespace of its own.
SHARED = ("cgroup", "ipc", "mnt", "net", "pid", "uts")

PROPERTIES = {
    "namespaces": Property(
        "a program has other namespaces than the host, of each of the seven kinds",
        "it runs outside of a world",
        lambda saw: not set(saw["host"].values()) & set(saw["inside"].values()) and len(saw["inside"]) == 7,
    ),
    "attach": Property(
        "a further program that attaches has the namespaces of the first, all but the user namespace",
        "it has a world of its own",
        lambda saw: all(saw["first"][kind] == saw["further"][kind] for kind in SHARED),
    ),
    "limit": Property(
        "the processes that a container's program starts are counted together, and limited",
        "the manifest has no limit",
        lambda saw: saw == "refused",
    ),
}

# Starts forty children, of which each waits for the end of its input.
MANY = """
import subprocess
try:
    children = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(40)]
except OSError:
    print("refused")
else:
    print("allowed")
"""
# Prints its namespaces once, and waits for the end of its input.
WAITING = ["sh", "-c", "python3 /probe.py; cat"]


def container(command: list[str], *, limited: bool = True) -> libos.Manifest:
    """The manifest with another command."""
    value = read(MANIFEST)
    value["app"]["command"] = command
    if not limited:
        del value["limits"]
    return made(value, MANIFEST)


async def further(first: libos.App, supervisor: libos.Supervisor, *, attaches: bool) -> Any:
    """The namespaces of a further program, attached to the first one or started for itself."""
    probe = ["python3", "/probe.py"]
    if not attaches:
        return fields(await said(supervisor, container(probe)))
    return fields(await drained(await first.exec(probe, stdout=subprocess.PIPE)))


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Compare namespaces: of the host, of a container's first program, of a further one."""
    probe = [sys.executable, str(HERE / "probe.py")]
    host = fields(await outside(probe))
    talk = await Talk.with_(supervisor, container(WAITING))
    first = fields(await talk.line())
    attached = await further(talk.app, supervisor, attaches=without != "attach")
    await talk.end()
    inside = fields(await outside(probe)) if without == "namespaces" else first
    many = container(["python3", "-c", MANY], limited=without != "limit")
    return {
        "namespaces": {"host": host, "inside": inside},
        "attach": {"first": first, "further": attached},
        "limit": await said(supervisor, many),
    }
