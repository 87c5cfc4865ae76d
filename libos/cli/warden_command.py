"""`libos warden`: containers as a service, over a unix socket."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import socket


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

    from libos.cli import own_socket
    from libos.cli.confining import confine

    listener = own_socket.listen(path)
    try:
        confine([])
        trio.run(_serve, listener, ready_fd, restrict_keyboard_interrupt_to_checkpoints=True)
    finally:
        listener.close()
        own_socket.remove(path)
    return 0


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
