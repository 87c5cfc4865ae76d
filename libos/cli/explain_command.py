"""`libos explain`: each resource, the mechanism that gives it, and why; the rules for system calls."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from libos.cli.options import WithCommand, take_view, view_options_but_syscalls
from libos.cli.show import columns, harmless

if TYPE_CHECKING:
    from libos.plan import Plan
    from libos.plan.walls import Wall


@click.command("explain", cls=WithCommand)
@view_options_but_syscalls
@click.option("--serve-all", is_flag=True, help="Explain what --serve-all would do.")
@click.option(
    "--syscalls",
    is_flag=False,
    flag_value="",
    metavar="[PROFILE]",
    help="Print the rules for system calls instead, of a profile or of what the manifest says.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
@click.pass_context
def command(ctx: click.Context, /, serve_all: bool, as_json: bool, **parameters: Any) -> None:
    """Print what an app would get: each resource, its mechanism and the reason; and the walls around it.
    Nothing is started.

    Takes the options of `libos run`; without a manifest it explains the profile base.
    """
    from libos.plan import lower

    wants_rules = parameters["syscalls"] is not None
    parameters |= _profile_or_manifest(parameters)
    view = take_view(ctx, parameters)
    plan = lower(view.manifest(), serve_all=serve_all)
    if wants_rules:
        from libos.cli.syscall_rules import rules_json, rules_text
        from libos.syscalls.resolving import resolve

        rules = resolve(plan.syscalls)
        click.echo(json.dumps(rules_json(rules), indent=2) if as_json else rules_text(rules))
        return
    from libos.keeper.subids import offer
    from libos.plan.walls import host_walls, walls

    host = host_walls()
    if plan.root and not host.serves_root:
        host = replace(host, sub_ids_lack=offer().lack)
    standing = walls(plan, host)
    if as_json:
        click.echo(json.dumps(plan.json() | {"walls": [asdict(wall) for wall in standing]}, indent=2))
    else:
        click.echo(_table(plan) + "\n\n" + _walls_table(standing))


def _profile_or_manifest(parameters: dict[str, Any]) -> dict[str, str | None]:
    """What the word after --syscalls is: a profile, or, as in `--syscalls agent.toml`, the manifest."""
    word = parameters["syscalls"]
    if not word:
        return {"syscalls": None}
    if parameters["manifest_path"] is None and ("/" in word or "." in word):
        return {"syscalls": None, "manifest_path": word}
    return {}


def _table(plan: Plan) -> str:
    rows = [
        tuple(map(harmless, (line.at, line.asked, line.mechanism, line.reason, line.origin)))
        for line in plan.lines
    ]
    return columns(rows, ("AT", "WHAT", "MECHANISM", "REASON", "ASKED FOR BY"))


def _walls_table(standing: Iterable[Wall]) -> str:
    rows = [(wall.wall, wall.mechanism, wall.keeps) for wall in standing]
    return columns(rows, ("WALL", "MECHANISM", "WHAT IT KEEPS"))
