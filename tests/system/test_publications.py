"""Publications of real worlds: made before and after the start, listed, taken back, gone with their world."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from accounts import Account

import libos
from libos.errors import HostError, ManifestError, SupervisorError

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Answers each connection at its port with what it read until the end of file; says when it listens.
SERVER = """
import socket, sys
server = socket.create_server(("127.0.0.1", 8000))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    with connection:
        data = b""
        while part := connection.recv(4096):
            data += part
        connection.sendall(b"got " + data)
"""
DATAGRAMS = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 5353))
print("ready", flush=True)
while True:
    data, peer = server.recvfrom(65535)
    server.sendto(b"got " + data, peer)
"""


def manifest(program: str, **more: object) -> dict[str, object]:
    return {"include": ["python"], "app": {"command": ["python3", "-c", program]}, **more}


async def ready(app: libos.App) -> None:
    assert app.stdout is not None
    assert (await app.stdout.receive_some(100)).startswith(b"ready")


async def ask(where: str | tuple[str, int], data: bytes) -> bytes:
    family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
    with trio.socket.socket(family) as client:
        await client.connect(where)
        await client.send(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := await client.recv(4096):
            answer += part
        return answer


async def test_ports_are_published_after_the_start_and_taken_back(
    supervisor: libos.Supervisor, tmp_path: Path
) -> None:
    app = await supervisor.start(manifest(SERVER), stdout=subprocess.PIPE)
    await ready(app)
    path = str(tmp_path / "app.sock")
    by_port = await app.publish(8000, 0)
    by_path = await app.publish(8000, f"unix:{path}")
    assert (by_port.id, by_path.id, by_path.address) == ("p1", "p2", f"unix!{path}")
    network, host, port = by_port.address.split("!")
    assert (network, host) == ("tcp", "127.0.0.1")
    assert await ask((host, int(port)), b"a") == b"got a"
    assert await ask(path, b"b") == b"got b"
    listed = [each.describe() for each in app.publications]
    assert [(each["id"], each["at"], each["what"]) for each in listed] == [
        ("p1", by_port.address, "port 8000"),
        ("p2", f"unix!{path}", "port 8000"),
    ]
    assert app.grant("p2") is by_path
    assert app.grant(f"unix!{path}") is by_path
    with pytest.raises(HostError, match="something listens there already"):
        await app.publish(8000, f"127.0.0.1:{port}")
    with pytest.raises(HostError, match="something listens there already"):
        await app.publish(8000, f"unix:{path}")
    await by_path.revoke()
    await by_path.revoke()
    assert os.listdir(tmp_path) == []
    await by_port.revoke()
    with pytest.raises(ConnectionRefusedError):
        await ask((host, int(port)), b"a")
    assert list(app.publications) == []
    await app.kill()
    with pytest.raises(SupervisorError):
        await app.publish(8000, 0)


async def test_what_cannot_be_published_is_a_manifest_error(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(manifest(SERVER))
    for where, keys in (("localhost:1", {}), ("unix:x", {}), (0, {"network": "udp", "proxy_protocol": True})):
        with pytest.raises(ManifestError):
            await app.publish(8000, where, **keys)  # type: ignore[arg-type]  # what is tested
    assert list(app.publications) == []
    await app.kill()


async def test_datagrams_are_published_by_the_manifest(supervisor: libos.Supervisor) -> None:
    listens = [{"port": 5353, "publish": "127.0.0.1:0/udp"}]
    app = await supervisor.start(manifest(DATAGRAMS, listen=listens), stdout=subprocess.PIPE)
    await ready(app)
    (publication,) = app.publications
    network, host, port = publication.address.split("!")
    assert network == "udp"
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        await client.connect((host, int(port)))
        await client.send(b"x")
        assert await client.recv(100) == b"got x"
    await app.kill()


async def test_events_tell_of_publications(supervisor: libos.Supervisor) -> None:
    async with supervisor.events() as events:
        app = await supervisor.start(manifest(SERVER), stdout=subprocess.PIPE)
        await ready(app)
        publication = await app.publish(8000, 0)
        await publication.revoke()
        await app.kill()
        seen = []
        async for event in events:
            if event.kind == "grant":
                seen.append((event.fields["action"], event.fields["id"], event.fields["port"]))
            if event.kind == "app.exit":
                break
    assert seen == [("publish", "p1", 8000), ("revoke", "p1", 8000)]


class Ran:
    """`libos run` of a server, and its folder."""

    def __init__(self, account: Account, *options: str, program: str = SERVER) -> None:
        command = account.libos("run", "--name", "pub", "--include", "python", *options)
        self.process = account.start(
            [*command, "--", "python3", "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.process.stderr and self.process.stderr.read()

    def __enter__(self) -> Ran:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate(timeout=30)


def curl(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(4096):
            answer += part
        return answer


def test_from_another_terminal(as_user: Account) -> None:
    path = as_user.folder / "app.sock"
    with Ran(as_user):
        done = as_user.run(as_user.libos("publish", "pub", f"unix:{path}:8000"))
        assert done.stdout == f"p1 unix!{path}\n", done.stderr
        assert curl(path, b"x") == b"got x"
        again = as_user.run(as_user.libos("publish", "pub", f"unix:{path}:8000"))
        assert again.returncode == 125
        assert "something listens there already" in again.stderr
        listed = json.loads(as_user.run(as_user.libos("grants", "pub", "--json")).stdout)["grants"]
        assert {each["id"]: each["at"] for each in listed}["p1"] == f"unix!{path}"
        assert as_user.run(as_user.libos("revoke", "pub", "p1")).returncode == 0
        assert not path.exists()
        wrong = as_user.run(as_user.libos("publish", "pub", "localhost:1:8000"))
        assert wrong.returncode == 2


def test_a_socket_goes_with_a_supervisor_that_is_killed(as_user: Account) -> None:
    path = as_user.folder / "app.sock"
    with Ran(as_user, "-p", f"unix:{path}:8000") as ran:
        assert curl(path, b"x") == b"got x"
        children = subprocess.run(
            ["pgrep", "-P", str(ran.process.pid)], capture_output=True, text=True
        ).stdout.split()
        keeper = os.pidfd_open(int(children[0]))
        ran.process.send_signal(signal.SIGKILL)
        # The keeper ends when it has swept.
        poll = select.poll()
        poll.register(keeper, select.POLLIN)
        assert poll.poll(20_000)
        os.close(keeper)
    assert not path.exists()
