"""Preparing a world below another one, and what binds the two.

Rules:
- What is asked for is judged before anything is made, and once more, in one step with the binding, when all
  of it is mounted and before the program starts: what was taken from the world above meanwhile is refused,
  and what is taken afterwards is taken below too.
- A mount of the host is the one that the world above shows, by its inode as that world's own mount leads to
  it: a path that leads elsewhere by then starts nothing.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from libos.branch import Branch
from libos.errors import HostError, ManifestError, SupervisorError
from libos.kernel import mounts
from libos.manifest.model import Limits
from libos.nesting.addresses import led_through
from libos.nesting.admission import admit
from libos.nesting.holding import Held, holding_of

if TYPE_CHECKING:
    from libos.app import App
    from libos.grants import Grant
    from libos.launch import Launch
    from libos.plan import Plan

_INSIDE = mounts.RESOLVE_BENEATH | mounts.RESOLVE_NO_SYMLINKS | mounts.RESOLVE_NO_MAGICLINKS

Prepare = Callable[["Plan", Branch], Awaitable["Launch"]]


async def prepared_below(app: App, name: str, plan: Plan, prepare: Prepare) -> Launch:
    """A world below that of `app`, ready for its program. Raises ManifestError where it would hold more,
    SupervisorError where the other has ended, and what `prepare` raises."""
    branch = Branch(name, plan.asked or Limits())
    app.branch.require()
    admit(name, plan, holding_of(app), branch)
    branch.join(app.branch)  # sync since the look: whoever comes next counts this one
    try:
        launch = await prepare(led_through(plan, app.gate, app.name), branch)
    except BaseException:
        branch.leave()
        raise
    try:
        await _bind(app, name, plan, launch, branch)
    except BaseException:
        await launch.cancel()  # noqa: ASYNC102 - shields itself, with a limit
        raise
    return launch


def require_same(app: App, name: str, monitor: object) -> None:
    """Raise ManifestError where Python answers for the system calls of the world above, and would not by the
    same monitor for those of one below."""
    if app.branch.monitor is not None and app.branch.monitor is not monitor:
        raise ManifestError(
            f'"{name}" would hold more than "{app.name}":\n  a monitor answers for the system calls of '
            f'"{app.name}": give the same one as on_syscall'
        )


async def _bind(app: App, name: str, plan: Plan, launch: Launch, branch: Branch) -> None:
    """See that what is mounted is what the world above holds, and let it follow that."""
    pairs = admit(name, plan, holding_of(app), branch)
    grants = {grant.at: grant for grant in launch.grants(name)}
    for wanted, held in pairs:
        if wanted.bound and held.bound:
            await _verify(wanted, held, grants[wanted.mount.at])
    # Sync from here on: nothing is taken from the world above between the look and the binding.
    if app.branch.closed:
        raise SupervisorError(f'"{app.name}" has ended')
    if admit(name, plan, holding_of(app), branch) != pairs:
        raise SupervisorError(f'what "{app.name}" holds has changed while "{name}" was made: start it again')
    for wanted, held in pairs:
        assert held.grant is not None
        _follow(grants[wanted.mount.at], held.grant, whole=wanted.path == held.path, branch=branch)


async def _verify(wanted: Held, held: Held, grant: Grant) -> None:
    """Raises SupervisorError where a mount is another file than the one that the world above has there."""
    assert wanted.path is not None and held.path is not None and held.grant is not None
    below = posixpath.relpath(wanted.path, held.path)
    try:
        with (
            _Opened(await grant.copy()) as own,
            _Opened(await held.grant.copy()) as theirs,
            theirs.at(below) as there,
        ):
            whose = own.same(there) and (below == "." or theirs.owner == there.owner)
    except OSError as error:
        raise HostError(f'"{wanted.mount.at}" cannot be compared: {error.strerror}') from error
    if not whose:
        raise SupervisorError(f'"{wanted.path}" has become another file, or another user\'s: start it again')


@dataclass
class _Opened:
    """An open mount, or something in it; closed at the end of its block."""

    fd: int

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def at(self, below: str) -> _Opened:
        """What stands in it at a path."""
        if below == ".":
            return _Opened(os.dup(self.fd))
        return _Opened(mounts.open_beneath(self.fd, below, os.O_PATH, _INSIDE))

    def same(self, other: _Opened) -> bool:
        return os.path.samestat(os.fstat(self.fd), os.fstat(other.fd))

    @property
    def owner(self) -> tuple[int, int]:
        found = os.fstat(self.fd)
        return found.st_uid, found.st_gid


def _follow(grant: Grant, above: Grant, *, whole: bool, branch: Branch) -> None:
    """Let what is taken from a grant be taken from one below it too."""
    grant.parent, grant.apart = above, "whole" if whole else "part"
    above.children.append(grant)
    branch.left.append(partial(_unfollow, grant, above))


def _unfollow(grant: Grant, above: Grant) -> None:
    if grant in above.children:
        above.children.remove(grant)
