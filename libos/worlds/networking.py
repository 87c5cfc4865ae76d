"""What every init of a supervisor is told of how a world's network is made; see `libos.keeper.network`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libos.net import link_messages, sysctls


def network_setup() -> dict[str, Any]:
    """The netlink messages and the sysctls of flat worlds, and of both sides of routed ones, as JSON."""
    return {
        "messages": {
            "flat": _messages(link_messages.MESSAGES),
            "link": _messages(link_messages.LINK),
            "app": _messages(link_messages.APP),
            "gate": _messages(link_messages.GATE),
        },
        "sysctls": {
            "flat": _sysctls(sysctls.SYSCTLS),
            "app": _sysctls(sysctls.ROUTED_APP),
            "gate": _sysctls(sysctls.ROUTED_GATE),
        },
    }


def _messages(messages: Iterable[link_messages.Message]) -> list[tuple[str, str, bool]]:
    return [(each.purpose, each.data.hex(), each.required) for each in messages]


def _sysctls(files: Iterable[sysctls.Sysctl]) -> list[tuple[str, str, bool]]:
    return [(each.path, each.value.decode(), each.required) for each in files]
