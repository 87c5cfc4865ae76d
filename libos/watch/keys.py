"""The keys of `libos watch`, as a table. Pure.

Rules: a key that changes something stands for a command line, which is shown before it is run; one that takes
something away asks once more. Keys of the view alone change nothing in the world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libos.watch import commands
from libos.watch.commands import CannotBeError, Command, World
from libos.watch.items import Subject


@dataclass(frozen=True)
class Key:
    """One key: as Textual calls it, as it is shown, a word for the bar, and what it does. Those that act have
    a `command` and, in `line`, what it looks like; `running`: it needs a world that runs."""

    key: str
    shown: str
    word: str
    does: str
    line: str = ""
    command: Callable[[World, Subject], Command] | None = None
    running: bool = True


ACTING = (
    Key("o", "o", "once", "grant once: answer a question, or grant what asks at each use",
        "libos ask APP ID once; libos mount APP SRC:AT --ask; libos dial APP ADDRESS --ask", commands.once),
    Key("g", "g", "grant", "grant for this run: answer a question with always, or grant it",
        "libos ask APP ID always; libos mount APP SRC:AT; libos dial APP ADDRESS", commands.for_this_run),
    Key("w", "w", "write", "write what would grant it to the manifest",
        "libos allow MANIFEST WHAT", commands.write, running=False),
    Key("d", "d", "deny", "deny: answer a question with no, hide a file, refuse an address",
        "libos ask APP ID no; libos narrow APP GRANT --hide PATTERN; libos narrow APP GRANT --deny ADDRESS",
        commands.deny),
    Key("n", "n", "narrow", "take something from a grant",
        "libos narrow APP GRANT --read-only", commands.narrow),
    Key("r", "r", "revoke", "take a grant back", "libos revoke APP GRANT", commands.revoke),
    Key("K", "K", "kill", "end the world", "libos kill APP", commands.kill),
    Key("s", "s", "shell", "a shell inside the world", "libos exec -it APP sh", commands.shell),
)  # fmt: skip

VIEWING = (
    Key("slash", "/", "filter", "show the lines that have these words; -word: those that do not; Esc: all"),
    Key("enter", "Enter", "unfold", "unfold or fold (also →, ←, Space)"),
    Key("tab", "Tab", "pane", "go to the next pane"),
    Key("p", "p", "pause", "hold the picture still; what happens meanwhile is counted"),
    Key("question_mark", "?", "keys", "these keys"),
    Key("q", "q", "quit", "leave; the world runs on"),
)


def meaning(key: Key, world: World, subject: Subject, *, why_not_running: str = "") -> Command:
    """The command line that a key stands for now. `why_not_running` says why no world can be reached, or is
    "". Raises CannotBeError."""
    if key.command is None:
        raise CannotBeError("this key changes nothing in the world")
    if key.running and why_not_running:
        raise CannotBeError(f"{key.word}: {why_not_running}")
    return key.command(world, subject)


def applying(world: World, subject: Subject, *, why_not_running: str = "") -> list[Key]:
    """The keys that can do something about what is selected."""
    found = []
    for key in ACTING:
        try:
            meaning(key, world, subject, why_not_running=why_not_running)
        except CannotBeError:
            continue
        found.append(key)
    return found


def bar(keys: list[Key], width: int) -> str:
    """The keys in one line of at most `width` characters: those that act first, `?` always."""
    last = "? keys  q quit"
    line = ""
    for key in (*keys, *(each for each in VIEWING if each.shown in "/p")):
        said = f"{key.shown} {key.word}  "
        if len(line) + len(said) + len(last) > width:
            break
        line += said
    return (line + last)[:width]
