"""`libos trace` and `libos diff-runs`: files, worlds, commands; and every command whose reader goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from accounts import Account

pytestmark = pytest.mark.system

ESCAPES = "/\x1b[2J<script>\n\u202eevil"


def event_line(kind: str, **fields: object) -> str:
    return json.dumps({"version": 1, "time": 5.0, "world": "w", "kind": kind, **fields}) + "\n"


LINES = (
    event_line("app.start", command=["sh"], pid=5)
    + event_line("path.absent", path="/etc/shadow")
    + event_line("dial.refused", network="tcp", address="1.1.1.1", port=80, name=None, count=2)
    + event_line("path.absent", path=ESCAPES)
    + event_line("app.exit", status=1, reason="exit", seconds=0.5)
)


@pytest.fixture
def file(as_user: Account) -> Path:
    path = as_user.folder / "run.jsonl"
    path.write_text(LINES)
    path.chmod(0o644)
    return path


def test_a_file_is_printed_as_lines(as_user: Account, file: Path) -> None:
    done = as_user.run(as_user.libos("trace", str(file)))
    assert done.returncode == 0
    lines = [line.split(None, 1)[1] for line in done.stdout.splitlines()]
    assert lines[1].split() == ["path.absent", "/etc/shadow", "=", "ENOENT"]
    assert lines[2].split() == ["dial.refused", "tcp!1.1.1.1!80", "=", "ECONNREFUSED", "count=2"]
    assert lines[-1].split(None, 1)[1] == "= 1 (exit) after 0.500 s"


def test_a_name_with_escapes_is_one_harmless_line(as_user: Account, file: Path) -> None:
    done = as_user.run(as_user.libos("trace", str(file)))
    assert len(done.stdout.splitlines()) == LINES.count("\n")
    assert r"/\x1b[2J<script>\n\u202eevil" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()


def test_filters_say_what_they_left_out(as_user: Account, file: Path) -> None:
    done = as_user.run(as_user.libos("trace", "--path", "/etc", str(file), "kind:path"))
    assert done.stdout.split()[1:] == ["path.absent", "/etc/shadow", "=", "ENOENT"]
    assert done.stderr == "libos: 4 of 5 events are filtered out\n"


def test_json_lines_are_the_events(as_user: Account, file: Path) -> None:
    done = as_user.run(as_user.libos("trace", "--json", str(file), "kind:app"))
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["app.start", "app.exit"]


def test_a_cut_file_is_read_and_the_cut_is_said(as_user: Account, file: Path) -> None:
    file.write_text(LINES[:-10])
    done = as_user.run(as_user.libos("trace", str(file)))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, LINES.count("\n") - 1)
    assert done.stderr == f"libos: {file}: the last line is cut\n"


def test_a_newer_file_is_one_message_and_status_two(as_user: Account, file: Path) -> None:
    file.write_text(LINES.replace('"version": 1', '"version": 9'))
    done = as_user.run(as_user.libos("trace", str(file)))
    assert (done.returncode, done.stdout) == (2, "")
    assert "an event of version 9, and this libos reads version 1" in done.stderr


def test_following_a_file_ends_with_its_world(as_user: Account, file: Path) -> None:
    done = as_user.run(as_user.libos("trace", "--follow", str(file)))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, LINES.count("\n"))


def test_a_command_is_traced_on_standard_error_and_its_status_kept(as_user: Account) -> None:
    script = "cat /etc/shadow; cat /here/file; exit 3"
    (as_user.folder / "file").write_text("out\n")
    done = as_user.run(as_user.libos("trace", "-v", "file:/here/file", "--", "sh", "-c", script))
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert "/etc/shadow = ENOENT" in done.stderr
    assert "world.plan" in done.stderr


def test_options_of_a_run_are_for_a_command(as_user: Account, file: Path) -> None:
    done = as_user.run(as_user.libos("trace", "-v", "/etc:/etc", str(file)))
    assert done.returncode == 2
    assert done.stderr.endswith("the options of libos run are for a command after --\n")


def test_a_running_world_is_traced_late_and_to_its_end(as_user: Account) -> None:
    words = ("run", "--name", "w", "--", "sh", "-c", "cat /early; echo ready; read line; cat /late; exit 4")
    with as_user.start(
        as_user.libos(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        assert running.stdout.readline() == "ready\n"
        now = as_user.run(as_user.libos("trace", "w", "kind:path"))
        assert "/early = ENOENT" in now.stdout
        with as_user.start(
            as_user.libos("trace", "--follow", "w"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as tracing:
            assert tracing.stdout is not None
            assert "world.plan" in tracing.stdout.readline()
            running.stdin.write("\n")
            running.stdin.flush()
            rest = tracing.stdout.read()
            assert tracing.wait(50) == 0
        assert running.wait(50) == 4
    assert "/late = ENOENT" in rest
    assert "= 4 (exit)" in rest.splitlines()[-1]


def test_control_c_ends_a_trace_at_once(as_user: Account, file: Path) -> None:
    file.write_text(event_line("app.start", command=["sh"], pid=5))
    with as_user.start(as_user.libos("trace", "-f", str(file)), stdout=subprocess.PIPE) as tracing:
        assert tracing.stdout is not None
        assert "app.start" in tracing.stdout.readline()
        tracing.send_signal(signal.SIGINT)
        assert tracing.wait(50) == -signal.SIGINT  # which a shell shows as 130


def test_what_is_neither_a_world_nor_a_file_is_one_message(as_user: Account) -> None:
    done = as_user.run(as_user.libos("trace", "nothing"))
    assert done.stderr.splitlines()[-1] == 'libos: no world named "nothing" is running; see: libos ps'
    assert as_user.run(as_user.libos("trace")).returncode == 2


def test_runs_are_compared_as_diff_does(as_user: Account, file: Path) -> None:
    other = as_user.folder / "other.jsonl"
    other.write_text(LINES.replace("/etc/shadow", "/etc/passwd").replace('"status": 1', '"status": 0'))
    other.chmod(0o644)
    done = as_user.run(as_user.libos("diff-runs", str(file), str(other)))
    assert done.returncode == 1
    assert [line.split(None, 2) for line in done.stdout.splitlines()] == [
        ["+", "absent", "/etc/passwd"],
        ["-", "absent", "/etc/shadow"],
        ["+", "exit", "0 (exit)"],
        ["-", "exit", "1 (exit)"],
    ]
    told = json.loads(as_user.run(as_user.libos("diff-runs", "--json", str(file), str(other))).stdout)
    assert told["only_a"] == [{"what": "absent", "name": "/etc/shadow"}, {"what": "exit", "name": "1 (exit)"}]
    same = as_user.run(as_user.libos("diff-runs", str(file), str(file)))
    assert (same.returncode, same.stdout) == (0, "")
    assert as_user.run(as_user.libos("diff-runs", str(file), "/none")).returncode == 2


@pytest.mark.accounts("user")
@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("run", "--help"),
        ("schema",),
        ("explain",),
        ("explain", "--syscalls"),
        ("ns",),
        ("ps",),
        ("doctor",),
        ("trace", "run.jsonl"),
        ("diff-runs", "run.jsonl", "/dev/null"),
    ],
    ids=" ".join,
)
def test_a_command_whose_reader_went_ends_quietly(
    as_user: Account, file: Path, words: tuple[str, ...]
) -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    try:
        done = as_user.run(
            as_user.libos(*words), capture_output=False, stdout=write_fd, stderr=subprocess.PIPE
        )
    finally:
        os.close(write_fd)
    assert (done.stderr, done.returncode) == ("", 141)
