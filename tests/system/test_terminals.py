"""A program on a pty of the world's own: its size, its signals, and job control."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
from typing import Any

import pytest
import trio

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


def world(*command: str) -> dict[str, Any]:
    """A manifest of the profile shell, without readline's own echo."""
    return {
        "libos": 1,
        "include": ["shell"],
        "app": {"command": list(command), "environment": {"TERM": "dumb"}},
    }


class Screen:
    """The master's side: what was written is kept, and waited for."""

    def __init__(self, process: libos.Process) -> None:
        assert process.terminal_fd is not None
        self._fd = process.terminal_fd
        os.set_blocking(self._fd, False)
        self.text = ""

    async def write(self, text: str) -> None:
        """Type."""
        os.write(self._fd, text.encode())

    async def until(self, text: str) -> str:
        """Wait for a text; gives what stood before it, and forgets both."""
        with trio.fail_after(20):
            while text not in self.text:
                if not await self._read():
                    raise AssertionError(f"ended without {text!r}: {self.text!r}")
        before, _, self.text = self.text.partition(text)
        return before

    async def rest(self) -> str:
        """All until the terminal ends."""
        while await self._read():
            pass
        return self.text

    async def _read(self) -> bool:
        while True:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._fd)
            except OSError:  # EIO: nobody holds the other side any more
                return False
            else:
                self.text += data.decode()
                return bool(data)


async def test_all_three_streams_are_a_terminal_of_the_worlds_own(supervisor: libos.Supervisor) -> None:
    script = "tty; tty <&1; tty <&2; stty size; ls /dev/pts; ps -o tty= -p $$"
    app = await supervisor.start(world("sh", "-c", script), terminal=(33, 101))
    assert (await Screen(app).rest()).split() == [
        *["/dev/pts/0"] * 3,
        *("33", "101", "0", "ptmx", "pts/0"),
    ]
    assert (await app.wait()).returncode == 0
    await app.aclose()


async def test_a_stream_that_is_given_is_not_the_terminal(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(
        world("sh", "-c", "test -t 0 && test -t 2 && ! test -t 1 && echo piped"),
        stdout=subprocess.PIPE,
        terminal=True,
    )
    assert app.stdout is not None
    assert b"".join([chunk async for chunk in app.stdout]) == b"piped\n"
    await app.wait()
    await app.aclose()


async def test_stderr_can_follow_stdout_onto_the_terminal(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(
        world("sh", "-c", "test -t 1 && test -t 2 && echo both"), stderr=subprocess.STDOUT, terminal=True
    )
    assert await Screen(app).rest() == "both\r\n"
    await app.wait()
    await app.aclose()


async def test_control_c_interrupts_the_foreground_and_not_the_shell(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("bash", "--norc"), terminal=True)
    screen = Screen(app)
    await screen.write("PS1=ready-$((40+2)); stty -echo\n")
    await screen.until("ready-42")
    # The job itself says that it is up: then the shell has put it in the foreground.
    await screen.write("sh -c 'echo up-$((1+1)); exec sleep 100'\n")
    await screen.until("up-2")
    await screen.write("\x03")
    await screen.until("ready-42")
    await screen.write("echo status-$?; exit 5\n")
    await screen.until("status-130")
    assert (await app.wait()).returncode == 5
    await app.aclose()


async def test_control_z_stops_a_job_and_fg_resumes_it(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("bash", "--norc"), terminal=True)
    screen = Screen(app)
    await screen.write("PS1=ready-$((40+2)); stty -echo\n")
    await screen.until("ready-42")
    await screen.write("cat\n")
    await screen.write("line\n")
    await screen.until("line")
    await screen.write("\x1a")
    await screen.until("Stopped")
    await screen.until("ready-42")
    await screen.write("jobs; fg\n")
    await screen.until("Stopped")
    await screen.write("again\n")
    await screen.until("again")
    await screen.write("\x04")
    await screen.until("ready-42")
    await screen.write("exit\n")
    assert (await app.wait()).returncode == 0
    await app.aclose()


async def test_the_program_itself_can_be_stopped_and_continued(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("cat"), terminal=True)
    screen = Screen(app)
    seen: list[str] = []

    async def watch(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        async for change in app.job_changes():
            seen.append(change)
            if change == "stopped":
                stopped.set()
            elif change == "continued":
                continued.set()

    stopped, continued = trio.Event(), trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(watch)
            await screen.write("x\n")
            await screen.until("x\r\nx")
            await screen.write("\x1a")
            await stopped.wait()
            await app.send_signal(signal.SIGCONT)
            await continued.wait()
            await screen.write("y\n")
            await screen.until("y\r\ny")
            await screen.write("\x04")
            await app.wait()
    assert seen == ["stopped", "continued"]
    await app.aclose()


async def test_a_new_size_is_seen_with_sigwinch(supervisor: libos.Supervisor) -> None:
    script = "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.05; done"
    app = await supervisor.start(world("bash", "-c", script), terminal=True)
    screen = Screen(app)
    await screen.until("up")
    assert app.terminal_fd is not None
    fcntl.ioctl(app.terminal_fd, termios.TIOCSWINSZ, struct.pack("=HHHH", 50, 132, 0, 0))
    await screen.until("50 132")
    await app.wait()
    await app.aclose()


async def test_a_closed_terminal_hangs_up(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("cat"), terminal=True)
    app.close_terminal()
    # Which comes first is the kernel's choice: the session's hangup, or the end of cat's read (or EIO).
    with trio.fail_after(20):
        assert (await app.wait()).returncode in (-signal.SIGHUP, 0, 1)


async def test_a_further_program_gets_a_terminal_of_its_own(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("cat"), terminal=True)
    process = await app.exec(["sh", "-c", "tty; stty size; exit 4"], terminal=(10, 20))
    assert (await Screen(process).rest()).split() == ["/dev/pts/1", "10", "20"]
    assert (await process.wait()).returncode == 4
    await process.aclose()
    await app.kill()
    await app.aclose()
