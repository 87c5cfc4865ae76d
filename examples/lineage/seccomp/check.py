"""A filter refuses calls by their numbers, says which, and a list of them can be learned from a program."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from claims import Evidence, Property
from probing import Events, drained, fields, made, read, said

import libos

TITLE = "seccomp, 2005: fewer system calls"
HERE = Path(__file__).parent
MANIFEST = HERE / "strict.toml"

PROPERTIES = {
    "refused": Property(
        "a call that the profile does not have is EPERM, and others pass",
        "the manifest allows the call",
        lambda saw: saw == {"ptrace": "EPERM", "getpid": "done"},
    ),
    "pointers": Property(
        "clone3, whose flags stand behind a pointer that no filter can read, is ENOSYS",
        "the manifest allows the call: the kernel then looks at its arguments",
        lambda saw: saw == "ENOSYS",
    ),
    "told": Property(
        "each refusal is told with the call's name",
        "the manifest does not ask for a log",
        lambda saw: "ptrace" in saw,
    ),
    "learned": Property(
        "what a program needs can be learned from a run, and with these calls alone it works",
        "one of them is left out: the one that opens files",
        lambda saw: saw == "learned",
    ),
}

# A program that needs more than the smallest profile has.
TEXT = "learned"
COMMAND = ["cat", "/note"]


def calls(**keys: Any) -> libos.Manifest:
    """The manifest with other rules."""
    value = read(MANIFEST)
    value["syscalls"] = {**value["syscalls"], **keys}
    return made(value, MANIFEST)


def note(**rules: Any) -> dict[str, Any]:
    """A world whose program reads one file."""
    return {
        "include": ["base"],
        "app": {"command": COMMAND},
        "mount": [{"at": "/note", "text": TEXT}],
        "syscalls": {"profile": "compute", **rules},
    }


async def learned(supervisor: libos.Supervisor) -> list[str]:
    """The calls that the program makes and the profile has not: all pass, and each is told."""
    async with Events(supervisor) as events:
        app = await supervisor.start(note(log="pass"), stdout=subprocess.PIPE)
        assert await drained(app) == TEXT
        await app.wait()
        told = await events.until_exit(app.name)
    return sorted({str(each.fields["call"]) for each in told if each.kind == "syscall.refused"})


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run the calls under changed rules, and learn those of another program."""
    allowed = {"refused": ["ptrace"], "pointers": ["clone3"]}.get(without or "", [])
    async with Events(supervisor) as events:
        app = await supervisor.start(calls(allow=allowed, log=without != "told"), stdout=subprocess.PIPE)
        answers = fields(await drained(app))
        await app.wait()
        told = await events.until_exit(app.name)
    needed = await learned(supervisor)
    given = [call for call in needed if not (without == "learned" and call == "openat")]
    return {
        "refused": {call: answers[call] for call in ("ptrace", "getpid")},
        "pointers": answers["clone3"],
        "told": sorted({str(each.fields["call"]) for each in told if each.kind == "syscall.refused"}),
        "learned": await said(supervisor, note(allow=given)),
    }
