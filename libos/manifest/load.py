"""Loading: a file or mapping, what it includes, all checked, merged into one `Manifest`.

- `include` names profiles ("python") and files ("./common.toml", relative to the including file), merged in
  the order given, below the file's own entries. Each document is taken once, where it is first met.
- "-NAME" in the list removes an included entry: "-/tmp", "-tcp!db.example.com!5432", "-tcp!*!8000".
- An include that leads back to a file being read is an error.
- Two different mounts at one place are an error that names both.
- Errors of all documents come in one message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from libos.manifest import merge
from libos.manifest.build import absolute, build
from libos.manifest.document import Document
from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, UnreadableError, already_mounted, error, nearest
from libos.manifest.profiles import profile_names, read_profile
from libos.namespace import HostSource

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
    folder = os.path.abspath(base if base is not None else os.curdir)
    return _Loading().whole(Document("manifest", _plain(mapping), folder), identity=None)


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
    under = loading.included(Document("--include", {"include": list(include)}, base))
    under = merge.merge(under, loading.given(manifest, base))
    for manifest_alone in (under, own):
        loading.problems.extend(clash_problems(manifest_alone))
    if loading.problems:
        raise error(loading.problems)
    return merge.merge(under, own)


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
        self.done: set[str] = set()
        self.chain: list[tuple[str, str]] = []  # (identity, name) of the files being read, outermost first

    def whole(self, document: Document, identity: str | None) -> Manifest:
        """The document with its includes, checked as one. ManifestError when anything is wrong."""
        if identity is not None:
            self.chain.append((identity, document.source))
        manifest = self.document(document)
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
            return self.document(Document("manifest", _plain(manifest), base))
        from libos.manifest.reading import read_document

        path = os.path.join(base, os.fspath(manifest))
        try:
            document = read_document(path, os.fspath(manifest))
        except UnreadableError as failure:
            self.problems.append(failure.problem)
            return Manifest()
        self.chain.append((os.path.realpath(path), document.source))
        return self.document(document)

    def document(self, document: Document) -> Manifest:
        from libos.manifest.check import check  # pydantic: 30 ms, only for what a user wrote

        found = check(document)
        self.problems.extend(found)
        own = Manifest(source=document.source)
        if not found:
            own = build(document.raw, base=document.base, origin=document.origin, source=document.source)
        self.problems.extend(_missing_sources(document))
        return merge.merge(self.included(document), own)

    def included(self, document: Document) -> Manifest:
        """What the include list of a document gives, after its removals."""
        entries = document.raw.get("include", [])
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            return Manifest()
        under = Manifest()
        for index, entry in enumerate(entries):
            if not entry.startswith("-"):
                under = merge.merge(under, self.one(document, index, entry))
        known = merge.names(under)
        removals = [(index, entry[1:]) for index, entry in enumerate(entries) if entry.startswith("-")]
        for index, name in removals:
            if name not in known:
                self.problems.append(
                    document.problem(
                        ("include", index),
                        f'nothing that is included has the name "{name}"{nearest(name, known)}',
                    )
                )
        return merge.merge(under, Manifest(removals=tuple(name for _, name in removals)))

    def one(self, document: Document, index: int, entry: str) -> Manifest:
        if re.fullmatch(_PROFILE_NAME, entry):
            return self.profile(document, index, entry)
        return self.file(document, index, entry)

    def profile(self, document: Document, index: int, name: str) -> Manifest:
        identity = "profile " + name
        if identity in self.done:
            return Manifest()
        self.done.add(identity)
        try:
            raw = read_profile(name)
        except FileNotFoundError:
            known = profile_names()
            hint = (
                nearest(name, known) or f": there are {', '.join(known)}; a file is written as ./{name}.toml"
            )
            self.problems.append(document.problem(("include", index), f'no profile is named "{name}"{hint}'))
            return Manifest()
        inner = Document(identity, raw, "/")
        own = build(raw, base="/", origin=lambda path: identity, source=identity)
        return merge.merge(self.included(inner), own)

    def file(self, document: Document, index: int, entry: str) -> Manifest:
        path = absolute(entry, document.base)
        identity = os.path.realpath(path)
        names = [name for _, name in self.chain]
        if any(identity == open_identity for open_identity, _ in self.chain):
            ring = " -> ".join([*names, entry])
            self.problems.append(
                document.problem(("include", index), f"include cycle: {ring}; remove one include")
            )
            return Manifest()
        if identity in self.done:
            return Manifest()
        self.done.add(identity)
        shown = os.path.join(os.path.dirname(document.source), entry)
        from libos.manifest.reading import read_document

        try:
            inner = read_document(path, shown)
        except UnreadableError as failure:
            self.problems.append(_of_include(document, index, entry, failure.problem))
            return Manifest()
        self.chain.append((identity, entry))
        try:
            return self.document(inner)
        finally:
            self.chain.pop()


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
