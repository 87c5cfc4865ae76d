"""Writable trees in real worlds: the agent is the program of a world that the `libos` command starts.

Rules:
- A world is started once and does one case after another, each in a directory of its own below MOUNT_POINT.
- Where the tree is the host's, that directory and what it holds are there before: then the first change of
  a copy-on-write tree meets the host's own files.
- Where a mechanism of the kernel cannot do what the table asks for, a table of `Difference`s says why, and
  holds what happens instead: that is run in place of the case. docs/reference/nodes.md has the same reasons.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio
from accounts import Account
from conformance.cases import CASES, KERNEL_CASES, SEEDED_CASES, Case, seed, seeded
from conformance.files import Calls, RemoteFiles, refused

AGENT = Path(__file__).with_name("agent.py")
MOUNT_POINT = "/t"


@dataclass(frozen=True)
class Difference:
    """Why a mechanism does not do what a case asks for, and what it does."""

    reason: str
    instead: Case


@dataclass(frozen=True)
class Mechanism:
    """What a mount asks for: "host" stands for the folder. `served`: with --serve-all."""

    mount: str
    served: bool

    @property
    def on_host(self) -> bool:
        """Whether the tree shows the host's files."""
        return "host" in self.mount

    @property
    def differences(self) -> dict[Case, Difference]:
        """The cases that this mechanism cannot pass."""
        if "copy-on-write" not in self.mount:
            return {}
        return COPY_ON_WRITE if self.served else COPY_ON_WRITE | OVERLAY


HOST = "host = {folder}, mode = "
# A second mount at the same place: what is made goes to the first one.
JOINED = f' }}}}, {{{{ at = "{MOUNT_POINT}", memory = "1M", order = "after"'  # as str.format takes it
MECHANISMS = {
    "tmpfs": Mechanism('memory = "64M"', False),
    "bind": Mechanism(HOST + '"read-write"', False),
    "overlay": Mechanism(HOST + '"copy-on-write"', False),
    "union in memory": Mechanism('memory = "64M"' + JOINED, False),
    "union of host and memory": Mechanism(HOST + '"read-write"' + JOINED, False),
    "memory, serve-all": Mechanism('memory = "64M"', True),
    "host, serve-all": Mechanism(HOST + '"read-write"', True),
    "copy-on-write, serve-all": Mechanism(HOST + '"copy-on-write"', True),
}


async def renaming_an_old_directory_is_exdev(files: Calls) -> None:
    with refused(errno.EXDEV):
        await files.rename(b"d", b"e", 0)
    assert await files.get(b"d/a") == b"below"
    await files.mkdir(b"new")
    await files.rename(b"new", b"e", 0)  # what the world made itself moves


async def changing_an_old_hard_link_parts_it_from_the_others(files: Calls) -> None:
    fd = await files.open(b"first", os.O_WRONLY)
    await files.pwrite(fd, b"LINK", 0)
    assert await files.get(b"first") == b"LINKed"
    assert await files.get(b"second") == b"linked"
    assert (await files.stat(b"first"))["ino"] != (await files.stat(b"second"))["ino"]


async def an_old_mapping_keeps_what_the_host_had(files: Calls) -> None:
    assert await files.write_below_a_mapping(b"old", b"new") == b"old content"
    assert await files.mmap_read(b"old") == b"new content"


# What the kernel's overlay cannot do for an ordinary user, lowered and served alike, since the served tree
# works on the same overlay. Kernel: filesystems/overlayfs.rst, "Non-standard behavior" and "redirect_dir".
COPY_ON_WRITE = {
    seeded.an_old_directory_can_be_renamed: Difference(
        "renaming a directory that the host has is EXDEV: redirect_dir is not for ordinary users",
        renaming_an_old_directory_is_exdev,
    ),
    seeded.an_old_hard_link_is_still_one_file_after_a_change: Difference(
        "the first change of a file parts it from its other hard links: index is not for ordinary users",
        changing_an_old_hard_link_parts_it_from_the_others,
    ),
}

# What only the lowered tree shows: mappings of the served one are of the server's pages, as any other file's.
OVERLAY = {
    seeded.a_mapping_of_an_old_file_sees_what_is_written_later: Difference(
        "a mapping made before the first change of a file goes on showing what the host had",
        an_old_mapping_keeps_what_the_host_had,
    ),
}


class RunningWorld:
    """A world whose program is the agent."""

    def __init__(self, account: Account, mechanism: Mechanism, folder: Path) -> None:
        self.mechanism = mechanism
        manifest = folder.with_suffix(".toml")
        source = mechanism.mount.format(folder=json.dumps(str(folder)))
        manifest.write_text(
            f'''libos = 1
include = ["python"]
app.command = ["python3", "-I", "-S", "/agent.py"]
mount = [{{ at = "/agent.py", host = {json.dumps(str(AGENT))} }}, {{ at = "{MOUNT_POINT}", {source} }}]
'''
        )
        if mechanism.on_host:
            make_folder(folder, account)
        options = ["--serve-all"] if mechanism.served else []
        self._process = subprocess.Popen(
            account.command(*account.libos("run", *options, str(manifest))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=account.environment,
            cwd="/",
        )

    @asynccontextmanager
    async def files(self, case: Case) -> AsyncIterator[Calls]:
        """The tree for one case."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        stdin = trio.lowlevel.FdStream(os.dup(process.stdin.fileno()))
        stdout = trio.lowlevel.FdStream(os.dup(process.stdout.fileno()))
        async with stdin, stdout:
            calls = Calls(RemoteFiles(stdin, stdout))
            await calls.begin(os.fsencode(f"{MOUNT_POINT}/{case.__name__}"))
            if case in SEEDED_CASES and not self.mechanism.on_host:
                await seed(calls)
            yield calls

    def close(self) -> None:
        """Ends the agent, and with it the world."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(20) == 0


def make_folder(folder: Path, account: Account) -> None:
    """What the host has before the world starts: a directory a case, with what `cases.seed` makes."""
    for case in (*CASES, *KERNEL_CASES, *SEEDED_CASES):
        here = folder / case.__name__
        here.mkdir(parents=True)
        if case in SEEDED_CASES:
            (here / "old").write_bytes(b"old content")
            (here / "first").write_bytes(b"linked")
            (here / "second").hardlink_to(here / "first")
            (here / "d").mkdir()
            (here / "d" / "a").write_bytes(b"below")
            (here / "l").symlink_to("old")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid, account.folder.stat().st_gid, follow_symlinks=False)
