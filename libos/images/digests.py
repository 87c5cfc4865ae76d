"""Digests of blobs, as the OCI image specification writes them: "sha256:…". Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from libos.images.errors import ImageError

if TYPE_CHECKING:
    from hashlib import _Hash

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def checked(digest: object) -> str:
    """The digest, which then is a file name too. ImageError for what is none."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ImageError(f"{str(digest)[:100]!r} is no digest: write sha256: and 64 hexadecimal digits")
    return digest


def hashing(digest: str) -> _Hash:
    """The hash of a digest's kind, of nothing yet."""
    return hashlib.new(digest.partition(":")[0])


def of(data: bytes) -> str:
    """The digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def chain(diff_ids: Sequence[str]) -> list[str]:
    """For each layer what it makes with all below it: the ChainID of the image configuration."""
    ids: list[str] = []
    for diff_id in diff_ids:
        ids.append(of(f"{ids[-1]} {diff_id}".encode()) if ids else diff_id)
    return ids
