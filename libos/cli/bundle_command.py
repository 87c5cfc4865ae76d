"""`libos bundle`: a root that holds only what a run of an app used, with the manifest that runs it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import click

from libos.cli import completing
from libos.cli.options import WithCommand
from libos.cli.show import say


@click.command("bundle", cls=WithCommand)
@click.argument("manifest_path", metavar="MANIFEST", shell_complete=completing.files)
@click.option("-o", "--output", "output", metavar="DIR", required=True,
              help="The folder to make: app.toml, and root or root.tar.")  # fmt: skip
@click.option("--tar", "tar", is_flag=True, help="Make the root one tar, which app.toml mounts as an image.")
@click.option("--check", "check", metavar="COMMAND",
              help="A run is good when this shell command, run outside afterwards, is.")  # fmt: skip
@click.option("--timeout", "timeout", metavar="TIME", help="How long a run may take.")
@click.option("--json", "as_json", is_flag=True, help="Print what the root holds as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    manifest_path: str,
    output: str,
    tar: bool,
    check: str | None,
    timeout: str | None,
    as_json: bool,
) -> None:
    """Run the app of MANIFEST, or COMMAND, once, and copy what it used of its read-only host mounts into DIR,
    with a manifest that mounts that and nothing else of them.

    Before DIR appears the app has run again with what it holds. A path that this run did not use is not
    there: give the command that uses most.
    """
    from libos.bundling.bundling import Asked, bundle
    from libos.cli.progress import StatusLine
    from libos.cli.stoppable import run
    from libos.manifest import load
    from libos.manifest.values import duration

    manifest = load(manifest_path)
    words = ctx.meta.get("libos.command") or manifest.app.command
    if not words:
        raise click.UsageError("nothing to run: the manifest names no command, and none stands after --", ctx)
    try:
        seconds = None if timeout is None else duration(timeout)
    except ValueError as wrong:
        raise click.UsageError(f"--timeout {timeout}: {wrong}", ctx) from wrong
    folder = Path(output).absolute()
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise click.UsageError(f"-o {output}: is there already: name a new folder", ctx)
    manifest = replace(manifest, app=replace(manifest.app, command=tuple(words)))
    line = StatusLine()
    asked = Asked(manifest, Path(manifest_path).read_text("utf-8"), folder, tar, check, seconds)
    try:
        copied = run(lambda: bundle(asked, lambda what: line.show(f"libos: {what}")))
    finally:
        line.clear()
    if as_json:
        click.echo(json.dumps({"version": 1, "folder": str(folder), **asdict(copied)}))
        return
    what = f"{copied.files} files, {copied.links} links and {copied.directories} directories"
    say(f"{copied.bytes / 1e6:.1f} MB in {what}; libos run {output}/app.toml runs it")
