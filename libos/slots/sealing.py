"""The seal of a tree: each name, mode, size, target and block of it, signed as a whole.

    seal.json   {"version": 1, "block": 131072, "entries": [[path, mode, size, [digest …], target] …]}
    seal.sig    an Ed25519 signature of the bytes of seal.json (RFC 8032)

Paths and targets are in UTF-8, with surrogate escapes for other bytes. Nothing of seal.json is read before
its signature is checked.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from libos.fs.sealed import BLOCK, Sealed, digest
from libos.slots.errors import SlotError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_VERSION = 1
SEAL = "seal.json"
SIGNATURE = "seal.sig"


def seal(folder: Path, key: Ed25519PrivateKey) -> None:
    """Seal `folder`/root: write its seal and the signature into `folder`. SlotError for what is no file,
    directory or link; OSError."""
    entries = [_written(each) for each in _entries(folder / "root", b"")]
    data = json.dumps({"version": _VERSION, "block": BLOCK, "entries": entries}).encode()
    (folder / SEAL).write_bytes(data)
    (folder / SIGNATURE).write_bytes(key.sign(data))


def _written(entry: Sealed) -> list[object]:
    blocks = [each.hex() for each in entry.blocks]
    return [os.fsdecode(entry.path), entry.mode, entry.size, blocks, os.fsdecode(entry.target)]


def _entries(top: Path, path: bytes) -> Iterator[Sealed]:
    """Everything from a path on, parents first. Links are not followed; the tree is the caller's own."""
    place = os.path.join(os.fsencode(top), path)
    found = os.lstat(place)
    if stat.S_ISDIR(found.st_mode):
        yield Sealed(path, found.st_mode)
        for name in sorted(os.listdir(place)):
            yield from _entries(top, path + b"/" + name if path else name)
    elif stat.S_ISLNK(found.st_mode):
        yield Sealed(path, found.st_mode, target=os.readlink(place))
    elif stat.S_ISREG(found.st_mode):
        yield _file(place, path, found.st_mode)
    else:
        raise SlotError(f"{os.fsdecode(path)} is a device, a FIFO or a socket: a slot holds none")


def _file(place: bytes, path: bytes, mode: int) -> Sealed:
    blocks, size = [], 0
    with open(place, "rb") as file:
        while block := file.read(BLOCK):
            blocks.append(digest(block))
            size += len(block)
    return Sealed(path, mode, size, tuple(blocks))


def checked(folder: Path, key: Ed25519PublicKey) -> list[Sealed]:
    """The entries of a folder's seal, if `key` signed it. SlotError else."""
    from cryptography.exceptions import InvalidSignature

    try:
        data = (folder / SEAL).read_bytes()
        key.verify((folder / SIGNATURE).read_bytes(), data)
        value = json.loads(data)
        if value["version"] != _VERSION or value["block"] != BLOCK:
            raise SlotError(f"{folder}: its seal is of another version of libos: install it again")
        return [
            Sealed(os.fsencode(path), mode, size, tuple(map(bytes.fromhex, blocks)), os.fsencode(target))
            for path, mode, size, blocks, target in value["entries"]
        ]
    except InvalidSignature:
        raise SlotError(f"{folder}: its seal is not signed by the key that is asked for") from None
    except OSError as error:
        raise SlotError(f"{folder}: it has no whole seal: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise SlotError(f"{folder}: its seal cannot be read, though it is signed") from None
