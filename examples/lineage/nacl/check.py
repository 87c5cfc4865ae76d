"""A module runs when it was validated, as it was then, and what runs is behind the walls of a world."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from pathlib import Path
from typing import Any

from claims import Evidence, MissingError, Property, beside, scratch
from probing import Events, drained

import libos

TITLE = "Native Client, 2009: validate machine code, then run it"
DENIED = "Permission denied"
modules: Any = beside(__file__, "trial/validated")

PROPERTIES = {
    "listed": Property(
        "a module whose digest is not listed is not executed, and one that is listed runs",
        "its digest is listed",
        lambda saw: saw["unlisted"].endswith(DENIED) and saw["good"] == "good",
    ),
    "validated": Property(
        "nor is a listed one of which a part can be both written and executed",
        "the manifest does not ask for the form of an ELF file",
        lambda saw: saw.endswith(DENIED),
    ),
    "loaded": Property(
        "nor one that is not listed, when the loader of shared libraries is told to run it",
        "the same file is mounted once more, without a check",
        lambda saw: saw.endswith(DENIED),
    ),
    "changed": Property(
        "what runs is what was validated: a module that is changed afterwards is an error",
        "the same file is mounted once more, without a check",
        lambda saw: saw.endswith(("I/O error", "Input/output error")),
    ),
    "written": Property(
        "a program cannot execute what it writes, be it a copy of a good module",
        "no mount of the world has a check",
        lambda saw: saw.endswith(DENIED),
    ),
    "told": Property(
        "each refusal is told with its reason",
        "there is nothing to refuse: the file is opened for nothing",
        lambda saw: saw == ["its digest is not listed"],
    ),
    "outer": Property(
        "a module that passed is behind the walls of its world like any program",
        "the manifest mounts the file that it wants",
        lambda saw: saw.endswith("No such file or directory"),
    ),
}


def manifest(folder: Path, without: str | None) -> libos.Manifest:
    """The manifest of the example, with one thing changed."""
    value = modules.manifest(folder)
    variables, mounts = value["app"]["environment"], value["mount"]
    rules = mounts[0]["exec"]
    if without == "listed":
        data = (folder / "modules/unlisted").read_bytes()
        rules["sha256"].append(hashlib.sha256(data).hexdigest())
    if without == "validated":
        del rules["elf"]
    if without in ("loaded", "changed"):
        variables[without.upper()] = f"/{without}"
        mounts.append({"at": f"/{without}", "host": f"modules/{without}"})
    if without == "outer":
        mounts.append({"at": "/secret", "host": "secret"})
    return libos.from_mapping(value, base=folder)


def alone(folder: Path, command: str, *, checked: bool) -> libos.Manifest:
    """A world for one command."""
    value = modules.manifest(folder)
    value["app"] = {"command": ["sh", "-c", command]}
    if not checked:
        del value["mount"][0]["exec"]
    return libos.from_mapping(value, base=folder)


async def ended(
    supervisor: libos.Supervisor, asked: libos.Manifest, folder: Path | None = None
) -> tuple[str, list[str]]:
    """What a world's program writes, and why it was refused what it wanted to execute. With a folder a module
    in it is changed once the world is made."""
    async with Events(supervisor) as events:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        app = await supervisor.start(asked, stdin=subprocess.PIPE, **pipes)
        assert app.stdin is not None
        if folder is not None:
            modules.change(folder)
            await app.stdin.send_all(b"\n")
        text = await drained(app)
        await app.wait()
        await app.aclose()
        told = await events.until_exit(app.name)
    return text, [str(each.fields["reason"]) for each in told if each.kind == "exec.refused"]


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run what is tried, and two commands in worlds of their own."""
    if platform.machine() != modules.MACHINE:
        raise MissingError(f"the modules are for {modules.MACHINE}: run this on such a machine")
    with scratch() as folder:
        modules.make(folder)
        told_of = "true" if without == "told" else "/modules/unlisted"
        _, told = await ended(supervisor, alone(folder, f"{told_of}; true", checked=True))
        copied = alone(folder, modules.TRIES["written"], checked=without != "written")
        written, _ = await ended(supervisor, copied)
        text, _ = await ended(supervisor, manifest(folder, without), folder)
    saw = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return {
        "listed": {name: saw[name] for name in ("good", "unlisted")},
        "validated": saw["writable"],
        "loaded": saw["loaded"],
        "changed": saw["changed"],
        "written": written,
        "told": told,
        "outer": saw["secret"],
    }
