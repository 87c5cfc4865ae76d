"""What a world holds, in plain words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libos.dialing import DialGrant
    from libos.grants import Grants
    from libos.plan import Plan


def policy_text(plan: Plan, grants: Grants, dials: Sequence[DialGrant]) -> str:
    """One line a thing: files, addresses, ports, time."""
    lines = ["files:"]
    lines += [f"  {grant.at}: {grant.describe()['what']} ({grant.mechanism})" for grant in grants]
    lines.append("addresses that may be dialled:")
    lines += [f"  {grant.to}: {grant.describe()['what']} ({grant.id})" for grant in dials] or ["  none"]
    lines.append("ports that are reached from outside:")
    lines += [f"  {listen.port} at {listen.published}" for listen in plan.listens] or ["  none"]
    lines.append(f"time: {'no limit' if plan.time is None else f'{plan.time:g} s'}")
    lines.append("everything else does not exist here")
    return "\n".join(lines) + "\n"


def policy_json(plan: Plan, grants: Grants, dials: Sequence[DialGrant]) -> str:
    """The same, version 1."""
    return (
        json.dumps(
            {
                "version": 1,
                "files": [grant.describe() for grant in grants],
                "dial": [grant.to for grant in dials],
                "dials": [grant.describe() for grant in dials],
                "listen": [{"port": each.port, "publish": each.published} for each in plan.listens],
                "time": plan.time,
            },
            indent=1,
        )
        + "\n"
    )
