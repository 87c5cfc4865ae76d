"""Plan 9's mount table, as port/chan.c has it, over a small world of directories: what libos is held to.

A channel is (tree, path below it). A mount head is a channel with a list of [channel, create]; names are
walked from the root one by one, through the heads, as `walk` and `domount` do. Nothing is shared with the
code under test.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Channel = tuple[str, str]

# What the trees hold: directories end with a slash. "root" is what the name space begins with.
TREES: dict[str, set[str]] = {
    "root": {"a/", "b/", "c/", "d/"},
    "one": {"x/", "x/deep/", "y/", "f"},
    "two": {"x/", "x/other/", "z/", "f", "g"},
    "ram": set(),
}


class RefusedError(Exception):
    """The operation fails; nothing was done."""


@dataclass
class Plan9:
    """A name space. `heads` are the mounts by the channel that they are on."""

    heads: dict[Channel, list[tuple[Channel, bool]]] = field(default_factory=dict)

    # --- walking

    def exists(self, channel: Channel) -> bool:
        tree, path = channel
        return path == "" or path in TREES[tree] or path + "/" in TREES[tree]

    def is_directory(self, channel: Channel) -> bool:
        tree, path = channel
        return path == "" or path + "/" in TREES[tree]

    def step(self, channels: list[Channel], name: str) -> Channel:
        """One name: the first channel that has it."""
        for tree, path in channels:
            below = (tree, f"{path}/{name}" if path else name)
            if self.exists(below):
                return below
        raise RefusedError(f"{name} does not exist")

    def domount(self, channel: Channel) -> list[Channel]:
        """What is mounted on a channel, else itself."""
        return [each for each, _ in self.heads.get(channel, [(channel, False)])]

    def walk(self, path: str, *, cross_last: bool = True) -> tuple[Channel, list[Channel]]:
        """The channel of a name, and what is mounted on it (itself alone unless `cross_last`)."""
        if path.startswith("#"):
            tree = path[1:].partition("/")
            channel = (tree[0], tree[2])
            if not self.exists(channel):
                raise RefusedError(path)
            return channel, [channel]
        here: Channel = ("root", "")
        channels = self.domount(here)
        names = [name for name in path.split("/") if name]
        for index, name in enumerate(names):
            here = self.step(channels, name)
            last = index == len(names) - 1
            channels = [here] if last and not cross_last else self.domount(here)
        return here, channels

    # --- operations

    def bind(self, new: str, old: str, flags: str) -> None:
        """sysbind and cmount."""
        if "a" in flags and "b" in flags:
            raise RefusedError("bad flags")
        source, mounted = self.walk(new)
        onto, _ = self.walk(old, cross_last=False)
        first = mounted[0]
        if self.is_directory(first) != self.is_directory(onto):
            raise RefusedError("inconsistent mount")
        ordered = "a" in flags or "b" in flags
        if ordered and not self.is_directory(first):
            raise RefusedError("inconsistent mount")
        head = self.heads.get(source) if not new.startswith("#") else None
        if head is not None and "c" in flags and (len(head) > 1 or not head[0][1]):
            raise RefusedError("mount already in use")
        added = [(first, "c" in flags), *((each, False) for each in mounted[1:])]
        standing = self.heads.get(onto)
        if standing is None:
            standing = [(onto, False)] if ordered else []
        if "b" in flags:
            self.heads[onto] = added + standing
        else:
            self.heads[onto] = (standing if "a" in flags else []) + added

    def unmount(self, new: str | None, old: str) -> None:
        """sysunmount and cunmount."""
        onto, _ = self.walk(old, cross_last=False)
        if onto not in self.heads:
            raise RefusedError("not mounted")
        if new is None:
            del self.heads[onto]
            return
        wanted = self.walk(new)[1][0]
        list_ = self.heads[onto]
        for index, (channel, _) in enumerate(list_):
            if channel == wanted:
                del list_[index]
                if not list_:
                    del self.heads[onto]
                return
        raise RefusedError("not in union")

    # --- what a program sees

    def listing(self, path: str) -> list[str]:
        """unionread: the names of all elements, duplicates kept."""
        names: list[str] = []
        for tree, below in self.walk(path)[1]:
            prefix = f"{below}/" if below else ""
            inside = [each.removeprefix(prefix) for each in sorted(TREES[tree]) if each.startswith(prefix)]
            names += [each.rstrip("/") for each in inside if each and "/" not in each.rstrip("/")]
        return names

    def creates_in(self, path: str) -> Channel | None:
        """Where createdir makes a new name; None where it is forbidden."""
        onto, _ = self.walk(path, cross_last=False)
        return next((channel for channel, create in self.heads.get(onto, []) if create), None)
