"""Prints the capabilities of this process, and whether it may do what two of them give (capabilities(7))."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def status() -> dict[str, str]:
    """The fields of /proc/self/status."""
    with open("/proc/self/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def attempt(action: Callable[[], object]) -> str:
    """ "done", or what the kernel says."""
    try:
        action()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "done"


def raw_socket() -> None:
    """What CAP_NET_RAW gives, in a network namespace of one's own."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


if __name__ == "__main__":
    of = status()
    print(
        json.dumps(
            {
                "sets": {name: int(of[name], 16) for name in SETS},
                "no_new_privs": of["NoNewPrivs"],
                "raw socket": attempt(raw_socket),
                "set uid": attempt(lambda: os.setresuid(0, 0, 0)),
            }
        )
    )
