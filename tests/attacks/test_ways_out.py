"""Attacks on the gate: who an app claims to be, where it gets to, what it hears, what its look-ups tell."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from accounts import Account
from attack import Attack, answers
from attacking import Field, judge

pytestmark = pytest.mark.system
pytest_plugins = ["running", "ground"]

GATE = [
    Attack(
        "source_of_its_choice",
        "a connection that comes from 127.0.0.77",
        "outside",
        "the gate connects, from its own address",
        answers("nothing"),
    ),
    Attack(
        "loopback_of_the_host",
        "the host's loopback, by 127.0.0.1, 0.0.0.0 and ::ffff:127.0.0.1",
        "outside",
        "the network namespace",
        answers("ECONNREFUSED"),
    ),
    Attack(
        "port_beside_the_gate",
        "a listener that shares the gate's port (SO_REUSEPORT)",
        "outside, beside a listener of its own",
        "the gate's listeners share with nobody",
        answers("EADDRINUSE"),
    ),
    Attack(
        "secret_in_a_name",
        "a look-up of the-secret.attacker.example",
        "outside",
        "the world's responder asks outside for granted names alone",
        answers("nothing"),
    ),
]
REBINDING = [
    Attack(
        "",
        f"{what} (DNS rebinding)",
        "a grant with private = true",
        "the gate looks up once a connection, and connects to public addresses of that answer alone",
        answers(stopped),
    )
    for what, stopped in (
        (
            "a granted name that leads to a public address first, and to this machine from then on",
            "ECONNRESET",
        ),
        ("a granted name with public and private addresses in one answer", "nothing"),
    )
]
ATTACKS = {
    "test_the_gate": GATE,
    "test_a_name_whose_answer_changes_leads_to_public_addresses_alone": REBINDING,
}
# An answer with one address, whatever was asked. RFC 1035, section 4.1.
ANSWER = b"\0\7\x81\x80\0\0\0\1\0\0\0\0" + b"\0\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1"


@contextmanager
def telling() -> Iterator[int]:
    """A service of the host that tells each client the address from which it comes; gives its port."""

    def serve() -> None:
        while True:
            try:
                client, (host, _) = server.accept()
            except OSError:  # the test has ended
                return
            with client, suppress(OSError):
                client.sendall(host.encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def resolver() -> Iterator[int]:
    """A server that has an address for every name; gives its port. An empty packet ends it."""

    def serve() -> None:
        while True:
            question, client = server.recvfrom(512)
            if not question:
                return
            server.sendto(ANSWER, client)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", server.getsockname())
            thread.join()


# A network in which 1.1.1.1 is this machine, and whose name server is there.
APART = """
set -e
ip link set lo up
ip address add 1.1.1.1/32 dev lo
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
mount --bind "$1" /etc/resolv.conf
mount --bind "$2" /etc/nsswitch.conf
shift 2
exec "$@"
"""


@pytest.mark.parametrize("attack", GATE, ids=lambda attack: attack.name)
def test_the_gate(attack: Attack, ground: Field) -> None:
    with telling() as granted, telling() as private, resolver() as port:
        # The world's own responder, and the host's by its address.
        resolvers = [["198.18.0.1", 53], ["127.0.0.1", port]]
        setting = {"granted": granted, "private": private, "resolvers": resolvers, "alone": False}
        held = ground.in_world(
            "gateways", setting, dials=[f"tcp!127.0.0.1!{granted}", "tcp!granted.example!80"]
        )
        live = ground.outside("gateways", setting | {"resolvers": resolvers[1:], "alone": True})
    judge(attack, live[attack.name], held[attack.name], ground.account.uid)


def test_a_name_whose_answer_changes_leads_to_public_addresses_alone(
    as_user: Account, tmp_path: Path
) -> None:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("it takes root and ip(8) to give an account a network of its own")
    (tmp_path / "resolv").write_text("nameserver 127.0.0.1\n")
    (tmp_path / "switch").write_text("hosts: files dns\npasswd: files\n")
    private = ("unshare", "--net", "--mount", "--propagation=private", "sh", "-c", APART, "sh")
    prefix = (*private, str(tmp_path / "resolv"), str(tmp_path / "switch"), *as_user.prefix)
    account = dataclasses.replace(as_user, prefix=prefix)
    done = account.run(account.python(str(Path(__file__).with_name("rebinding.py"))))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    once = ["public", "reset", "public", "reset", "public", "reset", "public"]
    assert (found["held"], found["asked"]) == (once * 2, len(once))
    # Where both are in the answer either may be the first to answer.
    assert [found["live"][turn] for turn in (1, 3, 5)] == ["private"] * 3
