"""Attacks on who looks at a world from outside: the control socket, and the terminals of people."""

from __future__ import annotations

import os
import pty
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from accounts import Account
from attack import Attack

from libos.seen import read_events
from libos.view.showing import Showing
from libos.watch.details import details
from libos.watch.holding import Holding
from libos.watch.rows import Words, flattened
from libos.watch.trying import tried
from libos.why.remedies import path_word

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
        (
            "test_no_view_of_a_run_obeys_a_name",
            "escape sequences, line ends, marks of direction and characters without width in the names of a "
            "recorded run; shown by run --report, trace, why, report, diff-runs, view and watch",
            "the event file, where JSON escapes them",
            "each view shows what an app chose escaped",
        ),
        (
            "test_what_is_learned_of_hostile_names_is_a_manifest",
            "the same names, of files that a program reads while it is learned",
            "the names of the files",
            "the manifest has them escaped in its strings, and what is no text is left out and said",
        ),
        (
            "test_what_an_app_looked_for_is_no_mode_and_no_other_path",
            "names that end as a mode of `libos allow` does, or that break out of a string in TOML",
            "the words that a person types",
            "what is offered means exactly the name, or is not offered",
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
            running.wait(50)


CONNECT = """
import glob, os, socket, sys
found = [each for top in ("/run", "/tmp", "/control") for each in glob.glob(top + "/**/*", recursive=True)]
for path in [*sys.argv[1:], *found, "\\0libos", "\\0libos/control", "\\0victim.sock"]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end, socket.socket(socket.AF_UNIX) as stream:
        for each in (end, stream):
            try:
                each.settimeout(20)
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


# What a program names: each is one name of a file.
NAMES = (
    ESCAPES,
    "two\nlines.pem",
    'a" # "\nhost = "x',
    "no\u200b\ufe0f\u3164width",
    "\udcff\udc80",
    "\u202e\U0001f600.pem",
    "x:rw",
    "x " * 60,
)
NAMING = """
import os, sys
for name in sys.argv[1:]:
    for path in ("/absent" + name, "/seen/" + name, "/seen/not" + name):
        try: open(path).close()
        except OSError: pass
"""
# What no view shows: what a terminal obeys, and what has no width.
UNSEEN = OBEYED | {*"\u200b\ufe0f\u3164"}


def put(account: Account, folder: Path, *names: str, text: str = "x") -> None:
    """Make files that are the account's."""
    folder.mkdir(exist_ok=True)
    for path in (folder, *(folder / name for name in names)):
        if path != folder:
            path.write_text(text)
        os.chown(path, account.uid, -1)


@pytest.mark.soak_accounts("root")
def test_no_view_of_a_run_obeys_a_name(as_user: Account) -> None:
    files = as_user.folder / "files"
    put(as_user, files, *NAMES)
    put(as_user, as_user.folder, "naming.py", text=NAMING)
    shown: dict[str, bytes] = {}

    def show(*command: str) -> bytes:
        shown[" ".join(map(ascii, command))[:80]] = text = on_a_terminal(as_user, as_user.libos(*command))
        return text

    mounts = ["--include", "python", "-v", f"{files}:/seen", "-v", f"{as_user.folder}/naming.py:/naming.py"]
    program = ["--", "python3", "/naming.py", *NAMES]
    show("run", "--report", "--record", "--events", "run.jsonl", *mounts, *program)
    assert not obeyed((as_user.folder / "run.jsonl").read_bytes(), UNSEEN)
    traced = show("trace", "run.jsonl")
    assert traced.count(b"\\u202e") > 2
    assert b"\n" * 2 not in traced
    assert b"[[mount]]" in show("why", "run.jsonl", f"/absent{ESCAPES}")
    assert b"Mind: " in show("why", "run.jsonl", "/absent\udcff\udc80")
    show("report", "run.jsonl", "-o", "run.html")
    shown["page"] = (as_user.folder / "run.html").read_bytes()
    assert b"two\\nlines" in shown["page"]
    as_user.run(as_user.libos("run", "--events", "other.jsonl", "--", "true"))
    assert b"two\\nlines" in show("diff-runs", "run.jsonl", "other.jsonl")
    shown |= {name: text.encode() for name, text in drawn(as_user.folder / "run.jsonl")}
    assert all(b"lines.pem" in shown[name] for name in ("the live page", "its changes", "watch"))
    assert {command: text[-400:] for command, text in shown.items() if obeyed(text, UNSEEN)} == {}


def drawn(events: Path) -> Iterator[tuple[str, str]]:
    """What views draw of a run that are not one command's output."""
    showing = Showing()
    showing.take(read_events(str(events)))
    yield "the live page", showing.page()[0]
    showing.finish()
    yield "its changes", "".join(part.html for part in showing.feeds.board.since(0))
    seen = showing.seen
    # This word opens what is folded.
    rows = flattened([*Holding(seen).items(), *tried(seen)], {}, Words.of("-nothing-has-this")).rows
    about = (line.text for row in rows for line in details(seen, row.item.subject))
    yield "watch", "\n".join([*(f"{row.item.text} {row.item.tail}" for row in rows), *about])


@pytest.mark.soak_accounts("root")
def test_what_is_learned_of_hostile_names_is_a_manifest(as_user: Account) -> None:
    files = as_user.folder / "files"
    put(as_user, files, *NAMES)
    script = "import os; [open(os.path.join(b'files', each)).close() for each in os.listdir(b'files')]"
    learned = ["learn", "-o", "learned.toml", "--", "python3", "-c", script]
    text = on_a_terminal(as_user, as_user.libos(*learned))
    assert b"run it: libos run learned.toml" in text
    assert all(line.startswith(b"libos: ") for line in text.splitlines()), text
    assert b"lines.pem holds a secret" in text
    made = (as_user.folder / "learned.toml").read_bytes()
    assert not obeyed(text + made, UNSEEN)
    again = as_user.run(as_user.libos("check", "learned.toml"))
    assert (again.returncode, again.stderr) == (0, "")


def test_what_an_app_looked_for_is_no_mode_and_no_other_path(as_user: Account) -> None:
    names = ("x:rw", 'a" # "\nhost = "x', "\u202e\U0001f600", "x" + " " * 9)
    put(as_user, as_user.folder, "agent.toml", text='libos = 1\n[app]\ncommand = ["true"]\n')
    put(as_user, as_user.folder, *names)
    paths = [str(as_user.folder / name) for name in names]
    done = as_user.run(as_user.libos("allow", "agent.toml", *map(path_word, paths)))
    assert done.returncode == 0, done.stderr
    mounts = tomllib.loads((as_user.folder / "agent.toml").read_text())["mount"]
    assert mounts == [{"at": path, "host": path} for path in paths]


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


def obeyed(text: bytes, chars: set[str] = OBEYED) -> set[str]:
    """The characters in a text that a terminal would obey."""
    return chars.intersection(text.decode(errors="surrogateescape"))


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
