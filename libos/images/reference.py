"""How an image is named: by where it lies on this host. Pure.

    oci:DIR[:TAG]            an OCI layout, a folder
    oci-archive:FILE[:TAG]   the same in one tar, as `docker save` and skopeo(1) write it
    FILE                     a tar of a file tree: an image of one layer

The first two are skopeo's names (containers-transports(5)); what else it knows asks a registry or a daemon.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

_KINDS = ("oci", "oci-archive")
# The annotation org.opencontainers.image.ref.name, without the characters of paths.
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Reference:
    """An image: `kind` is "oci", "oci-archive" or "tar"."""

    kind: str
    path: str
    tag: str | None = None

    def __str__(self) -> str:
        if self.kind == "tar":
            return self.path
        return f"{self.kind}:{self.path}" + (f":{self.tag}" if self.tag else "")

    def absolute(self, base: str) -> Reference:
        """The same with its path made absolute: `~` is the caller's home, the rest is relative to `base`."""
        return replace(self, path=os.path.normpath(os.path.join(base, os.path.expanduser(self.path))))


def parse(text: str) -> Reference:
    """The reference that a text names. ValueError with what would be right."""
    kind, colon, rest = text.partition(":")
    if "\0" in text:
        raise ValueError("a path cannot hold a NUL byte")
    if colon and kind not in _KINDS and re.fullmatch(r"[a-z][a-z+-]*", kind):
        raise ValueError(
            f'"{text}": an image is oci:DIR, oci-archive:FILE or a tar FILE; copy from elsewhere with '
            "skopeo copy, or docker save"
        )
    if not colon or kind not in _KINDS:
        kind, rest = "tar", text
    path, colon, tag = rest.rpartition(":") if kind != "tar" else ("", "", "")
    if not colon or "/" in tag:
        path, tag = rest, ""
    if not path:
        raise ValueError(f'"{text}" names no image: write oci:DIR, oci-archive:FILE or a tar FILE')
    if tag and not _TAG.fullmatch(tag):
        raise ValueError(f'"{tag}" is no tag of an image: letters, digits, "_", "." and "-"')
    return Reference(kind, path, tag or None)
