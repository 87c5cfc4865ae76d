"""Tables of the reference that are made from the code: `manifest-keys` and `node-errors`.

Rules: a directive writes what the code says and nothing else; where the code says nothing (a key without a
description), that is an error of the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from node_errors import errors_of_nodes
from schema_keys import tables_of_keys
from sphinx import addnodes
from sphinx.application import Sphinx

_LITERAL = re.compile(r"`([^`]+)`")


def _words(text: str) -> list[nodes.Node]:
    """A text with names in backquotes."""
    found: list[nodes.Node] = []
    for index, part in enumerate(_LITERAL.split(text)):
        if part:
            found.append(nodes.literal(text=part) if index % 2 else nodes.Text(part))
    return found


def _row(cells: Iterable[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *_words(cell))) for cell in cells))


def _table(head: Iterable[str], rows: list[list[str]], widths: tuple[int, ...]) -> nodes.table:
    columns = [nodes.colspec(colwidth=width) for width in widths]
    group = nodes.tgroup("", *columns, cols=len(widths))
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group, classes=["colwidths-given"])


class _FromCode(Directive):  # type: ignore[misc]  # docutils has no types
    """A section with a table for each group of rows."""

    head: tuple[str, ...]
    widths: tuple[int, ...]

    def groups(self) -> dict[str, tuple[str, list[list[str]]]]:
        """Title to its opening sentence and its rows."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        sections: list[nodes.Node] = []
        for title, (opening, rows) in self.groups().items():
            section = nodes.section(ids=[nodes.make_id(f"{self.name}-{title}")], names=[title.lower()])
            section += nodes.title("", "", *_words(title))
            section += nodes.paragraph("", "", *_words(opening))
            if rows:
                section += _table(self.head, rows, self.widths)
            sections.append(section)
        return sections


class _ManifestKeys(_FromCode):
    head = ("key", "takes", "meaning")
    widths = (20, 25, 55)

    def groups(self) -> dict[str, tuple[str, list[list[str]]]]:
        return tables_of_keys()


class _NodeErrors(_FromCode):
    head = ("operation", "answers")
    widths = (30, 70)

    def groups(self) -> dict[str, tuple[str, list[list[str]]]]:
        return errors_of_nodes()


def _folders(app: Sphinx, document: nodes.document) -> None:
    """A link to a folder of the repository, which is no page: its name stays, as text."""
    here = Path(document["source"]).parent
    for link in list(document.findall(addnodes.pending_xref)):
        if (here / link["reftarget"]).is_dir():
            link.replace_self(nodes.inline("", "", *link.children))


def _plain(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: what reStructuredText would take for markup stands for itself."""
    lines[:] = [re.sub(r"(?<!`)([*|\\])|(?<=\w)(_)(?=\W|$)", r"\\\1\2", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("manifest-keys", _ManifestKeys)
    app.add_directive("node-errors", _NodeErrors)
    app.connect("doctree-read", _folders)
    app.connect("autodoc-process-docstring", _plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
