"""A process has a small fixed interface to the kernel, and its manifest resolves each name that it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from claims import Evidence, Property, scratch
from probing import Events, drained, fields, made, outside, read, said

import libos

TITLE = "Drawbridge, 2011: a small fixed interface"
HERE = Path(__file__).parent
MANIFEST = HERE / "drawbridge.toml"
PROGRAM = HERE / "program.py"
# What the manifest says of a name that the host has too.
TEXT = "what the manifest says"
# System calls: at most, and what a kernel has at least.
FEW, MANY = 40, 300
# Groups of calls that do not make processes or sockets.
FURTHER = ["@files", "@memory", "@watch", "@signals", "@attributes", "@ipc", "@scheduling", "@identity"]

PROPERTIES = {
    "narrow": Property(
        "of some hundred system calls of the machine the filter lets thirty pass, and others are refused",
        "the manifest allows further groups of them",
        lambda saw: saw["passing"] <= FEW < MANY <= saw["known"] and "done" not in saw["others"].values(),
    ),
    "enough": Property(
        "by these an interpreter starts, reads and writes files, and ends",
        "one of them is denied: the one that opens files",
        lambda saw: saw == "written and read",
    ),
    "alone": Property(
        "it is one process: threads can be had, and no child",
        "the program is run outside",
        lambda saw: saw == {"thread": "done", "fork": "EPERM"},
    ),
    "network": Property(
        "there is no socket where the manifest names no network",
        "the manifest names an address to dial",
        lambda saw: saw == "EPERM",
    ),
    "monitor": Property(
        "a name leads where the manifest says, whatever the host has there; what it does not name is nowhere",
        "the manifest mounts a file of the host at both names",
        lambda saw: saw == {"/etc/machine-id": TEXT, "/etc/hostname": "ENOENT"},
    ),
}

WORK = "open('/tmp/a', 'w').write('written and read'); print(open('/tmp/a').read())"


def manifest(without: str | None, file: Path) -> dict[str, Any]:
    """The manifest's value, with one property taken away by what it says; `file` is one of the host's."""
    value = read(MANIFEST)
    if without == "narrow":
        value["syscalls"]["allow"] = FURTHER
    if without == "network":
        value["dial"] = [{"to": "tcp!127.0.0.1!1"}]
    if without == "monitor":
        value["mount"][1:] = [{"at": at, "host": str(file)} for at in ("/etc/machine-id", "/etc/hostname")]
    return value


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run the program, and a line of Python that works with a file."""
    with scratch() as folder:
        (folder / "file").write_text("what the host says")
        value = manifest(without, folder / "file")
        async with Events(supervisor) as events:
            app = await supervisor.start(made(value, MANIFEST), stdout=subprocess.PIPE)
            saw = fields(await drained(app))
            await app.wait()
            told = await events.until_exit(app.name)
    if without == "alone":
        saw["alone"] = fields(await outside([sys.executable, str(PROGRAM)]))["alone"]
    count: Any = told[-1].fields["syscalls"]
    work = {"include": ["python"], "app": {"command": ["python3", "-c", WORK]}}
    denied = ["openat"] if without == "enough" else []
    return {
        **saw,
        "narrow": {"passing": count["passing"], "known": count["known"], "others": saw["narrow"]},
        "enough": await said(supervisor, {**work, "syscalls": {"profile": "narrow", "deny": denied}}),
    }
