"""/mnt/ns/ctl: how an app rearranges and gives up what it holds. It can gain nothing by it.

Commands, words quoted as in namespace(6):

    bind NEW OLD       show at OLD too what the world shows at NEW
    bind -a NEW OLD    the same, behind what stands at OLD: a union; -b before it. Read-only, unless the flags
                       have c (things are made in it) or w (its files are written)
    unmount OLD        take out what is mounted at OLD, and what is mounted below it
    drop GRANT         the same, by the id that `policy.json` shows; of a dial, what is open is reset
    clear              drop everything but /mnt/ns, dials too

What is given up does not come back. A mount that covers a part of another one cannot be taken out alone
(EPERM), since that would show what it covers; what the app has bound itself can.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from libos.errors import LibosError
from libos.fs.control import control
from libos.fs.node import refusal
from libos.manifest import values
from libos.namespace import BoundSource, Mode, Mount, Order
from libos.plan.introspection import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from libos.dialing import Dials
    from libos.fs.node import Node
    from libos.grants import Grant, Grants

# Where the mounts that an app makes say that they come from.
ORIGIN = "the app"


def control_file(grants: Callable[[], Grants | None], dials: Callable[[], Dials | None]) -> Node:
    """The file. `grants` and `dials` give the world's once its app has started."""

    async def answer(line: str) -> str | None:
        held, network = grants(), dials()
        if held is None or network is None:
            raise refusal(errno.EIO)
        try:
            await _obey(held, network, line.split())
        except (LibosError, ValueError) as error:
            raise refusal(errno.EINVAL) from error
        return None

    return control(answer, mode=0o200)


async def _obey(grants: Grants, dials: Dials, words: list[str]) -> None:
    match words:
        case ["bind", new, old]:
            mount = Mount(values.place(old), BoundSource(values.path(new)), origin=ORIGIN)
            await grants.bind(new, mount)
        case ["bind", flags, new, old]:
            await grants.bind(new, _joining(flags, new, old))
        case ["unmount", old]:
            await _unmount(grants, values.place(old))
        case ["drop", name]:
            dialed = next((each for each in dials if each.id == name), None)
            await (_drop(grants.get(name)) if dialed is None else dialed.end("drop"))
        case ["clear"]:
            for dialed in dials:
                await dialed.end("drop")
            for grant in reversed(list(grants)):
                if not grant.at.startswith(PLACE + "/") and _may_go(grant):
                    await grant.end("drop")
        case _:
            raise refusal(errno.EINVAL)


def _joining(flags: str, new: str, old: str) -> Mount:
    """The mount of `bind -FLAGS`: a or b, with c or w or neither. ValueError for any others."""
    order = {"a": Order.AFTER, "b": Order.BEFORE}.get(flags[1:2])
    if flags[:1] != "-" or order is None or flags[2:] not in ("", "c", "w"):
        raise ValueError("the flags of bind are -a or -b, with c or w")
    return Mount(
        values.place(old),
        BoundSource(values.path(new)),
        Mode.READ_WRITE if flags[2:] else Mode.READ_ONLY,
        order=order,
        creatable=flags[2:] == "c",
        origin=ORIGIN,
    )


async def _unmount(grants: Grants, place: str) -> None:
    """All that is mounted at a place, or nothing of it."""
    found = grants.at(place)
    if not found:
        raise refusal(errno.EINVAL)
    if not all(map(_may_go, found)) and not all(each.placement.in_skeleton for each in found):
        raise refusal(errno.EPERM)
    for grant in found:
        await grant.end("drop")


async def _drop(grant: Grant) -> None:
    if not _may_go(grant):
        raise refusal(errno.EPERM)
    await grant.end("drop")


def _may_go(grant: Grant) -> bool:
    """Whether taking it out shows nothing that was covered, but for what the app has covered itself."""
    return not grant.placement.covers or grant.placement.mount.origin == ORIGIN
