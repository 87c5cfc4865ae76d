"""The templates, filled in.

Rules: autoescape is on for all of them, and a name that is not known is an error. A part is the same HTML in
a report and in a live page.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from libos.page.branches import Branch
from libos.page.picture import Picture
from libos.page.rows import Connected, Granted, Held, Tile, Wanted


@cache
def environment() -> Environment:
    """The templates of this folder."""
    loader = PackageLoader("libos.page", "")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, auto_reload=False)


@cache
def _parts() -> Any:
    return environment().get_template("parts.html.jinja").module


def branch(it: Branch) -> str:
    """A name of the tree, without what is below it."""
    return str(_parts().branch(it))


def tiles(rows: Sequence[Tile]) -> str:
    """The summary."""
    return str(_parts().tiles(rows))


def timeline(it: Picture) -> str:
    """The time line."""
    return str(_parts().timeline(it))


def wanted(rows: Sequence[Wanted]) -> str:
    """The body of the table of what was asked for in vain."""
    return str(_parts().wanted(rows))


def grants(rows: Sequence[Granted]) -> str:
    """The body of the table of grants."""
    return str(_parts().grants(rows))


def connections(rows: Sequence[Connected]) -> str:
    """The body of the table of connections."""
    return str(_parts().connections(rows))


def limits(rows: Sequence[Held]) -> str:
    """The body of the table of limits."""
    return str(_parts().limits(rows))


def line(number: int, text: str) -> str:
    """A line of the log."""
    return str(_parts().line(number, text))


def marks(lines: Sequence[str]) -> str:
    """The list of what is not shown."""
    return str(_parts().marks(lines))
