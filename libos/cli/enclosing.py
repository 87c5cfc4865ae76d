"""`libos run`, `libos trace` and `libos up` go behind Landlock: they open what they serve, and little else.

Rules:
- It happens when the keeper is ready, which makes worlds and must not be behind it, and before anything is
  served. This process has one thread then, and all later ones are behind it too: landlock(7).
- From then on it opens, makes, moves and removes files where `needs` says alone, executes nothing, mounts
  nothing and traces nobody. What is granted later, and what no rule reaches, the keeper's outside half opens
  (libos.keeper.opening). Attributes that are there may still be read, wherever they are: Landlock does not
  judge that.
- A secret that a command prints is left out of it, as in `confining`: the command is the caller's, and this
  process starts it.
- A kernel without Landlock runs worlds all the same, and says so (libos.plan.walls).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from libos.cli.needs import (
    CHANGE,
    LIST,
    READ,
    Need,
    copied_hosts,
    manifest_needs,
    opened_files,
    own_needs,
    wants_cgroups,
)
from libos.errors import HostError
from libos.kernel import landlock, process
from libos.namespace import ImageSource
from libos.plan.vetting import calls, vetting
from libos.syscalls import DEFAULT, Wanted, compiling
from libos.worlds.outside import Enclosure

if TYPE_CHECKING:
    from libos.manifest import Manifest

# Rights on files and directories, by (st_dev, st_ino).
Rules = dict[tuple[int, int], int]


def enclose(manifests: Iterable[Manifest], own: Iterable[Need] = ()) -> Callable[[], Enclosure | None]:
    """Give what a Supervisor calls to go behind Landlock for these manifests; `own` is needed besides. The
    call gives None where that is left out, and raises HostError. Makes the folders and files that will be
    written."""
    manifests = tuple(manifests)
    if any(secret.command is not None for manifest in manifests for secret in manifest.secrets):
        return lambda: None
    for wanted in (DEFAULT, *map(_calls, manifests)):
        compiling.prepare(wanted)
    needs = [*own_needs(), *own]
    for manifest in manifests:
        needs += [*manifest_needs(manifest), *_prepared(manifest)]
    return partial(_enclose, needs, *opened_files(manifests))


def confine_to(needs: Iterable[Need]) -> bool:
    """Go behind Landlock at once, for what every run needs and these: for a process that serves no world.
    False on a kernel without it. Raises HostError."""
    try:
        abi = landlock.abi()
        if abi < landlock.ABI_REFER:
            return False
        _go_behind([*own_needs(), *needs], landlock.file_rights(abi))
    except OSError as error:
        raise HostError(f"libos cannot go behind Landlock: {error.strerror or error}") from error
    return True


def _calls(manifest: Manifest) -> Wanted:
    vets = any(vetting(mount.layers) for mount in manifest.mounts)
    return calls(manifest.syscalls.wanted) if vets else manifest.syscalls.wanted


def _prepared(manifest: Manifest) -> Iterable[Need]:
    """Those of what is written, after it was made: a rule is for what is there. Whoever fails to use it later
    says why it cannot be."""
    if manifest.network.capture is not None:
        with suppress(OSError):
            os.close(os.open(manifest.network.capture, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if manifest.app.keep is not None:
        from libos.kept.running import prepare

        kept, hosts = prepare(manifest.app.keep, copied_hosts(manifest))
        yield from (Need(str(kept.parent.parent), LIST), Need(str(kept), CHANGE))
        yield from (Need(host, READ) for host in hosts)
    if any(isinstance(mount.source, ImageSource) for mount in manifest.mounts):
        from libos.images import store

        with suppress(OSError):
            store.home().mkdir(mode=0o700, parents=True, exist_ok=True)
        yield Need(str(store.home()), CHANGE)
    if wants_cgroups(manifest):
        from libos.limits.finding import find

        yield from (Need(place.parent, CHANGE) for _, place in find().places)


def control_needs() -> Iterable[Need]:
    """The folder of control sockets, made where it is missing."""
    from libos.control.folder import ControlError, folder_path, open_folder

    try:
        with open_folder():
            return (Need(str(folder_path()), CHANGE),)
    except ControlError:
        return (Need(str(folder_path()), LIST),)  # who uses it later says what is wrong with it


def log_needs(folder: Path) -> Iterable[Need]:
    """The folder of a stack's records, made where it is missing."""
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return (Need(str(folder), CHANGE),)


def _enclose(needs: list[Need], read: list[str], written: list[str]) -> Enclosure | None:
    try:
        abi = landlock.abi()
        if abi < landlock.ABI_REFER:
            return None
        if len(os.listdir("/proc/self/task")) != 1:
            raise HostError("libos has several threads already, and Landlock would hold one of them")
        handled = landlock.file_rights(abi)
        rules = _go_behind(needs, handled)
        return Enclosure(partial(_covers, rules, handled), tuple(read), tuple(written))
    except OSError as error:
        raise HostError(f"libos cannot go behind Landlock: {error.strerror or error}") from error


def _go_behind(needs: list[Need], handled: int) -> Rules:
    """Go behind a ruleset with these rules and give them. Raises OSError."""
    rules: Rules = {}
    ruleset_fd = landlock.create_ruleset(handled)
    try:
        for need in needs:
            with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                _allow(ruleset_fd, need, handled, rules)
        process.set_no_new_privileges()
        landlock.restrict_self(ruleset_fd)
    finally:
        os.close(ruleset_fd)
    return rules


def _allow(ruleset_fd: int, need: Need, handled: int, rules: Rules) -> None:
    fd = os.open(need.path, os.O_PATH | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        key = found.st_dev, found.st_ino
        directory = os.path.isdir(f"/proc/self/fd/{fd}")
        rights = need.rights & handled & (handled if directory else landlock.ACCESS_FILE)
        if rights & ~rules.get(key, 0) and _is_ruled(fd, ruleset_fd, rights):
            rules[key] = rules.get(key, 0) | rights
    finally:
        os.close(fd)


def _covers(rules: Rules, handled: int, directory_fd: int, writable: bool) -> bool:
    """Whether these rules let this process do below a directory what a mount of it gives. A rule is for what
    stands at and below a directory: so each one above is looked for, across mounts."""
    wanted, found = handled & (CHANGE if writable else READ), 0
    fd, before = os.open(f"/proc/self/fd/{directory_fd}", os.O_PATH | os.O_CLOEXEC), None
    try:
        while (key := _key(fd)) != before:
            found |= rules.get(key, 0)
            if found & wanted == wanted:
                return True
            before, above_fd = key, os.open("..", os.O_PATH | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = above_fd
        return False
    except PermissionError:
        return False  # above it this user may not look
    finally:
        os.close(fd)


def _key(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _is_ruled(fd: int, ruleset_fd: int, rights: int) -> bool:
    """Add a rule. Pipes and sockets take none, and are opened without (EBADFD)."""
    try:
        landlock.allow_beneath(ruleset_fd, fd, rights)
    except OSError as error:
        if error.errno != errno.EBADFD:
            raise
        return False
    return True
