"""`libos ps`: the running worlds of this user."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import click

from libos.cli.show import columns, harmless

_VERSION = 1
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


@click.command("ps")
@click.option("--json", "as_json", is_flag=True, help="Print the worlds as JSON.")
def command(as_json: bool) -> None:
    """List the running worlds of this user: name, process number on the host, age, published ports,
    command."""
    worlds = _running()
    if as_json:
        click.echo(json.dumps({"version": _VERSION, "worlds": worlds}, indent=2))
        return
    click.echo(columns(map(_row, worlds), ("NAME", "PID", "UP", "PORTS", "COMMAND")))


def _running() -> list[dict[str, Any]]:
    """Ask every world for its status; socket files that nobody answers on any more are removed."""
    from libos.control.client import ask
    from libos.control.folder import ControlError, open_folder

    worlds = []
    with open_folder() as folder:
        folder.sweep()
        for name in folder.names():
            try:
                answer = ask(folder, name, {"request": "status"})
            except ControlError as error:
                # It may have ended a moment ago; if it lives and is silent, that is worth saying.
                click.echo(f"libos: {error}", err=True)
                continue
            worlds.append({key: value for key, value in answer.items() if key not in ("version", "answer")})
    return worlds


def _row(world: dict[str, Any]) -> tuple[str, ...]:
    ports = ", ".join(f"{listen['outside']}->{listen['inside']}" for listen in world.get("listens", ()))
    shown = shlex.join(map(str, world.get("command", ())))
    age = _age(time.time() - float(world.get("started", time.time())))
    return (harmless(world["name"]), str(world["pid"]), age, ports or "-", harmless(shown))


def _age(seconds: float) -> str:
    whole = max(0, int(seconds))
    for unit, size in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
