"""`libos schema`: the JSON Schema of a manifest, for editors."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a manifest file."""
    from libos.manifest import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
