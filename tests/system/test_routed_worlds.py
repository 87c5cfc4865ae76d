"""Real programs in routed worlds, as root and as an ordinary user: what flat worlds do, and more."""

from __future__ import annotations

import errno
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from running import one_line
from test_refusals import ADDRESSES, CONNECT
from worlds import RunError, Worlds

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

ROUTED = {"network": {"routed": True}}
TALK = """
import socket, sys
for word in sys.argv[1:]:
    host, port = word.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as s:
        peer = s.getpeername()[0]
        s.sendall(b"hello")
        s.shutdown(socket.SHUT_WR)
        print(s.makefile("rb").read().decode(), peer)
"""


@contextmanager
def echoing() -> Iterator[int]:
    """A service on the host's loopback that sends back what it got, with a word before it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):  # the other end may be gone, with its world
                    connection.sendall(b"echo:" + connection.makefile("rb").read())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def talk(worlds: Worlds, manifest: dict[str, Any], *addresses: str) -> list[str]:
    whole = {"include": ["python"], **manifest}
    return worlds.run("python3", "-c", TALK, *addresses, manifest=whole).out.splitlines()


def test_every_address_is_refused_at_once_and_seen(worlds: Worlds) -> None:
    manifest = {"include": ["python"], **ROUTED}
    result = worlds.run("python3", "-c", CONNECT, *ADDRESSES, manifest=manifest)
    answers = [line.split()[0] for line in result.out.splitlines()]
    assert answers == ["ECONNREFUSED"] * len(ADDRESSES)
    assert result.refused == {(n, h, int(p)) for n, h, p in (a.split("!") for a in ADDRESSES)}


@pytest.mark.parametrize("routed", [False, True])
def test_names_literals_and_the_hosts_loopback_are_reached(worlds: Worlds, routed: bool) -> None:
    with echoing() as port:
        dials = [
            {"to": f"tcp!localhost!{port}"},
            {"to": "tcp!api.example.com!80", "via": f"tcp!127.0.0.1!{port}"},
            {"to": "tcp!*.example.org!80", "via": f"tcp!127.0.0.1!{port}"},
            {"to": "tcp!192.0.2.1!80", "via": f"tcp!127.0.0.1!{port}"},
        ]
        addresses = [f"127.0.0.1:{port}", "api.example.com:80", "any.example.org:80", "192.0.2.1:80"]
        said = talk(worlds, {"dial": dials, "network": {"routed": routed}}, *addresses)
    assert [line.split()[0] for line in said] == ["echo:hello"] * 4


def test_a_range_makes_a_world_routed_and_is_exact(worlds: Worlds) -> None:
    with echoing() as port:
        dial = {"to": "tcp!10.0.0.0/8!80", "deny": ["tcp!10.2.0.0/16!80"], "via": f"tcp!127.0.0.1!{port}"}
        manifest = {"include": ["python"], "dial": [dial]}
        assert talk(worlds, manifest, "10.1.2.3:80", "10.255.0.1:80") == [
            "echo:hello 10.1.2.3",
            "echo:hello 10.255.0.1",
        ]
        tried = ["tcp!10.2.0.1!80", "tcp!11.0.0.1!80", "tcp!10.1.2.3!81"]
        result = worlds.run("python3", "-c", CONNECT, *tried, manifest=manifest)
    assert [line.split()[0] for line in result.out.splitlines()] == ["ECONNREFUSED"] * 3
    assert result.refused == {("tcp", "11.0.0.1", 80), ("tcp", "10.1.2.3", 81)}
    assert [event["address"] for event in result.of_kind("dial.denied")] == ["tcp!10.2.0.1!80"]


def test_an_app_listens_everywhere_at_a_port_that_it_dials(worlds: Worlds) -> None:
    with echoing() as port:
        code = TALK + (
            "own = socket.create_server(('0.0.0.0', 5432))\n"
            "with socket.create_connection(('127.0.0.1', 5432)) as s:\n"
            "    print(own.accept()[0].getsockname()[0])\n"
        )
        dial = {"to": "tcp!db.example!5432", "via": f"tcp!127.0.0.1!{port}"}
        manifest = {"include": ["python"], "dial": [dial], **ROUTED}
        result = worlds.run("python3", "-c", code, "db.example:5432", manifest=manifest)
    assert [line.split()[0] for line in result.out.splitlines()] == ["echo:hello", "127.0.0.1"]


def test_the_app_cannot_change_its_link(worlds: Worlds) -> None:
    tried = [
        "ip link set eth0 down",
        "ip route add default dev lo",
        "tc qdisc del dev eth0 root",
        "nsenter --net=/proc/1/ns/net true",
    ]
    manifest = {"include": ["base"], "network": {"rate": "8Mbit"}}
    for command in tried:
        program, *arguments = command.split()
        if path := shutil.which(program):
            assert worlds.run(path, *arguments, manifest=manifest, check=False).status != 0


def test_loss_that_the_kernel_cannot_give_is_refused_before_anything_runs(worlds: Worlds) -> None:
    manifest = {"include": ["base"], "network": {"loss": "1%"}}
    try:
        worlds.run("true", manifest=manifest)
    except RunError as refused:
        assert refused.kind == "HostError"
        assert "netem" in str(refused)


def test_a_delayed_world_runs_to_its_end_and_loses_nothing(worlds: Worlds) -> None:
    with echoing() as port:
        dial = {"to": "tcp!api.example.com!80", "via": f"tcp!127.0.0.1!{port}"}
        network = {"rate": "8Mbit", "delay": "10ms"}
        assert talk(worlds, {"dial": [dial], "network": network}, "api.example.com:80")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_a_capture_from_the_command_line_is_read_by_tshark(as_user: Account) -> None:
    path = Path(as_user.folder) / "link.pcapng"
    command = as_user.libos(
        "run", "--capture", str(path), "--include", "python", "--", "python3", "-c", CONNECT
    )
    done = as_user.run([*command, "tcp!192.0.2.7!80"])
    assert done.returncode == 0, done.stderr
    read = ["tshark", "-r", str(path), "-Y", "tcp.flags.reset == 1", "-T", "fields", "-e", "ip.src"]
    assert subprocess.run(read, capture_output=True, text=True, check=True).stdout.split() == ["192.0.2.7"]


def test_explain_says_why_a_world_is_routed(as_user: Account) -> None:
    command = ["explain", "--json", "--include", "base", "--dial", "tcp!10.0.0.0/8!5432", "--", "true"]
    done = as_user.run(as_user.libos(*command))
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["network"]["routed"] is True
    (line,) = [each for each in plan["resources"] if each["mechanism"] == "link"]
    assert "tcp!10.0.0.0/8!5432: a range of addresses" in line["reason"]


async def test_a_range_that_is_dialed_later_needs_a_routed_world(supervisor: libos.Supervisor) -> None:
    with echoing() as port:
        via = f"tcp!127.0.0.1!{port}"
        command = {"command": ["sh", "-c", 'read line; exec python3 -c "$0" 10.1.2.3:80', TALK]}
        for routed in (False, True):
            manifest = {"include": ["python"], "app": command, "network": {"routed": routed}}
            app = await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if routed:
                await app.dial("tcp!10.0.0.0/8!80", via=via)
            else:
                with pytest.raises(Exception, match="routed = true"):
                    await app.dial("tcp!10.0.0.0/8!80", via=via)
            assert app.stdin is not None
            await app.stdin.send_all(b"go\n")
            await app.wait()
            assert app.stdout is not None
            said = b"".join([part async for part in app.stdout])
            assert said == (b"echo:hello 10.1.2.3\n" if routed else b"")


async def test_stats_show_what_the_link_has_carried(supervisor: libos.Supervisor) -> None:
    knock = "import socket; print(socket.socket().connect_ex(('192.0.2.1', 9)), flush=True); input()"
    command = {"command": ["python3", "-c", knock]}
    for routed in (False, True):
        manifest = {"include": ["python"], "app": command, "network": {"routed": routed}}
        app = await supervisor.start(manifest, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert app.stdout is not None
        assert await one_line(app.stdout) == b"%d\n" % errno.ECONNREFUSED
        link: Any = (await app.stats())["link"]
        if routed:
            assert link["sent_packets"] >= 1 <= link["received_packets"]
            assert link["sent_bytes"] >= 54 <= link["received_bytes"]
        else:
            assert link is None
        await app.kill()
        await app.wait()
