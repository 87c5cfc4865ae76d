"""The node of a mount whose files are executed only when they pass: looked through before the app starts."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from libos.errors import HostError
from libos.fs.sealed import Sealed
from libos.fs.vetted import Verdict, vetted
from libos.slots import SlotError
from libos.vetting import Check, Inspected, inspect, inspect_signed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from libos.fs.node import Node
    from libos.namespace import Vetted
    from libos.worlds.layering import Layering


async def vetted_node(path: str, at: str, asked: Vetted, stack: ExitStack, layering: Layering) -> Node:
    """Check the tree or the file at a path, and serve it as it is then. Raises OSError; HostError where its
    signature is not that of the key."""
    try:
        return await trio.to_thread.run_sync(_node, path, at, asked, stack, layering)
    except (SlotError, ValueError) as error:
        raise HostError(f'the mount at "{at}": {error}') from error


def _node(path: str, at: str, asked: Vetted, stack: ExitStack, layering: Layering) -> Node:
    digests = None if asked.sha256 is None else frozenset(asked.sha256)
    check = Check(digests, asked.interpreters)
    folder, name = (path, b"") if os.path.isdir(path) else _split(path)
    top = folder if asked.signed is None else f"{folder}/root"
    top_fd = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, top_fd)
    found = (
        inspect(top_fd, check, name)
        if asked.signed is None
        else inspect_signed(Path(folder), _key(asked.signed), top_fd, check)
    )
    tell = partial(layering.exec_refused, at)
    if name:
        tell = partial(_of_one_file, tell)
    return vetted(top_fd, map(_entry, found), tell, name)


def _entry(found: Inspected) -> tuple[Sealed, Verdict]:
    return found.entry, Verdict(found.problem, found.code)


def _of_one_file(tell: partial[None], _: bytes, operation: str, reason: str) -> None:
    """A mount of one file has no path below it."""
    tell(b"", operation, reason)


def _split(path: str) -> tuple[str, bytes]:
    return os.path.dirname(path), os.fsencode(os.path.basename(path))


def _key(path: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(Path(path).read_bytes())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f'"{path}" holds no public Ed25519 key in PEM: write one by openssl pkey -pubout')
    return key
