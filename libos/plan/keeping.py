"""Which plans can keep their changes, and under which names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from libos.errors import ManifestError
from libos.manifest.values import keep_name

if TYPE_CHECKING:
    from libos.plan.model import Plan, Served

NOTHING_TO_KEEP = (
    "no mount is copy-on-write, so there are no changes to keep: "
    'mount a directory with -v ./project:/work:cow, or with mode = "copy-on-write"'
)


def lost_in_union(served: Iterable[Served]) -> str | None:
    """Why changes would be lost: a copy-on-write mount that is seen in a union alone. None where all stand at
    a place of their own too."""
    served = tuple(served)
    homes = {each.share for each in served if not each.elements}
    for union in served:
        for part in union.elements:
            if part.served.copy_on_write and part.served.share not in homes:
                return (
                    f'the changes to an element of the union at "{union.at}" would be lost: mount it '
                    "copy-on-write at a place of its own, and bind it into the union from there"
                )
    return None


def keeping(plan: Plan, name: str) -> Plan:
    """The plan, its changes kept under a name. ManifestError for a wrong name, or nothing to keep."""
    try:
        keep_name(name)
    except ValueError as wrong:
        raise ManifestError(str(wrong)) from None
    if not plan.copied:
        raise ManifestError(NOTHING_TO_KEEP)
    if (lost := lost_in_union(plan.served)) is not None:
        raise ManifestError(lost)
    return replace(plan, keep=name)
