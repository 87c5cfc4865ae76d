"""A system in two slots: verified as it is read, switched under a program that runs, rolled back."""

from __future__ import annotations

from pathlib import Path

from claims import Evidence, Property, scratch
from coreos.update import HERE, is_well, manifest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from probing import Talk, said

import libos
from libos.slots import SlotError, SlotRoot, Slots
from libos.slots.sealing import seal

TITLE = "CoreOS, 2013: a read-only system in two slots, switched at once, rolled back"

PROPERTIES = {
    "switch": Property(
        "an update is installed beside what runs, which sees all of it at one moment, without a restart",
        "it is installed, and not switched to",
        lambda saw: saw == {"before": "one", "installed": "one", "switched": "two"},
    ),
    "rollback": Property(
        "an update that is not well is taken back, and is not tried again",
        "nobody asks whether it is well",
        lambda saw: saw == {"shown": "two", "slot": "b", "usable": False},
    ),
    "verified": Property(
        "a file of which one byte was changed cannot be read, and the others can",
        "the seal is made anew, with the key, after the change",
        lambda saw: saw["changed"].endswith("I/O error") and saw["other"] == "#!/bin/sh",
    ),
    "signed": Property(
        "an update that somebody else signed is not served",
        "it is signed by the key that the caller trusts",
        lambda saw: saw["slot"] == "a" and "not signed by the key" in saw["said"],
    ),
}


class Installed:
    """Two slots in a folder, of which the first has version one and is well."""

    def __init__(self, folder: Path) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.slots = Slots(folder)
        self.slots.install(HERE / "one", self.key)
        self.root = SlotRoot(self.slots, self.key.public_key())
        self.slots.succeeded(self.root.slot)


async def updated(supervisor: libos.Supervisor, folder: Path, without: str | None) -> Evidence:
    """Two updates under a program that runs; the second one is not well."""
    system = Installed(folder)
    talk = await Talk.with_(supervisor, manifest(system.root))
    before = await talk.ask("")
    system.slots.install(HERE / "two", system.key)
    installed = await talk.ask("")
    if without != "switch":
        await system.root.switch(lambda: is_well(talk.app))
    switched = await talk.ask("")
    if without == "switch":
        await system.root.switch(lambda: is_well(talk.app))
    system.slots.install(HERE / "broken", system.key, tries=2)

    async def always() -> bool:
        return True

    await system.root.switch(always if without == "rollback" else lambda: is_well(talk.app))
    shown = await talk.ask("")
    await talk.end()
    system.root.close()
    usable = system.slots.flags()["a"].usable
    return {
        "switch": {"before": before, "installed": installed, "switched": switched},
        "rollback": {"shown": shown, "slot": system.root.slot, "usable": usable},
    }


async def changed(supervisor: libos.Supervisor, folder: Path, *, sealed_anew: bool) -> dict[str, str]:
    """What a program reads of a slot that was changed on the disk."""
    system = Installed(folder)
    file = system.slots.folder / "a/root/version"
    file.write_text("One\n")
    root = system.root
    if sealed_anew:
        seal(system.slots.folder / "a", system.key)
        root.close()
        root = SlotRoot(system.slots, system.key.public_key())
    value = manifest(root)
    value["app"]["command"] = ["sh", "-c", "cat /system/version 2>&1; head -n 1 /system/health"]
    lines = (await said(supervisor, value)).splitlines()
    root.close()
    text = lines[0].replace("Input/output error", "I/O error")
    return {"changed": text, "other": lines[-1]}


async def signed(folder: Path, *, by_us: bool) -> dict[str, str]:
    """Which slot is served after an update, and what was said of it."""

    async def well() -> bool:
        return True

    system = Installed(folder)
    system.slots.install(HERE / "two", system.key if by_us else Ed25519PrivateKey.generate())
    told = ""
    try:
        await system.root.switch(well)
    except SlotError as error:
        told = str(error)
    system.root.close()
    return {"slot": system.root.slot, "said": told}


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Install, switch and spoil slots, each in a folder that goes."""
    with scratch() as folder:
        return {
            **await updated(supervisor, folder / "updated", without),
            "verified": await changed(supervisor, folder / "changed", sealed_anew=without == "verified"),
            "signed": await signed(folder / "signed", by_us=without == "signed"),
        }
