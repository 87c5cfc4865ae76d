"""Serves trees of nodes through one FUSE mount, a world a tree.

The server ends in two ways. Cancelled, it answers what waits with EINTR, so that no program is left
unkillable, and closes the descriptor. When the mount dies by itself, `serve` raises OSError(ENOTCONN).
"""

from __future__ import annotations

import errno
from functools import partial

import trio

from libos.fs.inodes import Inode
from libos.fs.node import APP, Handle, Node, ReportedError
from libos.fs.notifications import Notifications
from libos.fs.requests import LookAround
from libos.fs.revoking import RevokedHandle, below, revoked
from libos.fs.session import Operations, Session
from libos.fs.worlds import Attachment, Belongs, Fault, OnFault
from libos.kernel import pending

__all__ = ["Attachment", "Fault", "Server"]

# Seconds that ending requests get to be answered when the server stops, and a handle to close.
PATIENCE = 2.0


class Server:
    """Serves one mount. All methods on the trio thread; `fuse_fd` is a mounted /dev/fuse descriptor, owned
    from now on."""

    def __init__(self, fuse_fd: int, *, on_fault: OnFault, look_around: LookAround = pending.look) -> None:
        """`on_fault(Fault)` is called on the trio thread for every fault of a node; it must not wait.
        `look_around` looks at all threads of the machine, in a worker thread: who may not trace them has
        another process look."""
        self._fuse_fd = fuse_fd
        self._operations = Operations(on_fault, self)
        self._operations.boundary.requests.look_around = look_around
        self._notifications = Notifications()
        self._session: Session | None = None
        self._nursery: trio.Nursery | None = None

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until cancelled; `started()` when the kernel's first request is answered. Raises
        SupervisorError if another server runs in this process, OSError(ENOTCONN) when the mount dies."""
        session = self._session = Session(self._fuse_fd, self._operations)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                serving = trio.CancelScope(shield=True)
                nursery.start_soon(self._run, session, serving, nursery.cancel_scope)
                nursery.start_soon(self._operations.boundary.requests.look_after)
                nursery.start_soon(self._operations.boundary.requests.turns.run)
                nursery.start_soon(self._notifications.send)
                try:
                    await self._operations.ready.wait()
                    task_status.started()
                    await trio.sleep_forever()
                finally:
                    await self._drain()  # noqa: ASYNC102 - shields itself, with a limit
                    serving.cancel()
        finally:
            self._session = self._nursery = None
            session.close()
        raise OSError(errno.ENOTCONN, "the FUSE mount is gone, as when the keeper that holds it is killed")

    async def _run(self, session: Session, serving: trio.CancelScope, whole: trio.CancelScope) -> None:
        """Answers requests until `serving` is cancelled; ends the whole server if the mount dies before."""
        with serving:
            await session.run()
            whole.cancel()

    async def _drain(self) -> None:
        """Ends all worlds, and waits until what waited is answered."""
        for attachment in list(self._operations.root.attachments.values()):
            attachment.close()
        requests = self._operations.boundary.requests
        requests.end_world()
        with trio.move_on_after(PATIENCE, shield=True):
            await requests.none_left()

    def attach(
        self, world: str, root: Node, owner: tuple[int, int] = APP, party: object = None
    ) -> Attachment:
        """Serves `root` as the directory `world` of the mount's root; ValueError for a name that is taken
        or cannot be one. `owner` is the world's app in the mount's numbering: uid and gid; `party` is the
        same for all trees of one world, whose requests then count together. May come before or while `serve`
        runs."""
        name = world.encode()
        attachments = self._operations.root.attachments
        if not 0 < len(name) <= 255 or b"/" in name or name in (b".", b".."):
            raise ValueError(f"not a name for a world: {world!r}")
        if name in attachments and not attachments[name].closed:
            raise ValueError(f"a world of this name is attached: {world}")
        attachment = Attachment(world, root, self._operations.inodes, self, owner, party)
        attachments[name] = attachment
        watch = getattr(root, "watch", None)
        if watch is not None:
            watch(attachment.invalidate)
        return attachment

    # --- what attachments need (worlds.Notifier)

    def end_requests(
        self, world: Attachment, belongs: Belongs | None = None, error: int = errno.EINTR
    ) -> None:
        """Ends the waiting requests of a world, all or those about nodes that belong."""
        inodes = self._operations.inodes

        def chosen(number: int) -> bool:
            inode = inodes.get(number)
            return belongs is None or (inode is not None and belongs(inode.node))

        self._operations.boundary.requests.end_world(world, chosen, error)

    def revoke(self, world: Attachment, top: Inode[Attachment | None], *, covered: bool) -> None:
        """Makes all at and below an inode answer EIO, and the kernel forget it, but for its own name where a
        mount covers it."""
        inodes = self._operations.inodes
        taken = set(below(top, inodes.of_world(world)))
        for inode in taken:
            inodes.replace(inode, revoked(inode.node))
        self._operations.boundary.requests.end_inodes({inode.number for inode in taken}, errno.EIO)
        for opened in list(self._operations.opens.of(taken)):
            if opened.handle is not None:
                self._close_later(opened.handle, opened.inode)
                opened.handle = RevokedHandle()
        for inode in taken:
            self.notify_inode(inode.number)
            if inode.parent is not None and not (covered and inode is top):
                self.notify_entry(inode.parent.number, inode.name)

    def detach(self, world: Attachment) -> None:
        """Takes a closed world's name out of the mount's root."""
        del self._operations.root.attachments[world.name.encode()]
        self._operations.boundary.requests.turns.forget(world.party)

    def close_handles(self, world: Attachment) -> None:
        """Closes all that a world has open, in the background."""
        for opened in self._operations.opens.take_world(world):
            if opened.handle is not None:
                self._close_later(opened.handle, opened.inode)

    def _close_later(self, handle: Handle, inode: Inode[Attachment | None]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._close_handle, handle, inode)

    async def _close_handle(self, handle: Handle, inode: Inode[Attachment | None]) -> None:
        """Faults are reported as those of a release; an errno would have nobody to hear of it."""
        report = partial(self._operations.boundary.report, "release", inode)
        with trio.move_on_after(PATIENCE, shield=True) as scope:
            try:
                await handle.close()
            except Exception as error:
                if isinstance(error, ReportedError) or not isinstance(error, OSError):
                    report(error)
        if scope.cancelled_caught:
            report(TimeoutError(f"not closed within {PATIENCE:.0f} s of its world's end"))

    def notify_entry(self, parent: int, name: bytes) -> None:
        """Makes the kernel forget where a name leads."""
        if self._session is not None:
            self._notifications.add((parent, name), partial(self._session.notify_entry, parent, name))

    def notify_inode(self, number: int) -> None:
        """Makes the kernel forget attributes and content."""
        if self._session is not None:
            self._notifications.add((number, None), partial(self._session.notify_inode, number))

    async def notified(self) -> None:
        """Returns when the kernel has taken all notifications up to now."""
        if self._session is not None:
            await self._notifications.flushed()
