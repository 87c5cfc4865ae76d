"""What is taken back breaks at once, is seen to be gone, and what to do then is the program's decision."""

from __future__ import annotations

from pathlib import Path

from claims import Evidence, Property
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
    """Ask the program for records, take a place from it, and ask again."""
    talk = await Talk.with_(supervisor, library(without))
    before = {"record": await talk.ask("next"), "held": await talk.ask("held")}
    await talk.app.grant("/near").revoke()
    after = {"record": await talk.ask("next"), "held": await talk.ask("held")}
    lost = await talk.ask("lost")
    await talk.end()
    return {
        "abort": after["record"] if without == "policy" else lost,
        "visible": {"before": before["held"], "after": after["held"]},
        "policy": {"before": before["record"], "after": after["record"]},
    }
