"""`libos down`: stops a stack in order and waits for its end."""

from __future__ import annotations

import os

import click

from libos.cli import completing

# Seconds beyond which a stack that is stopping is given up on: several graces after each other.
_PATIENCE = 600.0


@click.command("down")
@click.argument("stack", default="stack.toml", metavar="[NAME|FILE]", shell_complete=completing.files)
@click.option("--timeout", type=float, default=_PATIENCE, help="Seconds to wait for its end.")
def command(stack: str, timeout: float) -> None:
    """Stop the worlds of a running stack, each after those that need it, and wait until they have ended.

    NAME is the stack's, FILE the one that it was started from (stack.toml unless named).
    """
    from libos.control.client import ask_and_wait
    from libos.control.folder import open_folder

    with open_folder() as folder:
        ask_and_wait(folder, stack_name(stack), {"request": "down"}, timeout)


def stack_name(text: str) -> str:
    """The name of a stack from what a person wrote: the name itself, or its file."""
    if not os.path.exists(text) and "/" not in text and not text.endswith(".toml"):
        return text
    from libos.stack import load_stack

    return load_stack(text).name
