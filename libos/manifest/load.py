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
from collections.abc import Mapping
from typing import Any

from libos.manifest import merge
from libos.manifest.conflicts import conflicts
from libos.manifest.document import Document, mapping_document
from libos.manifest.including import Loading
from libos.manifest.model import Manifest
from libos.manifest.problems import Problem, error


def load(path: str | os.PathLike[str]) -> Manifest:
    """The manifest in a file, with all that it includes.

    ManifestError with every error found. The name in messages is the path as given.
    """
    from libos.manifest.reading import read_document  # not needed for a command line without a file

    name = os.fspath(path)
    return Loading().whole(read_document(name), identity=os.path.realpath(name))


def from_mapping(mapping: Mapping[str, Any], *, base: str | os.PathLike[str] | None = None) -> Manifest:
    """The manifest that a mapping says: the keys of a file, as Python values.

    A mount may also have `node` (a `libos.fs` node) or `function` (a callable that returns text or bytes,
    asked anew for each open); `bytes` may be bytes, and a path anything with __fspath__. `base` is the folder
    of relative host paths: the current one unless given. ManifestError with every error found.
    """
    folder = os.path.abspath(base if base is not None else os.curdir)
    return Loading().whole(mapping_document(mapping, folder), identity=None)


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
    loading = Loading()
    loading.problems.extend(problems)
    if manifest is None and not include:
        include = ("base",)
    under = loading.included(Document("--include", {"include": list(include)}, base)).manifest
    under = merge.merge(under, loading.given(manifest, base))
    for manifest_alone in (under, own):
        loading.problems.extend(conflicts(manifest_alone))
    if loading.problems:
        raise error(loading.problems)
    return merge.merge(under, own)
