"""Links: a world of a stack dials another one by its name, and the gate connects to that one's port."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace

from libos.net.address import Address
from libos.plan import Plan
from libos.stack.service import Service


def linked(plan: Plan, services: Mapping[str, Service]) -> Plan:
    """The plan with every dial of another world's name leading there, and not outside."""

    async def connect(address: Address) -> socket.socket:
        return await services[address.host].connect(address.port)

    rules = (
        replace(rule, via=connect, via_text=f"the world {rule.to.host}") if rule.to.host in services else rule
        for rule in plan.dials
    )
    return replace(plan, dials=tuple(rules))
