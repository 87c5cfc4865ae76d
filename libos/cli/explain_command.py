"""`libos explain`: each resource, the mechanism that gives it, and why that one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from libos.cli.options import WithCommand, take_view, view_options
from libos.cli.show import columns, harmless

if TYPE_CHECKING:
    from libos.plan import Plan


@click.command("explain", cls=WithCommand)
@view_options
@click.option("--serve-all", is_flag=True, help="Explain what --serve-all would do.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole plan as JSON.")
@click.pass_context
def command(ctx: click.Context, /, serve_all: bool, as_json: bool, **parameters: Any) -> None:
    """Print what an app would get: each resource, its mechanism and the reason. Nothing is started.

    Takes the options of `libos run`; without a manifest it explains the profile base.
    """
    from libos.plan import lower

    view = take_view(ctx, parameters)
    plan = lower(view.manifest(), serve_all=serve_all)
    click.echo(json.dumps(plan.json(), indent=2) if as_json else _table(plan))


def _table(plan: Plan) -> str:
    rows = [
        tuple(map(harmless, (line.at, line.asked, line.mechanism, line.reason, line.origin)))
        for line in plan.lines
    ]
    return columns(rows, ("AT", "WHAT", "MECHANISM", "REASON", "ASKED FOR BY"))
