"""`libos ns`: a namespace as namespace(6) text, of a manifest or of a running world."""

from __future__ import annotations

import sys
from typing import Any

import click

from libos.cli.options import ViewOptions, WithCommand, take_view, view_options
from libos.cli.show import harmless


@click.command("ns", cls=WithCommand)
@view_options
@click.option("--world", "world", metavar="NAME", help="Print the namespace of a running world instead.")
@click.pass_context
def command(ctx: click.Context, /, world: str | None, **parameters: Any) -> None:
    """Print a namespace in the form of Plan 9's namespace(6), one bind or mount a line.

    Takes the options of `libos run`; without a manifest it prints the profile base.
    """
    view = take_view(ctx, parameters)
    text = _of_world(world) if world else _of_manifest(view)
    # A name may hold what a terminal obeys; elsewhere the text is to be read again as it is.
    click.echo(_shown(text) if sys.stdout.isatty() else text, nl=False)


def _shown(text: str) -> str:
    return "\n".join(map(harmless, text.split("\n")))


def _of_manifest(view: ViewOptions) -> str:
    from libos.plan import lower

    plan = lower(view.manifest())
    return plan.namespace.text(plan.directory)


def _of_world(name: str) -> str:
    from libos.control.client import ask
    from libos.control.folder import open_folder

    with open_folder() as folder:
        return str(ask(folder, name, {"request": "namespace"})["text"])
