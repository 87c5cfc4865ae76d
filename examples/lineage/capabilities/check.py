"""Root's powers are bits; a program in a world has none of them, or as root inside seven.

The bits are seen at work outside, where a program is root of a user namespace of its own and gives some of
them up by setpriv(1).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from claims import Evidence, MissingError, Property
from probing import as_root, fields, made, outside, read, said

import libos

TITLE = "Linux capabilities, 1999: root's power split into bits"
HERE = Path(__file__).parent
MANIFEST = HERE / "none.toml"
PROBE = [sys.executable, str(HERE / "probe.py")]
NO_NET_RAW = ["setpriv", "--inh-caps=-net_raw", "--bounding-set=-net_raw"]

# chown, dac_override, fowner, fsetid, kill, setgid and setuid by their numbers, linux/capability.h.
SEVEN = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7))

PROPERTIES = {
    "empty": Property(
        "in a world all five sets are empty",
        "the program is root of a user namespace, outside of a world",
        lambda saw: len(saw) == 5 and not any(saw.values()),
    ),
    "powerless": Property(
        "in a world what a capability gives is refused: a raw socket, another uid",
        "the program is root of a user namespace, outside of a world",
        lambda saw: saw == {"raw socket": "Operation not permitted", "set uid": "Invalid argument"},
    ),
    "seven": Property(
        "a root inside has seven of them, and not the one that a raw socket takes",
        "the program is root of a user namespace, outside of a world",
        lambda saw: saw == {"CapEff": SEVEN, "raw socket": "Operation not permitted"},
    ),
    "bits": Property(
        "one bit can go and the others stay: without CAP_NET_RAW there is no raw socket",
        "no bit is given up",
        lambda saw: saw["raw socket"] == "Operation not permitted" and saw["set uid"] == "done",
    ),
    "gain": Property(
        "in a world no_new_privs is set",
        "the program runs outside of a world",
        lambda saw: saw == "1",
    ),
}


async def as_own_root(*prefix: str) -> Any:
    """What the probe says as root of its own namespaces, with every bit but for what `prefix` takes. None of
    them counts outside of these namespaces."""
    return fields(await as_root(["--net"], [*prefix, *PROBE]))


def of_root() -> libos.Manifest:
    """The manifest, with a root inside."""
    value = read(MANIFEST)
    value["app"]["user"] = "root"
    return made(value, MANIFEST)


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """The probe in a world, as root of its own namespaces, and as it is here."""
    world = fields(await said(supervisor, libos.load(MANIFEST)))
    root = await as_own_root()
    root_inside = root if without == "seven" else fields(await said(supervisor, of_root()))
    here = fields(await outside(PROBE))
    if here["no_new_privs"] == "1":
        raise MissingError("no_new_privs is set outside too: run this where no sandbox has set it")
    sets = root if without == "empty" else world
    powers = root if without == "powerless" else world
    return {
        "empty": sets["sets"],
        "powerless": {each: powers[each] for each in ("raw socket", "set uid")},
        "seven": {
            "CapEff": root_inside["sets"]["CapEff"],
            "raw socket": root_inside["raw socket"],
        },
        "bits": root if without == "bits" else await as_own_root(*NO_NET_RAW),
        "gain": (here if without == "gain" else world)["no_new_privs"],
    }
