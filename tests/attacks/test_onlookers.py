"""Attacks on who looks at a world from outside: the control socket, and the terminals of people."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from accounts import Account
from attack import Attack

pytestmark = pytest.mark.system

ATTACKS = {
    name: [Attack("", what, live, wall)]
    for name, what, live, wall in (
        (
            "test_the_control_socket_does_not_answer_an_app",
            "the control socket by path, also where its folder is granted, and by abstract names",
            "outside, as the same user",
            "it is in no world, and the server asks the kernel in what pid namespace the other end lives",
        ),
        (
            "test_no_escape_sequence_reaches_a_terminal",
            "escape sequences in the command, names of files, variables, the world's title; "
            "shown by ps, ns, grants, explain, logs, the report and errors",
            "the app's own output, which is its own",
            "what an app chose is shown escaped",
        ),
    )
}
ESCAPES = "\x1b]0;mine\x07\x1b[2J\x9b31m\u202e\r"
# What a terminal obeys: C0 but for the line break and the tab, DEL, C1, and marks that turn the direction.
OBEYED = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u202e", "\u2066"} - {"\n", "\t"}


@contextmanager
def waiting(account: Account, *options: str) -> Iterator[None]:
    """`libos run` of a program that has said that it runs."""
    argv = account.command(*account.libos("run", *options))
    with subprocess.Popen(
        argv, env=account.environment, cwd=account.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None and running.stdin is not None
        assert running.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            running.stdin.close()
            running.wait(20)


CONNECT = """
import glob, os, socket, sys
found = [each for top in ("/run", "/tmp", "/control") for each in glob.glob(top + "/**/*", recursive=True)]
for path in [*sys.argv[1:], *found, "\\0libos", "\\0libos/control", "\\0victim.sock"]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end, socket.socket(socket.AF_UNIX) as stream:
        for each in (end, stream):
            try:
                each.settimeout(5)
                each.connect(path)
                try: each.send(b'{"version": 1, "op": "list"}' + b"\\n")
                except OSError: pass
                print(ascii(path), "answered", each.recv(4000))
            except OSError as error: print(ascii(path), error.strerror)
"""


def test_the_control_socket_does_not_answer_an_app(as_user: Account) -> None:
    script = "echo ready; read line"
    with waiting(as_user, "--name", "victim", "--", "sh", "-c", script):
        folder = next(
            path for path in (as_user.folder / "libos", Path(f"/tmp/libos-{as_user.uid}")) if path.exists()
        )
        path = str(folder / "victim.sock")
        live = as_user.run(as_user.libos("ps", "--json"))
        assert "victim" in live.stdout, live.stderr
        attack = ["--include", "python", "--", "python3", "-c", CONNECT]
        default = as_user.run(as_user.libos("run", *attack, path))
        assert default.returncode == 0, default.stderr
        assert "answered" not in default.stdout, default.stdout
        mounts = ["-v", f"{folder}:/control:rw", "-v", f"{folder}:{folder}:rw"]
        granted = as_user.run(as_user.libos("run", *mounts, *attack, path))
        assert granted.returncode == 0, granted.stderr
        assert "victim.sock" in granted.stdout
        answers = {
            line.partition(" answered ")[2] for line in granted.stdout.splitlines() if " answered " in line
        }
        assert answers <= {"b''"}, granted.stdout  # closed, and nothing said
        # It still answers its own user.
        assert "victim" in as_user.run(as_user.libos("ps", "--json")).stdout


def on_a_terminal(account: Account, argv: list[str]) -> bytes:
    """What a command without colours of its own writes to a terminal."""
    master_fd, slave_fd = pty.openpty()
    environment = account.environment | {"NO_COLOR": "1"}
    with subprocess.Popen(
        account.command(*argv),
        stdout=slave_fd,
        stderr=slave_fd,
        stdin=subprocess.DEVNULL,
        env=environment,
        cwd=account.folder,
    ):
        os.close(slave_fd)
        text = b""
        with suppress(OSError):  # EIO: nobody has the other end open
            while more := os.read(master_fd, 65536):
                text += more
    os.close(master_fd)
    return text.replace(b"\r\n", b"\n")


def obeyed(text: bytes) -> set[str]:
    """The characters in a text that a terminal would obey."""
    return {char for char in text.decode(errors="surrogateescape") if char in OBEYED}


def test_no_escape_sequence_reaches_a_terminal(as_user: Account) -> None:
    hostile = as_user.folder / f"files{ESCAPES}"
    hostile.mkdir(mode=0o755)
    os.chown(hostile, as_user.uid, -1)
    app = [
        "sh",
        "-c",
        'echo ready; cat "/absent$2" "$2" 2>/dev/null; read line',
        f"argv{ESCAPES}",
        "two",
        ESCAPES,
    ]
    options = ["--name", "painter", "-v", f"{hostile}:/seen{ESCAPES}", "-e", f"PAINT={ESCAPES}", "--", *app]
    shown: dict[str, bytes] = {}

    def show(*command: str) -> None:
        shown[ascii(" ".join(command))[:60]] = on_a_terminal(as_user, as_user.libos(*command))

    with waiting(as_user, *options):
        show("ps")
        show("ns", "--world", "painter")
        show("grants", "painter")
        show("stats", "painter")
        show("connections", "painter")
        show("exec", "painter", f"none{ESCAPES}")
        show("exec", "painter", "-w", f"/none{ESCAPES}", "true")
        show("unmount", "painter", f"/none{ESCAPES}")
    show("explain", *options)
    show("run", "--report", "--", "sh", "-c", 'cat "/absent$0" 2>/dev/null; exit 3', ESCAPES)
    show("run", "--", f"none{ESCAPES}")
    show("run", "-w", f"/none{ESCAPES}", "--", "true")
    show("run", "-v", f"/none{ESCAPES}:/x", "--", "true")
    show("run", "--dial", f"tcp!{ESCAPES}!80", "--", "true")
    show("check", f"none{ESCAPES}.toml")
    assert {command: text[-400:] for command, text in shown.items() if obeyed(text)} == {}
    assert any(b"painter" in text for text in shown.values())
