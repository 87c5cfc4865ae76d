"""Loading: a file or mapping, what it includes, all checked, merged into one `Manifest`.

- `include` names profiles ("python") and files ("./common.toml", relative to the including file), merged in
  the order given, below the file's own entries. Each document is taken once, where it is first met.
- "-NAME" in the list removes an entry of what this list includes, wherever it stands in the list: "-/tmp",
  "-tcp!db.example.com!5432", "-tcp!*!8000". A name that nothing there has is an error.
- An include that leads back to a file being read is an error.
- Two different mounts at one place are an error that names both.
- Errors of all documents come in one message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from libos.manifest import merge
from libos.manifest.build import absolute, build
from libos.manifest.document import Document
from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, UnreadableError, already_mounted, error, nearest
from libos.manifest.profiles import profile_names, read_profile

# What an include entry that names a profile looks like; anything else is a path.
_PROFILE_NAME = r"[a-z0-9][a-z0-9_-]*"


def load(path: str | os.PathLike[str]) -> Manifest:
    """The manifest in a file, with all that it includes.

    ManifestError with every error found. The name in messages is the path as given.
    """
    from libos.manifest.reading import read_document  # not needed for a command line without a file

    name = os.fspath(path)
    return _Loading().whole(read_document(name), identity=os.path.realpath(name))


def from_mapping(mapping: Mapping[str, Any], *, base: str | os.PathLike[str] | None = None) -> Manifest:
    """The manifest that a mapping says: the keys of a file, as Python values.

    A mount may also have `node` (a `libos.fs` node) or `function` (a callable that returns text or bytes,
    asked anew for each open); `bytes` may be bytes, and a path anything with __fspath__. `base` is the folder
    of relative host paths: the current one unless given. ManifestError with every error found.
    """
    if not isinstance(mapping, Mapping):
        raise error([Problem("manifest", 0, 0, f"a manifest is a table, not a {type(mapping).__name__}")])
    folder = os.path.abspath(base if base is not None else os.curdir)
    return _Loading().whole(_mapping_document(mapping, folder), identity=None)


def load_under(
    own: Manifest,
    manifest: Manifest | Mapping[str, Any] | str | os.PathLike[str] | None,
    include: tuple[str, ...],
    *,
    base: str,
    problems: list[Problem],
) -> Manifest:
    """`own` (what options say) over a manifest over what `include` names; with neither, over profile base.

    `problems` are those already found in the options; ManifestError when there are any in the end.
    """
    loading = _Loading()
    loading.problems.extend(problems)
    if manifest is None and not include:
        include = ("base",)
    under = loading.included(Document("--include", {"include": list(include)}, base)).manifest
    under = merge.merge(under, loading.given(manifest, base))
    for manifest_alone in (under, own):
        loading.problems.extend(clash_problems(manifest_alone))
    if loading.problems:
        raise error(loading.problems)
    return merge.merge(under, own)


def _mapping_document(mapping: Mapping[str, Any], base: str) -> Document:
    try:
        return Document("manifest", _plain(mapping), base)
    except RecursionError:
        message = "nested without end: a manifest does not contain itself"
        raise error([Problem("manifest", 0, 0, message)]) from None


def _plain(value: Any) -> Any:
    """A mapping with only dicts, lists and scalars in it; nodes and functions stay as they are."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class _Loading:
    """One load: the documents met so far and the problems found in them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.done: dict[str, _Included] = {}  # by identity: profiles by name, files by real path
        self.chain: list[tuple[str, str]] = []  # (identity, name) of the files being read, outermost first

    def whole(self, document: Document, identity: str | None) -> Manifest:
        """The document with its includes, checked as one. ManifestError when anything is wrong."""
        if identity is not None:
            self.chain.append((identity, document.source))
        manifest = self.checked(document).manifest
        self.problems.extend(clash_problems(manifest))
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
            return self.checked(_mapping_document(manifest, base)).manifest
        from libos.manifest.reading import read_document

        path = os.path.join(base, os.fspath(manifest))
        try:
            document = read_document(path, os.fspath(manifest))
        except UnreadableError as failure:
            self.problems.append(failure.problem)
            return Manifest()
        self.chain.append((os.path.realpath(path), document.source))
        return self.checked(document).manifest

    def checked(self, document: Document) -> _Included:
        """One document over what it includes, all checked; problems are noted."""
        from libos.manifest.check import check  # pydantic: 30 ms, only for what a user wrote

        found = check(document)
        self.problems.extend(found)
        own = Manifest(source=document.source)
        if not found:
            own = build(document.raw, base=document.base, origin=document.origin, source=document.source)
        self.problems.extend(_missing_sources(document))
        return self.included(document).under(own)

    def included(self, document: Document) -> _Included:
        """What the include list of a document gives, after its removals."""
        entries = document.raw.get("include", [])
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            return _Included()
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
        return _Included(merge.merge(under, Manifest(removals=removals)), names)

    def one(self, document: Document, index: int, entry: str) -> _Included:
        """One entry of an include list. What was taken before adds its names alone."""
        if "\0" in entry or not entry:
            self.problems.append(
                document.problem(("include", index), "this names neither a profile nor a file")
            )
            return _Included()
        if re.fullmatch(_PROFILE_NAME, entry):
            identity = "profile " + entry
            read: Callable[[Document, int, str], _Included] = self.profile
        else:
            identity, read = os.path.realpath(absolute(entry, document.base)), self.file
        if any(identity == reading for reading, _ in self.chain):
            ring = " -> ".join([*(name for _, name in self.chain), entry])
            message = f"include cycle: {ring}; remove one of these includes"
            self.problems.append(document.problem(("include", index), message))
            return _Included()
        if identity not in self.done:
            self.chain.append((identity, entry))
            included = read(document, index, entry)
            self.chain.pop()
            self.done[identity] = _Included(Manifest(), included.names)
            return included
        return self.done[identity]

    def profile(self, document: Document, index: int, name: str) -> _Included:
        source = "profile " + name
        try:
            raw = read_profile(name)
        except FileNotFoundError:
            known = profile_names()
            hint = (
                nearest(name, known) or f": there are {', '.join(known)}; a file is written as ./{name}.toml"
            )
            self.problems.append(document.problem(("include", index), f'no profile is named "{name}"{hint}'))
            return _Included()
        own = build(raw, base="/", origin=lambda path: source, source=source)
        return self.included(Document(source, raw, "/")).under(own)

    def file(self, document: Document, index: int, entry: str) -> _Included:
        from libos.manifest.reading import read_document

        shown = os.path.join(os.path.dirname(document.source), entry)
        try:
            inner = read_document(absolute(entry, document.base), shown)
        except UnreadableError as failure:
            self.problems.append(_of_include(document, index, entry, failure.problem))
            return _Included()
        return self.checked(inner)


@dataclass(frozen=True)
class _Included:
    """What one include gives, and every name in it or below it, for removals."""

    manifest: Manifest = field(default_factory=Manifest)
    names: Sequence[str] = ()

    def under(self, own: Manifest) -> _Included:
        """The same with a document's own entries over it."""
        return _Included(merge.merge(self.manifest, own), [*self.names, *merge.names(own)])


def _of_include(document: Document, index: int, entry: str, inner: Problem) -> Problem:
    """Why a file cannot be included: at its own place when it has one, else where it is included."""
    if inner.line:
        return inner
    return document.problem(("include", index), f'cannot include "{entry}": {inner.message}')


def clash_problems(manifest: Manifest) -> list[Problem]:
    """A problem for each mount at a place, and each listen at an outside address, that an earlier one has."""
    found = []
    for mount, later in merge.clashes(manifest.mounts, lambda mount: mount.at):
        found.append(_at_origin(later.origin, already_mounted(later.at, mount.origin)))
    fixed = [listen for listen in manifest.listens if listen.outside]
    for listen, other in merge.clashes(fixed, lambda listen: listen.published):
        message = f"{other.published} is already published by {listen.origin}; choose another port"
        found.append(_at_origin(other.origin, message))
    return found


def _at_origin(origin: str, message: str) -> Problem:
    source, line, column = split_origin(origin)
    return Problem(source, line, column, message)


def split_origin(origin: str) -> tuple[str, int, int]:
    """An origin as (source, line, column); line 0 where it has none."""
    match = re.fullmatch(r"(.+):([0-9]+):([0-9]+)", origin)
    return (match[1], int(match[2]), int(match[3])) if match else (origin, 0, 0)


def _missing_sources(document: Document) -> list[Problem]:
    """A problem for each source that the host does not have, whatever else is wrong with its mount."""
    found = []
    mounts = document.raw.get("mount")
    for index, mount in enumerate(mounts if isinstance(mounts, list) else ()):
        written = mount.get("host") if isinstance(mount, dict) else None
        if not isinstance(written, str) or not written or "\0" in written or mount.get("optional") is True:
            continue
        path = absolute(written, document.base)
        if not os.path.exists(path):
            found.append(document.problem(("mount", index, "host"), missing(path)))
    return found


def missing(path: str) -> str:
    """The sentence for a source that the host does not have."""
    return f'the host has no "{path}": make it, correct the path, or set optional = true'
