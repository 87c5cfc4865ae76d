"""Attacks on the sockets of the host that have no file. Outside they work, and change nothing."""

from __future__ import annotations

import socket

from trying import SETTING, Nothing, main, named


def abstract_stream_of_the_host() -> object:
    with socket.socket(socket.AF_UNIX) as made:
        made.connect("\0" + SETTING["abstract"])
        return "connected"


def abstract_datagram_to_the_host() -> object:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.connect("\0" + SETTING["abstract"] + "-datagram")
        return made.send(b"hello")


def abstract_names_of_the_host() -> object:
    """/proc/net/unix lists every abstract name of a network namespace."""
    with open("/proc/net/unix") as table:
        if SETTING["abstract"] not in table.read():
            raise Nothing("not in the table")
    return "listed"


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
