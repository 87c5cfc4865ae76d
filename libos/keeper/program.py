"""How a program starts in a world: the walls go up one after another, then execve(2).

In the child, in this order: a session of its own, the standard streams, a user namespace below K in which it
maps to itself, the working directory, no descriptors but the three, default signals, no core dumps, no
capabilities, no new privileges, the seccomp filter. Whatever fails is written to a pipe that closes on exec,
and the child ends: nothing runs behind half the walls.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import struct
import termios
from typing import Any, NoReturn

from libos.keeper.identity import APP_ID
from libos.kernel import namespaces, process

# The exec report's place in the child, right behind the standard streams.
_REPORT_FD = 3
# ioctl_tty(2): open the other side of a pty, linux/tty.h
_TIOCGPTPEER = 0x5441
_TIOCSPTLCK = 0x40045431
# Bytes; a report is an errno and a sentence.
_REPORT_LIMIT = 65_536


class Starting:
    """A program whose execve(2) has not happened yet, and what the supervisor gets when it has."""

    def __init__(self, number: int, pid: int, report_fd: int, fds: list[int]) -> None:
        self.id = number
        self.pid = pid
        self.report_fd = report_fd
        self.fds = fds

    def read_report(self) -> dict[str, Any] | None:
        """Give what went wrong, or None; closes the report."""
        with open(self.report_fd, "rb") as file:
            text = file.read(_REPORT_LIMIT)
        return json.loads(text) if text else None


def start(message: dict[str, Any], fds: list[int], program: bytes) -> Starting:
    """Fork a child that becomes the program of a spawn request. Raises OSError where nothing was forked."""
    pty_fds = _open_pty(*message["terminal"]) if message["terminal"] else []
    report_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        for fd in (report_fd, write_fd, *pty_fds):
            os.close(fd)
        raise
    if pid == 0:
        _become(message, [pty_fds[1]] * 3 if pty_fds else fds, write_fd, program)
    os.close(write_fd)
    for fd in pty_fds[1:]:
        os.close(fd)
    return Starting(message["id"], pid, report_fd, [os.pidfd_open(pid), *pty_fds[:1]])


def _open_pty(rows: int, columns: int) -> list[int]:
    """Give the master and the slave of a pty of the world's own devpts. pts(4)."""
    master_fd = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master_fd, _TIOCSPTLCK, struct.pack("=i", 0))
    slave_fd = fcntl.ioctl(master_fd, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master_fd, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))
    return [master_fd, slave_fd]


def _become(message: dict[str, Any], fds: list[int], report_fd: int, program: bytes) -> NoReturn:
    """In the child: put up the walls and exec. Never returns."""
    try:
        _arrange(fds, report_fd, terminal=bool(message["terminal"]))
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        namespaces.write_id_maps("self", APP_ID, APP_ID, APP_ID)
        _enter(message["directory"])
        _reset_signals()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        process.drop_capabilities()
        process.set_no_new_privileges()
        process.load_seccomp_filter(program)
        _exec(message["argv"], message["environment"])
    except OSError as error:
        _report(error.errno or errno.EIO, error.strerror or str(error))
    except BaseException as error:  # noqa: BLE001 - a child must never return into init's loop
        _report(errno.EIO, f"{type(error).__name__}: {error}")
    finally:
        os._exit(127)


def _report(number: int, message: str) -> None:
    os.write(_REPORT_FD, json.dumps({"errno": number, "message": message}).encode()[:_REPORT_LIMIT])


def _arrange(fds: list[int], report_fd: int, *, terminal: bool) -> None:
    """Make a session, place the streams at 0, 1, 2 and the report behind them, and close all else."""
    os.setsid()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, _REPORT_FD + 1) for fd in (*fds, report_fd)]
    for target, fd in enumerate(high):
        os.dup2(fd, target, inheritable=target != _REPORT_FD)
    process.close_from(_REPORT_FD + 1)
    if terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise OSError(error.errno, f"working directory {directory}: {error.strerror}") from error


def _reset_signals() -> None:
    """Give every signal its default: Python ignores SIGPIPE and SIGXFSZ, and exec would keep that."""
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGCHLD,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _exec(argv: list[str], environment: dict[str, str]) -> NoReturn:
    """Exec the program, looked up in the world's own PATH. Raises OSError as execvp(3) chooses it."""
    if "/" in argv[0]:
        os.execve(argv[0], argv, environment)
    failure: OSError | None = None
    for folder in environment.get("PATH", "").split(":"):
        try:
            os.execve(f"{folder or '.'}/{argv[0]}", argv, environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failure = failure or error
    raise failure or OSError(errno.ENOENT, os.strerror(errno.ENOENT))
