"""The supervisor's side of the keeper: starts it, sends it requests, and ends it.

The keeper is exec'd and not forked: a fork of a process with trio and pyfuse3 loaded costs each launch more
(0.7 ms was measured), and it must hold none of the caller's memory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

import libos.keeper
from libos.errors import HostError, SupervisorError
from libos.keeper import channel
from libos.worlds.messages import Messages, close_all
from libos.worlds.outside import Enclosure, Outside
from libos.worlds.world import World, failure_text

_ENTRY = str(Path(libos.keeper.__file__).parent / "__main__.py")
# The device of /dev/fuse: admin-guide/devices.txt.
_FUSE = os.makedev(10, 229)
# Seconds until a keeper that does not end by itself is killed.
_GRACE = 2.0


class Keeper:
    """A running keeper."""

    def __init__(
        self, process: subprocess.Popen[bytes], outside: socket.socket, inside: socket.socket
    ) -> None:
        self._process = process
        self._outside = outside
        self.outside = Outside(outside)
        self._messages = Messages(inside, "keeper", self._news)
        self._ready = trio.Event()
        self._failure: channel.Message | None = None
        self._worlds: dict[str, World] = {}
        self._fuse_fd = -1
        # Why a root inside has no sub-ids; "" where it has them, None where nobody asked for them.
        self.sub_ids_lack: str | None = None
        self._handlers: dict[str, Callable[[channel.Message, list[int]], None]] = {
            "ready": self._on_ready,
            "failed": self._on_failed,
            "world": self._on_world,
            "gone": self._on_gone,
            "unmade": self._on_gone,
            "error": self._on_error,
        }

    async def run(self) -> None:
        """Read from the keeper until it ends; then all worlds are gone."""
        try:
            await self._messages.run()
        finally:
            self._ready.set()
            for world in self._worlds.values():
                world.gone.set()
            self._worlds.clear()

    async def wait_ready(self) -> None:
        """Wait until FUSE is mounted. Raises HostError with the step that failed."""
        await self._ready.wait()
        if self._failure is not None:
            raise HostError(f"this host does not give a namespace: {failure_text(self._failure)}")
        if self._fuse_fd < 0:
            raise SupervisorError("the keeper ended while it started: " + self.last_words())

    def last_words(self) -> str:
        """Give the last line that the keeper wrote before it ended."""
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        words = (self._process.stderr.read() or b"").decode(errors="replace").strip()
        return words.splitlines()[-1] if words else "it said nothing"

    def _news(self, message: channel.Message, fds: list[int]) -> None:
        if not isinstance(message.get("world", ""), str):
            raise TypeError("a world's id is a text")
        event = message["event"]
        if event not in self._handlers:
            raise ValueError(f"an unknown event {event!r}")
        self._handlers[event](message, fds)

    def _on_ready(self, message: channel.Message, fds: list[int]) -> None:
        (fuse_fd,) = fds
        lack = message.get("lack")
        if not isinstance(lack, str | None):
            raise TypeError("a reason is a text")
        if self._ready.is_set() or os.fstat(fuse_fd).st_rdev != _FUSE:
            raise ValueError("no descriptor of /dev/fuse, or a second one")
        self._fuse_fd, self.sub_ids_lack = fuse_fd, lack
        self._ready.set()

    def _on_failed(self, message: channel.Message, fds: list[int]) -> None:
        close_all(fds)
        self._failure = message
        self._ready.set()

    def _on_world(self, message: channel.Message, fds: list[int]) -> None:
        (pidfd,) = fds
        if world := self._worlds.get(message["world"]):
            world.born(pidfd)
        else:
            os.close(pidfd)

    def _on_gone(self, message: channel.Message, fds: list[int]) -> None:
        world = self._worlds.pop(message["world"], None)
        close_all(fds)
        if world is not None:
            if message["event"] == "unmade":
                world.fail(message)
            world.gone.set()

    def _on_error(self, message: channel.Message, fds: list[int]) -> None:
        """What stands in the place of a message whose descriptors this process could not take."""
        if world := self._worlds.get(message.get("world", "")):
            close_all(fds)
            world.fail(message)
        elif not self._ready.is_set():
            self._on_failed(message, fds)
        else:
            close_all(fds)

    def take_fuse_fd(self) -> int:
        """Give the descriptor of the FUSE mount; it is the caller's from here on."""
        fuse_fd, self._fuse_fd = self._fuse_fd, -1
        return fuse_fd

    async def set_up(self, message: channel.Message, filter_program: bytes) -> None:
        """Send what every world of this supervisor gets. Raises HostError where the keeper cannot take it."""
        filter_fd = os.memfd_create("seccomp filter", os.MFD_CLOEXEC)
        try:
            os.write(filter_fd, filter_program)
            os.lseek(filter_fd, 0, os.SEEK_SET)
            await self._messages.request({"op": "setup"} | message, [filter_fd])
        except OSError as error:
            raise HostError(f"the keeper cannot be set up: {error.strerror}") from error
        finally:
            os.close(filter_fd)

    async def fork_world(self, world: World, message: channel.Message, fds: list[int]) -> None:
        """Make a world's namespaces and its init; the first of `fds` is init's end of the world's channel."""
        self._worlds[world.id] = world
        try:
            await self._messages.send({"op": "world", "world": world.id} | message, fds)
        except SupervisorError:
            world.gone.set()
            raise

    async def id_map(self, uid: int, gid: int, inside: int, length: int = 1) -> int:
        """Give a user namespace in which a uid and a gid are those of an id of K. Raises OSError."""
        request = {"op": "idmap", "uid": uid, "gid": gid, "id": inside, "length": length}
        _, (namespace_fd,) = await self._messages.request(request, wanted=1)
        return namespace_fd

    async def overlay(
        self, source: str, changes: str | None, tree_fds: Sequence[int], app: int, size: int | None = None
    ) -> int:
        """Give a detached overlay over a path of the host, which belongs to the id `app` of K. Its changes
        are in memory, at most `size` bytes, or in the folder `changes`; `tree_fds` are trees made of the
        paths, where the keeper cannot reach them. Raises OSError."""
        request = {"op": "overlay", "source": source, "changes": changes, "app": app, "size": size}
        _, (overlay_fd,) = await self._messages.request(request, tree_fds, wanted=1)
        return overlay_fd

    async def served_tree(self, name: str) -> int:
        """Give a detached mount of what the file server shows under a name of its root. Raises OSError."""
        _, (tree_fd,) = await self._messages.request({"op": "served", "name": name}, wanted=1)
        return tree_fd

    async def service(self) -> tuple[int, int]:
        """Give the listener of a new unix socket, and a detached mount of its file. Raises OSError."""
        _, (listener_fd, tree_fd) = await self._messages.request({"op": "service"}, wanted=2)
        return listener_fd, tree_fd

    async def host_tree(self, source: str, *, read_only: bool) -> int:
        """Give a detached copy of the mount at a path of the host. Raises OSError."""
        request = {"op": "tree", "source": source, "read_only": read_only}
        _, (tree_fd,) = await self._messages.request(request, wanted=1)
        return tree_fd

    def sweep(self, path: str) -> None:
        """Have a file removed should this process be killed; `keep` takes that back. SupervisorError where it
        cannot be."""
        try:
            channel.send(self._outside, {"sweep": [path]})
        except OSError as error:
            raise SupervisorError(f"the keeper ended: {self.last_words()}") from error

    def keep(self, path: str) -> None:
        """Take `sweep` back, for a file that this process has removed itself."""
        with suppress(OSError):  # the keeper is gone, and its list with it
            channel.send(self._outside, {"keep": [path]})

    def enclosed(self, enclosure: Enclosure) -> None:
        """This process has gone behind Landlock since the keeper was started. Raises SupervisorError."""
        try:
            self.outside.enclosed(enclosure)
        except OSError as error:
            raise SupervisorError(f"the keeper ended while it started: {self.last_words()}") from error

    def bound(self, path: str) -> socket.socket:
        """A unix socket that is bound to a path of the host. Raises OSError."""
        return self.outside.bound(path)

    def remove(self, path: str) -> None:
        """Remove the file of a socket that `bound` has made. Raises OSError."""
        self.outside.remove(path)

    def end(self) -> None:
        """Close the channel that ends the keeper and all worlds, and wait: this blocks some milliseconds."""
        self._outside.close()
        if self._fuse_fd >= 0:  # nobody has come to serve it
            os.close(self._fuse_fd)
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def hang_up(self) -> None:
        """Close the channel of requests. Call when `run` has ended."""
        self._messages.close()


@contextmanager
def start_keeper(locks_fd: int | None = None, *, sub_ids: bool = False) -> Iterator[Keeper]:
    """Start a keeper, which holds `locks_fd` as long as any world is left; the block's end ends it and every
    world in it. With `sub_ids` an ordinary caller's sub-ids are mapped (`libos.keeper.subids`). Sync: ending
    takes some milliseconds."""
    outside, their_outside = channel.pair()
    inside, their_inside = channel.pair()
    with their_outside, their_inside:
        fds = [their_outside.fileno(), their_inside.fileno()]
        if locks_fd is not None:
            fds.append(locks_fd)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _ENTRY, *map(str, fds), *(["--sub-ids"] if sub_ids else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            start_new_session=True,
            cwd="/",
            env={},
        )
    keeper = Keeper(process, outside, inside)
    try:
        yield keeper
    finally:
        keeper.hang_up()
        keeper.end()
