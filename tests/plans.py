"""A host as a table, and short words for plans that are lowered on it."""

from __future__ import annotations

import pytest

from libos.errors import ManifestError
from libos.images.errors import ImageError
from libos.limits.model import Cgroups
from libos.manifest import App, Manifest
from libos.namespace import (
    HostSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    TextSource,
    WorldSource,
)
from libos.plan import Kind, Plan, Served, lower

HOSTS = Served("/etc/hosts", WorldSource("hosts"))


RESOLV = Served("/etc/resolv.conf", WorldSource("resolv.conf"))


MADE = (("/proc", True), ("/dev", True))


class Table:
    """A host that is a table: each path has "d", "f", "x" (a program), "s" (a socket) or "-> target"."""

    def __init__(self, **entries: str) -> None:
        self.entries = {"/" + key.replace("__", "/").strip("/"): value for key, value in entries.items()}
        self.entries["/"] = "d"

    def kind(self, path: str) -> Kind | None:
        entry = self.entries.get(path)
        if entry is None:
            return None
        return {"d": Kind.DIRECTORY, "f": Kind.FILE, "x": Kind.FILE, "s": Kind.OTHER}.get(entry, Kind.LINK)

    def resolve(self, path: str) -> str | None:
        real = "/"
        for name in [part for part in path.split("/") if part]:
            real = (real.rstrip("/") + "/" + name) if name != ".." else (real.rsplit("/", 1)[0] or "/")
            entry = self.entries.get(real, "")
            if entry.startswith("->"):
                target = self.resolve(entry[3:])
                if target is None:
                    return None
                real = target
        return real if real in self.entries else None

    def link(self, path: str) -> str:
        return self.entries.get(path, "")[3:]

    def executable(self, path: str) -> bool:
        return self.entries.get(self.resolve(path) or "") in ("x", "d")

    def head(self, path: str) -> bytes:
        return b""

    def mounts_below(self, path: str) -> tuple[str, ...]:
        return ("/vol/disk",) if path == "/vol" else ()

    def cgroups(self) -> Cgroups:
        return Cgroups()

    def kernel(self) -> tuple[int, int]:
        return (6, 18)

    def image(self, reference: str, path: str) -> str:
        if reference != "oci:/image":
            raise ImageError(f"image {reference}: it is not there")
        return "/usr" + path.rstrip("/")


TABLE = Table(
    usr="d", usr__local="d", usr__bin="d", usr__bin__ls="x", bin="-> /usr/bin", file="f", sock="s",
    lost="-> /gone", src="d", src__sub="d", src__link="-> /usr", src__readme="f", vol="d", vol__disk="d",
)  # fmt: skip


def host(at: str, path: str, mode: Mode = Mode.READ_ONLY, *, optional: bool = False) -> Mount:
    return Mount(at, HostSource(path), mode, optional, origin="a.toml:1:1")


def memory(at: str) -> Mount:
    return Mount(at, MemorySource(1 << 20), Mode.READ_WRITE, origin="a.toml:2:1")


def text(at: str) -> Mount:
    return Mount(at, TextSource("x"), origin="a.toml:3:1")


def plan(*mounts: Mount, serve_all: bool = False) -> Plan:
    return lower(Namespace.ordered(mounts), TABLE, serve_all=serve_all)


def errors(*mounts: Mount, directory: str | None = None) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        lower(Manifest(App(directory=directory), mounts, source="a.toml"), TABLE)
    return str(caught.value).splitlines()
