"""`libos run` with real programs in real worlds: what goes in, what comes out, and how it ends."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from accounts import Account

pytestmark = pytest.mark.system


def run(account: Account, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return account.run(account.libos("run", *words), **options)


@contextmanager
def running(account: Account, *words: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A `libos run` whose app says "ready" when it is."""
    process = subprocess.Popen(
        account.command(*account.libos("run", *words)),
        env=account.environment,
        cwd=account.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **({"stdin": subprocess.DEVNULL} | options),  # type: ignore[call-overload]
    )
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def events_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_streams_are_the_callers_own(as_user: Account) -> None:
    done = run(as_user, "--", "sh", "-c", "cat; echo err >&2; exit 3", stdin=None, input="in\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "in\n", "err\n")


def test_no_file_of_ours_takes_the_place_of_a_closed_stream(as_user: Account) -> None:
    words = as_user.libos("run", "--events", "events", "--", "sh", "-c", "cat; echo data; echo data >&2")
    done = as_user.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words])
    assert done.returncode == 0
    assert events_of(as_user.folder / "events")[-1]["kind"] == "app.exit"
    assert "data" not in (as_user.folder / "events").read_text().replace("echo data", "")


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("kill -INT $$", 130)],
)
def test_the_status_is_the_apps(as_user: Account, script: str, status: int) -> None:
    assert run(as_user, "--", "sh", "-c", script).returncode == status


def test_a_command_that_is_nowhere_is_127(as_user: Account) -> None:
    done = run(as_user, "--", "no-such-program")
    assert done.returncode == 127
    assert "no-such-program" in done.stderr.splitlines()[-1]


def test_a_command_that_only_the_host_has_is_127_and_says_which_mount_brings_it(as_user: Account) -> None:
    tool = as_user.folder / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    done = run(as_user, "--", str(tool))
    assert done.returncode == 127
    assert "-v " in done.stderr


def test_a_command_that_cannot_be_executed_is_126(as_user: Account) -> None:
    assert run(as_user, "--", "/etc/passwd").returncode == 126


def test_time_that_ran_out_is_124_and_says_so(as_user: Account) -> None:
    done = run(as_user, "--timeout", "0.3", "--", "sleep", "30")
    assert done.returncode == 124
    assert "time ran out (0.3 s)" in done.stderr


def test_all_wrong_options_are_told_at_once_and_nothing_starts(as_user: Account) -> None:
    done = run(as_user, "-v", "/no/such:/x", "--dial", "nonsense", "-p", "99999:1", "--", "echo", "started")
    assert done.returncode == 2
    assert done.stdout == ""
    for part in ("/no/such", "nonsense", "99999"):
        assert part in done.stderr


def test_an_error_in_the_manifest_has_its_place_first(as_user: Account) -> None:
    (as_user.folder / "agent.toml").write_text('libos = 1\n[app]\ncomand = ["true"]\n')
    done = run(as_user, "agent.toml")
    assert done.returncode == 2
    assert done.stderr.startswith("agent.toml:3:1: ")
    assert "command" in done.stderr


@pytest.mark.parametrize("words", [(), ("--",), ("--no-such-option", "--", "true"), ("a", "b", "--", "true")])
def test_usage_errors_are_2(as_user: Account, words: tuple[str, ...]) -> None:
    done = run(as_user, *words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("libos: ")


def test_a_manifest_without_a_command_is_an_error(as_user: Account) -> None:
    (as_user.folder / "m.toml").write_text("libos = 1\n")
    done = run(as_user, "m.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("libos: no command is given: write one after --")


@pytest.mark.parametrize("words", [("ls",), ("ls", "-l"), ("ls", "/"), ("-v", "/usr:/u", "ls", "/u")])
def test_who_forgets_the_dashes_is_told(as_user: Account, words: tuple[str, ...]) -> None:
    done = run(as_user, *words)
    assert done.returncode == 2
    assert "command stands after --" in done.stderr.splitlines()[-1].lower()


def test_a_name_taken_by_two_at_once_is_one_worlds(as_user: Account) -> None:
    words = as_user.command(*as_user.libos("run", "--name", "w", "--", "cat"))
    settings = {"env": as_user.environment, "cwd": as_user.folder, "stdin": subprocess.PIPE}
    pair = [subprocess.Popen(words, stderr=subprocess.PIPE, **settings) for _ in range(2)]  # type: ignore[call-overload]
    # The one that was refused ends by itself; the other at the end of its input.
    loser = next(process for process in _as_they_end(pair))
    winner = next(process for process in pair if process is not loser)
    assert b'a world named "w" is running' in loser.communicate(timeout=20)[1]
    assert winner.communicate(timeout=20) == (None, b"")
    assert [process.returncode for process in (loser, winner)] == [125, 0]


def _as_they_end(processes: list[subprocess.Popen[bytes]]) -> Iterator[subprocess.Popen[bytes]]:
    """Give each process once it has ended."""
    by_fd = {os.pidfd_open(process.pid): process for process in processes}
    try:
        with select.epoll() as poll:
            for fd in by_fd:
                poll.register(fd, select.EPOLLIN)
            for fd, _ in poll.poll(20, 1):
                yield by_fd[fd]
    finally:
        for fd in by_fd:
            os.close(fd)


def test_options_after_the_dashes_are_the_commands(as_user: Account) -> None:
    assert run(as_user, "--", "echo", "--report", "-v", "--", "x").stdout == "--report -v -- x\n"


def test_a_manifest_runs_and_its_command_can_be_replaced(as_user: Account) -> None:
    (as_user.folder / "m.toml").write_text(
        'libos = 1\ninclude = ["base"]\n[app]\ncommand = ["echo", "one"]\n'
        '[[mount]]\nat = "/note"\ntext = "two"\n'
    )
    assert run(as_user, "m.toml").stdout == "one\n"
    assert run(as_user, "m.toml", "--", "cat", "/note").stdout == "two"


def test_mounts_variables_and_directory(as_user: Account) -> None:
    (as_user.folder / "data").mkdir()
    (as_user.folder / "data" / "file").write_text("content\n")
    script = "pwd; cat file; echo $A$B; (echo x > file) 2>/dev/null || echo read-only"
    done = run(
        as_user, "-v", "data:/work", "-w", "/work", "-e", "A=1", "-e", "B", "--", "sh", "-c", script,
        env=as_user.environment | {"B": "2", "SECRET": "s"},
    )  # fmt: skip
    assert done.stdout == "/work\ncontent\n12\nread-only\n"


def test_the_callers_variables_stay_outside(as_user: Account) -> None:
    done = run(as_user, "--", "env", env=as_user.environment | {"SECRET": "s"})
    assert "SECRET" not in done.stdout


def test_copy_on_write_leaves_the_host_as_it_was(as_user: Account) -> None:
    (as_user.folder / "file").write_text("old")
    os.chown(as_user.folder / "file", as_user.uid, as_user.uid)
    done = run(as_user, "-v", ".:/w:cow", "-w", "/w", "--", "sh", "-c", "echo new > file; touch b; cat file")
    assert done.stdout == "new\n"
    assert (as_user.folder / "file").read_text() == "old"
    assert not (as_user.folder / "b").exists()


def test_a_file_of_a_foreign_group_is_not_copied_on_write_and_stays(as_user: Account) -> None:
    # overlayfs copies a file with its owner and group; those that the world's user namespace does not map
    # are EOVERFLOW (fs/overlayfs/copy_up.c, ovl_copy_up_one).
    if os.geteuid() != 0:
        pytest.skip("only root makes files of a foreign group")
    file = as_user.folder / "file"
    file.write_text("old")
    os.chown(file, as_user.uid, 4321)
    done = run(as_user, "-v", ".:/w:cow", "--", "sh", "-c", "echo new > /w/file; cat /w/file")
    assert done.stdout == "old"
    # Root's files come through an id-mapped mount, which gives nobody a right over them (EACCES).
    assert os.strerror(errno.EACCES if as_user.uid == 0 else errno.EOVERFLOW) in done.stderr
    assert file.read_text() == "old"


def test_read_write_changes_the_host(as_user: Account) -> None:
    assert run(as_user, "-v", ".:/w:rw", "--", "touch", "/w/made").returncode == 0
    assert (as_user.folder / "made").stat().st_uid == as_user.uid


def test_the_report_says_what_was_refused(as_user: Account) -> None:
    script = "cat /etc/shadow; ls /home; exec 3<>/dev/tcp/1.1.1.1/80"
    done = run(as_user, "--report", "--", "bash", "-c", script)
    assert done.returncode == 1
    assert done.stderr.count("No such file") == 2
    assert "Connection refused" in done.stderr
    reported = [line.split()[2:] for line in done.stderr.splitlines() if line.startswith("libos:  ")]
    first = (["path", "/etc/shadow"], ["path", "/home"], ["dial", "tcp!1.1.1.1!80"])
    assert sorted(reported[: len(first)]) == sorted(first)
    assert done.stderr.count("by themselves; --events shows") == 1
    assert "a path with -v SRC:AT, a dial with --dial ADDRESS\n" in done.stderr
    assert done.stderr.endswith('\n[[dial]]\nto = "tcp!1.1.1.1!80"\n')


def test_the_report_comes_when_the_command_is_not_found_too(as_user: Account) -> None:
    done = run(as_user, "--report", "--", "no-such-program")
    assert done.returncode == 127
    assert "no-such-program" in done.stderr.splitlines()[-1]


def test_events_go_to_a_file_from_start_to_exit(as_user: Account) -> None:
    done = run(
        as_user, "--name", "w", "--events", "events.jsonl", "--", "sh", "-c", "cat /etc/shadow; exit 4"
    )
    events = events_of(as_user.folder / "events.jsonl")
    assert done.returncode == 4
    assert [event["kind"] for event in events if str(event["kind"]).startswith("app.")] == [
        "app.start",
        "app.exit",
    ]
    assert all(event["version"] == 1 and event["world"] == "w" for event in events)
    assert events[-1]["status"] == 4
    assert any(event["kind"] == "path.absent" and event["path"] == "/etc/shadow" for event in events)


def test_events_go_to_a_descriptor(as_user: Account) -> None:
    read_fd, write_fd = os.pipe()
    with open(read_fd) as reader:
        done = run(as_user, "--events", str(write_fd), "--", "true", pass_fds=[write_fd])
        os.close(write_fd)
        kinds = [json.loads(line)["kind"] for line in reader]
    assert done.returncode == 0
    assert (kinds[-1], "app.start" in kinds) == ("app.exit", True)


def test_a_reader_of_events_that_left_does_not_hurt_the_app(as_user: Account) -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    done = run(
        as_user, "--events", str(write_fd), "--", "sh", "-c", "cat /x /y; echo alive", pass_fds=[write_fd]
    )
    os.close(write_fd)
    assert done.stdout == "alive\n"
    assert done.stderr.count("--events") == 1


def test_a_disk_that_is_full_of_events_does_not_hurt_the_app(as_user: Account) -> None:
    done = run(as_user, "--events", "/dev/full", "--", "echo", "alive")
    assert (done.returncode, done.stdout) == (0, "alive\n")
    assert "No space left" in done.stderr


@pytest.mark.parametrize("where", ["77", "99999999999999999999", "/no/such/folder/file", "", "-", "."])
def test_events_that_can_go_nowhere_are_a_usage_error(as_user: Account, where: str) -> None:
    done = run(as_user, "--events", where, "--", "echo", "started")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_forwarded(as_user: Account, number: signal.Signals) -> None:
    script = f"trap 'echo got; exit 9' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    with running(as_user, "--", "sh", "-c", script) as process:
        process.send_signal(number)
        stdout, _ = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (9, b"got\n")


def test_an_app_that_dies_of_a_forwarded_signal_gives_its_status(as_user: Account) -> None:
    with running(as_user, "--", "sh", "-c", "echo ready; exec sleep 100") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 143


def test_a_second_interrupt_ends_an_app_that_ignores_the_first(as_user: Account) -> None:
    script = "trap 'echo heard' INT; echo ready; while :; do sleep 0.05; done"
    with running(as_user, "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"heard\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 137


def test_a_killed_run_leaves_no_process_and_no_socket(as_user: Account) -> None:
    with running(as_user, "--name", "w", "--", "sh", "-c", "echo ready; exec sleep 100") as process:
        sockets = as_user.folder / "libos"
        assert [path.name for path in sockets.iterdir()] == ["w.sock"]
        process.kill()
        process.wait(40)
        # The app held these pipes: their end is the app's.
        assert process.stdout is not None
        assert process.stdout.read() == b""
    done = as_user.run(as_user.libos("ps", "--json"))
    assert json.loads(done.stdout)["worlds"] == []
    assert list(sockets.iterdir()) == []


def test_a_name_that_runs_is_not_taken_again(as_user: Account) -> None:
    with running(as_user, "--name", "w", "--", "sh", "-c", "echo ready; exec sleep 100"):
        done = run(as_user, "--name", "w", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (125, "")
    assert 'a world named "w" is running' in done.stderr


def test_a_control_folder_that_cannot_be_used_stops_only_what_was_named(as_user: Account) -> None:
    folder = as_user.folder / "libos"
    folder.mkdir(mode=0o755)
    os.chown(folder, as_user.uid, -1)
    unnamed = run(as_user, "--", "echo", "ran")
    assert (unnamed.returncode, unnamed.stdout) == (0, "ran\n")
    assert "chmod 700" in unnamed.stderr
    named = run(as_user, "--name", "w", "--", "echo", "ran")
    assert (named.returncode, named.stdout) == (125, "")


def test_a_control_folder_that_cannot_be_made_stops_only_what_was_named(as_user: Account) -> None:
    script = 'mount -t tmpfs -o ro none "$XDG_RUNTIME_DIR"; exec "$@"'

    def read_only(*words: str) -> subprocess.CompletedProcess[str]:
        return as_user.run(["unshare", "-Urm", "sh", "-c", script, "sh", *as_user.libos(*words)])

    unnamed = read_only("run", "--", "echo", "ran")
    assert (unnamed.returncode, unnamed.stdout) == (0, "ran\n")
    assert "set XDG_RUNTIME_DIR" in unnamed.stderr
    for words in (("run", "--name", "w", "--", "echo", "ran"), ("ps",)):
        done = read_only(*words)
        assert (done.returncode, done.stdout) == (125, "")
        assert "Traceback" not in done.stderr


def test_a_published_port_that_is_taken_is_told_and_nothing_starts(as_user: Account) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(as_user, "-p", f"{port}:80", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (125, "")
    assert f"127.0.0.1:{port}: something listens there already" in done.stderr.splitlines()[-1]


def test_a_port_is_published_on_loopback(as_user: Account) -> None:
    script = (
        "import socket as s; l = s.create_server(('', 8000)); print('ready', flush=True); "
        "c, _ = l.accept(); c.sendall(b'hello'); c.close()"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running(as_user, "-p", f"{port}:8000", "--", "python3", "-c", script) as process:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            assert connection.recv(10) == b"hello"
        assert process.wait(40) == 0
