"""Fixtures: a quiet folder that is served, whose listings the kernel keeps, and who is asked for names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from talking import served

from libos.fs import host, host_nodes, kept_listing
from libos.fs.host import HostDirectory, HostTree
from libos.fs.host_nodes import KEPT_NAMES
from libos.fs.memory import MemoryDirectory
from libos.fs.node import Directory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some files and a directory of two, which counts as quiet however young it is, and is kept
    however slow the machine is."""
    monkeypatch.setattr(host_nodes, "QUIET_AGE", -(10**18))
    monkeypatch.setattr(host, "KEPT_NAMES", replace(KEPT_NAMES, entry=10_000))
    for module in (host, host_nodes):
        monkeypatch.setattr(module, "KEEP", 10_000)
    monkeypatch.setattr(kept_listing, "LONGEST", 10_000)
    (tmp_path / "d").mkdir()
    for name in ("a", "d/b", "d/c"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def tree(folder: Path) -> Iterator[HostTree]:
    tree = served(folder)
    yield tree
    tree.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The directories of whose names the server was asked."""
    directories: list[object] = []

    def noting(kind: type[Directory]) -> Callable[[Directory], object]:
        readdir = kind.readdir

        async def note(self: Directory) -> list[bytes]:
            directories.append(self)
            return await readdir(self)

        return note

    for kind in (HostDirectory, MemoryDirectory):
        monkeypatch.setattr(kind, "readdir", noting(kind))
    return directories
