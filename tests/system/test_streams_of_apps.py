"""Standard streams: pipes with much data both ways, nothing, files, one for two, and further programs."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

NULL, PIPE, STDOUT = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
MUCH = 32 * 1024 * 1024


def world(*command: str, **app: Any) -> dict[str, Any]:
    """A manifest of the profile base."""
    return {"libos": 1, "include": ["base"], "app": {"command": list(command), **app}}


async def read(stream: trio.lowlevel.FdStream | None) -> bytes:
    """All of a stream."""
    assert stream is not None
    async with stream:
        return b"".join([chunk async for chunk in stream])


async def test_much_data_goes_through_both_ways_at_once(supervisor: libos.Supervisor) -> None:
    block = os.urandom(1 << 20)
    app = await supervisor.start(world("cat"), stdin=PIPE, stdout=PIPE)
    assert app.stdin is not None
    assert app.stdout is not None
    got = hashlib.sha256()

    async def feed() -> None:
        assert app.stdin is not None
        async with app.stdin:
            for _ in range(MUCH // len(block)):
                await app.stdin.send_all(block)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        async for chunk in app.stdout:
            got.update(chunk)
    assert got.digest() == hashlib.sha256(block * (MUCH // len(block))).digest()
    assert (await app.wait()).returncode == 0
    await app.aclose()


async def test_a_reader_that_goes_away_is_sigpipe(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("yes"), stdin=NULL, stdout=PIPE)
    assert app.stdout is not None
    await app.stdout.receive_some()
    await app.stdout.aclose()
    assert (await app.wait()).returncode == -signal.SIGPIPE
    await app.aclose()


async def test_stdout_and_stderr_are_two_streams_or_one(supervisor: libos.Supervisor) -> None:
    command = world("sh", "-c", "echo out; echo err >&2")
    app = await supervisor.start(command, stdin=NULL, stdout=PIPE, stderr=PIPE)
    assert (await read(app.stdout), await read(app.stderr)) == (b"out\n", b"err\n")
    app = await supervisor.start(command, stdin=NULL, stdout=PIPE, stderr=STDOUT)
    assert await read(app.stdout) == b"out\nerr\n"
    assert app.stderr is None
    await app.wait()


async def test_nothing_is_an_empty_stdin(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("wc", "-c"), stdin=NULL, stdout=PIPE)
    assert await read(app.stdout) == b"0\n"
    await app.wait()


async def test_files_and_descriptors_are_used_as_they_are(
    supervisor: libos.Supervisor, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("b\na\n")
    with (tmp_path / "in").open() as given, (tmp_path / "out").open("w") as taken:
        app = await supervisor.start(world("sort"), stdin=given, stdout=taken.fileno(), stderr=NULL)
        assert (await app.wait()).returncode == 0
    assert await trio.Path(tmp_path / "out").read_text() == "a\nb\n"


async def test_the_streams_can_be_opened_by_their_path(supervisor: libos.Supervisor) -> None:
    script = "cat /dev/stdin > /dev/stdout; echo err > /dev/stderr; echo x | tee /proc/self/fd/2 > /dev/null"
    app = await supervisor.start(world("sh", "-c", script), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert app.stdin is not None
    async with app.stdin:
        await app.stdin.send_all(b"through")
    assert (await read(app.stdout), await read(app.stderr)) == (b"through", b"err\nx\n")
    await app.wait()


async def test_stdout_as_stdin_is_a_mistake(supervisor: libos.Supervisor) -> None:
    with pytest.raises(ValueError, match="STDOUT"):
        await supervisor.start(world("true"), stdin=STDOUT)
    assert supervisor.apps == {}


async def test_a_further_program_shares_the_world(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("sleep", "100", environment={"A": "app"}), stdin=NULL, stdout=NULL)
    process = await app.exec(["sh", "-c", "echo $A; echo x > /tmp/made"], stdin=NULL, stdout=PIPE)
    assert await read(process.stdout) == b"app\n"
    assert (await process.wait()).returncode == 0
    process = await app.exec(
        ["sh", "-c", "pwd; cat made; env; exit 3"],
        environment={"PATH": "/usr/bin:/bin", "B": "own"},
        directory="/tmp",
        stdin=NULL,
        stdout=PIPE,
    )
    lines = (await read(process.stdout)).decode().splitlines()
    assert lines[:2] == ["/tmp", "x"]
    assert "B=own" in lines
    assert not [line for line in lines if line.startswith("A=")]
    assert (await process.wait()).returncode == 3
    assert app.status is None
    await app.kill()


async def test_further_programs_have_the_same_walls(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("sleep", "100"), stdin=NULL, stdout=NULL)
    script = (
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; ls /proc/self/fd; cat /proc/self/uid_map"
    )
    found = []
    for _ in range(2):
        process = await app.exec(["sh", "-c", script], stdin=NULL, stdout=PIPE)
        found.append(await read(process.stdout))
        await process.wait()
    assert found[0] == found[1]
    assert b"CapBnd:\t0000000000000000\n" in found[0]
    *fds, inside, _, length = found[0].split()[-7:]  # who stands behind it on the host differs
    assert (fds, inside, length) == ([b"0", b"1", b"2", b"3"], b"1000", b"1")
    await app.kill()


async def test_signals_reach_a_further_program_alone(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("sleep", "100"), stdin=NULL, stdout=NULL)
    process = await app.exec(["sleep", "100"], stdin=NULL, stdout=NULL)
    await process.send_signal(signal.SIGUSR1)
    status = await process.wait()
    assert (status.returncode, status.reason) == (-signal.SIGUSR1, "signal")
    await process.send_signal(signal.SIGUSR1)  # it has ended: nothing happens
    assert app.status is None
    await app.kill()


async def test_what_cannot_be_execd_is_said(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("sleep", "100"), stdin=NULL, stdout=NULL)
    with pytest.raises(libos.CommandNotFoundError):
        await app.exec(["no-such-program"], stdin=NULL)
    with pytest.raises(libos.CommandError, match="/no/such"):
        await app.exec(["true"], directory="/no/such", stdin=NULL)
    with pytest.raises(libos.CommandError, match="executable"):
        await app.exec(["/etc/passwd"], stdin=NULL)
    assert app.status is None
    await app.kill()


async def test_a_further_program_ends_with_its_world(supervisor: libos.Supervisor) -> None:
    app = await supervisor.start(world("sleep", "100"), stdin=NULL, stdout=NULL)
    process = await app.exec(["sleep", "100"], stdin=NULL, stdout=NULL)
    await app.kill()
    with trio.fail_after(20):
        status = await process.wait()
    assert status.returncode == -signal.SIGKILL
    with pytest.raises(libos.SupervisorError):
        await app.exec(["true"], stdin=NULL)
