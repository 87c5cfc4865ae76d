"""Once names are given up, there are only descriptors, and each can do what its rights say."""

from __future__ import annotations

from pathlib import Path

from claims import Evidence, Property, scratch
from probing import Talk, made, read

import libos
from libos.plan import lower

TITLE = "Capsicum, 2010: no global names, only descriptors with rights"
HERE = Path(__file__).parent
MANIFEST = HERE / "capsicum.toml"
GONE = "No such file or directory"
NO_OFFSETS, NOT_PERMITTED, NOT_OPEN = "Illegal seek", "Operation not permitted", "Bad file descriptor"
TEXT = (HERE / "input").read_text().strip()
PLACES = ("/program.py", "/usr", "/proc/self/status", "/dev/null", "/")

PROPERTIES = {
    "names": Property(
        "once it has given up names, there is none: /usr, /proc and /dev are absent, and / is empty",
        "it gives up nothing",
        lambda saw: saw == [GONE] * (len(PLACES) - 1) + ["open"],
    ),
    "held": Property(
        "what it has open stays open, and does what it could do before",
        "the manifest opens nothing to read from",
        lambda saw: saw == TEXT,
    ),
    "append": Property(
        "a descriptor to append with neither seeks nor truncates nor reads, whoever owns the file",
        "the manifest gives the rights to read, write and seek",
        lambda saw: saw == ["4", NO_OFFSETS, NOT_PERMITTED, NOT_OPEN],
    ),
    "network": Property(
        "there is no network: a manifest that asks for both is refused",
        "the manifest says nothing of names",
        lambda saw: "means no network" in saw,
    ),
}


def world(folder: Path, without: str | None) -> libos.Manifest:
    """The manifest, with its log in a folder of the host."""
    value = read(MANIFEST)
    source, log = value["descriptor"]
    log["host"] = str(folder / "log")
    if without == "held":
        source["rights"] = ["append"]
        source["host"] = str(folder / "input")
    if without == "append":
        log["rights"] = ["read", "write", "seek"]
    return made(value, MANIFEST)


def refused(without: str | None) -> str:
    """What libos says to a manifest with a network, and nothing where it takes it."""
    value = read(MANIFEST)
    value["dial"] = [{"to": "tcp!example.org!80"}]
    if without == "network":
        del value["descriptor"]
        del value["app"]["ambient"]
    try:
        lower(made(value, MANIFEST))
    except libos.ManifestError as error:
        return str(error)
    return ""


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Talk to a program that gives up all names."""
    with scratch() as folder:
        talk = await Talk.with_(supervisor, world(folder, without))
        if without != "names":
            assert await talk.ask("enter") == "1"
        names = [await talk.ask(f"open {path}") for path in PLACES]
        append = [await talk.ask(line) for line in ("write log note", "seek log", "cut log", "read log")]
        held = await talk.ask("read input")
        await talk.end()
    return {"names": names, "held": held, "append": append, "network": refused(without)}
