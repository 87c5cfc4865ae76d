"""What a grant's exceptions refuse, told apart from what nobody granted. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from libos.net.address import Address
from libos.net.granting.dialed import Dialed


def told(grants: Sequence[Dialed], kind: str, fields: dict[str, object]) -> tuple[str, dict[str, object]]:
    """An event as it is told: what the kernel refused is `dial.denied` where a grant covers it and its `deny`
    refuses."""
    if kind == "dial.refused":
        for host in (fields["name"], fields["address"]):
            if host is None:
                continue
            address = Address(str(fields["network"]), str(host), int(str(fields["port"])))
            grant = _first(grants, address)
            if grant is not None and grant.rule.denies(address):
                return "dial.denied", {**denied(grants, address), "count": fields["count"]}
    return kind, fields


def denied(grants: Sequence[Dialed], address: Address) -> dict[str, object]:
    """The fields of a `dial.denied`, by the grant that decides."""
    grant = _first(grants, address)
    by = None if grant is None else grant.id
    return {"address": str(address), "grant": by, "reason": "deny", "count": 1}


def _first(grants: Sequence[Dialed], address: Address) -> Dialed | None:
    return next((grant for grant in grants if grant.rule.to.covers(address)), None)
