"""`libos watch` on a real terminal, with real worlds and event files."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest
from accounts import Account

from libos.cli import watch_command
from libos.errors import HostError

pytestmark = pytest.mark.system

# Says what it read, or that it could not.
_LOOKING = "while read line; do cat $line 2>/dev/null || echo nothing; done"
# Select Graphic Rendition, ECMA-48 section 8.3.117; what sets a colour has a number of 30 or more; 39 and 49
# are the terminal's own.
_SGR = re.compile(r"\x1b\[([0-9;:]*)m")


@contextmanager
def terminal(account: Account, *words: str, **environment: str) -> Iterator[pexpect.spawn]:
    """`libos watch` on a terminal of its own; it has ended when the block does."""
    command = account.command(*account.libos("watch", *words))
    child = pexpect.spawn(
        command[0],
        command[1:],
        env={**account.environment, "TERM": "xterm-256color", **environment},
        cwd=str(account.folder),
        dimensions=(30, 100),
        encoding="utf-8",
        timeout=60,
    )
    try:
        yield child
    finally:
        child.close(force=True)


class World:
    """A running world "w", whose app looks where it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def look(self, path: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def world(as_user: Account) -> Iterator[World]:
    (as_user.folder / "word").write_text("granted\n")
    (as_user.folder / "word").chmod(0o644)
    with as_user.start(
        as_user.libos("run", "--name", "w", "--", "sh", "-c", _LOOKING),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        made = World(process)
        assert made.look("/before") == "nothing"
        yield made
        process.terminate()


@pytest.mark.soak_accounts("root")
@pytest.mark.timeout(240)
def test_a_walk_through_a_running_world(as_user: Account, world: World) -> None:
    with terminal(as_user, "w") as seen:
        seen.expect("path +/before")  # what happened before it looked
        assert world.look("/data") == "nothing"
        seen.expect("path +/data")
        seen.send("/data\r")
        seen.expect("hidden by the filter")
        seen.send("g")
        seen.expect("libos mount w /data:/data")
        seen.send("\x15")  # Ctrl-U: the line is empty
        seen.expect("ibos COMMAND")  # the cursor stands on its first letter
        seen.send("libos mount w word:/data\r")
        seen.expect(r"\$ libos mount w word:/data +done")
        assert world.look("/data") == "granted"
        seen.send("\x1b[Z")  # Shift-Tab: to what the world holds
        seen.send("\x1b[B")  # down
        seen.expect("mount /data ")
        seen.send("r")
        seen.expect("libos revoke w [0-9]+")
        seen.send("y")
        seen.expect(r"\$ libos revoke w [0-9]+ +done")
        assert world.look("/data") == "nothing"
        seen.send("s")
        seen.expect(r"the view is back\)\s+\$ ")  # the shell's prompt
        seen.sendline("echo in$((1+1))side; ls /home")
        seen.expect("in2side")
        seen.expect("No such file")
        seen.sendline("exit")
        seen.expect("libos exec -it w sh +")
        seen.send("K")
        seen.expect("libos kill w")
        seen.send("y")
        seen.expect("ended, signal 9")
        assert world.process.wait(50) == 137
        seen.send("s")
        seen.expect("shell: the world has ended")
        seen.send("q")
        seen.expect(pexpect.EOF)
        seen.close()
        assert seen.exitstatus == 0


@pytest.mark.soak_accounts("root")
def test_an_event_file_is_looked_at(as_user: Account) -> None:
    script = "cat /etc/shadow; cat '/\x1b[31mred'; true"
    done = as_user.run(as_user.libos("run", "--events", "run.jsonl", "--", "sh", "-c", script))
    assert done.returncode == 0, done.stderr
    with terminal(as_user, "run.jsonl") as seen:
        seen.expect("ended, status 0")
        seen.expect(r"path +/\\x1b\[31mred")
        seen.send("K")
        seen.expect("kill: this is an event file")
        seen.send("q")
        seen.expect(pexpect.EOF)
        seen.close()
        assert seen.exitstatus == 0


@pytest.mark.soak_accounts("user")
def test_no_color_means_none(as_user: Account) -> None:
    as_user.run(as_user.libos("run", "--events", "run.jsonl", "--", "cat", "/etc/shadow"))
    with terminal(as_user, "./run.jsonl", NO_COLOR="1") as seen:
        seen.expect("/etc/shadow")
        drawn = seen.before
        seen.send("q")
        seen.expect(pexpect.EOF)
    numbers = {number for sgr in _SGR.findall(drawn + seen.before) for number in re.split("[;:]", sgr)}
    assert "7" in numbers  # the cursor, in reverse
    assert not [number for number in numbers if number not in ("", "39", "49") and int(number) >= 30]


@pytest.mark.soak_accounts("user")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(as_user: Account, number: signal.Signals) -> None:
    (as_user.folder / "run.jsonl").write_text("")
    (as_user.folder / "run.jsonl").chmod(0o644)
    command = as_user.command(*as_user.libos("watch", "run.jsonl"))
    # A shell holds the terminal open, and says when the view has gone.
    shell = 'echo "shell $$"; "$@" & echo "view $!"; fg >/dev/null 2>&1; echo; echo status $?; read end'
    child = pexpect.spawn("bash", ["-mc", shell, "bash", *command],
                          env={**as_user.environment, "TERM": "xterm-256color"},
                          cwd=str(as_user.folder), encoding="utf-8", timeout=60)  # fmt: skip
    try:
        child.expect("view ([0-9]+)")
        pid = int(child.match[1])
        before = _settings(child)
        child.expect("its end was not told")
        assert _settings(child) != before
        subprocess.run(["kill", f"-{number.name.removeprefix('SIG')}", str(pid)], check=True)
        child.expect("status 0")
        assert _settings(child) == before
    finally:
        child.close(force=True)


def _settings(child: pexpect.spawn) -> list[object]:
    found: list[object] = termios.tcgetattr(child.child_fd)
    return found


@pytest.mark.soak_accounts("user")
def test_it_ends_when_its_terminal_goes(as_user: Account) -> None:
    (as_user.folder / "run.jsonl").write_text("")
    with terminal(as_user, "run.jsonl") as seen:
        seen.expect("its end was not told")
        seen.ptyproc.fileobj.close()
        seen.ptyproc.wait()


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        ((), 2, "it needs a terminal; libos trace prints the events as lines"),
        (("w",), 2, "it needs a terminal"),
    ],
)
def test_without_a_terminal_it_names_the_command_that_needs_none(
    as_user: Account, words: tuple[str, ...], status: int, why: str
) -> None:
    done = as_user.run(as_user.libos("watch", *words))
    assert (done.returncode, done.stdout) == (status, "")
    assert why in done.stderr


@pytest.mark.soak_accounts("user")
def test_what_is_not_there_is_one_message(as_user: Account) -> None:
    for word, why, status in (("ghost", 'no world named "ghost"', 125), ("./no.jsonl", "No such file", 2)):
        with terminal(as_user, word) as seen:
            seen.expect(pexpect.EOF)
            assert why in seen.before
            seen.close()
            assert seen.exitstatus == status


def test_without_textual_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    with pytest.raises(HostError, match=re.escape("pip install 'libos[watch]'")):
        watch_command._view()
