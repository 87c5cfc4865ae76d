"""`libos check`: is a manifest right? Nothing is started."""

from __future__ import annotations

import json
from pathlib import Path

import click

from libos.cli import completing
from libos.cli.show import harmless
from libos.errors import ManifestError

_VERSION = 1


@click.command("check")
@click.argument("manifest_path", metavar="MANIFEST", shell_complete=completing.files)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(manifest_path: str, as_json: bool) -> int:
    """Check MANIFEST with all that it includes, and say every error at once.

    Checked are the file, what it includes, that the sources are there, and that all of it can be mounted.
    The exit status is 0, or 2 when there is an error.
    """
    from libos.manifest import load
    from libos.plan import lower

    try:
        plan = lower(load(manifest_path))
    except ManifestError as error:
        if as_json:
            click.echo(json.dumps({"version": _VERSION, "ok": False, "errors": str(error).splitlines()}))
            return error.exit_status
        raise
    counts = {"mounts": len(plan.namespace), "dials": len(plan.dials), "listens": len(plan.listens)}
    if as_json:
        click.echo(json.dumps({"version": _VERSION, "ok": True, "errors": [], **counts}))
    else:
        told = ", ".join(f"{count} {word if count != 1 else word[:-1]}" for word, count in counts.items())
        click.echo(f"{harmless(str(Path(manifest_path)))}: good ({told})")
    return 0
