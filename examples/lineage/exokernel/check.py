"""What is taken back breaks at once, is seen to be gone, and what to do then is the program's decision."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio
from claims import PATIENCE, Evidence, Property
from probing import Talk, made, read

import libos

TITLE = "Exokernel, 1995: protection apart from management"
HERE = Path(__file__).parent
MANIFEST = HERE / "library.toml"

PROPERTIES = {
    "abort": Property(
        "a binding that is broken by force gives an error, on a file that is open too",
        "the place is a kernel mount: what is open of it lives on",
        lambda saw: "EIO" in saw or saw == "Input/output error",
    ),
    "visible": Property(
        "the program sees what it holds, and that it no longer holds it",
        "the manifest does not show it to the program",
        lambda saw: saw == {"before": "/far /near", "after": "/far"},
    ),
    "notice": Property(
        "the program is asked first, and has time: what it gives back is not taken by force",
        "it is taken without a notice",
        lambda saw: saw == {"heed": "gave back /near after a record from /near", "taken": "nothing"},
    ),
    "repossessed": Property(
        "who does not give it back in time finds written what was taken by force",
        "it gives it back in time",
        lambda saw: saw == "/near",
    ),
    "policy": Property(
        "what to do then is decided by the program's own library: it goes on with another place",
        "the program has no such policy",
        lambda saw: saw == {"before": "a record from /near", "after": "a record from /far"},
    ),
}


def library(without: str | None) -> libos.Manifest:
    """The manifest, with one property taken away."""
    value = read(MANIFEST)
    if without == "abort":
        del value["mount"][1]["revocable"]
    if without == "visible":
        del value["app"]["introspect"]
    if without == "policy":
        value["app"]["command"].append("--no-policy")
    return made(value, MANIFEST)


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Ask the program for records, take a place from it, and ask again; ask another one for the place."""
    talk = await Talk.with_(supervisor, library(without))
    patience = PATIENCE if without == "repossessed" else 0
    before = {"record": await talk.ask("next"), "held": await talk.ask("held")}
    await asked_back(talk, patience, heeds=without == "repossessed")
    after = {"record": await talk.ask("next"), "held": await talk.ask("held")}
    lost, taken = await talk.ask("lost"), await said_taken(talk, without)
    await talk.end()
    polite = await Talk.with_(supervisor, library(None))
    await polite.ask("next")
    answer = await asked_back(polite, None if without == "notice" else PATIENCE, heeds=True)
    notice = {"heed": answer, "taken": await polite.ask("taken")}
    await polite.end()
    return {
        "abort": after["record"] if without == "policy" else lost,
        "visible": {"before": before["held"], "after": after["held"]},
        "notice": notice,
        "repossessed": taken,
        "policy": {"before": before["record"], "after": after["record"]},
    }


async def asked_back(talk: Talk, notice: float | None, *, heeds: bool) -> str:
    """Take the nearer place from the program, after a notice of some seconds; what it says if it heeds."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(talk.app.grants.get("/near").revoke, notice=notice))
        said = await talk.ask("heed") if heeds else ""
    return said


async def said_taken(talk: Talk, without: str | None) -> str:
    """What was taken, where the program can see it."""
    return "not shown" if without == "visible" else await talk.ask("taken")
