"""What is not granted is refused at once, and each refusal stands among the events."""

from __future__ import annotations

import pytest
from worlds import Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Connects to, or sends to and then reads from, each address; prints the errno's name.
CONNECT = """
import errno, socket, sys
for word in sys.argv[1:]:
    network, host, port = word.split("!")
    kind = socket.SOCK_STREAM if network == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as s:
        s.settimeout(20)
        try:
            s.connect((host, int(port)))
            if network == "udp":
                s.send(b"x")
                s.recv(1)
            print("connected")
        except OSError as error:
            print(errno.errorcode.get(error.errno, error))
"""
ADDRESSES = [
    *("tcp!1.1.1.1!80", "tcp!127.0.0.1!22", "tcp!10.1.2.3!5432", "tcp!169.254.169.254!80"),
    *("tcp!2606:4700::1111!443", "tcp!::1!22", "udp!8.8.8.8!53", "udp!2001:4860:4860::8888!53"),
]


def test_every_address_is_refused_at_once_and_seen(worlds: Worlds) -> None:
    result = worlds.python(CONNECT, *ADDRESSES)
    assert result.out.splitlines() == ["ECONNREFUSED"] * len(ADDRESSES)
    tried = {(network, host, int(port)) for network, host, port in (a.split("!") for a in ADDRESSES)}
    assert result.refused == tried


@pytest.mark.parametrize("address", ["tcp!1.1.1.1!80", "tcp!2606:4700::1111!443", "udp!8.8.8.8!53"])
def test_the_last_act_of_a_program_is_seen_too(worlds: Worlds, address: str) -> None:
    # The app ends right after its refusal: the event must not be lost with the world.
    network, host, port = address.split("!")
    assert worlds.python(CONNECT, address).refused == {(network, host, int(port))}


def test_a_bash_redirection_to_the_network_is_refused(worlds: Worlds) -> None:
    result = worlds.run("bash", "-c", "exec 3<>/dev/tcp/1.1.1.1/80", check=False)
    assert "Connection refused" in result.err
    assert result.refused == {("tcp", "1.1.1.1", 80)}


def test_a_name_that_is_not_granted_is_unknown_and_seen(worlds: Worlds) -> None:
    result = worlds.run("getent", "ahosts", "collector.example", check=False)
    assert result.status == 2
    assert {event["name"] for event in result.of_kind("name.absent")} == {"collector.example"}


def test_broadcast_and_multicast_reach_nobody(worlds: Worlds) -> None:
    code = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for host in ("255.255.255.255", "224.0.0.251"):
        try: s.sendto(b"x", (host, 9)); print("sent")
        except OSError as error: print(type(error).__name__)
with open("/proc/net/dev") as file: print(*[line.split(":")[0].strip() for line in file if ":" in line])
"""
    assert worlds.python(code).out.splitlines()[-1] == "lo"  # the only interface; it leads nowhere


def test_ping_does_not_answer_for_hosts_that_are_not_there(worlds: Worlds) -> None:
    code = """
import errno, socket
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as s:
        s.settimeout(0.2); s.connect(("1.1.1.1", 0)); s.send(bytes([8, 0, 0, 0, 0, 1, 0, 1])); s.recv(100)
    print("answered")
except OSError as error: print("silent")
"""
    assert worlds.python(code).out == "silent\n"


def test_absent_paths_are_enoent_and_seen_with_their_whole_name(worlds: Worlds) -> None:
    result = worlds.run("sh", "-c", "cat /etc/shadow; ls /home; test -e /var/run/docker.sock", check=False)
    assert result.err.count("No such file or directory") == 2
    assert {"/etc/shadow", "/home"} <= result.absent
    assert "/var" in result.absent


def test_the_report_of_three_refusals_is_complete(worlds: Worlds) -> None:
    script = "cat /etc/shadow; ls /home; exec 3<>/dev/tcp/1.1.1.1/80"
    result = worlds.run("bash", "-c", script, check=False)
    assert {"/etc/shadow", "/home"} <= result.absent
    assert result.refused == {("tcp", "1.1.1.1", 80)}


def test_local_services_of_the_world_itself_work(worlds: Worlds) -> None:
    code = """
import socket, threading
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET, "10.9.8.7")):
    with socket.socket(family) as server:
        server.bind((host, 0)); server.listen()
        with socket.create_connection(server.getsockname()[:2]) as client:
            peer, _ = server.accept()
            with peer: peer.send(b"hello")
            print(client.recv(10).decode())
"""
    result = worlds.python(code)
    assert result.out.split() == ["hello"] * 3
    assert result.refused == set()
