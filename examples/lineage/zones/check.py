"""Immutable zones with their exceptions, one that sees them all, and changes to one that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from claims import Evidence, Property, scratch
from probing import Talk, drained, made, outside, read, said

import libos

TITLE = "Solaris Zones, 2004: a whole virtual system, all seen by the global zone"
HERE = Path(__file__).parent

PROPERTIES = {
    "strict": Property(
        "in a strict zone none of /usr, /etc, /var and /root can be written",
        "fixed.toml in place of strict.toml",
        lambda saw: saw.split() == ["end"],
    ),
    "fixed": Property(
        "in a fixed-configuration zone of these /var alone can be written",
        "flexible.toml in place of fixed.toml",
        lambda saw: saw.split() == ["/var/log", "end"],
    ),
    "flexible": Property(
        "in a flexible-configuration zone /etc, /var and /root can be written, and /usr cannot",
        "/usr is copy-on-write too",
        lambda saw: saw.split() == ["/etc", "/var/log", "/root", "end"],
    ),
    "global": Property(
        "from outside the programs of all zones are seen",
        "one looks from inside of a zone, which sees its own",
        lambda saw: saw == "a b",
    ),
    "live": Property(
        "a zone that runs is changed at once, and what it holds shows the change",
        "the manifest is changed, and the zone that runs is not",
        lambda saw: saw == {"before": "no", "after": "yes", "shown": True},
    ),
}

# Names the zones whose programs are in sight: their command line ends with a word and the zone's name.
SEES = """
import glob, sys
names = set()
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        words = open(path, "rb").read().split(b"\\0")
    except OSError:
        continue
    if words[-3:-2] == [sys.argv[1].encode()]:
        names.add(words[-2].decode())
print(*sorted(names))
"""
# Says for each line that it is told whether there is such a path.
ZONE = """
import os, sys
for line in sys.stdin:
    print("yes" if os.path.exists(line.strip()) else "no", flush=True)
"""


async def written(supervisor: libos.Supervisor, folder: Path, name: str, *, with_usr: bool = False) -> str:
    """Where the program of an immutable zone could write."""
    file = folder / f"{name}.toml"
    value = read(file)
    if with_usr:
        value["include"] += ["-/usr"]
        value["mount"] += [{"at": "/usr", "host": "/usr", "mode": "copy-on-write"}]
    return await said(supervisor, made(value, file))


def zone(marker: str, name: str) -> dict[str, object]:
    """A zone with a program that waits for questions."""
    return {"include": ["python"], "app": {"command": ["python3", "-c", ZONE, marker, name]}}


async def seen(a: Talk, marker: str, *, globally: bool) -> str:
    """The zones of which programs are seen from outside, or from inside of the first one."""
    if globally:
        return await outside([sys.executable, "-c", SEES, marker])
    program = await a.app.exec(["python3", "-c", SEES, marker], stdout=subprocess.PIPE)
    return await drained(program)


async def changed(a: Talk, *, live: bool) -> dict[str, object]:
    """What a zone says of a path before and after it is mounted, and whether its text then has it."""
    before = await a.ask("/srv/new/motd")
    wanted = libos.host(str(HERE / "tree/etc"))
    if live:
        await a.app.mount("/srv/new", wanted)
    else:
        libos.from_mapping({"mount": [{"at": "/srv/new", **wanted}]})
    places = [mount.at for mount in a.app.grants.mounts()]
    return {"before": before, "after": await a.ask("/srv/new/motd"), "shown": "/srv/new" in places}


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Write in three zones; look at two that run, and change one of them."""
    marker = f"zone-of-{os.getpid()}"
    a = await Talk.with_(supervisor, zone(marker, "a"))
    b = await Talk.with_(supervisor, zone(marker, "b"))
    seeing = await seen(a, marker, globally=without != "global")
    live = await changed(a, live=without != "live")
    await a.end()
    await b.end()
    strict = "fixed" if without == "strict" else "strict"
    fixed = "flexible" if without == "fixed" else "fixed"
    with scratch() as parent:
        # The caller's own: an overlay copies no directory of somebody else's.
        folder = Path(shutil.copytree(HERE, parent / "zones"))
        return {
            "strict": await written(supervisor, folder, strict),
            "fixed": await written(supervisor, folder, fixed),
            "flexible": await written(supervisor, folder, "flexible", with_usr=without == "flexible"),
            "global": seeing,
            "live": live,
        }
