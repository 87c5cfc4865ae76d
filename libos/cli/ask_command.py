"""`libos ask`: what a running world's app wants to open or connect to, and the answers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from libos.cli import completing
from libos.cli.show import columns, complain, harmless

if TYPE_CHECKING:
    from libos.control.folder import Folder

_VERSION = 1
_ANSWERS = ("once", "always", "no")
# What a person types, by its first letter.
_SHORT = {"o": "once", "a": "always", "n": "no"}


@click.command("ask")
@click.argument("name", metavar="APP", shell_complete=completing.worlds)
@click.argument("question", metavar="[ID", type=int, required=False)
@click.argument("answer", metavar="ANSWER]", type=click.Choice(_ANSWERS), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the open questions as JSON.")
@click.option("--list", "as_list", is_flag=True, help="Print the open questions, also on a terminal.")
@click.pass_context
def command(
    ctx: click.Context, /, name: str, question: int | None, answer: str | None, as_json: bool, as_list: bool
) -> int:
    """List what the running world APP waits to open or dial, or answer question ID with once, always or no.

    On a terminal, and without ID, each question is asked here as it comes, until the world ends.
    """
    from libos.control.client import ask
    from libos.control.folder import open_folder

    if question is not None and answer is None:
        raise click.UsageError("say what the answer is: once, always or no", ctx)
    with open_folder() as folder:
        if question is not None:
            ask(folder, name, {"request": "answer", "question": question, "answer": answer})
            return 0
        if not as_json and not as_list and sys.stdin.isatty() and sys.stdout.isatty():
            return _converse(folder, name)
        found = ask(folder, name, {"request": "questions"})
    if as_json:
        click.echo(json.dumps({"version": _VERSION, "questions": found["questions"]}, indent=2))
        return 0
    rows = ((str(each["id"]), each["operation"], harmless(each["path"])) for each in found["questions"])
    click.echo(columns(rows, ("ID", "WANTS TO", "WHAT")))
    if found["more"]:
        complain(f"{found['more']} further questions are open; answer these first")
    return 0


def _converse(folder: Folder, name: str) -> int:
    """Ask each question here until the world ends."""
    from libos.control.client import ask
    from libos.control.folder import ControlError

    ask(folder, name, {"request": "questions"})  # a world that is not there is an error
    click.echo(f"Waiting for what {harmless(name)} wants to open or connect to; Ctrl-C ends this.", err=True)
    last = 0
    while True:
        try:
            found = ask(folder, name, {"request": "questions", "beyond": last})
        except ControlError:
            click.echo(f"{harmless(name)} has ended.", err=True)
            return 0
        for each in found["questions"]:
            last = each["id"]
            _ask_here(folder, name, each)


def _ask_here(folder: Folder, name: str, asked: dict[str, Any]) -> None:
    from libos.control.client import ask
    from libos.control.folder import ControlError

    text = f"{asked['id']}: {asked['operation']} {harmless(asked['path'])}? [o]nce, [a]lways, [n]o"
    while (said := click.prompt(text, default="", show_default=False).strip().lower()) and (
        said[0] not in _SHORT
    ):
        click.echo("o, a or n; nothing leaves it open for others", err=True)
    if not said:
        return
    try:
        ask(folder, name, {"request": "answer", "question": asked["id"], "answer": _SHORT[said[0]]})
    except ControlError as error:
        complain(str(error))
