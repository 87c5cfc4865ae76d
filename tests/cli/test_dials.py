"""`libos dial`, `connections`, `stats`, and network grants among the others, from another terminal."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from accounts import Account

pytestmark = pytest.mark.system

# A line is a port to connect to and to say hello; the connection stays open.
AGENT = """
import socket, sys
held = []
for line in sys.stdin:
    try:
        held.append(socket.create_connection((sys.argv[1], int(line))))
        held[-1].sendall(b"hello")
        print(held[-1].recv(100).decode() or "end of file", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.fixture
def service() -> Iterator[int]:
    """A port of the host's loopback that says back what it hears."""

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(100):
                    connection.sendall(data)
            except ConnectionResetError:
                pass

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=[connection]).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=run)
        serving.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        serving.join()


class World:
    """A running world."""

    def __init__(self, account: Account, process: subprocess.Popen[str]) -> None:
        self._account = account
        self._process = process

    def connect(self, port: int) -> str:
        self.tell(port)
        return self.hear()

    def tell(self, port: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{port}\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def libos(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another terminal of the same user."""
        return self._account.run(self._account.libos(*words))

    def json(self, *words: str) -> dict[str, Any]:
        done = self.libos(*words, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def world(as_user: Account) -> Iterator[World]:
    command = ["run", "--name", "w", "--include", "python", "--dial", "tcp!first.example!443"]
    command += ["--", "python3", "-c", AGENT, "127.0.0.1"]
    with as_user.start(
        as_user.libos(*command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        made = World(as_user, process)
        made.connect(1)
        yield made
        process.terminate()


def test_a_dial_is_made_seen_and_taken_back(world: World, service: int) -> None:
    assert world.connect(service) == "ConnectionRefusedError"
    done = world.libos("dial", "w", f"tcp!127.0.0.1!{service}", "--connections", "3", "--rate", "8Mbit")
    assert (done.returncode, done.stdout) == (0, "d2\n"), done.stderr
    assert world.connect(service) == "hello"
    grants = {grant["id"]: grant for grant in world.json("grants", "w")["grants"]}
    assert grants["d1"]["at"] == "tcp!first.example!443"
    assert grants["d1"]["from"] == "--dial tcp!first.example!443"
    assert grants["d2"] == {
        "id": "d2",
        "at": f"tcp!127.0.0.1!{service}",
        "what": "dial, at most 3 connections, 1000000 a second",
        "mechanism": "gate",
        "from": "dialed while running",
    }
    (open_now,) = world.json("connections", "w")["connections"]
    while open_now["program"] is None:  # a thread looks it up
        (open_now,) = world.json("connections", "w")["connections"]
    assert open_now["program"] == "python3"
    assert (open_now["grant"], open_now["sent"], open_now["received"]) == ("d2", 5, 5)
    shown = world.libos("connections", "w").stdout
    assert f"d2     tcp!127.0.0.1!{service}  127.0.0.1:{service}" in shown
    stats = world.json("stats", "w")
    assert [(each["id"], each["opened"]) for each in stats["dials"]] == [("d1", 0), ("d2", 1)]
    assert "python3" in {each["program"] for each in stats["programs"]}
    assert "connections 3, rate 1000000" in world.libos("stats", "w").stdout
    assert world.libos("revoke", "w", "d2").returncode == 0
    assert world.connect(service) == "ConnectionRefusedError"
    assert world.json("connections", "w")["connections"] == []
    assert world.libos("revoke", "w", "tcp!first.example!443").returncode == 0
    assert not [each for each in world.json("grants", "w")["grants"] if each["id"].startswith("d")]


def test_a_dial_is_narrowed(world: World, service: int) -> None:
    assert world.libos("dial", "w", f"tcp!127.0.0.1!{service}").returncode == 0
    assert world.connect(service) == "hello"
    assert world.libos("narrow", "w", "d2", "--connections", "0").returncode == 0
    assert world.json("connections", "w")["connections"] == []
    denied = ("narrow", "w", "tcp!first.example!443", "--deny", "tcp!first.example!443")
    assert world.libos(*denied).returncode == 0
    found = {each["id"]: each["what"] for each in world.json("grants", "w")["grants"]}
    assert (found["d1"], found["d2"]) == ("dial, not tcp!first.example!443", "dial, at most 0 connections")
    refused = world.libos("narrow", "w", "d2", "--read-only")
    assert "read_only cannot be taken from it, only deny, connections" in refused.stderr


def test_a_connection_is_asked_about_in_another_terminal(world: World, service: int) -> None:
    assert world.libos("dial", "w", f"tcp!127.0.0.1!{service}", "--ask").returncode == 0
    world.tell(service)
    while not (questions := world.json("ask", "w")["questions"]):
        pass
    assert questions == [{"id": 1, "path": f"tcp!127.0.0.1!{service}", "operation": "connect"}]
    assert f"1   connect   tcp!127.0.0.1!{service}" in world.libos("ask", "w", "--list").stdout
    assert world.libos("ask", "w", "1", "always").returncode == 0
    assert world.hear() == "hello"
    assert world.connect(service) == "hello"


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("dial", "w", "nowhere"), 2, "is not a dial string"),
        (("dial", "w", "tcp!a!1", "--via", "socks5://bob:secret@x"), 2, "HOST:PORT and nothing behind it"),
        (("dial", "w", "tcp!a!1", "--rate", "0"), 2, "is no rate"),
        (("dial", "w", "tcp!first.example!443", "--sent", "-3"), 2, "is no size"),
        (("dial", "nobody", "tcp!a!1"), 125, "nobody"),
        (("revoke", "w", "d9"), 125, "libos grants lists them"),
        (("connections", "nobody"), 125, "nobody"),
        (("stats", "nobody"), 125, "nobody"),
    ],
)
def test_what_cannot_be_done_is_one_message(
    world: World, words: tuple[str, ...], status: int, why: str
) -> None:
    done = world.libos(*words)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert why in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
