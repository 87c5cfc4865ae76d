"""Labels hold for what a running world is given, and for what one world hands to another."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

import libos

pytestmark = pytest.mark.system

ANSWER = """
import os, sys
for line in sys.stdin:
    verb, path = line.split()
    try:
        fd = os.open(path, os.O_RDONLY if verb == "read" else os.O_WRONLY | os.O_APPEND)
        print(os.read(fd, 9).decode() if verb == "read" else os.write(fd, b"x"), flush=True)
        os.close(fd)
    except OSError as error:
        print(os.strerror(error.errno), flush=True)
"""
DENIED = "Permission denied"


def at_level(level: str, *mounts: dict[str, Any]) -> dict[str, Any]:
    return {
        "include": ["python"],
        "labels": {"levels": ["public", "secret"]},
        "app": {"command": ["python3", "-c", ANSWER], "level": level},
        "mount": list(mounts),
    }


async def asked(app: libos.App, line: str) -> str:
    assert app.stdin is not None and app.stdout is not None
    await app.stdin.send_all(line.encode() + b"\n")
    text = b""
    while not text.endswith(b"\n"):
        part = await app.stdout.receive_some()
        assert part, "the program ended"
        text += part
    return text.decode().strip()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    path = tmp_path / "file"
    path.write_text("text")
    path.chmod(0o666)
    return path


async def test_what_is_granted_later_keeps_to_the_labels(file: Path) -> None:
    shown = {"host": str(file), "mode": "read-write"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    async with libos.Supervisor() as supervisor:
        high = await supervisor.start(at_level("secret", {"at": "/note", "text": "note"}), **pipes)
        low = await supervisor.start(at_level("public"), **pipes)
        await high.mount("/plain", shown)
        assert [await asked(high, f"{verb} /plain") for verb in ("read", "write")] == ["text", DENIED]
        own = await high.mount("/own", shown, label="secret")
        assert [await asked(high, f"{verb} /own") for verb in ("read", "write")] == ["text", "1"]
        await low.mount("/up", shown, label="secret")
        assert [await asked(low, f"{verb} /up") for verb in ("read", "write")] == [DENIED, "1"]
        with pytest.raises(OSError, match="do not run at one level"):
            await low.mount("/handed", own)
        with pytest.raises(libos.ManifestError, match='no level is named "top"'):
            await low.mount("/top", shown, label="top")
        with pytest.raises(libos.ManifestError, match="is public, and the app runs at secret: no write down"):
            await high.dial("tcp!example.com!80")
        with pytest.raises(libos.ManifestError, match="no write down"):
            await high.publish(80, 0)
        await low.dial("tcp!example.com!80")
        with pytest.raises(libos.ManifestError, match="no read up"):
            await low.mount("/service", {"service": "tcp!example.com!80", "label": "secret"})
        for app in (high, low):
            await app.kill()
            await app.aclose()
    assert await trio.Path(file).read_text() == "textxx"
