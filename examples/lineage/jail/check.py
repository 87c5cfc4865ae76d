"""A jail has its own processes, its own name and its own address, can be entered, and has a weak root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, Property
from probing import Talk, as_root, drained, fields, made, outside, read, said

import libos

TITLE = "FreeBSD jail, 2000: a chroot with its own processes, name and address"
HERE = Path(__file__).parent
MANIFEST = HERE / "jail.toml"

# What root of a system may do, and root of a jail may not.
ROOTS = ("mount", "name the host", "raw socket", "chroot")

PROPERTIES = {
    "processes": Property(
        "a program sees no process of the host",
        "it runs outside of the jail",
        lambda saw: set(saw) == {"libos"},  # what libos itself has in a world is called so
    ),
    "hostname": Property(
        "it has the host name that it was given",
        "the manifest gives none",
        lambda saw: saw == "j1.example",
    ),
    "address": Property(
        "it is reached at its own address, and at no other one",
        "it is published at all addresses",
        lambda saw: saw == {"127.0.0.2": "from the jail", "127.0.0.1": "refused"},
    ),
    "join": Property(
        "a further program enters it by its name, and meets its processes",
        "the further program has a world of its own",
        lambda saw: "python3 /jailed.py 8000" in saw["processes"] and saw["pids"] == saw["the jail's"],
    ),
    "root": Property(
        "its root is uid 0 and weak: it may not mount, name the host, open a raw socket, or call chroot(2)",
        "the program is root of namespaces of its own, outside of a jail",
        lambda saw: saw["uid"] == 0 and all(saw[each] == "Operation not permitted" for each in ROOTS),
    ),
    "children": Property(
        "it can be given a limit of processes",
        "the manifest gives none",
        lambda saw: saw == "refused",
    ),
    "nested": Property(
        "jails stand below it, as many as it may have and no more",
        "it may have one more",
        lambda saw: saw == ["started", "refused"],
    ),
}

# Starts forty children, of which each waits for the end of its input.
MANY = """
import subprocess
try:
    for _ in range(40):
        subprocess.Popen(["cat"], stdin=subprocess.PIPE)
except OSError:
    print("refused")
else:
    print("allowed")
"""


def jail(without: str | None) -> libos.Manifest:
    """The manifest, at a port that is free, with one property taken away."""
    value = read(MANIFEST)
    value["listen"][0]["publish"] = "0.0.0.0:0" if without == "address" else "127.0.0.2:0"
    if without == "hostname":
        del value["app"]["hostname"]
    if without == "children":
        del value["limits"]["processes"]
    if without == "nested":
        value["limits"]["children"] += 1
    return made(value, MANIFEST)


async def reached(host: str, port: int) -> str:
    """What a client gets at an address of this host."""
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError:
        return "refused"
    async with stream:
        return b"".join([part async for part in stream]).decode().strip()


async def entered(app: libos.App, supervisor: libos.Supervisor, *, joins: bool) -> Any:
    """What a further program finds that joins the jail, or that is started for itself."""
    command = ["python3", "/jailed.py"]
    if joins:
        program = await app.exec(command, stdout=subprocess.PIPE)
        return fields(await drained(program))
    value = read(MANIFEST)
    value["app"]["command"] = command
    del value["listen"]
    return fields(await said(supervisor, made(value, MANIFEST)))


async def nested(app: libos.App, supervisor: libos.Supervisor) -> list[str]:
    """What becomes of two jails that are started below one."""
    value = {"include": ["base"], "app": {"command": ["cat"]}, "limits": {"processes": 4}}
    outcomes, apps = [], []
    for name in ("a", "b"):
        try:
            apps.append(await supervisor.start(value, parent=app, name=name, stdin=subprocess.PIPE))
            outcomes.append("started")
        except libos.ManifestError:
            outcomes.append("refused")
    for each in apps:
        await each.kill()
        await each.aclose()
    return outcomes


async def roots(supervisor: libos.Supervisor, *, jailed: bool) -> Any:
    """What root may do: that of a jail, or one with the same namespaces of its own."""
    if not jailed:
        return fields(await as_root(["--mount", "--uts", "--net"], [sys.executable, str(HERE / "weak.py")]))
    value = read(MANIFEST)
    value["app"] |= {"command": ["python3", "/weak.py"], "user": "root"}
    value["mount"].append({"at": "/weak.py", "host": "weak.py"})
    del value["listen"]
    return fields(await said(supervisor, made(value, MANIFEST)))


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Start a jail, look out of it, at it, and into it."""
    talk = await Talk.with_(supervisor, jail(without))
    inside = fields(await talk.line())
    await talk.app.wait_listening(8000)
    port = int(next(iter(talk.app.publications)).address.rpartition("!")[2])
    addresses = {host: await reached(host, port) for host in ("127.0.0.2", "127.0.0.1")}
    further = await entered(talk.app, supervisor, joins=without != "join")
    many = await talk.app.exec(["python3", "-c", MANY], stdout=subprocess.PIPE)
    children = await drained(many)
    below = await nested(talk.app, supervisor)
    await talk.end()
    if without == "processes":
        inside["processes"] = fields(await outside([sys.executable, str(HERE / "jailed.py")]))["processes"]
    return {
        "processes": inside["processes"],
        "hostname": inside["hostname"],
        "address": addresses,
        "join": {**further, "the jail's": inside["pids"]},
        "root": await roots(supervisor, jailed=without != "root"),
        "children": children,
        "nested": below,
    }
