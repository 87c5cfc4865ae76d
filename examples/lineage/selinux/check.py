"""Types on things, domains by the program that runs, rules between them; refusals become rules."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

from claims import Evidence, Property, scratch
from probing import Events, drained, made

import libos
from libos.why.rules import rules_of
from libos.why.writing import Writing

TITLE = "SELinux, 2000: types on subjects and objects"
HERE = Path(__file__).parent
MANIFEST = HERE / "clinic.toml"

PROPERTIES = {
    "types": Property(
        "what no rule allows is refused, whatever the file's mode and owner say",
        "the records have no type",
        lambda saw: saw == {"tail reads": "no", "the shell reads": "no", "rm removes": "no"},
    ),
    "transition": Property(
        "a process changes its domain by the program that it executes: one shell starts programs of each",
        "the reader's program is in the domain of all others",
        lambda saw: saw == {"head reads": "yes", "tail reads": "no"},
    ),
    "verbs": Property(
        "who may write may not therefore read",
        "the clerk may read too",
        lambda saw: saw == {"dd adds": "yes", "dd reads": "no"},
    ),
    "file": Property(
        "a program is its file, and neither its name nor its bytes: a copy of the reader reads nothing",
        "the domain of all others may read",
        lambda saw: saw == {"head reads": "yes", "a copy of head reads": "no"},
    ),
    "audit2allow": Property(
        "rules are written from the refusals, and with them the same programs work",
        "nothing is written",
        lambda saw: set(saw.values()) == {"yes"},
    ),
}


def clinic(text: str, folder: Path, without: str | None) -> libos.Manifest:
    """The manifest that a text says, over records that may be written, with one property taken away."""
    value = tomllib.loads(text)
    records, domains = value["mount"][1], value["domain"]
    records["host"] = str(folder)
    match without:
        case "types":
            del records["type"], value["domain"], value["allow"]
        case "transition":
            domains[0]["programs"] = ["/usr/bin/true"]
        case "verbs":
            value["allow"][1]["to"].append("read")
        case "file":
            value["allow"].append({"domain": domains[-1]["name"], "type": "records", "to": ["read"]})
    return made(value, MANIFEST)


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Run the programs, write rules from what they were refused, and run them again."""
    writing = Writing(MANIFEST.read_text())
    saw, events = await answers(supervisor, writing.text, without)
    if without != "audit2allow":
        for domain, kind, verbs in rules_of(events)[0]:
            writing.rule(domain, kind, verbs)
    again, _ = await answers(supervisor, writing.text, without)
    asked = {
        "types": ["tail reads", "the shell reads", "rm removes"],
        "transition": ["head reads", "tail reads"],
        "verbs": ["dd adds", "dd reads"],
        "file": ["head reads", "a copy of head reads"],
    }
    seen: dict[str, object] = {key: {name: saw[name] for name in names} for key, names in asked.items()}
    return seen | {"audit2allow": again}


async def answers(
    supervisor: libos.Supervisor, text: str, without: str | None
) -> tuple[dict[str, str], list[libos.Event]]:
    """What each program could do, and the events of it."""
    with scratch() as folder:
        shutil.copytree(HERE / "records", folder, dirs_exist_ok=True)
        for path in (folder, folder / "people"):
            path.chmod(0o777)
        async with Events(supervisor) as told:
            app = await supervisor.start(clinic(text, folder, without), stdout=subprocess.PIPE)
            lines = (await drained(app)).splitlines()
            events = await told.until_exit(app.name)
            await app.aclose()
    return dict(line.split(": ") for line in lines), events
