"""`libos.run` and `libos.arun`: subprocess.run's manners, from threads, from trio and from asyncio."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trio
from accounts import Account

import libos

pytestmark = pytest.mark.system


def test_it_gives_what_subprocess_run_gives() -> None:
    done = libos.run(["sh", "-c", "cat; echo err >&2; exit 3"], input="in\n", capture_output=True)
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, done.stderr) == (3, "in\n", "err\n")
    assert done.args == ["sh", "-c", "cat; echo err >&2; exit 3"]


def test_bytes_stay_bytes() -> None:
    assert libos.run(["cat"], input=b"\xff\0", stdout=subprocess.PIPE).stdout == b"\xff\0"


def test_a_signal_is_minus_its_number() -> None:
    assert libos.run(["sh", "-c", "kill -TERM $$"]).returncode == -signal.SIGTERM


def test_check_raises_with_the_output() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        libos.run(["sh", "-c", "echo said; exit 9"], check=True, capture_output=True, text=True)
    assert (caught.value.returncode, caught.value.stdout) == (9, "said\n")


def test_timeout_raises_with_what_was_captured_until_then() -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        libos.run(["sh", "-c", "echo early; exec sleep 100"], timeout=1, capture_output=True)
    assert (caught.value.timeout, caught.value.stdout) == (1, b"early\n")


def test_options_shape_the_world(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    done = libos.run(
        ["sh", "-c", 'pwd; cat file; echo "$WORD"; echo x > file'],
        mounts=[f"{tmp_path}:/data"],
        environment={"WORD": "value"},
        directory="/data",
        capture_output=True,
        text=True,
    )
    assert done.stdout == "/data\ncontentvalue\n"
    assert "Read-only file system" in done.stderr
    assert done.returncode != 0


def test_its_network_is_captured(tmp_path: Path) -> None:
    knock = "import socket; socket.socket().connect_ex(('192.0.2.1', 9))"
    manifest = {"include": ["python"]}
    libos.run(["python3", "-c", knock], manifest=manifest, capture=str(tmp_path / "link.pcapng"))
    assert bytes([192, 0, 2, 1]) in (tmp_path / "link.pcapng").read_bytes()


def test_errors_are_libos_own() -> None:
    with pytest.raises(libos.CommandNotFoundError, match="not in the namespace"):
        libos.run(["no-such-command"])
    with pytest.raises(libos.ManifestError, match="unknown key"):
        libos.run(["true"], manifest={"alow": 1})
    with pytest.raises(ValueError, match="capture_output"):
        libos.run(["true"], capture_output=True, stdout=subprocess.PIPE)
    with pytest.raises(ValueError, match="input"):
        libos.run(["true"], input="x", stdin=subprocess.PIPE)


def test_threads_run_side_by_side() -> None:
    def one(number: int) -> str:
        return str(libos.run(["echo", f"{number}"], capture_output=True, text=True).stdout)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [f"{number}\n" for number in range(24)]


def test_nothing_of_it_is_left_when_the_last_run_ends() -> None:
    libos.run(["true"])
    before = (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")))
    libos.run(["true"])
    assert (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))) == before


async def test_trio_awaits_several_at_once() -> None:
    outputs: list[Any] = []

    async def one(word: str) -> None:
        outputs.append((await libos.arun(["echo", word], capture_output=True, text=True)).stdout)

    async with trio.open_nursery() as nursery:
        for word in ("one", "two", "three"):
            nursery.start_soon(one, word)
    assert sorted(outputs) == ["one\n", "three\n", "two\n"]


async def test_trio_cancellation_ends_the_world(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    command = ["sh", "-c", "exec 3> /data/fifo; echo up >&3; exec sleep 1000"]

    async def run() -> None:
        await libos.arun(command, mounts=[f"{tmp_path}:/data:rw"])

    try:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                await trio.lowlevel.wait_readable(reader)
                nursery.cancel_scope.cancel()
        assert os.read(reader, 100) == b"up\n"
        assert os.read(reader, 100) == b""  # its last holder is gone
    finally:
        os.close(reader)


def test_asyncio_awaits_several_at_once() -> None:
    async def main() -> list[str]:
        runs = (libos.arun(["echo", f"{n}"], capture_output=True, text=True) for n in range(3))
        return [done.stdout for done in await asyncio.gather(*runs)]

    assert asyncio.run(main()) == ["0\n", "1\n", "2\n"]


def test_asyncio_cancellation_ends_the_world(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    command = ["sh", "-c", "exec 3> /data/fifo; echo up >&3; exec sleep 1000"]

    async def main() -> None:
        up = asyncio.Event()
        asyncio.get_running_loop().add_reader(reader, up.set)
        task = asyncio.ensure_future(libos.arun(command, mounts=[f"{tmp_path}:/data:rw"]))
        await asyncio.wait_for(up.wait(), 30)
        asyncio.get_running_loop().remove_reader(reader)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    try:
        asyncio.run(main())
        assert os.read(reader, 100) == b"up\n"
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def test_asyncio_gets_the_errors_too() -> None:
    async def main() -> None:
        await libos.arun(["no-such-command"])

    with pytest.raises(libos.CommandNotFoundError):
        asyncio.run(main())


async def test_beside_a_supervisor_it_says_so() -> None:
    async with libos.Supervisor():
        with pytest.raises(libos.SupervisorError, match="another Supervisor serves in this process"):
            await libos.arun(["true"])


INTERRUPTED = """
import libos, sys
try:
    libos.run(["sh", "-c", "echo up; exec sleep 1000"])
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_ends_the_world_and_comes_through(as_user: Account) -> None:
    with subprocess.Popen(
        as_user.command(sys.executable, "-c", INTERRUPTED),
        stdout=subprocess.PIPE,
        env=as_user.environment,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGINT)
        assert select.select([process.stdout], [], [], 20)[0]
        assert process.stdout.read() == b"interrupted\n"  # the app held the same pipe, and is gone
    assert process.returncode == 0
