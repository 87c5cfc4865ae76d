"""`libos exportfs`: a folder, or memory, served by 9P from a process of its own: exportfs(4) of Plan 9."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from libos.cli.needs import Need

# The first descriptor that systemd passes: sd_listen_fds(3), SD_LISTEN_FDS_START.
_FIRST_FD = 3


@click.command("exportfs")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False))
@click.option(
    "--memory", metavar="SIZE", help="Serve a writable, empty tree in memory instead, of at most this size."
)
@click.option(
    "--socket", "path", metavar="PATH", help="Where it listens; only you can connect. Else systemd's socket."
)
@click.option("--rw", "writable", is_flag=True, help="Let clients change it; read-only unless said.")
@click.option("--hide", "hide", multiple=True, metavar="PATTERN", help="Absent in it: a gitignore pattern.")
@click.option("--only", "only", multiple=True, metavar="PATTERN", help="All else is absent: the same.")
@click.option("--ready-fd", type=int, hidden=True)
def command(
    folder: str | None,
    memory: str | None,
    path: str | None,
    writable: bool,
    hide: tuple[str, ...],
    only: tuple[str, ...],
    ready_fd: int | None,
) -> int:
    """Serve FOLDER by 9P2000.L over a unix socket, until Ctrl-C, to worlds that mount it: p9 = "unix!/PATH".

    It leads nowhere out of FOLDER. When it ends, what is mounted of it is EIO, and nothing else is hurt.
    """
    if (folder is None) == (memory is None):
        raise click.UsageError("say what to serve: a FOLDER, or --memory SIZE")
    size = 0 if memory is None else _size(memory)
    with ExitStack() as stack:
        listener = _listener(path, stack)

        import trio

        from libos.cli import enclosing
        from libos.cli.confining import confine
        from libos.exporting import Exported, serve_until_told

        def ready() -> None:
            if ready_fd is not None:
                os.close(ready_fd)

        confine([])
        enclosing.confine_to(_needs(folder, path, writable=writable))
        trio.run(
            serve_until_told,
            Exported(folder, size, writable or folder is None, hide, only),
            listener,
            ready,
            lambda why: click.echo(f"libos: a client was hung up on: {why}", err=True),
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
    return 0


def _size(memory: str) -> int:
    from libos.manifest.values import size

    try:
        return size(memory)
    except ValueError as wrong:
        raise click.UsageError(f"--memory: {wrong}") from None


def _needs(folder: str | None, path: str | None, *, writable: bool) -> Iterator[Need]:
    """What is opened besides the system's files: the folder, and that of the socket, which is removed."""
    from libos.cli.needs import CHANGE, READ, Need
    from libos.kernel import landlock

    if folder is not None:
        yield Need(folder, CHANGE if writable else READ)
    if path is not None:
        yield Need(os.path.dirname(os.path.abspath(path)), landlock.ACCESS_FS_REMOVE_FILE)


def _listener(path: str | None, stack: ExitStack) -> socket.socket:
    """The socket at a path, or the one that systemd passes."""
    from libos.cli import own_socket

    passed = _passed()
    if (path is None) == (passed is None):
        told = "say where to listen: --socket PATH" if path is None else "systemd listens: drop --socket"
        raise click.UsageError(told)
    if path is None:
        assert passed is not None
        listener = passed
    else:
        listener = own_socket.listen(path)
        stack.callback(own_socket.remove, path)
    stack.callback(listener.close)
    return listener


def _passed() -> socket.socket | None:
    """What systemd listens at for this process, if it does; sd_listen_fds(3)."""
    pid, count = os.environ.pop("LISTEN_PID", None), os.environ.pop("LISTEN_FDS", None)
    if pid != str(os.getpid()) or count is None:
        return None
    if count != "1":
        raise click.UsageError(f"one socket is served, and LISTEN_FDS says {count}")
    try:
        os.set_inheritable(_FIRST_FD, False)
        return socket.socket(fileno=_FIRST_FD)
    except OSError as error:
        raise click.UsageError(f"LISTEN_FDS says descriptor {_FIRST_FD}: {error.strerror}") from None
