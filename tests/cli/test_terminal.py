"""`libos run` and `libos exec -it` on a terminal: sizes, keys, job control, and the terminal as it was
afterwards."""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable, Iterator

import pexpect
import pytest
from accounts import Account

pytestmark = pytest.mark.system

# Input, output, control and local modes, and the control characters: what tcsetattr(3) sets.
Modes = list[object]
_PROMPT = "PROMPT> "


class Shell:
    """An interactive bash on a pty of 40 rows and 100 columns, as one of the accounts."""

    def __init__(self, account: Account) -> None:
        self.account = account
        environment = account.environment | {"PS1": _PROMPT, "TERM": "xterm", "HISTFILE": "/dev/null"}
        program, *words = account.command("bash", "--norc", "--noprofile", "-i")
        self.child = pexpect.spawn(
            program,
            words,
            env=environment,
            cwd=str(account.folder),
            timeout=40,
            encoding="utf-8",
            dimensions=(40, 100),
        )
        self.type("bind 'set enable-bracketed-paste off'")
        self.wait_prompt()
        self.wait_prompt()

    def type(self, line: str) -> None:
        self.child.sendline(line)

    def press(self, letter: str) -> None:
        """Press a letter with Ctrl."""
        self.child.sendcontrol(letter)

    def see(self, text: str) -> None:
        self.child.expect_exact(text)

    def wait_prompt(self) -> None:
        self.see(_PROMPT)

    def start_cat(self, line: str) -> None:
        """Run cat in some way and wait until it reads: a stop before its exec would stop in vfork(2) what
        waits."""
        self.type(line)
        self.type("up")
        self.see("up\r\nup\r\n")

    def status(self) -> int:
        """Wait for the prompt and give the last status."""
        self.wait_prompt()
        self.type("echo status=$?.")
        self.child.expect(r"status=(\d+)\.")
        found = int(self.child.match.group(1))
        self.wait_prompt()
        return found

    def modes(self) -> Modes:
        """The terminal's modes, as a program that the shell starts now would find them."""
        self.type("stty -g; echo done.")
        self.child.expect(r"\r\n([0-9a-f:]+)\r\ndone\.")
        found = self.child.match.group(1).split(":")
        self.wait_prompt()
        return list(found)

    def modes_now(self) -> Modes:
        return list(termios.tcgetattr(self.child.child_fd))

    def close(self) -> None:
        self.child.close(force=True)


@pytest.fixture
def shell(as_user: Account) -> Iterator[Shell]:
    made = Shell(as_user)
    try:
        yield made
    finally:
        made.close()


def _is_raw(modes: Modes) -> bool:
    local = modes[3]
    assert isinstance(local, int)
    return not local & (termios.ICANON | termios.ECHO | termios.ISIG)


def test_the_app_has_a_terminal_of_its_own_with_the_callers_size(shell: Shell) -> None:
    before = shell.modes()
    shell.type("libos run -- sh -c 'tty; stty size; echo $TERM; ps -o tty= $$ 2>/dev/null'")
    shell.see("/dev/pts/0")
    shell.see("40 100")
    shell.see("xterm")
    assert shell.status() == 0
    assert shell.modes() == before


def test_the_status_passes_through_a_terminal(shell: Shell) -> None:
    shell.type("libos run -- sh -c 'exit 42'")
    assert shell.status() == 42


def test_the_last_output_is_not_lost(shell: Shell) -> None:
    shell.type(
        "libos run -- sh -c 'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf END'"
    )
    shell.see("line 2999")
    shell.see("END")
    assert shell.status() == 0


def test_keys_reach_the_app_and_the_pty_is_raw_meanwhile(shell: Shell) -> None:
    shell.type("libos run -- cat")
    shell.type("hello")
    shell.see("hello\r\nhello")
    assert _is_raw(shell.modes_now())
    shell.press("d")
    assert shell.status() == 0
    assert not _is_raw(shell.modes_now())


def test_a_new_size_reaches_the_app(shell: Shell) -> None:
    # With no trap of its own bash passes over an interrupt that its child, ending just then, did not die of.
    traps = 'trap "stty size" WINCH; trap "exit 5" INT'
    shell.type(f"libos run -- bash -c '{traps}; echo up; while :; do sleep 0.05; done'")
    shell.see("up\r\n")
    shell.child.setwinsize(33, 77)
    shell.see("33 77")
    shell.press("c")
    assert shell.status() == 5


def test_ctrl_c_ends_the_app_and_not_a_shell_in_it(shell: Shell) -> None:
    shell.type("libos run -e 'PS1=in''ner> ' -- bash --norc --noprofile -i")
    shell.see("inner> ")
    shell.type("sh -c 'echo in''deed; exec sleep 100'")
    shell.see("indeed")  # before that the key might still be the shell's
    shell.press("c")
    shell.see("inner> ")
    shell.type("exit 3")
    assert shell.status() == 3


def test_a_shell_inside_has_job_control_of_its_own(shell: Shell) -> None:
    shell.type("libos run -e 'PS1=in''ner> ' -- bash --norc --noprofile -i")
    shell.see("inner> ")
    shell.start_cat("cat")
    shell.press("z")
    shell.see("Stopped")
    shell.see("inner> ")
    shell.type("fg")
    shell.type("back")
    shell.see("back\r\nback")
    shell.press("d")
    shell.type("exit")
    assert shell.status() == 0


def test_ctrl_z_and_fg(shell: Shell) -> None:
    before = shell.modes()
    shell.start_cat("libos run -- cat")
    for word in ("one", "two"):
        shell.press("z")
        shell.see("Stopped")
        shell.wait_prompt()
        assert shell.modes() == before
        shell.type("fg")
        shell.type(word)
        shell.see(f"{word}\r\n{word}")
    shell.press("d")
    assert shell.status() == 0
    assert shell.modes() == before


def test_bg_leaves_the_terminal_to_the_shell_and_fg_gives_it_back(shell: Shell) -> None:
    shell.start_cat("libos run -- cat")
    shell.press("z")
    shell.wait_prompt()
    shell.type("bg")
    shell.wait_prompt()
    shell.type("echo $((40 + 2)); jobs")
    shell.see("42\r\n")
    shell.see("Running")
    shell.wait_prompt()
    shell.type("fg")
    shell.see("libos run")
    shell.type("again")
    shell.see("again\r\nagain")
    shell.press("d")
    assert shell.status() == 0


def test_started_in_the_background_it_takes_nothing_until_fg(shell: Shell) -> None:
    shell.type("libos run -- sh -c 'echo up; read line; echo got $line' &")
    shell.see("] ")
    shell.see("up\r")
    shell.type("echo $((40 + 2))")
    shell.see("42\r\n")
    shell.type("fg")
    shell.type("word")
    shell.see("got word")
    assert shell.status() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_from_elsewhere_ends_the_app_and_restores_the_terminal(
    shell: Shell, number: signal.Signals
) -> None:
    before = shell.modes()
    shell.type("libos run --name w -- sh -c 'echo up; exec sleep 100'")
    shell.see("up\r\n")
    _kill_run(shell, number)
    assert shell.status() == 128 + number
    assert shell.modes() == before


def _kill_run(shell: Shell, number: signal.Signals) -> None:
    """Send a signal to `libos run` by its pid, which `ps` tells."""
    import json

    done = shell.account.run(shell.account.libos("ps", "--json"))
    (world,) = json.loads(done.stdout)["worlds"]
    os.kill(world["supervisor"], number)


def test_a_lost_world_restores_the_terminal(shell: Shell) -> None:
    before = shell.modes()
    shell.type("libos run --name w -- sh -c 'echo up; exec sleep 100'")
    shell.see("up\r\n")
    shell.account.run(shell.account.libos("kill", "w"))
    assert shell.status() == 137
    assert shell.modes() == before


def test_a_stream_that_goes_elsewhere_gets_its_data_unmixed(shell: Shell) -> None:
    shell.type("libos run -- sh -c 'test -t 0 && echo tty; echo err >&2; exit 4' 2>err")
    shell.see("tty\r\n")
    assert shell.status() == 4
    assert (shell.account.folder / "err").read_text() == "err\n"


def test_t_sends_the_terminals_output_where_stdout_goes(shell: Shell) -> None:
    shell.type("libos run -t -- sh -c 'test -t 1 && echo yes' | tr y Y")
    # The app's terminal ends a line with \r\n; the caller's adds an \r where tr writes after the app's end.
    shell.child.expect(r"Yes\r+\n")
    assert shell.status() == 0


def test_without_a_terminal_ctrl_z_stops_the_app_too(shell: Shell) -> None:
    shell.type("libos run -T -- sh -c 'echo up; read line; echo got $line'")
    shell.see("up\r\n")
    shell.press("z")
    shell.see("Stopped")
    shell.wait_prompt()
    shell.type("fg")
    shell.see("libos run")
    shell.type("word")
    shell.see("got word")
    assert shell.status() == 0


@pytest.fixture
def world(shell: Shell) -> Iterator[Callable[[str], None]]:
    """A world named "w" that runs in the shell's background; gives what types a `libos exec` command."""
    shell.type("libos run --name w -- sh -c 'echo up; exec sleep 100' </dev/null &")
    shell.see("up\r\n")
    yield lambda words: shell.type(f"libos exec {words}")
    shell.account.run(shell.account.libos("kill", "w"))


def test_exec_works_as_a_terminal(shell: Shell, world: Callable[[str], None]) -> None:
    before = shell.modes()
    world("-it -e 'PS1=in''ner> ' w -- bash --norc --noprofile -i")
    shell.see("inner> ")
    shell.type("tty; stty size; echo $TERM")
    shell.see("/dev/pts/")
    shell.see("40 100")
    shell.see("xterm")
    shell.child.setwinsize(33, 77)
    shell.type("sh -c 'echo in''deed; exec sleep 100'")
    shell.see("indeed")  # before that the key might still be the shell's
    shell.press("c")
    shell.see("inner> ")
    shell.type("stty size")
    shell.see("33 77")
    shell.type("exit 6")
    assert shell.status() == 6
    assert shell.modes() == before


def test_exec_stops_and_goes_on(shell: Shell, world: Callable[[str], None]) -> None:
    before = shell.modes()
    shell.start_cat("libos exec w -- cat")
    shell.press("z")
    shell.see("Stopped")
    shell.wait_prompt()
    assert shell.modes() == before
    shell.type("fg %2")
    shell.type("word")
    shell.see("word\r\nword")
    shell.press("c")
    assert shell.status() == 130
    assert shell.modes() == before
