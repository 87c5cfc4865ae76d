"""Root's powers are bits; a program in a world has none of them, and gains none.

The bits are seen at work outside, where a program is root of a user namespace of its own and gives some of
them up by setpriv(1).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from claims import Evidence, MissingError, Property
from probing import fields, outside, said

import libos

TITLE = "Linux capabilities, 1999: root's power split into bits"
HERE = Path(__file__).parent
PROBE = [sys.executable, str(HERE / "probe.py")]
# Root of its own namespaces: every bit, none of which counts outside of them.
ROOT = ["unshare", "--user", "--map-root-user", "--net"]
NO_NET_RAW = ["setpriv", "--inh-caps=-net_raw", "--bounding-set=-net_raw"]
NO_NEW_PRIVS = ["setpriv", "--no-new-privs"]

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
    "bits": Property(
        "one bit can go and the others stay: without CAP_NET_RAW there is no raw socket",
        "no bit is given up",
        lambda saw: saw["raw socket"] == "Operation not permitted" and saw["set uid"] == "done",
    ),
    "gain": Property(
        "in a world no_new_privs is set: no set-uid program gives what there is not",
        "the program runs outside of a world",
        lambda saw: saw == "1",
    ),
}


async def probed(prefix: list[str]) -> Any:
    """What the probe says outside of a world, under what `prefix` makes of it."""
    return fields(await outside([*prefix, *PROBE]))


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """The probe in a world, as root of its own namespaces, and as it is here."""
    world = fields(await said(supervisor, libos.load(HERE / "none.toml")))
    root = await probed(ROOT)
    here = await probed([])
    if here["no_new_privs"] == "1":
        raise MissingError("no_new_privs is set outside too: run this where no sandbox has set it")
    sets = root if without == "empty" else world
    powers = root if without == "powerless" else world
    return {
        "empty": sets["sets"],
        "powerless": {each: powers[each] for each in ("raw socket", "set uid")},
        "bits": root if without == "bits" else await probed([*ROOT, *NO_NET_RAW]),
        "gain": (here if without == "gain" else world)["no_new_privs"],
    }
