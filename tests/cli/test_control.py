"""`libos ps`, `exec`, `kill` and `ns --world` with real worlds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Account

pytestmark = pytest.mark.system

_TICKING = "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done"


class World:
    """A running world named "w"; its app says "ready" and then "usr1" at each SIGUSR1."""

    def __init__(self, account: Account, process: subprocess.Popen[bytes]) -> None:
        self.account = account
        self.process = process
        assert process.stdout is not None
        self.stdout = process.stdout

    def libos(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        return self.account.run(self.account.libos(*words), **options)

    def ps(self) -> list[dict[str, object]]:
        found = json.loads(self.libos("ps", "--json").stdout)
        assert found["version"] == 1
        worlds: list[dict[str, object]] = found["worlds"]
        return worlds


@pytest.fixture
def world(as_user: Account) -> Iterator[World]:
    words = ("run", "--name", "w", "-e", "MARK=app", "-w", "/tmp", "--", "sh", "-c", _TICKING)
    with subprocess.Popen(
        as_user.command(*as_user.libos(*words)),
        env=as_user.environment,
        cwd=as_user.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            made = World(as_user, process)
            assert made.stdout.readline() == b"ready\n"
            yield made
        finally:
            process.kill()


def test_ps_lists_running_worlds(world: World) -> None:
    (listed,) = world.ps()
    assert listed["name"] == "w"
    assert listed["supervisor"] == world.process.pid
    assert listed["command"] == ["sh", "-c", _TICKING]
    assert Path(f"/proc/{listed['pid']}").is_dir()
    table = world.libos("ps").stdout.splitlines()
    assert table[0].split() == ["NAME", "PID", "UP", "PORTS", "COMMAND"]
    assert table[1].split()[:2] == ["w", str(listed["pid"])]


def test_ps_without_worlds_is_an_empty_list(as_user: Account) -> None:
    done = as_user.run(as_user.libos("ps", "--json"))
    assert json.loads(done.stdout) == {"version": 1, "worlds": []}


def test_ps_sweeps_what_nobody_answers_on(world: World) -> None:
    folder = world.account.folder / "libos"
    import socket

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "dead.sock"))
        os.chown(folder / "dead.sock", world.account.uid, -1)
    assert [listed["name"] for listed in world.ps()] == ["w"]
    assert [path.name for path in folder.iterdir()] == ["w.sock"]


@pytest.mark.soak_accounts("root")
def test_a_supervisor_that_is_stopped_does_not_stop_ps(world: World) -> None:
    os.kill(world.process.pid, signal.SIGSTOP)
    try:
        done = world.libos("ps", "--json")
    finally:
        os.kill(world.process.pid, signal.SIGCONT)
    assert json.loads(done.stdout)["worlds"] == []
    assert "does not answer" in done.stderr
    assert [listed["name"] for listed in world.ps()] == ["w"]


def test_exec_runs_within_the_same_walls(world: World) -> None:
    script = "echo $MARK $EXTRA; pwd; cat; ls /proc | grep -c '^[0-9]'; ls /home; exit 5"
    done = world.libos("exec", "-e", "EXTRA=more", "w", "--", "sh", "-c", script, stdin=None, input="in\n")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["app more", "/tmp", "in"]
    assert int(lines[3]) < 10
    assert "No such file" in done.stderr
    assert done.returncode == 5


def test_exec_takes_a_directory(world: World) -> None:
    assert world.libos("exec", "-w", "/usr", "w", "pwd").stdout == "/usr\n"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("w", "no-such-program"), 127),
        (("w", "/etc/passwd"), 126),
        (("ghost", "true"), 125),
        (("../w", "true"), 2),
        (("w",), 2),
        (("w", "sh", "-c", "kill -TERM $$"), 143),
        (("-e", "NOT_SET_HERE", "w", "true"), 2),
    ],
)
def test_exec_ends_with_a_status_that_tells(world: World, words: tuple[str, ...], status: int) -> None:
    done = world.libos("exec", *words)
    assert done.returncode == status


def test_exec_needs_a_terminal_for_t(world: World) -> None:
    done = world.libos("exec", "-t", "w", "true")
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_a_process_ends_with_its_client(world: World) -> None:
    client = subprocess.Popen(
        world.account.command(*world.account.libos("exec", "w", "--", "sh", "-c", "echo up; exec sleep 100")),
        env=world.account.environment,
        stdout=subprocess.PIPE,
    )
    with client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        client.kill()
        assert client.stdout.read() == b""  # the process in the world held this pipe too
    assert [listed["name"] for listed in world.ps()] == ["w"]


def test_exec_forwards_signals(world: World) -> None:
    script = "trap 'echo got; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    client = subprocess.Popen(
        world.account.command(*world.account.libos("exec", "w", "--", "sh", "-c", script)),
        env=world.account.environment,
        stdout=subprocess.PIPE,
    )
    with client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        client.terminate()
        assert client.stdout.read() == b"got\n"
        assert client.wait(40) == 3


@pytest.mark.soak_accounts("root")
def test_exec_in_a_world_that_is_stopped_can_be_interrupted(world: World) -> None:
    os.kill(world.process.pid, signal.SIGSTOP)
    client = subprocess.Popen(
        world.account.command(*world.account.libos("exec", "w", "true")), env=world.account.environment
    )
    try:
        # Its signals are taken by trio before it asks: /proc tells when.
        caught = f"/proc/{client.pid}/status"
        while not _catches(Path(caught).read_text(), signal.SIGUSR1):
            os.sched_yield()
        client.send_signal(signal.SIGINT)
        assert client.wait(40) == 130
    finally:
        os.kill(world.process.pid, signal.SIGCONT)


def _catches(status: str, number: signal.Signals) -> bool:
    """Whether SigCgt in /proc/PID/status (proc_pid_status(5)) has the signal."""
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt:")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_exec_ends_when_the_world_ends(world: World) -> None:
    client = subprocess.Popen(
        world.account.command(*world.account.libos("exec", "w", "--", "sh", "-c", "echo up; exec sleep 100")),
        env=world.account.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        world.process.kill()
        assert client.wait(40) in (125, 137)


def test_kill_ends_a_world(world: World) -> None:
    assert world.libos("kill", "w").returncode == 0
    assert world.process.wait(40) == 137
    assert world.ps() == []


@pytest.mark.parametrize("name", ["USR1", "SIGUSR1", "usr1", str(int(signal.SIGUSR1))])
def test_kill_sends_the_signal_that_is_named(world: World, name: str) -> None:
    assert world.libos("kill", "-s", name, "w").returncode == 0
    assert world.stdout.readline() == b"usr1\n"


def test_kill_names_each_world_that_is_not_there(world: World) -> None:
    done = world.libos("kill", "ghost", "w", "phantom")
    assert done.returncode == 125
    assert "ghost" in done.stderr
    assert "phantom" in done.stderr
    assert world.process.wait(40) == 137


@pytest.mark.parametrize("name", ["NOPE", "0", "-1", "999"])
def test_kill_refuses_what_is_no_signal(world: World, name: str) -> None:
    assert world.libos("kill", "-s", name, "w").returncode == 2
    assert [listed["name"] for listed in world.ps()] == ["w"]


def test_the_namespace_of_a_running_world(world: World) -> None:
    assert world.libos("ns", "--world", "w").stdout == world.libos("ns", "-w", "/tmp").stdout


_ASK = """
import json, os, socket, sys
folder = sys.argv[1]
mine = socket.socket(socket.AF_UNIX)
try:
    mine.connect(folder + "/w.sock")
    mine.sendall(json.dumps({"version": 1, "request": "kill"}).encode() + b"\\n")
    print("answer", mine.recv(1000))
except (PermissionError, ConnectionError):  # root's app may not enter the folder; a user's is hung up on
    print("no answer")
"""
_POSE = """
import socket, sys
fake = socket.socket(socket.AF_UNIX)
fake.bind(sys.argv[1] + "/fake.sock")
fake.listen()
print("ready", flush=True)
while True:
    fake.accept()[0].close()
"""


def test_an_app_that_has_the_control_folder_gets_no_answer(world: World) -> None:
    folder = str(world.account.folder / "libos")
    words = ("run", "-v", f"{folder}:/c:rw", "--", "python3", "-c", _ASK, "/c")
    done = world.libos(*words)
    assert done.stdout in ("no answer\n", "answer b''\n")
    assert [listed["name"] for listed in world.ps()] == ["w"]


def test_an_app_cannot_pose_as_a_supervisor(as_user: Account) -> None:
    folder = as_user.folder / "libos"
    folder.mkdir(mode=0o700)
    os.chown(folder, as_user.uid, -1)
    words = as_user.libos("run", "-v", f"{folder}:/c:rw", "--", "python3", "-c", _POSE, "/c")
    with subprocess.Popen(
        as_user.command(*words), env=as_user.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as poser:
        try:
            assert poser.stdout is not None
            assert poser.stdout.readline() == b"ready\n"
            done = as_user.run(as_user.libos("exec", "fake", "--", "true"))
        finally:
            poser.terminate()
    assert done.returncode == 125
    assert "answered by no supervisor of yours" in done.stderr


@pytest.mark.accounts("root")  # who else can act as another user?
def test_another_user_cannot_reach_a_world(as_user: Account, world: World) -> None:
    socket_path = as_user.folder / "libos" / "w.sock"
    program = f"import socket; socket.socket(socket.AF_UNIX).connect({str(socket_path)!r})"
    done = subprocess.run(
        ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "/usr/bin/python3", "-c", program],
        capture_output=True,
        text=True,
    )
    assert "PermissionError" in done.stderr
