"""The node that answers for each kind of source that a plan serves."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from libos.errors import HostError
from libos.fs import synthetic
from libos.keeper.identity import APP_ID, serves_root
from libos.kernel import mounts as mount_calls
from libos.namespace import (
    BoundSource,
    BytesSource,
    ChannelSource,
    FunctionSource,
    HostSource,
    ImageSource,
    MemorySource,
    NodeSource,
    P9Source,
    ServiceSource,
    TextSource,
    WorldSource,
)
from libos.plan import memory_mode
from libos.plan.vetting import vetting
from libos.worlds.fileservers import of_server

if TYPE_CHECKING:
    from libos.fs.node import Node
    from libos.net.naming.names import Names
    from libos.plan import Served
    from libos.worlds.hostmounts import HostMounts
    from libos.worlds.layering import Layering
    from libos.worlds.outside import Outside


async def make_node(
    served: Served, names: Names, mounts: HostMounts, stack: ExitStack, layering: Layering
) -> Node:
    """Give the node of one served source, its layers over it; what it holds of the host goes with `stack`.
    Raises OSError; HostError where a file server does not answer."""
    node = await _source_node(served, names, mounts, stack, layering)
    return await layering.lay(node, served.layers, served.at, always=served.revocable)


async def _source_node(
    served: Served, names: Names, mounts: HostMounts, stack: ExitStack, layering: Layering
) -> Node:
    match served.source:
        case TextSource() | BytesSource() | FunctionSource():
            return _said(served.source)
        case ChannelSource():
            return _channel(served.source, stack, mounts.outside)
        case NodeSource(node):
            return node
        case P9Source(to):
            return await of_server(to, served.at, stack, writable=served.writable)
        case WorldSource(name):
            return _world_file(name, names)
        case MemorySource(size):
            return _memory(size, memory_mode(served.at))
        case HostSource(path) if served.copy_on_write:
            # Its files are the app's on the host: what it changes is made in the keeper's user namespace.
            tree_fd = await mounts.overlay(path, served.changes)
            stack.callback(os.close, tree_fd)
            below_fd = await mounts.bind(path, read_only=True)
            stack.callback(os.close, below_fd)
            owner = mounts.identity.owner
            return await mounted_node(tree_fd, stack, owner, mounts.outside, writable=True, below_fd=below_fd)
        case HostSource(path):
            return await _of_host(served, path, mounts, stack, layering)
        case BoundSource() | ServiceSource() | ImageSource():
            raise AssertionError(
                "what is bound inside is mounted by init, and an image is a host's tree by now"
            )


async def _of_host(
    served: Served, path: str, mounts: HostMounts, stack: ExitStack, layering: Layering
) -> Node:
    if (asked := vetting(served.layers)) is not None:
        from libos.worlds.vetting import vetted_node

        return await vetted_node(path, served.at, asked, stack, layering)
    return await _host(
        path,
        stack,
        mounts.outside,
        writable=served.writable,
        owner=_owner(path),
        at=served.at,
        alone=not served.replaceable,
        links=False,
    )


def _said(source: TextSource | BytesSource | FunctionSource) -> Node:
    """What the manifest itself says."""
    match source:
        case TextSource(text):
            return synthetic.text(text)
        case BytesSource(data):
            return synthetic.data(data)
        case FunctionSource(function):
            return synthetic.function(function)


def _world_file(name: str, names: Names) -> Node:
    """What the supervisor writes into every world."""
    if name != "hosts":
        return synthetic.text(names.resolv_conf())

    async def hosts() -> str:
        return names.hosts()

    return synthetic.function(hosts)  # a name may be granted at any moment


async def mounted_node(
    tree_fd: int,
    stack: ExitStack,
    owner: tuple[int, int],
    outside: Outside,
    *,
    writable: bool,
    below_fd: int = -1,
) -> Node:
    """Serve what is in a mount that belongs to worlds, by its descriptor: a tmpfs, an overlay. `owner` is who
    has its files on the host; `below_fd` is the directory under an overlay, where that is known. Raises
    OSError."""
    path = f"/proc/self/fd/{tree_fd}"
    return await _host(path, stack, outside, writable=writable, owner=owner, below_fd=below_fd)


def _memory(size: int, mode: int) -> Node:
    from libos.fs.memory import memory_tree

    return memory_tree(limit_bytes=size, mode=mode, owner=(APP_ID, APP_ID))


def _channel(source: ChannelSource, stack: ExitStack, outside: Outside) -> Node:
    from libos.fs.channel import Budget, open_channel

    get = Budget(source.gets, source.get_size, source.random_get)
    put = Budget(source.puts, source.put_size, source.random_put)
    channel = open_channel(source.path, get, put, outside.open_file)
    stack.callback(channel.close)
    return channel


def _owner(path: str) -> tuple[int, int]:
    """Give whose files are the app's: the caller's, or, where that is root, those of the tree's owner."""
    if not serves_root():
        return os.geteuid(), os.getegid()
    found = os.stat(path)
    return found.st_uid, found.st_gid


def _split(path: str) -> tuple[str, bytes]:
    """Give the directory to serve, and the one name of it where the path is a file's."""
    if os.path.isdir(path):
        return path, b""
    return os.path.dirname(path), os.fsencode(os.path.basename(path))


async def _host(
    path: str,
    stack: ExitStack,
    outside: Outside,
    *,
    writable: bool,
    owner: tuple[int, int],
    at: str = "",
    below_fd: int = -1,
    alone: bool = True,
    links: bool = True,
) -> Node:
    """Serve a directory of the host, or one file of a directory: `alone`, unless others take its place.
    Raises OSError, ELOOP for a link on the way unless `links`; HostError for what is on a file system that is
    not served."""
    from libos.fs.host import HostTree

    folder, name = _split(path)
    resolve = 0 if links else mount_calls.RESOLVE_NO_SYMLINKS
    folder_fd = mount_calls.open_beneath(mount_calls.AT_FDCWD, folder, os.O_PATH | os.O_DIRECTORY, resolve)
    try:
        only = name if alone else b""
        opening = outside.opening(folder_fd, writable=writable, owner=owner, only=only)
        stack.callback(opening.close)
        tree = HostTree(folder_fd, writable=writable, owner=owner, below_fd=below_fd, opening=opening)
    except PermissionError as error:
        raise HostError(
            f'the mount at "{at}" cannot be served, as layers and recording need: what "{path}" holds '
            "depends on who opens it. Leave it out: every world has a /proc, /dev and /sys of its own"
        ) from error
    finally:
        os.close(folder_fd)
    stack.callback(tree.close)
    return await tree.walk(name) if name else tree
