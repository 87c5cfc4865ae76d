"""`libos warden`: containers as a service, over a unix socket."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

import click

from libos.errors import HostError


@click.command("warden")
@click.option(
    "--socket", "path", required=True, metavar="PATH", help="Where it listens; only you can connect."
)
@click.option("--ready-fd", type=int, hidden=True)
def command(path: str, ready_fd: int | None) -> int:
    """Serve containers over the unix socket PATH until Ctrl-C: Warden's verbs, a JSON object a line.

    All containers end with it. The verbs stand in the reference.
    """
    import trio

    from libos.cli.confining import confine

    listener = _listen(path)
    try:
        confine([])
        trio.run(_serve, listener, ready_fd, restrict_keyboard_interrupt_to_checkpoints=True)
    finally:
        listener.close()
        with suppress(FileNotFoundError):
            os.unlink(path)
    return 0


def _listen(path: str) -> socket.socket:
    """A socket that this user alone can connect to; one that nobody answers on is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(path).st_mode) and not _answers(path):
                os.unlink(path)
        umask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(umask)
        listener.listen()
    except OSError as error:
        listener.close()
        raise HostError(f"{path}: {error.strerror}; choose another path with --socket") from error
    return listener


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except ConnectionRefusedError:
            return False
    return True


async def _serve(listener: socket.socket, ready_fd: int | None) -> None:
    import signal

    import trio

    from libos.control.clients import serve_clients
    from libos.supervisor import Supervisor
    from libos.warden.service import Warden

    async with Supervisor() as supervisor, trio.open_nursery() as nursery:
        warden = Warden(supervisor, nursery)
        nursery.start_soon(warden.keep_time)
        await nursery.start(serve_clients, listener, warden.answer)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            if ready_fd is not None:
                os.close(ready_fd)
            async for _ in signals:
                break
        nursery.cancel_scope.cancel()
