"""A manifest whose namespace is that of a file of namespace(6).

- The file's operations begin with nothing; what the manifest and its includes mount is not there. All else of
  the manifest holds. What `-v` mounts comes after the file, and takes the place of what the file has there.
- `$` gives the app's environment, `$user` (else USER, else the caller's name) and `$home` (else /usr/$user).
- The last `cd` of the file is where the app starts, unless -w says otherwise; without one, where the manifest
  says.
- In compat a source that the host does not have, and a place that is not there, is passed over in silence.
"""

from __future__ import annotations

import os
import posixpath
import pwd
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace

from libos.errors import ManifestError
from libos.manifest.model import App, Manifest
from libos.manifest.reading import read_text
from libos.namespace import HostSource, Mount, NodeSource, Source
from libos.namespace.building import Building
from libos.namespace.errors import NamespaceError
from libos.namespace.operations import Place
from libos.namespace.reading import Reading, open_values, read
from libos.namespace.table import Element, There, look_at_values


def load_namespace(
    path: str | os.PathLike[str],
    *,
    mode: str = "strict",
    environment: Mapping[str, str] | None = None,
    command: Iterable[str] = (),
) -> Manifest:
    """The manifest of a file of namespace(6): its mounts, in its order, and its working directory.

    `mode` is "strict", where each wrong line is an error with its number, or "compat": what 9front does,
    which passes over it. `environment` is the app's, and what `$NAME` gives. Raises ManifestError (a
    NamespaceError for what is wrong in a line).
    """
    manifest = Manifest(App(tuple(command) or None, environment=dict(environment or {})))
    return with_namespace(manifest, os.fspath(path), mode, os.curdir, ())


def with_namespace(manifest: Manifest, path: str, mode: str, base: str, over: Iterable[Mount]) -> Manifest:
    """A manifest with the namespace of a file in place of its own, and `over` mounted after it."""
    if mode not in list(Reading):
        raise ManifestError(f'"{mode}" is no way to read a namespace: there are {", ".join(Reading)}')
    reading = Reading(mode)
    built = read(
        read_text(os.path.join(base, path), path),
        mode=reading,
        variables=variables(manifest.app.environment),
        look=look,
        open_text=open_text,
        name=path,
    )
    for mount in over:
        _place(built, mount)
    mounts = built.namespace().mounts
    if reading is Reading.COMPAT:
        mounts = tuple(
            replace(each, optional=each.optional or isinstance(each.source, HostSource)) for each in mounts
        )
    directory = built.directory if built.changed_directory else manifest.app.directory
    return replace(manifest, app=replace(manifest.app, directory=directory), mounts=mounts, in_order=True)


def _place(built: Building, mount: Mount) -> None:
    try:
        built.apply(Place(mount))
    except NamespaceError as error:
        raise type(error)(f"{mount.origin}: {error}") from None


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What `$NAME` gives for an app with this environment."""
    user = environment.get("user") or environment.get("USER") or _caller()
    return {"user": user, "home": f"/usr/{user}", **environment}


def _caller() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def look(source: Source, below: str) -> There:
    """What stands at a path below a source, as this host has it now."""
    if isinstance(source, NodeSource) or not isinstance(source, HostSource):
        return look_at_values(source, below)
    path = posixpath.join(source.path, below) if below else source.path
    try:
        found = os.lstat(path) if below else os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return There.ABSENT
    except (OSError, ValueError):
        return There.UNKNOWN
    if stat.S_ISLNK(found.st_mode):
        return There.UNKNOWN  # where it leads is the world's affair
    return There.DIRECTORY if stat.S_ISDIR(found.st_mode) else There.FILE


def open_text(element: Element) -> str:
    """The text of a file that `.` names. OSError, IncludeError."""
    source = element.source
    if not isinstance(source, HostSource):
        return open_values(element)
    path = posixpath.join(source.path, element.below) if element.below else source.path
    try:
        return read_text(path, path)
    except ManifestError as error:
        raise NamespaceError(str(error)) from None
