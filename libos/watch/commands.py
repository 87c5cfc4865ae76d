"""The command lines that keys stand for. Pure.

Rules: what a key does is a `libos` command that a person could type, and nothing besides. Where it cannot be,
the reason is given. What an app named is one word of the command, whatever it holds.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from libos.harmless import harmless, is_seen
from libos.seen.attempts import Attempt
from libos.seen.connections import ConnectionSeen
from libos.seen.folding import Group
from libos.seen.grants import GrantSeen, GrantsSeen
from libos.seen.questions import Question
from libos.seen.tree import TreeNode
from libos.watch.items import Subject
from libos.why.remedies import path_word

# What is dialed where only the name is known, https's: a person corrects it before it is run.
_USUAL_PORT = 443
# What gitignore(5) would take for more than a character of the name; a line's end cannot stand in a pattern.
_PATTERN = str.maketrans({**{char: f"\\{char}" for char in "\\*?[]!# "}, "\n": "?"})


@dataclass(frozen=True)
class Command:
    """A command line. One that is `destructive` is confirmed; one that answers a question, or with `terminal`
    gets the whole screen, is run as it is; others can be edited first."""

    words: tuple[str, ...]
    destructive: bool = False
    terminal: bool = False
    answers: bool = False

    def shown(self) -> str:
        """As a person would type it, harmless."""
        return harmless(shlex.join(self.words))

    @property
    def is_plain(self) -> bool:
        """Whether it can be typed as it is shown."""
        return all(map(is_seen, self.words))


@dataclass(frozen=True)
class World:
    """What commands need to know of the world that is looked at. `manifest` is its file's path, or ""."""

    name: str
    manifest: str
    grants: GrantsSeen


class CannotBeError(Exception):
    """There is no such command for what is selected; the text says why."""


def once(world: World, subject: Subject) -> Command:
    """Answer a question with yes, this once; or grant what asks at each use."""
    if isinstance(subject, Question):
        return _answer(world, subject, "once")
    return _with(_granting(world, subject), "--ask")


def for_this_run(world: World, subject: Subject) -> Command:
    """Answer a question with always; or grant until the world ends."""
    if isinstance(subject, Question):
        return _answer(world, subject, "always")
    return _granting(world, subject)


def write(world: World, subject: Subject) -> Command:
    """Write what would grant it into the manifest."""
    if not world.manifest:
        raise CannotBeError("this world was made without a manifest file: there is nothing to write to")
    if isinstance(subject, Question):
        return Command(("libos", "allow", world.manifest, path_word(subject.what)))
    attempt = _attempt(subject)
    if attempt.kind not in ("path", "name", "dial", "call"):
        raise CannotBeError(f"{attempt.why}: change the grant itself in the manifest")
    what = f"tcp!{attempt.what}!{_USUAL_PORT}" if attempt.kind == "name" else attempt.what
    return Command(("libos", "allow", world.manifest, path_word(what) if attempt.kind == "path" else what))


def deny(world: World, subject: Subject) -> Command:
    """Answer a question with no; hide a file below a mount; let a dial cover an address no more."""
    if isinstance(subject, Question):
        return _answer(world, subject, "no")
    if isinstance(subject, TreeNode):
        grant = world.grants.covering(subject.path)
        if grant is None:
            raise CannotBeError("no mount gives this")
        below = os.path.relpath(subject.path, grant.at).translate(_PATTERN)
        return _destructive("libos", "narrow", world.name, _name(world, grant), "--hide", f"/{below}")
    if isinstance(subject, ConnectionSeen) and subject.way == "dial" and subject.grant:
        words = ("narrow", world.name, subject.grant, "--deny", subject.address)
        return _destructive("libos", *words)
    if isinstance(subject, (Attempt, Group)):
        raise CannotBeError("the app does not have it")
    raise CannotBeError("select a question, a file below a mount or a connection; a grant is revoked")


def narrow(world: World, subject: Subject) -> Command:
    """Take something from a grant."""
    grant = _grant(world, subject)
    if grant.kind == "listen":
        raise CannotBeError("a publication cannot be narrowed, only revoked")
    taken = ("--read-only",) if grant.kind == "mount" else ("--connections", "1")
    if grant.kind == "mount" and grant.mode == "read-only":
        taken = ("--hide", "*.pem")
    return Command(("libos", "narrow", world.name, _name(world, grant), *taken))


def revoke(world: World, subject: Subject) -> Command:
    """Take a grant back."""
    return _destructive("libos", "revoke", world.name, _name(world, _grant(world, subject)))


def kill(world: World, subject: Subject) -> Command:
    """End the world."""
    return _destructive("libos", "kill", world.name)


def shell(world: World, subject: Subject) -> Command:
    """A shell inside."""
    return Command(("libos", "exec", "-it", world.name, "sh"), terminal=True)


def _destructive(*words: str) -> Command:
    return Command(words, destructive=True)


def _with(command: Command, word: str) -> Command:
    return Command((*command.words, word))


def _answer(world: World, asked: Question, answer: str) -> Command:
    return Command(("libos", "ask", world.name, str(asked.id), answer), answers=True)


def _granting(world: World, subject: Subject) -> Command:
    attempt = _attempt(subject)
    match attempt.kind:
        case "path":
            if ":" in attempt.what or "," in attempt.what:
                raise CannotBeError("its name has what SRC:AT means something by: write it to the manifest")
            return Command(("libos", "mount", world.name, f"{attempt.what}:{attempt.what}"))
        case "name":
            return Command(("libos", "dial", world.name, f"tcp!{attempt.what}!{_USUAL_PORT}"))
        case "dial":
            return Command(("libos", "dial", world.name, attempt.what))
        case "call":
            raise CannotBeError("system calls are settled at the start: write it to the manifest")
    raise CannotBeError(f"{attempt.why}; a further grant would not change that")


def _attempt(subject: Subject) -> Attempt:
    if isinstance(subject, Group):
        raise CannotBeError("unfold it and select one of its lines")
    if not isinstance(subject, Attempt):
        raise CannotBeError("select what was refused, or a question")
    return subject


def _grant(world: World, subject: Subject) -> GrantSeen:
    if isinstance(subject, ConnectionSeen):
        found = next((each for each in world.grants if subject.grant and each.id == subject.grant), None)
        if found is None:
            raise CannotBeError("which grant carries it was not told")
        subject = found
    if not isinstance(subject, GrantSeen):
        raise CannotBeError("select a grant: what the world holds")
    if subject.ended:
        raise CannotBeError("it was taken back already")
    return subject


def _name(world: World, grant: GrantSeen) -> str:
    """How commands name a grant: by its id where it was told, else by its place, if that is its alone."""
    if grant.id:
        return grant.id
    if grant.kind == "listen":
        where = grant.what.removeprefix("publish ")
        raise CannotBeError(
            f"its id was not told: libos grants {world.name} lists what is published at {where}"
        )
    there = [each for each in world.grants if each.kind == "mount" and each.at == grant.at and not each.ended]
    if len(there) > 1:
        raise CannotBeError(f"several grants stand there: libos grants {world.name} has their ids")
    return grant.at
