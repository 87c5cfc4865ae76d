"""How a program starts in a world: the walls go up one after another, then execve(2).

In the child, in this order: a session of its own, the standard streams, on a terminal its monitor, a user namespace below K in which it
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
from contextlib import ExitStack
from typing import Any, NoReturn

from libos.keeper import terminal
from libos.keeper.identity import APP_ID
from libos.kernel import namespaces, process

# The exec report's place in the child, right behind the standard streams.
_REPORT_FD = 3
# Bytes; a report is an errno and a sentence.
_REPORT_LIMIT = 65_536
# What a terminal's monitor writes when its program stops and goes on.
STOPPED, CONTINUED = terminal.STOPPED, terminal.CONTINUED


class Program:
    """A program that init started. `group` is its process group; `pid` is what init waits for: the program
    itself, or the monitor of its terminal."""

    def __init__(
        self, number: int, pid: int, report_fd: int, state_fd: int | None, pty_fds: list[int]
    ) -> None:
        self.id = number
        self.pid = pid
        self.group = pid
        self.report_fd = report_fd
        self.state_fd = state_fd
        self.pty_fds = pty_fds

    def read_report(self) -> dict[str, Any] | None:
        """Give what went wrong, or None. Waits for execve(2) or the child's end."""
        text = b""
        while more := os.read(self.report_fd, _REPORT_LIMIT):
            text += more
        report: dict[str, Any] = {}
        for line in text.splitlines():
            report |= json.loads(line)
        self.group = report.pop("group", self.pid)
        return report or None

    def send_signal(self, number: int) -> None:
        """Signal the process group, as a terminal does it: a shell's children get the signal too."""
        try:
            os.killpg(self.group, number)
        except ProcessLookupError:
            pass


def start(message: dict[str, Any], fds: list[int], program: bytes) -> Program:
    """Fork a child that becomes the program of a spawn request. Raises OSError where nothing was forked."""
    with ExitStack() as stack:
        report_fd, write_fd = _pipe(stack)
        state_fd = their_state_fd = None
        master_fds: list[int] = []
        if message["terminal"]:
            master_fd, slave_fd = terminal.open_pty(*message["terminal"]["size"])
            stack.callback(os.close, slave_fd)
            master_fds = [master_fd]
            state_fd, their_state_fd = _pipe(stack)
            given = iter(fds)
            fds = [slave_fd if n in message["terminal"]["streams"] else next(given) for n in range(3)]
        pid = os.fork()
        if pid == 0:
            _become(message, fds, write_fd, their_state_fd, program)
        return Program(message["id"], pid, report_fd, state_fd, master_fds)


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """Give a pipe whose write end closes with the stack."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    stack.callback(os.close, write_fd)
    return read_fd, write_fd


def _become(
    message: dict[str, Any], fds: list[int], report_fd: int, state_fd: int | None, program: bytes
) -> NoReturn:
    """In the child: put up the walls and exec. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        state_fd = _arrange(fds, report_fd, state_fd)
        if state_fd is not None:
            terminal.fork_below(message["terminal"]["streams"][0], state_fd, _tell)
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
        _tell({"errno": error.errno or errno.EIO, "message": error.strerror or str(error)})
    except BaseException as error:
        _tell({"errno": errno.EIO, "message": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(127)


def _tell(report: dict[str, Any]) -> None:
    os.write(_REPORT_FD, json.dumps(report).encode()[: _REPORT_LIMIT - 1] + b"\n")


def _arrange(fds: list[int], report_fd: int, state_fd: int | None) -> int | None:
    """Place the streams at 0, 1, 2, the report and then the state behind them, and close all else."""
    wanted = [*fds, report_fd] if state_fd is None else [*fds, report_fd, state_fd]
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, len(wanted)) for fd in wanted]
    for target, fd in enumerate(high):
        os.dup2(fd, target, inheritable=target < _REPORT_FD)
    process.close_from(len(wanted))
    return None if state_fd is None else _REPORT_FD + 1


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise OSError(error.errno, f"working directory {directory}: {error.strerror}") from error


def _reset_signals() -> None:
    """Give every signal its default: Python ignores SIGPIPE and SIGXFSZ, and exec would keep that."""
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
