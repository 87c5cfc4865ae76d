"""Terminals: a pty of the world's own devpts, and the monitor without which Ctrl-Z would do nothing.

The kernel discards a terminal's stop signals for an orphaned process group: one in which nobody has a parent
in the same session but another group (setpgid(2); POSIX, "orphaned process group"). So the session's leader
is a monitor that forks the program into a group of its own, waits for it, and tells init when it stops and
goes on. The monitor ends as the program ended, and is in K, where only a signal of the program reaches it.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from libos.kernel import process

STOPPED, CONTINUED = ord("s"), ord("c")
# ioctl_tty(2): open the other side of a pty, unlock it; asm-generic/ioctls.h
_TIOCGPTPEER = 0x5441
_TIOCSPTLCK = 0x40045431


def open_pty(rows: int, columns: int) -> tuple[int, int]:
    """Give (master, slave) of a new pty. pts(4). Raises OSError."""
    master_fd = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(master_fd, _TIOCSPTLCK, struct.pack("=i", 0))
        fcntl.ioctl(master_fd, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))
        slave_fd = fcntl.ioctl(master_fd, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        os.close(master_fd)
        raise
    return master_fd, slave_fd


def fork_below(tty_fd: int, state_fd: int, tell: Callable[[int], None]) -> None:
    """Become a monitor and return in the program's process, which holds the terminal's foreground.

    Called by a session's leader whose descriptor `tty_fd` is the terminal; `tell` gets the program's pid,
    which is its process group. Raises OSError.
    """
    fcntl.ioctl(tty_fd, termios.TIOCSCTTY, 0)
    pid = os.fork()
    if pid:
        tell(pid)
        _monitor(pid, state_fd)
    os.close(state_fd)
    os.setpgid(0, 0)
    # A group in the background that takes the foreground is stopped by SIGTTOU unless it ignores that.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(tty_fd, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _monitor(pid: int, state_fd: int) -> NoReturn:
    """Wait for the program, tell of its stops, and end as it ends."""
    try:
        os.dup2(state_fd, 0)
        process.close_from(1)  # the terminal and the report are the program's
        process.set_name("libos monitor")
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED | os.WCONTINUED)
            if not os.WIFSTOPPED(status) and not os.WIFCONTINUED(status):
                _end_as(status)
            os.write(0, bytes([STOPPED if os.WIFSTOPPED(status) else CONTINUED]))
    finally:
        os._exit(127)


def _end_as(status: int) -> NoReturn:
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.kill(os.getpid(), number)
    os._exit(128 + number)
