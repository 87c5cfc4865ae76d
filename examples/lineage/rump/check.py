"""A file system's driver is a program: confined, shared, killed and replaced under worlds that use it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from claims import Evidence, Property, scratch
from probing import Talk, made, read
from rump.image import image

import libos
from libos.fs.p9.mounting import REDIAL

TITLE = "NetBSD rump kernel, 2009: drivers of file systems in user processes, used by others from afar"
HERE = Path(__file__).parent
FAILED = "Input/output error"
# Outside of any venv: a world has the interpreter itself.
PYTHON = os.path.realpath(sys.executable)

PROPERTIES = {
    "confined": Property(
        "a driver that its image leads astray reaches nothing but the image",
        "the driver runs outside of any world",
        lambda saw: saw["hello"] == "from the image" and "secret" not in saw["leak"],
    ),
    "shared": Property(
        "two worlds use one driver",
        "each is given a driver of its own",
        lambda saw: saw["one"] == saw["another"] != "",
    ),
    "apart": Property(
        "a driver that is killed fails what is mounted of it, and nothing else of its worlds",
        "what else they use is of the same driver",
        lambda saw: saw["its"].endswith(FAILED) and saw["own"] == "mine" and saw["another"] == "mine",
    ),
    "again": Property(
        "a new driver serves the same mount of worlds that went on",
        "nobody starts one",
        lambda saw: saw == "from the image",
    ),
}


def library() -> list[dict[str, str]]:
    """Mounts of this Python, of its packages, and of the parts of libos that a driver uses."""
    package = Path(libos.__file__).parent
    found = {"/library/libos": package, "/packages": Path(trio.__file__).parent.parent}
    if (package / "fs").is_symlink():  # in a checkout
        found["/library/fs"] = (package / "fs").resolve()
    if not sys.base_prefix.startswith("/usr"):
        found[sys.base_prefix] = Path(sys.base_prefix)
    return [{"at": at, "host": str(path)} for at, path in found.items()]


class Bench:
    """Drivers and their clients, in one folder of the host."""

    def __init__(self, supervisor: libos.Supervisor, folder: Path) -> None:
        self._supervisor = supervisor
        self._folder = folder
        secret = folder / "secret"
        secret.write_text("the caller's secret\n")
        files = {"hello": b"from the image\n", "note": b"mine\n"}
        (folder / "image").write_bytes(image(files, {"leak": os.fsencode(secret)}))

    def _at(self, name: str) -> str:
        return f"{self._folder}/{name}.sock"

    async def driver(self, name: str = "driver") -> Talk:
        """A driver in a world of its own, whose port is a unix socket here; ready."""
        value = read(HERE / "driver.toml")
        value["app"]["command"][0] = PYTHON
        value["mount"] += [*library(), {"at": "/image", "host": str(self._folder / "image")}]
        value["listen"] = [{"port": 5640, "publish": f"unix:{self._at(name)}"}]
        talk = await Talk.with_(self._supervisor, made(value, HERE / "driver.toml"))
        assert await talk.line() == "ready"
        return talk

    @asynccontextmanager
    async def outside(self, name: str = "driver") -> AsyncIterator[None]:
        """A driver that is a process like any other; ready."""
        command = [
            sys.executable,
            str(HERE / "driver.py"),
            str(self._folder / "image"),
            f"unix!{self._at(name)}",
        ]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            said = b""
            while not said.endswith(b"\n"):
                part = await process.stdout.receive_some()
                assert part, "the driver ended"
                said += part
            yield
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                await process.stdout.aclose()
            os.unlink(self._at(name))

    async def client(self, name: str = "driver", *, own: bool = True) -> Talk:
        """A world that mounts what a driver serves. Where it has nothing of its `own`, its other mount is the
        driver's too."""
        value: dict[str, Any] = read(HERE / "client.toml")
        value["mount"][0]["p9"] = f"unix!{self._at(name)}"
        if not own:
            value["mount"][1] = {"at": "/own", "p9": value["mount"][0]["p9"]}
        return await Talk.with_(self._supervisor, made(value, HERE / "client.toml"))


async def confined(bench: Bench, *, in_a_world: bool) -> dict[str, str]:
    """What a client reads by a driver that follows the image's links."""
    if in_a_world:
        driver = await bench.driver()
        saw = await _read(bench)
        await driver.end()
        return saw
    async with bench.outside():
        return await _read(bench)


async def _read(bench: Bench) -> dict[str, str]:
    client = await bench.client()
    saw = {name: await client.ask(f"/files/{name}") for name in ("hello", "leak")}
    await client.end()
    return saw


async def lost(bench: Bench, without: str | None) -> Evidence:
    """Two worlds of one driver, which is killed; another one comes."""
    drivers = [await bench.driver()]
    if without == "shared":
        drivers.append(await bench.driver("second"))
    one = await bench.client(own=without != "apart")
    another = await bench.client("second" if without == "shared" else "driver")
    shared = {"one": await one.ask("/files/driver"), "another": await another.ask("/files/driver")}
    for driver in drivers:
        await driver.end()
    apart = {
        "its": await one.ask("/files/hello"),
        "own": await one.ask("/own/note"),
        "another": await another.ask("/own/note"),
    }
    new = None if without == "again" else await bench.driver()
    await trio.sleep(REDIAL)  # sooner, nobody asks whether there is a new one
    again = await one.ask("/files/hello")
    for talk in (one, another, *([] if new is None else [new])):
        await talk.end()
    return {"shared": shared, "apart": apart, "again": again}


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Start drivers and clients, and kill drivers."""
    with scratch() as folder:
        bench = Bench(supervisor, folder)
        found = await confined(bench, in_a_world=without != "confined")
        return {"confined": found, **await lost(bench, without)}
