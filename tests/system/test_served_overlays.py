"""What the kernel keeps of a copy-on-write tree that is served, and how it hears of what changes below it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import libos
from libos.fs import host, host_nodes
from libos.fs.host import HostDirectory
from libos.fs.node import Cache

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Seconds: nothing that is kept is asked for again in a test.
HOUR = 3600.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that counts as quiet however young it is, and of which all is kept for long."""
    monkeypatch.setattr(host_nodes, "QUIET_AGE", -(10**18))
    for module in (host, host_nodes):
        monkeypatch.setattr(module, "KEEP", HOUR)
        monkeypatch.setattr(module, "KEPT", Cache(attributes=HOUR, content=True))
        monkeypatch.setattr(module, "KEPT_NAMES", Cache(entry=HOUR, attributes=HOUR, content=True))
    (tmp_path / "file").write_text("one\n")
    (tmp_path / "first").write_text("linked\n")
    (tmp_path / "second").hardlink_to(tmp_path / "first")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The names that the server was asked for."""
    names: list[bytes] = []
    walk = HostDirectory.walk

    async def noting(self: HostDirectory, name: bytes) -> object:
        names.append(name)
        return await walk(self, name)

    monkeypatch.setattr(HostDirectory, "walk", noting)
    return names


async def test_it_is_asked_for_once_and_hears_of_the_host(
    supervisor: libos.Supervisor, folder: Path, looked: list[bytes]
) -> None:
    mount = {"at": "/t", "host": str(folder), "mode": "copy-on-write"}
    manifest = {"include": ["base"], "app": {"command": ["sh"], "record": True}, "mount": [mount]}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    app = await supervisor.start(manifest, **pipes)  # type: ignore[arg-type]  # the constants are ints

    async def prints(line: str) -> str:
        assert app.stdin is not None and app.stdout is not None
        await app.stdin.send_all(f"{line} 2>/dev/null; echo :end\n".encode())
        said = b""
        while not said.endswith(b":end\n"):
            said += await app.stdout.receive_some()
        return said.decode().removesuffix(":end\n")

    look = "cd /t; cat file absent sub/absent; ls sub"
    assert await prints(look) == "one\n"
    assert {b"file", b"absent", b"sub"} <= set(looked)
    looked.clear()
    assert await prints(look) == "one\n"
    assert not {b"file", b"absent", b"sub"} & set(looked)
    # What the world makes is there at once.
    assert await prints("echo made > absent; cat absent; rm absent; cat absent; echo x > sub/own") == "made\n"
    # What the host changes below it, when that has been told, as far as the overlay itself shows it: a name
    # that was absent stays so.
    (folder / "sub" / "new").write_text("deeper\n")
    assert await prints("until [ $(ls sub | wc -l) = 2 ]; do :; done; cat sub/new") == "deeper\n"
    (folder / "file").write_text("another\n")
    assert await prints("until [ $(cat file) = another ]; do :; done; cat file") == "another\n"
    # The first change parts a file from its other names.
    assert await prints("cat first second; echo more >> first; cat first second") == (
        "linked\nlinked\nlinked\nmore\nlinked\n"
    )
    await app.kill()
    await app.aclose()
