"""`libos up`, `down` and `logs`, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from accounts import Account

pytestmark = pytest.mark.system

STACK = """\
libos = 1
[[world]]
name = "server"
include = ["python"]
expose = [5000]
ready = { line = "listening" }
stop = { signal = "KILL" }
[world.app]
command = ["python3", "-uc", '''
import socket
server = socket.create_server(("127.0.0.1", 5000))
print("listening")
while True:
    connection, _ = server.accept()
    connection.sendall(b"hello")
    connection.close()
''']
[[world]]
name = "client"
include = ["python"]
dial = [{ to = "tcp!server!5000" }]
ready = { line = "hello" }
[world.app]
command = ["python3", "-uc", '''
import socket, sys, time
print(socket.create_connection(("server", 5000)).recv(100).decode())
print("\\x1b[31mred", file=sys.stderr)
time.sleep(STAY)
''']
"""


def write(as_user: Account, stay: int = 100, text: str = STACK) -> None:
    (as_user.folder / "stack.toml").write_text(text.replace("STAY", str(stay)))


@contextmanager
def up(as_user: Account) -> Iterator[subprocess.Popen[str]]:
    """The stack in the foreground, once its worlds are ready."""
    with as_user.start(
        as_user.libos("up"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == "libos: all worlds are ready\n"
            yield process
        finally:
            process.kill()


def worlds(as_user: Account) -> dict[str, dict[str, object]]:
    found = json.loads(as_user.run(as_user.libos("ps", "--json")).stdout)
    return {each["name"]: each for each in found["worlds"]}


@pytest.mark.soak_accounts("root")
def test_a_stack_runs_to_its_end_and_is_logged(as_user: Account) -> None:
    write(as_user, stay=0, text=STACK.replace('name = "client"', 'name = "client"\nneeds = ["server"]'))
    detached = as_user.run(as_user.libos("up", "-d"))
    assert (detached.returncode, detached.stdout, detached.stderr) == (0, "", "")
    down = as_user.run(as_user.libos("down"))
    assert (down.returncode, down.stderr) == (0, "")
    logs = as_user.run(as_user.libos("logs"))
    lines = [line.split(" ", 1)[1] for line in logs.stdout.splitlines()]
    assert lines[0] == "server | listening"
    assert sorted(lines[1:]) == ["client | \\x1b[31mred", "client | hello"]
    only = as_user.run(as_user.libos("logs", "stack", "client", "--json", "-n", "1"))
    record = json.loads(only.stdout)
    assert (record["stream"], record["line"]) in [("stderr", "\x1b[31mred"), ("stdout", "hello")]
    assert (record["world"], only.stdout.count("\n")) == ("client", 1)
    assert worlds(as_user) == {}


@pytest.mark.soak_accounts("root")
def test_a_detached_stack_is_listed_entered_and_stopped(as_user: Account) -> None:
    write(as_user)
    assert as_user.run(as_user.libos("up", "-d")).returncode == 0
    try:
        found = worlds(as_user)
        assert set(found) == {"stack", "stack.server", "stack.client"}
        states = {each["world"]: each["state"] for each in found["stack"]["stack"]}  # type: ignore[attr-defined]
        assert states == {"server": "ready", "client": "ready"}
        code = "import socket; print(socket.create_connection(('server', 5000)).recv(9))"
        entered = as_user.run(as_user.libos("exec", "stack.client", "--", "python3", "-c", code))
        assert entered.stdout == "b'hello'\n"
        second = as_user.run(as_user.libos("up", "-d"))
        assert second.returncode == 125
        assert 'a world named "stack" is running' in second.stderr
    finally:
        assert as_user.run(as_user.libos("down", "stack")).returncode == 0
    assert worlds(as_user) == {}
    again = as_user.run(as_user.libos("down"))
    assert again.returncode != 0
    assert 'no world named "stack" is running' in again.stderr


def test_what_cannot_come_up_is_told_by_who_detached(as_user: Account) -> None:
    write(as_user, text=STACK.replace('["python3", "-uc"', '["no-such-program", "-uc"', 1))
    done = as_user.run(as_user.libos("up", "-d"))
    assert done.returncode == 125
    assert "server: no-such-program" in done.stderr
    assert 'client: it needs "server", which failed' in done.stderr


def test_ctrl_c_stops_a_stack_in_order(as_user: Account) -> None:
    write(as_user)
    with up(as_user) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert sorted(out.splitlines()) == ["client | \\x1b[31mred", "client | hello", "server | listening"]
    assert err.splitlines()[0] == "libos: stopping; once more kills"


def test_a_stack_that_is_stopped_before_it_is_ready_does_not_say_that_it_is(as_user: Account) -> None:
    write(as_user, text=STACK.replace('line = "listening"', 'line = "never said"'))
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with as_user.start(as_user.libos("up"), **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "server | listening\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "libos: stopping; once more kills\n")


def test_a_second_ctrl_c_kills(as_user: Account) -> None:
    deaf = "import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    text = STACK.replace("import socket, sys, time", f"{deaf}import socket, time")
    write(as_user, text=text.replace('line = "hello" }', 'line = "hello" }\nstop = { grace = "100s" }'))
    with up(as_user) as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("libos: stopping")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)
    assert process.returncode == 128 + signal.SIGKILL


def test_a_stack_whose_supervisor_is_killed_leaves_nothing(as_user: Account) -> None:
    write(as_user)
    with up(as_user) as process:
        pids = [int(str(each["pid"])) for each in worlds(as_user).values()]
        process.kill()
        process.wait()
        deadline = time.monotonic() + 40
        while any(os.path.exists(f"/proc/{pid}") for pid in pids) or list(
            as_user.folder.glob("libos/*.sock")
        ):
            assert time.monotonic() < deadline, "a process or a socket file was left"
            time.sleep(0.05)
    assert worlds(as_user) == {}


def test_check_shows_the_order_and_starts_nothing(as_user: Account) -> None:
    write(as_user)
    shown = as_user.run(as_user.libos("up", "--check"))
    assert shown.stdout.splitlines() == [
        'server; ready when it prints "listening"; restart never',
        'client, after server; ready when it prints "hello"; restart never',
    ]
    wrong = as_user.run(as_user.libos("up", "--check", "no.toml"))
    assert (wrong.returncode, "no such file" in wrong.stderr) == (2, True)


def test_following_the_log_shows_what_comes(as_user: Account) -> None:
    write(as_user)
    with up(as_user) as process:
        command = as_user.command(*as_user.libos("logs", "-f", "-n", "0"))
        settings = {"env": as_user.environment, "cwd": as_user.folder, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, **settings) as follow:  # type: ignore[call-overload]  # Popen's own
            try:
                as_user.run(as_user.libos("exec", "stack.client", "--", "kill", "-KILL", "2"))
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=20)
                assert follow.stdout is not None
            finally:
                follow.kill()
    assert as_user.run(as_user.libos("logs", "nothing")).returncode == 125
