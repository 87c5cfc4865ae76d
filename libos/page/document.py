"""The whole page: one HTML document that loads nothing.

Rules: the Content-Security-Policy allows the page's own style sheet, and for a live page its script and its
server, by hash and address; nothing else runs or is loaded, whatever a program's names may say. A report has
no script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from itertools import islice

from markupsafe import Markup

from libos.page.branches import Branches
from libos.page.drawing import environment
from libos.page.picture import Picture, picture
from libos.page.rows import (
    MOST,
    Connected,
    Granted,
    Held,
    Tile,
    Wanted,
    connected,
    granted,
    held,
    left_out,
    tiles,
    wanted,
)
from libos.page.words import duration, moment, plural, shown
from libos.seen import Seen
from libos.seen.connections import ConnectionSeen
from libos.seen.tree import TreeNode


@cache
def _own(name: str) -> str:
    return files("libos.page").joinpath(name).read_text()


@cache
def _hash(text: str) -> str:
    """The source expression of an inline element: CSP level 3, section 2.3.1."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@dataclass(frozen=True)
class Sheet:
    """What the template shows: rows, all made from one state at one moment."""

    title: str
    command: str
    about: str
    tiles: list[Tile]
    picture: Picture
    branches: Branches
    root: TreeNode
    names: str
    wanted: list[Wanted]
    grants: list[Granted]
    connections: list[Connected]
    limits: list[Held]
    marks: list[str]
    footer: str


@dataclass(frozen=True)
class Live:
    """What a live page has besides: the version that it shows, and the latest events, each drawn as a
    line."""

    version: int
    drawn: Sequence[str]

    @property
    def lines(self) -> list[Markup]:
        """The lines, for the template, which has made them itself."""
        return [Markup(each) for each in self.drawn]  # noqa: S704

    @property
    def script(self) -> Markup:
        """The page's script."""
        return Markup(_own("live.js"))  # noqa: S704 - our own file


def sheet(
    seen: Seen,
    *,
    branches: Branches | None = None,
    notes: Sequence[str] = (),
) -> Sheet:
    """Give what a page shows of this state; `notes` says what was wrong with where the events come from."""
    branches = branches or Branches(seen)
    groups = seen.groups()
    return Sheet(
        title=shown(seen.about.name, 80) or "a run",
        command=shown(" ".join(seen.about.command)),
        about=_about(seen),
        tiles=list(tiles(seen)),
        picture=picture(seen),
        branches=branches,
        root=seen.tree.root,
        names=plural(seen.tree.size - 1, "name"),
        wanted=wanted(groups, seen.about.manifest if seen.about.manifest.endswith(".toml") else ""),
        grants=[granted(seen, each) for each in islice(seen.grants, MOST)],
        connections=[connected(seen, each) for each in latest(seen)],
        limits=list(held(seen)),
        marks=[*gaps(seen, branches, len(groups)), *(shown(each) for each in notes)],
        footer=f"Made by libos {version('libos')} from {plural(seen.events, 'event')}. Times are in UTC.",
    )


def latest(seen: Seen) -> list[ConnectionSeen]:
    """The connections that are listed, oldest first."""
    return list(seen.connections)[-MOST:]


def gaps(seen: Seen, branches: Branches, groups: int) -> list[str]:
    """What the events do not say, and what the page does not show, in sentences."""
    left = left_out(seen, groups=groups, names=branches.hidden, connections=len(list(seen.connections)))
    return [*seen.marks(), *(f"{key}: {reason}" for key, reason in _missing(seen)), *left]


def _missing(seen: Seen) -> list[tuple[str, str]]:
    return [(f"this host cannot give {shown(key)}", shown(why)) for key, why in seen.missing.items()]


def _about(seen: Seen) -> str:
    about = seen.about
    said = []
    if about.manifest:
        said.append(f"manifest {shown(about.manifest)}")
    if seen.first is not None and seen.last is not None:
        said.append(f"{moment(seen.first)}, over {duration(seen.last - seen.first)}")
    if about.syscalls:
        said.append(f"system calls: {shown(about.syscalls)}")
    return " · ".join(said)


def page(it: Sheet, live: Live | None = None) -> tuple[str, str]:
    """Give the HTML, and its Content-Security-Policy, which stands in it too."""
    css = _own("page.css")
    rules = [
        "default-src 'none'",
        f"style-src '{_hash(css)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    if live is not None:
        rules += [f"script-src '{_hash(live.script)}'", "connect-src 'self'"]
    policy = "; ".join(rules)
    template = environment().get_template("page.html.jinja")
    own = Markup(css)  # noqa: S704 - our own file
    return template.render(it=it, live=live, css=own, policy=policy, version=version("libos")), policy
