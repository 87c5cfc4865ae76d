"""What a command line says, as a manifest: `-v`, `-e`, `--dial`, `-p`, `-w` and their kin.

- Options are laid over the manifest file; without a file, over what `--include` names, else the profile base.
- They win: a scalar replaces the manifest's, and `-v` takes the place of a mount at the same point.
- A host path is relative to the current folder.
- All errors, those of the file too, come in one `ManifestError`; an option's error names the option.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from libos.labels import parse
from libos.manifest import values
from libos.manifest.conflicts import absent
from libos.manifest.dialing import dialed_option
from libos.manifest.limiting import LimitOptions, feature, given
from libos.manifest.listening import published_option
from libos.manifest.load import load_under
from libos.manifest.model import App, Limits, Manifest, Network, Syscalls
from libos.manifest.paths import absolute
from libos.manifest.problems import Problem
from libos.namespace import HostSource, Mode, Mount, Order

T = TypeVar("T")

# Of docker's options none.
NO_LIMITS = LimitOptions()
_MODES = {"ro": Mode.READ_ONLY, "rw": Mode.READ_WRITE, "cow": Mode.COPY_ON_WRITE}
# Read-write, and a rename over the file replaces it.
_REPLACE = "replace"


def from_options(
    manifest: Manifest | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    command: Iterable[str] = (),
    mounts: Iterable[str] = (),
    environment: Iterable[str] = (),
    dials: Iterable[str] = (),
    publish: Iterable[str] = (),
    include: Iterable[str] = (),
    directory: str | None = None,
    hostname: str | None = None,
    name: str | None = None,
    keep: str | None = None,
    record: bool = False,
    user: str | None = None,
    level: str | None = None,
    capture: str | None = None,
    time: float | str | None = None,
    limits: LimitOptions = NO_LIMITS,
    syscalls: str | None = None,
    allow_missing: Iterable[str] = (),
    namespace: str | os.PathLike[str] | None = None,
    namespace_mode: str = "strict",
    environ: Mapping[str, str] | None = None,
    base: str | os.PathLike[str] | None = None,
) -> Manifest:
    """The manifest that a command line asks for. ManifestError with every error found.

    `manifest` is a path, a mapping, a `Manifest`, or None: then `include`, else the profile base. `mounts`
    are SRC:AT[:ro|rw|cow|replace]; `environment` NAME=VALUE, or NAME for the value in `environ` (the caller's
    unless given); `dials` ADDRESS[,private]; `publish` [IP:]PORT:PORT, outside then inside, or PORT for both;
    `include` and `allow_missing` as in a file; `record` has each use of a path told; `user` is "app" or
    "root"; `level` a label; `capture` a file; `time` seconds or "10min"; `limits` docker's options;
    `syscalls` a profile; `namespace` a file of namespace(6), read as `namespace_mode` says; `base` a folder.
    """
    options = _Options(os.path.abspath(base if base is not None else os.curdir))
    mounted = options.each("-v", mounts, options.mount)
    own = Manifest(
        app=App(
            command=tuple(options.each("COMMAND", command, values.argument)) or None,
            directory=options.one("-w", directory, values.path),
            environment=options.variables(environment, os.environ if environ is None else environ),
            level=options.one("--level", level, lambda text: str(parse(text))),
            **options.names(hostname, name, keep, user, record=record),
        ),
        mounts=tuple(mounted),
        dials=tuple(options.each("--dial", dials, dialed_option)),
        listens=tuple(options.each("-p", publish, published_option)),
        limits=options.limits(time, limits),
        network=options.network(capture),
        syscalls=options.syscalls(syscalls),
        allow_missing=tuple(options.each("--allow-missing", allow_missing, feature)),
        removals=tuple(mount.at for mount in mounted),
        source="" if isinstance(manifest, (str, os.PathLike)) else "options",
    )
    whole = load_under(own, manifest, tuple(include), base=options.base, problems=options.problems)
    if namespace is None:
        return whole
    return _named_by(os.fspath(namespace), namespace_mode, whole, own, options.base)


def _named_by(namespace: str, mode: str, whole: Manifest, own: Manifest, base: str) -> Manifest:
    """The manifest with the namespace of a file, over which the options' own mounts stand."""
    from libos.manifest.namespace_file import with_namespace

    whole = with_namespace(whole, namespace, mode, base, own.mounts)
    return replace(whole, app=replace(whole.app, directory=own.app.directory or whole.app.directory))


class _Options:
    """One command line: its folder and the problems found in it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.problems: list[Problem] = []

    def one(self, option: str, value: Any, parse: Callable[[Any], T]) -> T | None:
        """What one option says; None when it is not given or wrong."""
        found = self.each(option, () if value is None else (value,), parse)
        return found[0] if found else None

    def each(self, option: str, given: Iterable[Any], parse: Callable[[Any], T]) -> list[T]:
        """What each use of an option says; a wrong one becomes a problem."""
        found = []
        for value in given:
            try:
                found.append(parse(value))
            except ValueError as wrong:
                self.problems.append(Problem(f"{option} {value}", 0, 0, str(wrong)))
        return found

    def file(self, text: str) -> str:
        """A file of the host that is to be written; it need not be there."""
        return absolute(values.host_path(text), self.base)

    def variables(self, given: Iterable[str], environ: Mapping[str, str]) -> Mapping[str, str]:
        """What -e says, with the caller's variables."""
        return MappingProxyType(dict(self.each("-e", given, lambda text: variable(text, environ))))

    def network(self, capture: str | None) -> Network:
        """What --capture says."""
        file = self.one("--capture", capture, self.file)
        return Network(capture=file, origin="" if capture is None else "--capture")

    def names(
        self, hostname: str | None, name: str | None, keep: str | None, user: str | None, *, record: bool
    ) -> dict[str, Any]:
        """What --hostname, --name, --keep, --user and --record say."""
        return {
            "record": record or None,
            "hostname": self.one("--hostname", hostname, values.host_name),
            "name": self.one("--name", name, values.world_name),
            "keep": self.one("--keep", keep, values.keep_name),
            "user": self.one("--user", user, values.user),
        }

    def limits(self, time: float | str | None, given_limits: LimitOptions) -> Limits:
        """What --timeout and docker's options say; of two that mean one key the later in docker's order."""
        said: dict[str, Any] = {}
        origins = {}
        if time is not None:
            said["time"], origins["time"] = self.one("--timeout", time, values.duration), f"--timeout {time}"
        for option, text, read in given(given_limits):
            for key, value in self.each(option, (text,), read):
                said[key], origins[key] = value, f"{option} {text}"
        return Limits(**said, origins=origins)

    def syscalls(self, profile: str | None) -> Syscalls:
        """What --syscalls says."""
        name = self.one("--syscalls", profile, values.syscall_profile)
        return Syscalls(name, origin="" if name is None else f"--syscalls {name}")

    def mount(self, text: str) -> Mount:
        """A mount as -v says it. ValueError too for a source that is not there: it is never created."""
        replaceable = text.endswith(f":{_REPLACE}")
        source, at, mode = split_mount(f"{text.removesuffix(_REPLACE)}rw" if replaceable else text)
        path = absolute(values.host_path(source), self.base)
        message = absent(path)
        if message is not None:
            raise ValueError(message)
        return Mount(values.place(at), HostSource(path), mode, replaceable=replaceable, origin=f"-v {text}")


def split_mount(text: str) -> tuple[str, str, Mode]:
    """SRC:AT[:ro|rw|cow] in its parts. A source may hold colons; the mount point may not."""
    rest, mode = text, Mode.READ_ONLY
    head, colon, last = text.rpartition(":")
    if colon and not last.startswith("/") and ":" in head:
        if last not in _MODES:
            raise ValueError(f'"{last}" is no mode: write ro, rw, cow or replace, as SRC:AT:cow')
        rest, mode = head, _MODES[last]
    source, colon, at = rest.rpartition(":")
    if not colon or not source or not at:
        raise ValueError("write SRC:AT or SRC:AT:ro|rw|cow, as ./project:/work:cow")
    # A last slash is a habit of the shell's completion, and means nothing here.
    return source, posixpath.join("/", at.rstrip("/")) if at.startswith("/") else at, mode


def split_joining(text: str) -> tuple[str, Order | None]:
    """What `split_mount` takes, and how it joins a union: SRC:AT:rw,after, or SRC:AT:after."""
    for separator in ",:":
        head, found, last = text.rpartition(separator)
        if found and last in (Order.BEFORE, Order.AFTER):
            return head, Order(last)
    return text, None


def variable(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """NAME=VALUE, or NAME for the caller's value. ValueError when the caller has none."""
    name, equals, value = text.partition("=")
    values.variable(name)
    if equals:
        return name, values.argument(value)
    if name not in environ:
        raise ValueError(f"{name} is not set here: set it, or write {name}=VALUE")
    return name, environ[name]
