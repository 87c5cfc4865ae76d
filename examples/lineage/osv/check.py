"""Most of what a program is offered it does not use, and of what it uses it needs a part."""

from __future__ import annotations

import trio
from claims import Evidence, Property
from osv import measure

import libos

TITLE = "OSv, 2013: one application, one image, since most of the system is not needed"
OUTPUT = "read"
# In how many parts what is offered is at least split by what is used: a hundredth is used.
SHARE = 100

PROPERTIES = {
    "fewer": Property(
        "of the files that it is offered a program uses less than a hundredth",
        "it is offered no more than it used",
        lambda saw: 0 < saw["used"] * SHARE < saw["offered"],
    ),
    "closure": Property(
        "in a world that holds the files that it used, and nothing else, it does the same",
        "one of those that it needs is left out",
        lambda saw: saw == OUTPUT,
    ),
    "needed": Property(
        "with those that it needs, found by leaving out each, it does the same, and with any one less not",
        "all that it used are taken for needed",
        lambda saw: saw["alone"] == OUTPUT and OUTPUT not in saw["one less"].values() and saw["one less"],
    ),
    "image": Property(
        "in a root into which `libos bundle` copied what it used, and nothing else, it does the same",
        "one of the files that it needs is taken out of the root",
        lambda saw: saw == OUTPUT,
    ),
    "calls": Property(
        "with the system calls that it used, fewer than it is offered, it does the same",
        "one of them is refused: the one that opens files",
        lambda saw: saw["output"] == OUTPUT and saw["used"] < saw["offered"],
    ),
}


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Measure a run, and run again with less."""
    run = await measure.used(supervisor)
    needed = await measure.needed(supervisor, run)
    files, _ = await trio.to_thread.run_sync(measure.offered)
    kept = [name for name in run.names if not (without == "closure" and name == needed[-1])]
    taken = list(run.names) if without == "needed" else needed
    less = {name: [other for other in taken if other != name] for name in taken}
    calls = [call for call in run.calls if not (without == "calls" and call == "openat")]
    return {
        "fewer": {"used": len(run.names), "offered": len(run.names) if without == "fewer" else files},
        "closure": await measure.alone(supervisor, kept),
        "needed": {
            "alone": await measure.alone(supervisor, taken),
            "one less": {name: await measure.alone(supervisor, others) for name, others in less.items()},
        },
        "image": await measure.in_image(supervisor, lacks=needed[-1] if without == "image" else None),
        "calls": {
            "output": await measure.alone(supervisor, run.names, calls),
            "used": len(run.calls),
            "offered": len(measure.allowed("default")),
        },
    }
