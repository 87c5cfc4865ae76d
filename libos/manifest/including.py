"""One load: every document that is met, checked, with what it includes below it.

The rules of `include` stand in `libos.manifest.load`, those of merging in `libos.manifest.merge`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libos.manifest import merge
from libos.manifest.build import build
from libos.manifest.conflicts import conflicts, missing_sources
from libos.manifest.document import Document, mapping_document
from libos.manifest.model import Manifest
from libos.manifest.paths import absolute
from libos.manifest.problems import Problem, UnreadableError, error, nearest
from libos.manifest.profiles import profile_names, read_profile

# What an include entry that names a profile looks like; anything else is a path.
_PROFILE_NAME = r"[a-z0-9][a-z0-9_-]*"


class Loading:
    """One load: the documents met so far and the problems found in them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.done: dict[str, Included] = {}  # by identity: profiles by name, files by real path
        self.chain: list[tuple[str, str]] = []  # (identity, name) of the files being read, outermost first

    def whole(self, document: Document, identity: str | None) -> Manifest:
        """The document with its includes, checked as one. ManifestError when anything is wrong."""
        if identity is not None:
            self.chain.append((identity, document.source))
        manifest = self.checked(document).manifest
        self.problems.extend(conflicts(manifest))
        if self.problems:
            raise error(self.problems)
        return manifest

    def given(
        self, manifest: Manifest | Mapping[str, Any] | str | os.PathLike[str] | None, base: str
    ) -> Manifest:
        """A manifest in any form that the public functions take; a file that cannot be read is a problem."""
        if manifest is None:
            return Manifest()
        if isinstance(manifest, Manifest):
            return manifest
        if isinstance(manifest, Mapping):
            return self.checked(mapping_document(manifest, base)).manifest
        from libos.manifest.reading import read_document

        path = os.path.join(base, os.fspath(manifest))
        try:
            document = read_document(path, os.fspath(manifest))
        except UnreadableError as failure:
            self.problems.append(failure.problem)
            return Manifest()
        self.chain.append((os.path.realpath(path), document.source))
        return self.checked(document).manifest

    def checked(self, document: Document) -> Included:
        """One document over what it includes, all checked; problems are noted."""
        from libos.manifest.check import check  # pydantic: 30 ms, only for what a user wrote

        found = check(document)
        self.problems.extend(found)
        own = Manifest(source=document.source)
        if not found:
            own = build(document.raw, base=document.base, origin=document.origin, source=document.source)
        self.problems.extend(missing_sources(document))
        return self.included(document).under(own)

    def included(self, document: Document) -> Included:
        """What the include list of a document gives, after its removals."""
        entries = document.raw.get("include", [])
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            return Included()
        under, names = Manifest(), list[str]()
        for index, entry in enumerate(entries):
            if not entry.startswith("-"):
                included = self.one(document, index, entry)
                under = merge.merge(under, included.manifest)
                names.extend(included.names)
        for index, entry in enumerate(entries):
            if entry.startswith("-") and entry[1:] not in names:
                message = f'nothing that is included has the name "{entry[1:]}"{nearest(entry[1:], names)}'
                self.problems.append(document.problem(("include", index), message))
        removals = tuple(entry[1:] for entry in entries if entry.startswith("-"))
        return Included(merge.merge(under, Manifest(removals=removals)), names)

    def one(self, document: Document, index: int, entry: str) -> Included:
        """One entry of an include list. What was taken before adds its names alone."""
        if "\0" in entry or not entry:
            self.problems.append(
                document.problem(("include", index), "this names neither a profile nor a file")
            )
            return Included()
        if re.fullmatch(_PROFILE_NAME, entry):
            identity = "profile " + entry
            read: Callable[[Document, int, str], Included] = self.profile
        else:
            identity, read = os.path.realpath(absolute(entry, document.base)), self.file
        if any(identity == reading for reading, _ in self.chain):
            ring = " -> ".join([*(name for _, name in self.chain), entry])
            message = f"include cycle: {ring}; remove one of these includes"
            self.problems.append(document.problem(("include", index), message))
            return Included()
        if identity not in self.done:
            self.chain.append((identity, entry))
            included = read(document, index, entry)
            self.chain.pop()
            self.done[identity] = Included(Manifest(), included.names)
            return included
        return self.done[identity]

    def profile(self, document: Document, index: int, name: str) -> Included:
        source = "profile " + name
        try:
            raw = read_profile(name)
        except FileNotFoundError:
            known = profile_names()
            hint = (
                nearest(name, known) or f": there are {', '.join(known)}; a file is written as ./{name}.toml"
            )
            self.problems.append(document.problem(("include", index), f'no profile is named "{name}"{hint}'))
            return Included()
        own = build(raw, base="/", origin=lambda path: source, source=source)
        return self.included(Document(source, raw, "/")).under(own)

    def file(self, document: Document, index: int, entry: str) -> Included:
        from libos.manifest.reading import read_document

        shown = os.path.join(os.path.dirname(document.source), entry)
        try:
            inner = read_document(absolute(entry, document.base), shown)
        except UnreadableError as failure:
            self.problems.append(_of_include(document, index, entry, failure.problem))
            return Included()
        return self.checked(inner)


@dataclass(frozen=True)
class Included:
    """What one include gives, and every name in it or below it, for removals."""

    manifest: Manifest = field(default_factory=Manifest)
    names: Sequence[str] = ()

    def under(self, own: Manifest) -> Included:
        """The same with a document's own entries over it."""
        return Included(merge.merge(self.manifest, own), [*self.names, *merge.names(own)])


def _of_include(document: Document, index: int, entry: str, inner: Problem) -> Problem:
    """Why a file cannot be included: at its own place when it has one, else where it is included."""
    if inner.line:
        return inner
    return document.problem(("include", index), f'cannot include "{entry}": {inner.message}')
