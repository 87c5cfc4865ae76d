"""What a program uses of what it is offered, and what of that it needs.

    python examples/lineage/osv/measure.py

Used are the files that it opens and the links that lead there, as an audit of its mounts tells; the bytes
that were read of them; the system calls that a filter tells of which refuses none. Needed is what it does not
work without, found by leaving out one after another.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from claims import scratch
from probing import Events, drained, made, outside, read, said

import libos
from libos.syscalls import Wanted
from libos.syscalls.resolving import resolve

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "cat.toml"
# What no filter can tell of: a program is started and ended by these, and a refusal is told by the others.
UNTOLD = {"execve", "exit", "exit_group", "rt_sigreturn", "restart_syscall", "read", "write"}


@dataclass(frozen=True)
class Used:
    """What one run used: names of files and links, bytes read of files, system calls, and what it wrote."""

    names: tuple[str, ...]
    bytes_read: int
    calls: tuple[str, ...]
    output: str


def allowed(profile: str) -> set[str]:
    """The system calls that a profile allows."""
    return {rule.call for rule in resolve(Wanted(profile)).allowed}


def rules(calls: Iterable[str]) -> dict[str, Any]:
    """[syscalls] of a world in which these calls pass, and those that no filter can be without."""
    calls = set(calls)
    small = allowed("compute")
    return {"profile": "compute", "allow": sorted(calls - small), "deny": sorted(small - calls - UNTOLD)}


async def used(supervisor: libos.Supervisor) -> Used:
    """Run the program of the manifest once, with everything that it is offered."""
    value = read(MANIFEST)
    value["syscalls"] = {**rules(()), "log": "pass"}
    async with Events(supervisor) as events:
        app = await supervisor.start(made(value, MANIFEST), stdout=subprocess.PIPE)
        output = await drained(app)
        await app.wait()
        told = [{**each.fields, "kind": each.kind} for each in await events.until_exit(app.name)]
    audits = [each for each in told if each["kind"] == "audit" and each["error"] is None]
    names = {str(each["path"]) for each in audits if each["operation"] in ("open", "readlink")}
    return Used(
        tuple(sorted(filter(os.path.isfile, names))),
        sum(int(str(each["size"])) for each in audits if each["operation"] == "read"),
        tuple(sorted({str(each["call"]) for each in told if each["kind"] == "syscall.refused"})),
        output,
    )


def mounted(name: str) -> dict[str, Any]:
    """A [[mount]] of one file under the name that the program uses, which may be a link's."""
    return {"at": name, "host": os.path.realpath(name)}


async def alone(
    supervisor: libos.Supervisor, names: Iterable[str], calls: Iterable[str] | None = None
) -> str:
    """What the program writes, or why it cannot be started, in a world that holds these files and, where they
    are given, lets these system calls pass."""
    value = read(MANIFEST)
    value["mount"] = [value["mount"][-1], *map(mounted, names)]
    if calls is not None:
        value["syscalls"] = rules(calls)
    try:
        return await said(supervisor, made(value, MANIFEST))
    except libos.CommandError as error:
        return str(error)


async def needed(supervisor: libos.Supervisor, of: Used) -> list[str]:
    """The files without which it does not do the same: each is left out of those that it used."""
    found = []
    for name in of.names:
        others = [other for other in of.names if other != name]
        if await alone(supervisor, others) != of.output:
            found.append(name)
    return found


async def in_image(supervisor: libos.Supervisor, lacks: str | None) -> str:
    """What the program writes, or why it cannot be started, in a root that was made of what it uses."""
    with scratch() as folder:
        bundle = [str(Path(sys.executable).with_name("libos")), "bundle", str(MANIFEST)]
        await outside([*bundle, "-o", str(folder / "image")])
        if lacks is not None:
            (folder / "image/root" / lacks.lstrip("/")).unlink()
        try:
            return await said(supervisor, libos.load(folder / "image/app.toml"))
        except libos.CommandError as error:
            return str(error)


@functools.cache
def offered() -> tuple[int, int]:
    """How many files, and bytes in them, are below the mounts of the manifest; each once."""
    tops = {os.path.realpath(each["host"]) for each in read(MANIFEST)["mount"] if "host" in each}
    tops = {top for top in tops if not any(top.startswith(f"{other}/") for other in tops)}
    sizes = [
        os.lstat(f"{folder}/{name}").st_size
        for top in tops
        for folder, _, names in os.walk(top)
        for name in names
        if not os.path.islink(f"{folder}/{name}")
    ]
    return len(sizes), sum(sizes)


async def table() -> None:
    """Print what was measured."""
    async with libos.Supervisor() as supervisor:
        run = await used(supervisor)
        of_files = await needed(supervisor, run)
    files, size = offered()
    print(f"{'':<14} {'offered':>14} {'used':>10} {'needed':>8}")
    print(f"{'files':<14} {files:>14,} {len(run.names):>10} {len(of_files):>8}")
    print(f"{'bytes':<14} {size:>14,} {run.bytes_read:>10,}")
    print(f"{'system calls':<14} {len(allowed('default')):>14} {len(run.calls):>10}")
    print(f"not told, and so not counted as used: {', '.join(sorted(UNTOLD))}")
    print("files that it needs:", *of_files)
    print("system calls that it used:", *run.calls)


if __name__ == "__main__":
    trio.run(table)
