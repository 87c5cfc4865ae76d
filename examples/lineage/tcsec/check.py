"""No read up, no write down; each decision is recorded; what one run leaves the next one does not find."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, Property, scratch
from probing import Events, drained, fields, made, read

import libos

TITLE = "TCSEC, 1983: mandatory labels, a reference monitor, audit"
HERE = Path(__file__).parent
MANIFEST = HERE / "office.toml"

# Who tried what, of which label, at which level, and the rule that refused it.
RECORD = ("python3", "open", "/office/plan", "secret:nuclear", "confidential:crypto", "no read up")

PROPERTIES = {
    "read_up": Property(
        "what is above, or apart by a category, cannot be read, nor can its size be seen",
        "the plan has the label of what the app may read",
        lambda saw: saw == {"size": 0, "read": "EACCES", "add": "EACCES"},
    ),
    "write_down": Property(
        "what is below is read, and never written",
        "the app runs at the lowest level",
        lambda saw: (saw["read"], saw["add"]) == ("done", "EACCES"),
    ),
    "blind": Property(
        "what is above is added to, and nothing comes back: not a byte of it, and not its size",
        "the journal has the app's own label",
        lambda saw: saw["clerk"] == {"size": 0, "read": "EACCES", "add": "done"} and saw["added"],
    ),
    "network": Property(
        "an address of another label is not there, since a connection carries both ways",
        "the address has the app's label",
        lambda saw: saw == {"clerk": "gaierror", "heard": ""},
    ),
    "audit": Property(
        "each decision is recorded: who, what, of which label, at which level, and by which rule",
        "the plan has no label of its own, so nothing is decided about it",
        lambda saw: RECORD in saw,
    ),
    "reuse": Property(
        "what one run leaves in its memory the next one does not find",
        "the scratch is a folder of the host",
        lambda saw: saw == [],
    ),
}


def office(without: str | None, folder: Path, heard: list[bytes]) -> libos.Manifest:
    """The manifest, with files that may be written and one property taken away."""
    value = read(MANIFEST)
    app, mounts, dial = value["app"], {each["at"]: each for each in value["mount"]}, value["dial"][0]
    app["command"].append("--quiet")
    for each in mounts.values():
        if each["at"].startswith("/office"):
            each["host"] = str(folder / each["host"])

    async def wire(stream: trio.SocketStream) -> None:
        heard.append(await stream.receive_some())

    dial["via"] = wire
    match without:
        case "read_up":
            mounts["/office/plan"]["label"] = "public"
        case "write_down":
            app["level"] = "public"
        case "blind":
            mounts["/office/journal"]["label"] = app["level"]
        case "network":
            dial["label"] = app["level"]
        case "audit":
            del mounts["/office/plan"]["label"], mounts["/office/plan"]["mode"]
        case "reuse":
            scratched = mounts["/scratch"]
            del scratched["memory"]
            scratched |= {"host": str(folder / "scratch"), "mode": "read-write", "label": app["level"]}
    return made(value, MANIFEST)


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Have the clerk try everything, twice; the second one's answers and events are what is judged."""
    heard: list[bytes] = []
    with scratch() as folder:
        shutil.copytree(HERE / "files", folder / "files")
        (folder / "scratch").mkdir()
        for path in (*(folder / "files").iterdir(), folder / "scratch"):
            path.chmod(0o777)
        manifest = office(without, folder, heard)
        await clerk(supervisor, manifest)
        heard.clear()
        before = (folder / "files/journal").read_text()
        said, events = await clerk(supervisor, manifest)
        added = (folder / "files/journal").read_text().removeprefix(before)
    files = said["files"]
    return {
        "read_up": files["plan"],
        "write_down": files["notice"],
        "blind": {"clerk": files["journal"], "added": added},
        "network": {"clerk": said["dial"], "heard": b"".join(heard).decode()},
        "audit": events,
        "reuse": said["scratch"],
    }


KEYS = ("program", "operation", "path", "label", "level", "rule")


async def clerk(supervisor: libos.Supervisor, manifest: libos.Manifest) -> tuple[Any, list[tuple[Any, ...]]]:
    """Run the clerk; what it says, and what the audit trail has of it."""
    async with Events(supervisor) as told:
        app = await supervisor.start(manifest, stdout=subprocess.PIPE)
        text = await drained(app)
        events = await told.until_exit(app.name)
        await app.aclose()
    trail = [tuple(map(each.fields.get, KEYS)) for each in events if each.kind == "label"]
    return fields(text), trail
