"""Which plans can keep their changes, and under which names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from libos.errors import ManifestError
from libos.manifest.values import keep_name

if TYPE_CHECKING:
    from libos.plan.model import Plan

NOTHING_TO_KEEP = (
    "no mount is copy-on-write, so there are no changes to keep: "
    'mount a directory with -v ./project:/work:cow, or with mode = "copy-on-write"'
)


def keeping(plan: Plan, name: str) -> Plan:
    """The plan, its changes kept under a name. ManifestError for a wrong name, or nothing to keep."""
    try:
        keep_name(name)
    except ValueError as wrong:
        raise ManifestError(str(wrong)) from None
    if not plan.copied:
        raise ManifestError(NOTHING_TO_KEEP)
    return replace(plan, keep=name)
