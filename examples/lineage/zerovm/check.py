"""What passes through a channel is limited, in order, and has a digest; it was opened before the start."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from claims import Evidence, Property, scratch
from probing import Events, Talk, made, read, said
from zerovm.chance import DRAWS, seeded

import libos

TITLE = "ZeroVM, 2012: declared channels only, everything counted"
HERE = Path(__file__).parent
MANIFEST = HERE / "zerovm.toml"
OVER, NO_OFFSETS, LIED = "Disk quota exceeded", "Illegal seek", "Input/output error"
TEXT = (HERE / "input").read_text()
# More than is there.
PLENTY = {"gets": 100, "get_size": "1K"}

PROPERTIES = {
    "budget": Property(
        "a get beyond the bytes or the number of gets that the manifest says is refused",
        "the manifest says more",
        lambda saw: saw == OVER,
    ),
    "order": Property(
        "what is sequential passes once, in order: another open goes on after the first one, none goes back",
        "the manifest says that the input is random",
        lambda saw: saw == [TEXT[:3], TEXT[3:7], NO_OFFSETS],
    ),
    "digest": Property(
        "the end has a digest of what passed, and it is that of the host's file",
        "the manifest says that the output is random: then there is no order to take a digest in",
        lambda saw: saw["told"] == saw["file"],
    ),
    "early": Property(
        "it is opened before the start: what takes the file's name on the host later is not what it gets",
        "the folder is mounted, and its file no channel",
        lambda saw: saw == TEXT[:3],
    ),
    "size": Property(
        "a file that had more bytes when it was opened is an error, and is told; nothing is made up",
        "the file keeps what it had",
        lambda saw: saw == [LIED, True],
    ),
    "chance": Property(
        "random numbers come from a seed: a program that draws some draws the same ones again",
        "the kernel answers getrandom(2)",
        lambda saw: saw[0] == saw[1] != saw[2] and saw[0].replace(" ", "").isalnum(),
    ),
}


def world(folder: Path, without: str | None) -> libos.Manifest:
    """The manifest, its channels' files in a folder of the host; `record` is one more of them."""
    value = read(MANIFEST)
    source, drain = value["channel"]
    source["host"], drain["host"] = str(folder / "input"), str(folder / "output")
    value["channel"].append({"at": "/channel/record", "host": str(folder / "record")} | PLENTY)
    if without == "budget":
        source.update(PLENTY)
    if without == "order":
        source["get"] = "random"
    if without == "digest":
        drain["put"] = "random"
    if without == "early":
        value["mount"].append({"at": "/channel", "host": str(folder)})
        value["channel"] = []
    return made(value, MANIFEST)


async def observe(supervisor: libos.Supervisor, without: str | None) -> Evidence:
    """Talk to a program while the host changes the files."""
    with scratch() as folder:
        (folder / "input").write_text(TEXT)
        (folder / "record").write_text(TEXT)
        async with Events(supervisor) as events:
            talk = await Talk.with_(supervisor, world(folder, without))
            (folder / "other").write_text("another file")
            (folder / "other").rename(folder / "input")
            if without != "size":
                os.truncate(folder / "record", 4)
            first = await talk.ask("get /channel/input 3")
            order = [first, await talk.ask("again /channel/input 4"), await talk.ask("seek /channel/input")]
            await talk.ask("get /channel/input 100")
            budget = await talk.ask("again /channel/input 1")
            for word in ("one", "two"):
                await talk.ask(f"put /channel/output {word}")
            size = [await talk.ask("get /channel/record 100") for _ in range(2)]
            assert talk.app.stdin is not None
            await talk.app.stdin.aclose()
            told = await events.until_exit(talk.app.name)
            await talk.app.aclose()
        file = folder / "output"
        written = file.read_bytes() if file.exists() else b""
    return {
        "budget": budget,
        "order": order,
        "digest": {"told": digest(told[-1], "/channel/output"), "file": hashlib.sha256(written).hexdigest()},
        "early": first,
        "size": [size[-1], any(each.kind == "error" for each in told)],
        "chance": [await draws(supervisor, seed, without) for seed in ("one", "one", "other")],
    }


async def draws(supervisor: libos.Supervisor, seed: str, without: str | None) -> str:
    """What a program draws that is given a seed."""
    manifest = {"include": ["python"], "app": {"command": ["python3", "-c", DRAWS]}}
    return await said(supervisor, manifest, on_syscall=None if without == "chance" else seeded(seed))


def digest(end: libos.Event, at: str) -> str | None:
    """What the end of a world says of what was put into a channel."""
    told: Any = end.fields.get("channels", ())
    return next((each["put_sha256"] for each in told if each["at"] == at), None)
