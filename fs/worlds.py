"""The worlds that one mount serves: its root directory, what is attached to it, what is open.

Each world is one name in the mount's root and one `Attachment`. Closing it ends its waiting requests,
closes its open handles, and makes the kernel let go of what it keeps; the others do not notice.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from libos.fs.inodes import Inode, Inodes
from libos.fs.node import APP, STATIC, Attributes, Directory, Handle, Node, refusal
from libos.fs.recording import Uses

# Whether something is to be done with a node.
Belongs = Callable[[Node], bool]


@dataclass(frozen=True, slots=True)
class Fault:
    """A node did what it must not: raised something that is no OSError, returned a wrong type, or took too
    long. `path` is absolute in the world, `operation` is FUSE's word for what the program did."""

    world: str
    path: bytes
    operation: str
    error: BaseException


class Notifier(Protocol):
    """What an attachment needs of the server."""

    def end_requests(
        self, world: Attachment, belongs: Belongs | None = None, error: int = errno.EINTR
    ) -> None:
        """Ends the waiting requests of a world, all or those about nodes that belong."""

    def close_handles(self, world: Attachment) -> None:
        """Closes all that a world has open."""

    def revoke(self, world: Attachment, top: Inode[Attachment | None], *, covered: bool) -> None:
        """Makes all at and below an inode answer EIO; where it is covered, its own name stays known."""

    def detach(self, world: Attachment) -> None:
        """Takes a world's name out of the mount's root."""

    def notify_entry(self, parent: int, name: bytes) -> None:
        """Makes the kernel forget where a name leads."""

    def notify_inode(self, number: int) -> None:
        """Makes the kernel forget attributes and content."""

    async def notified(self) -> None:
        """Returns when the kernel has taken all notifications up to now."""


class Attachment:
    """One world's tree while it is served. `name` is its directory in the mount's root; `owner` is who the
    world's app is in the mount's numbering: nodes say APP. `party` is who takes turns with others: what has
    several trees in the mount is one. Where `uses` is set, what is used is noted there,
    below the place `at` of the world where the tree stands."""

    uses: Uses | None = None
    at: bytes = b""

    def __init__(
        self,
        name: str,
        root: Node,
        inodes: Inodes[Attachment | None],
        server: Notifier,
        owner: tuple[int, int] = APP,
        party: object = None,
    ) -> None:
        self.name = name
        self.party = self if party is None else party
        self.root = root
        self.owner = owner
        self.closed = False
        self._inodes = inodes
        self._server = server

    def close(self) -> None:
        """Ends the world's tree: waiting requests answer EINTR, later ones ESTALE, open handles are closed.
        Does nothing the second time. Returns at once; `settle` waits for the kernel."""
        if self.closed:
            return
        self.closed = True
        self._server.end_requests(self)
        self._server.close_handles(self)
        self._server.detach(self)
        self._server.notify_entry(self._inodes.root.number, self.name.encode())
        for inode in self._inodes.of_world(self):
            self._inodes.drop(inode)

    def invalidate(self, path: bytes, gone: bool = False) -> None:
        """Tells the kernel that a node of this world changed: its attributes and content, and with `gone`
        that its name leads elsewhere, or nowhere, or somewhere again. `path` is relative to the world's root,
        without a leading slash. A kernel mount standing on a name that is gone goes away with it. Returns at
        once; `settle` waits for the kernel."""
        top = self._inodes.find(self.root, self)
        inode = self._inodes.at(top, path) if top else None
        if inode is None:
            above, _, name = path.rpartition(b"/")
            directory = self._inodes.at(top, above) if top and gone else None
            if directory is not None:  # the kernel may keep that there is no such name
                self._server.notify_entry(directory.number, name)
            return
        if gone and inode.parent is not None:
            self._server.notify_entry(inode.parent.number, inode.name)
            self._server.notify_inode(inode.parent.number)
        else:
            self._server.notify_inode(inode.number)

    def revoke(self, path: bytes = b"", *, covered: bool = False) -> Node | None:
        """Takes back what is served at and below `path`, which is relative to the root as in `invalidate`:
        what is open there gives EIO from now on, what waits is answered with it, mapped pages are gone.
        Returns at once; `settle` waits for the kernel. Take the name away too, or it can be found again;
        where it is `covered` by a mount that must stay, make it lead to the node that comes back."""
        top = self._inodes.find(self.root, self)
        inode = self._inodes.at(top, path) if top else None
        if inode is None:
            return None
        self._server.revoke(self, inode, covered=covered)
        return inode.node

    def forget(self, belongs: Belongs, keep: Collection[bytes] = ()) -> None:
        """Makes the kernel ask anew for all that it keeps of some nodes: names that lead to them, attributes,
        the pages of open and of mapped files. `keep`: paths, relative to the world's root, whose names stay
        known, and those of the directories above: a kernel mount stands there and would go away. Returns at
        once; `settle` waits for the kernel."""
        kept = {path[:end] for path in keep for end in _ends(path)}
        found = [inode for inode in self._inodes.of_world(self) if belongs(inode.node)]
        for inode in found:
            self._server.notify_inode(inode.number)
        for inode in found:
            for name, child in list(inode.names.items()):
                if child.path()[1:] not in kept:
                    self._server.notify_entry(inode.number, name)

    def interrupt(self, belongs: Belongs, error: int) -> None:
        """Ends each operation that waits in one of some nodes with this errno. Returns at once."""
        self._server.end_requests(self, belongs, error)

    async def settle(self) -> None:
        """Returns when the kernel has heard of every change announced so far. Wait for it before a mount is
        placed on a name that was detached or replaced."""
        await self._server.notified()


def _ends(path: bytes) -> Iterator[int]:
    """Where the path of each directory on the way ends, and the path itself."""
    return (at for at in range(len(path) + 1) if at == len(path) or path[at : at + 1] == b"/")


class MountRoot(Directory):
    """The root of the mount: a name for each world."""

    # Nobody looks at its link count, and names that are absent are not cached anyway.
    cache = STATIC

    def __init__(self) -> None:
        self.attachments: dict[bytes, Attachment] = {}

    def known(self) -> Attributes:
        return Attributes(stat.S_IFDIR | 0o555, 0, 2 + len(self.attachments), *APP)

    async def walk(self, name: bytes) -> Node:
        attachment = self.attachments.get(name)
        if attachment is None or attachment.closed:
            raise refusal(errno.ENOENT, name)
        return attachment.root

    async def readdir(self) -> list[bytes]:
        return [name for name, attachment in self.attachments.items() if not attachment.closed]


class Open:
    """An open file or directory. `thread` is who opened it; `names` is the listing that readdir is going
    through, `told` what it has told so far, `mark` how the directory was when it began, `copies` whether the
    kernel may copy it, `first_place` where its places begin, `next` the node for which there was no room."""

    __slots__ = ("copies", "first_place", "handle", "inode", "mark", "names", "next", "thread", "told")

    def __init__(self, inode: Inode[Attachment | None], handle: Handle | None, thread: int) -> None:
        self.inode = inode
        self.handle = handle
        self.thread = thread
        self.names: list[bytes] = []
        self.told: list[tuple[bytes, Inode[Attachment | None], Any]] = []
        self.mark: object = None
        self.copies = False
        self.first_place = 0
        self.next: Node | None = None


class Opens:
    """All that is open, by the number that the kernel was given."""

    def __init__(self) -> None:
        self._by_number: dict[int, Open] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._by_number)

    def add(self, opened: Open) -> int:
        """The number for something newly opened."""
        number = self._next
        self._next += 1
        self._by_number[number] = opened
        return number

    def get(self, number: int) -> Open | None:
        """What is open under a number; None when its world is closed."""
        return self._by_number.get(number)

    def take(self, number: int) -> Open | None:
        """Takes out what is open under a number."""
        return self._by_number.pop(number, None)

    def of(self, inodes: set[Inode[Attachment | None]]) -> Iterator[Open]:
        """What is open of these inodes."""
        return (opened for opened in self._by_number.values() if opened.inode in inodes)

    def take_world(self, world: Attachment) -> Iterator[Open]:
        """Takes out all that a world has open."""
        for number in [number for number, opened in self._by_number.items() if opened.inode.world is world]:
            yield self._by_number.pop(number)


OnFault = Callable[[Fault], None]
