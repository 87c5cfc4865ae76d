"""The keeper's inside half: owns user namespace K, mounts FUSE there, and forks a world's init on request.

It is a zygote: small, single-threaded, with everything imported that an init needs, since after the id
change the interpreter's own files may be out of reach. Of the FUSE mount it looks at names in the root alone,
which never wait for a node. Requests from the supervisor:

    {"op": "setup", "network": {"messages": {name: [[purpose, hex, required] …] …},
                                "sysctls": {name: [[path, value, required] …] …}}}
                                               answer: {"event": "done"}
                                               fds: [a memfd with the seccomp filter of most worlds]
    {"op": "world", "world": id, …, "filter": base64, "filter_last": bool, …}
                                               answer: {"event": "world"}; without a filter the set-up's
                                               fds: [init's channel, host trees …]
    {"op": "tree", "source": path, …}          answer: {"event": "tree"} with a detached mount
    {"op": "served", "name": name, …}          answer: {"event": "served"} with a detached mount of what the
                                               file server shows under that name
    {"op": "overlay", "source": path, "changes": path | null, "app": k}
                                               answer: {"event": "overlay"} with a detached overlay over it,
                                               which belongs to the id `k` of K
                                               fds: [a host tree, the changes'], where paths are out of reach
    {"op": "service"}                          answer: {"event": "service"} with the listener of a new unix
                                               socket, and a detached mount of its file
    {"op": "idmap", "uid": n, "gid": n, "id": k, "length": n}
                                               answer: {"event": "idmap"} with a user namespace in which those
                                               ids, and those behind them, are the ids of K from `k` on

When a world is gone (its init reaped, so every process of it) it says {"event": "gone", "world": id}; one
that could not be made is {"event": "unmade", "world": id, "errno": n, "message": text}.
"""

from __future__ import annotations

import binascii
import errno
import gc
import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from libos.keeper import base, channel, init, network, overlay
from libos.keeper.identity import APP_ID, serves_root
from libos.kernel import files, namespaces, process

_WORLD = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWCGROUP
)


def main(supervisor: socket.socket, outside: socket.socket) -> None:
    """Build K, report {"event": "ready"} with the FUSE descriptor, serve until the supervisor closes."""
    process.set_name("libos keeper K")
    # Every init is a copy of this process, and apps may read the command line of theirs.
    process.set_command_line("libos")
    try:
        fuse_fd, answer = _enter(outside)
    except (OSError, MemoryError) as error:
        channel.send(supervisor, {"event": "failed", **channel.failure(error)})
        return
    outside.close()
    channel.send(supervisor, {"event": "ready", **answer}, [fuse_fd])
    os.close(fuse_fd)
    Keeper(supervisor).serve()


def _enter(outside: socket.socket) -> tuple[int, channel.Message]:
    """Enter K and its mount namespace; give the descriptor of the FUSE mount, and what the outside half says
    of the ids: `lack` where it was asked for sub-ids (subids.py)."""
    as_root = serves_root()
    if as_root:
        os.setgroups([])
    namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
    answer = _have_ids_mapped(outside)
    if "lack" in answer:
        process.set_no_new_privileges()  # else the supervisor has seen to it; see outside.py
    # Opened in K, as FUSE asks, but before the id changes: as root /dev/fuse may be root's alone.
    fuse_fd = _open_fuse()
    os.setresgid(APP_ID, APP_ID, APP_ID)
    os.setresuid(APP_ID, APP_ID, APP_ID)
    # An id change makes a process undumpable, and /proc/self/uid_map root's: no app could map itself.
    process.prctl("stay dumpable", process.PR_SET_DUMPABLE, 1)
    process.die_with_parent()
    base.build(fuse_fd)
    return fuse_fd, answer


def _have_ids_mapped(outside: socket.socket) -> channel.Message:
    try:
        channel.send(outside, {})
        received = channel.receive(outside)
    except BrokenPipeError:
        received = None
    if received is None:
        raise OSError(errno.EPIPE, "the keeper ended: its outside half was killed")
    if "errno" in received[0]:
        raise OSError(received[0]["errno"], received[0]["message"])
    return received[0]


def _open_fuse() -> int:
    try:
        return os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"open /dev/fuse: {error.strerror}") from error


class Keeper:
    """The request loop. Sync on purpose: one request after another, each well under a millisecond."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._setup: dict[str, Any] = {}
        self._worlds: dict[int, tuple[str, int]] = {}  # pidfd of init: (world, pid)
        self._poll = select.poll()
        self._poll.register(supervisor, select.POLLIN)

    def serve(self) -> None:
        """Serve until the supervisor closes its end. Every init dies with this process."""
        # A collection writes to every object, and so copies every page that a fork shares with this process.
        gc.disable()
        gc.freeze()
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._worlds:
                    self._reap(fd)
                elif not self._request():
                    return

    def _request(self) -> bool:
        received = channel.receive(self._supervisor)
        if received is None:
            return False
        message, fds = received
        try:
            self._answer(message, fds)
        except (OSError, MemoryError) as error:
            self._say_failed(message, error)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _say_failed(self, message: dict[str, Any], error: OSError | MemoryError) -> None:
        failure = channel.failure(error)
        if message["op"] == "world":
            self._say({"event": "unmade", "world": message["world"], **failure})
        else:
            self._say({"event": "error", "request": message.get("request"), **failure})

    def _answer(self, message: dict[str, Any], fds: list[int]) -> None:
        match message["op"]:
            case "setup":
                self._set_up(message, fds)
                self._say({"event": "done", "request": message["request"]})
            case "world":
                self._fork_world(message, fds)
            case "tree":
                tree_fd = base.host_tree(message["source"], read_only=message["read_only"])
                self._say({"event": "tree", "request": message["request"]}, [tree_fd])
                os.close(tree_fd)
            case "served":
                tree_fd = base.served_tree(message["name"])
                self._say({"event": "served", "request": message["request"]}, [tree_fd])
                os.close(tree_fd)
            case "overlay":
                with _acting_as(message["app"]):
                    tree_fd = _overlay(message, fds)
                self._say({"event": "overlay", "request": message["request"]}, [tree_fd])
                os.close(tree_fd)
            case "service":
                listener_fd, tree_fd = base.service()
                self._say({"event": "service", "request": message["request"]}, [listener_fd, tree_fd])
                os.close(listener_fd)
                os.close(tree_fd)
            case "idmap":
                namespace_fd = _id_map_namespace(
                    message["uid"], message["gid"], message["id"], message["length"]
                )
                self._say({"event": "idmap", "request": message["request"]}, [namespace_fd])
                os.close(namespace_fd)

    def _set_up(self, message: dict[str, Any], fds: list[int]) -> None:
        with open(fds[0], "rb", closefd=False) as file:
            program = file.read()
        self._setup = {
            "filter": program,
            "filter_last": False,
            "masks": base.masks(),
            "network": network.decoded(message["network"]),
        }

    def _fork_world(self, message: dict[str, Any], fds: list[int]) -> None:
        pid, pidfd = namespaces.clone_process(_WORLD)
        if pid == 0:
            init.main(self._setup | message | _own_filter(message), fds)
        self._worlds[pidfd] = (message["world"], pid)
        self._poll.register(pidfd, select.POLLIN)
        self._say({"event": "world", "world": message["world"], "pid": pid}, [pidfd])

    def _reap(self, pidfd: int) -> None:
        world, pid = self._worlds.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._say({"event": "gone", "world": world, "status": status})

    def _say(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        try:
            channel.send(self._supervisor, message, fds or [])
        except BrokenPipeError:
            os._exit(0)  # the supervisor is gone; so is everything here


def _own_filter(message: dict[str, Any]) -> dict[str, Any]:
    """The filter of a world that brings one of its own."""
    return {"filter": binascii.a2b_base64(message["filter"])} if "filter" in message else {}


@contextmanager
def _acting_as(app: int) -> Iterator[None]:
    """Make files and file systems as the id `app` of K: an overlay makes its own as who made it. setfsuid(2)
    takes no capability here, but it does take what an id change takes."""
    if app == APP_ID:
        yield
        return
    files.set_file_owner(app, app)
    try:
        yield
    finally:
        files.set_file_owner(APP_ID, APP_ID)
        process.prctl("stay dumpable", process.PR_SET_DUMPABLE, 1)
        process.die_with_parent()


def _overlay(message: dict[str, Any], fds: list[int]) -> int:
    """Give a detached overlay; its changes are in memory, or in a folder of the host."""
    if fds:
        lower_fd, changes_fd = os.dup(fds[0]), os.dup(fds[1]) if fds[1:] else None
    else:
        changes = message.get("changes")
        lower_fd = base.host_tree(message["source"], read_only=True)
        changes_fd = None if changes is None else base.host_tree(changes, read_only=False, links=True)
    return overlay.make(lower_fd, f"{base.STAGE}/keeper", changes_fd, size=message.get("size"))


def _id_map_namespace(uid: int, gid: int, inside: int, length: int) -> int:
    """Give a user namespace in which files of the host's `uid` and `gid`, and of `length` ids from there on,
    are those of ids of K. mount_setattr(2)."""
    keeper = os.getpid()
    pid, pidfd = namespaces.clone_process(namespaces.CLONE_NEWUSER)
    if pid == 0:
        # Should the keeper be killed now, this process must end, and hold no end of its channel open before.
        process.close_from(0)
        process.die_with_parent()
        if os.getppid() == keeper:
            signal.pause()
        os._exit(0)
    try:
        for name, outside in (("uid_map", uid), ("gid_map", gid)):
            with open(f"{base.HOST_PROC}/{pid}/{name}", "w") as file:
                file.write(f"{outside} {inside} {length}")
        return os.open(f"{base.HOST_PROC}/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)
