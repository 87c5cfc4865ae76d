"""`libos stats`: what a running world has used."""

from __future__ import annotations

import json
from typing import Any

import click

from libos.cli import completing
from libos.cli.show import columns, harmless
from libos.cli.syscall_lines import syscall_lines

_VERSION = 1
_MIB = 1 << 20


@click.command("stats")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(name: str, as_json: bool) -> None:
    """Show what the running world APP has used: its programs and their memory, its limits, what each dial
    grant has carried and refused, what has passed each mount that counts and the link of a routed world, and
    which system calls its filter has refused."""
    from libos.control.client import ask
    from libos.control.folder import open_folder

    with open_folder() as folder:
        found = ask(folder, name, {"request": "stats"})
    said = {key: found[key] for key in ("programs", "limits", "dials", "mounts", "link", "syscalls")}
    if as_json:
        click.echo(json.dumps({"version": _VERSION, **said}, indent=2))
        return
    tables = (
        _programs(said["programs"]),
        _held(said["limits"]),
        _dials(said["dials"]),
        _mounts(said["mounts"]),
        _link(said["link"]),
        *syscall_lines(said),
    )
    click.echo("\n\n".join(table for table in tables if table))


def _programs(programs: list[dict[str, Any]]) -> str:
    rows = [
        (str(each["pid"]), f"{each['resident'] / _MIB:.1f}M", harmless(each["program"])) for each in programs
    ]
    return columns(rows, ("PID", "MEMORY", "PROGRAM"))


def _held(limits: list[dict[str, Any]]) -> str:
    keys = ("limit", "asked", "mechanism", "now", "peak", "hits")
    rows = [tuple("-" if each[key] is None else harmless(str(each[key])) for key in keys) for each in limits]
    return columns(rows, [key.upper() for key in keys]) if rows else ""


def _dials(dials: list[dict[str, Any]]) -> str:
    keys = ("id", "to", "open", "opened", "refused", "sent", "received")
    rows = [(*(harmless(str(each[key])) for key in keys), _limits(each["limits"])) for each in dials]
    return columns(rows, (*(key.upper() for key in keys), "LIMITS")) if rows else ""


def _limits(limits: dict[str, int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in limits.items()) or "-"


def _mounts(mounts: list[dict[str, Any]]) -> str:
    keys = ("at", "reads", "bytes_read", "writes", "bytes_written")
    rows = [tuple(harmless(str(each[key])) for key in keys) for each in mounts]
    return columns(rows, ("AT", "READS", "READ", "WRITES", "WRITTEN")) if rows else ""


def _link(link: dict[str, int] | None) -> str:
    if link is None:
        return ""
    rows = [
        ("sent", str(link["sent_packets"]), str(link["sent_bytes"])),
        ("received", str(link["received_packets"]), str(link["received_bytes"])),
        ("dropped", str(link["dropped"]), "-"),
    ]
    return columns(rows, ("LINK", "PACKETS", "BYTES"))
