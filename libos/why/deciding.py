"""Which rule decides, where it stands, and what would change that: one paragraph. Pure but for the host that
is asked.

Rules: what is said comes from what is in force, as `world.plan` and the `grant` events tell it, and never
from what was tried: an attempt only adds how often.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable

from libos.namespace import is_at_or_below
from libos.seen import Seen
from libos.seen.attempts import Attempt
from libos.seen.grants import GrantSeen
from libos.why import remedies
from libos.why.questions import Question
from libos.why.reaching import address, host
from libos.why.remedies import Remedy
from libos.why.using import call, limit
from libos.why.verdict import Verdict, listed, often, origin

# What init makes in every world, whatever its manifest says.
_INITS = {
    "/proc": "of the world's own processes",
    "/dev": "null, zero, full, random, urandom, tty, pts, shm, fd",
}


def why(seen: Seen, asked: Question, exists: Callable[[str], bool] = os.path.lexists) -> Verdict:
    """Why a thing is granted or refused. `exists` is asked what the host has. Raises ManifestError."""
    return _ABOUT[asked.subject](seen, asked, exists)


def _path(seen: Seen, asked: Question, exists: Callable[[str], bool]) -> Verdict:
    path = asked.what
    for place, what in _INITS.items():
        if is_at_or_below(path, place) and seen.grants.mounted(path) is None:
            return Verdict(
                True, f"{place} is made by init in every world ({what}); no manifest asks for it.", "libos"
            )
    grant = seen.grants.covering(path)
    tried = _tried(seen, path)
    if grant is None:
        return _nothing_there(seen, asked, exists, tried)
    if hiding := _hidden(grant, path):
        return _is_hidden(grant, hiding, path, tried)
    if refused := seen.attempt("exec", path):
        return _not_passed(grant, path, refused)
    return _given(grant, asked, tried, exists)


def _is_hidden(grant: GrantSeen, hiding: tuple[str, ...], path: str, tried: str) -> Verdict:
    name, *patterns = hiding
    text = (
        f"{path} does not exist in this world: the mount at {grant.at} leaves it out by {name} = "
        f"{listed(patterns)}; "
        f"{origin(grant)} asks for that.{tried}"
    )
    inside = path.removeprefix(grant.at.rstrip("/"))
    lines = (f"{name} = {listed([*patterns, f'!{inside}' if name == 'hide' else inside])}",)
    return Verdict(
        False, text, grant.origin, Remedy(lines, within=f"the [[mount]] of {grant.at}"), hidden=True
    )


def _not_passed(grant: GrantSeen, path: str, refused: Attempt) -> Verdict:
    asked = next((" ".join(layer) for layer in grant.layers if layer and layer[0] == "exec"), "exec")
    text = (
        f"{path} may not be executed: {refused.details.get('reason', '')}. The mount at {grant.at} runs only "
        f"what passed a check before the start ({asked}); {origin(grant)} asks for that. "
        f"The app tried {often(refused)}."
    )
    return Verdict(False, text, grant.origin)


def _nothing_there(seen: Seen, asked: Question, exists: Callable[[str], bool], tried: str) -> Verdict:
    path = asked.what
    remedy = remedies.mount(path, asked.mode, on_host=exists(path))
    mounts = (each for each in seen.grants if each.kind == "mount" and not each.ended)
    below = next((each for each in mounts if is_at_or_below(each.at, path)), None)
    if below is not None:
        text = (
            f"{path} is a directory of the world itself, there because something is mounted below it, "
            f"at {below.at}; "
            f"nothing else of it is mounted, and it cannot be written.{tried}"
        )
    else:
        text = (
            f"{path} does not exist in this world: no mount stands at it or above it, and what is not "
            f"mounted is "
            f"ENOENT.{tried}"
        )
    return Verdict(False, text, "", remedy)


def _given(grant: GrantSeen, asked: Question, tried: str, exists: Callable[[str], bool]) -> Verdict:
    path = asked.what
    remedy = None
    if checks := next((layer for layer in grant.layers if layer and layer[0] == "exec"), ()):
        return Verdict(
            asked.mode in ("", "ro"),
            f"{path} is given by the mount at {grant.at} ({grant.what}, by {grant.mechanism}); "
            f"{origin(grant)} asks for it. It may be read; executed is only what passed a check before the "
            f"start ({' '.join(checks)}).",
            grant.origin,
        )
    if grant.mode == "read-only":
        may = "It may be read; writing it is EROFS, since the mount is read-only."
        within = f"the [[mount]] of {grant.at}; copy-on-write would leave the host's files as they are"
        remedy = Remedy(('mode = "read-write"',), within=within, words=shlex.quote(f"{path}:rw"))
    else:
        may = f"It may be read and written ({grant.mode})."
    if grant.what.startswith("memory") and exists(path):
        may += " It is memory of the world's own: what the host has at this path is not in it."
        remedy = remedies.mount(path, asked.mode)
    if tried:
        may += f" What is mounted there does not hold it.{tried}"
    gives = f"the mount at {grant.at} ({grant.what}, by {grant.mechanism})"
    wants_write = asked.mode in ("rw", "cow")
    return Verdict(
        not (wants_write and remedy),
        f"{path} is given by {gives}; {origin(grant)} asks for it. {may}",
        grant.origin,
        remedy,
    )


def _hidden(grant: GrantSeen, path: str) -> tuple[str, ...]:
    """The layer that hides a path below a mount; nothing where none does."""
    from libos.fs.layers.patterns import Patterns

    inside = path.removeprefix(grant.at.rstrip("/")).lstrip("/")
    if not inside:
        return ()
    for layer in grant.layers:
        if not layer or layer[0] not in ("hide", "only"):
            continue
        try:
            matched = Patterns(layer[1:]).match(os.fsencode(inside), False)
        except ValueError:
            continue
        if matched == (layer[0] == "hide"):
            return layer
    return ()


def _tried(seen: Seen, path: str) -> str:
    """How often it was looked for; the first part of a path that is absent is what is told."""
    while path not in ("", "/"):
        if (attempt := seen.attempt("path", path)) is not None:
            return f" The app looked for {attempt.what} {often(attempt)}."
        path = path.rpartition("/")[0]
    return ""


_ABOUT: dict[str, Callable[[Seen, Question, Callable[[str], bool]], Verdict]] = {
    "path": _path,
    "address": lambda seen, asked, exists: address(seen, asked),
    "host": lambda seen, asked, exists: host(seen, asked),
    "call": lambda seen, asked, exists: call(seen, asked),
    "limit": lambda seen, asked, exists: limit(seen, asked),
}
