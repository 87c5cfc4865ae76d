"""The caller's terminal, lent to an app.

Rules:
- The terminal is raw only while the app has it and libos is in the terminal's foreground; at every other
  time, and on every way out, it is as it was found. A background process that changed it would be stopped,
  or would change it under the shell's hands.
- libos reads and writes it through open file descriptions of its own: non-blocking mode set on the caller's
  would be the shell's too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import termios
import tty
from collections.abc import Iterator

# Rows and columns where the terminal does not know its own: a VT100's.
_DEFAULT_SIZE = (24, 80)
_WINSIZE = struct.Struct("=HHHH")


class CallerTerminal:
    """The terminal behind a descriptor of the caller. Raises termios.error when it is none."""

    def __init__(self, fd: int) -> None:
        self._found = termios.tcgetattr(fd)
        self.is_raw = False
        self.fd = reopen(fd, os.O_RDWR)

    def __enter__(self) -> CallerTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()
        os.close(self.fd)

    def in_foreground(self) -> bool:
        """Whether this process may read the terminal and set its modes. tcgetpgrp(3)."""
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return True  # not our controlling terminal: there is no background for it

    def enter_raw(self) -> None:
        """Make the terminal raw, so that each key goes to the app. Nothing happens in the background."""
        if not self.in_foreground():
            return
        if not self.is_raw:
            self._found = termios.tcgetattr(self.fd)
        tty.setraw(self.fd, termios.TCSANOW)
        self.is_raw = True

    def restore(self) -> None:
        """Make the terminal what it was found as. Never fails and never stops this process."""
        if not self.is_raw:
            return
        self.is_raw = False
        # Setting modes from the background stops the caller with SIGTTOU unless it is blocked: tcsetattr(3).
        with blocked(signal.SIGTTOU), contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self.fd, termios.TCSANOW, self._found)

    def is_gone(self) -> bool:
        """Whether the terminal was hung up: nothing can be asked of it any more."""
        try:
            termios.tcgetattr(self.fd)
        except termios.error:
            return True
        return False

    def size(self) -> tuple[int, int]:
        """Give (rows, columns) as they are now."""
        return terminal_size(self.fd)


def terminal_size(fd: int) -> tuple[int, int]:
    """Give (rows, columns) of a terminal, or a VT100's where it does not know them. TIOCGWINSZ(2const)."""
    with contextlib.suppress(OSError):
        rows, columns, _, _ = _WINSIZE.unpack(fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_WINSIZE.size)))
        if rows and columns:
            return rows, columns
    return _DEFAULT_SIZE


def set_size(fd: int, size: tuple[int, int]) -> None:
    """Set (rows, columns) of a pty; its foreground processes get SIGWINCH when it changes.
    TIOCSWINSZ(2const)."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, _WINSIZE.pack(*size, 0, 0))


def is_terminal(fd: int) -> bool:
    """Whether the descriptor is open and a terminal."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def same_terminal(one_fd: int, other_fd: int) -> bool:
    """Whether both descriptors are one and the same terminal."""
    if not (is_terminal(one_fd) and is_terminal(other_fd)):
        return False
    return os.fstat(one_fd).st_rdev == os.fstat(other_fd).st_rdev


def reopen(fd: int, mode: int) -> int:
    """Give an open file description of its own for what is behind `fd`, non-blocking.

    Where the caller may use the terminal but not open it (another user's, after sudo -u), /dev/tty does. What
    cannot be opened at all is only duplicated, and then writing to it may block.
    """
    flags = mode | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        return os.open(f"/proc/self/fd/{fd}", flags)
    with contextlib.suppress(OSError):
        os.tcgetpgrp(fd)  # ENOTTY unless it is this process's controlling terminal
        return os.open("/dev/tty", flags)
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


@contextlib.contextmanager
def blocked(number: signal.Signals) -> Iterator[None]:
    """Block a signal in this thread for the block's duration."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def by_default(number: signal.Signals) -> Iterator[None]:
    """Give a signal its default action for the block's duration. Main thread only."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)
