"""Nodes that fail or hang cost their own reader an errno and nobody else anything."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import trio

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

NULL, PIPE = subprocess.DEVNULL, subprocess.PIPE


def world(*command: str, function: Callable[[], Any] | None = None, **more: Any) -> dict[str, Any]:
    """A manifest of the profile base, with a function mounted at /answer."""
    mounts = [{"at": "/answer", "function": function}] if function else []
    return {"libos": 1, "include": ["base"], "app": {"command": list(command)}, "mount": mounts, **more}


async def output(supervisor: libos.Supervisor, manifest: dict[str, Any]) -> tuple[int, str]:
    """Run to the end; give the status and what was written on both streams."""
    app = await supervisor.start(manifest, stdin=NULL, stdout=PIPE, stderr=subprocess.STDOUT)
    assert app.stdout is not None
    text = b"".join([chunk async for chunk in app.stdout])
    status = await app.wait()
    await app.aclose()
    return status.returncode, text.decode()


async def test_a_function_answers_each_open_anew(supervisor: libos.Supervisor) -> None:
    answers = iter(["first\n", "second\n"])
    script = "cat /answer; cat /answer"
    assert await output(supervisor, world("sh", "-c", script, function=lambda: next(answers))) == (
        0,
        "first\nsecond\n",
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(1, "no"), "Operation not permitted"),
        (RuntimeError("a bug"), "Input/output error"),
        (KeyError("x"), "Input/output error"),
    ],
)
async def test_a_function_that_raises_is_an_errno_and_an_event(
    supervisor: libos.Supervisor, error: Exception, said: str
) -> None:
    def fail() -> str:
        raise error

    async with supervisor.events() as events:
        code, text = await output(supervisor, world("cat", "/answer", function=fail))
        assert (code, said in text) == (1, True), text
        seen = [event.kind async for event in until_exit(events)]
    assert ("error" in seen) == (not isinstance(error, OSError))
    assert await output(supervisor, world("echo", "on")) == (0, "on\n")


async def until_exit(events: Any) -> Any:
    """Events up to the first app.exit."""
    async for event in events:
        yield event
        if event.kind == "app.exit":
            return


class Hang:
    """An async function that never answers; `asked` is set once it is waited for."""

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        self.asked.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled = True
            raise
        raise AssertionError


async def test_an_app_in_a_hanging_function_can_be_killed(supervisor: libos.Supervisor) -> None:
    hang = Hang()
    app = await supervisor.start(world("cat", "/answer", function=hang), stdin=NULL, stdout=NULL)
    await hang.asked.wait()
    with trio.fail_after(20):
        await app.kill()
    assert (await app.wait()).reason == "killed"
    assert hang.cancelled


async def test_a_signal_frees_a_program_in_a_hanging_function(supervisor: libos.Supervisor) -> None:
    hang = Hang()
    script = "cat /answer & wait; echo never"
    app = await supervisor.start(world("sh", "-c", script, function=hang), stdin=NULL, stdout=NULL)
    await hang.asked.wait()
    with trio.fail_after(20):
        await app.send_signal(signal.SIGTERM)
        assert (await app.wait()).returncode == -signal.SIGTERM


async def test_other_apps_go_on_while_one_hangs(supervisor: libos.Supervisor) -> None:
    hang = Hang()
    app = await supervisor.start(world("cat", "/answer", function=hang), stdin=NULL, stdout=NULL)
    await hang.asked.wait()
    with trio.fail_after(20):
        for number in range(5):
            answers = iter([f"{number}\n"])
            manifest = world("sh", "-c", "cat /answer; ls /", function=answers.__next__)
            code, text = await output(supervisor, manifest)
            assert (code, text[:2]) == (0, f"{number}\n")
    await app.kill()


async def test_many_hanging_readers_do_not_stop_the_world(supervisor: libos.Supervisor) -> None:
    # More than pyfuse3's 99 handlers at once.
    hang = Hang()
    script = "for n in $(seq 150); do cat /answer & done; cat /note; wait"
    manifest = world("sh", "-c", script, function=hang)
    manifest["mount"].append({"at": "/note", "text": "still served\n"})
    app = await supervisor.start(manifest, stdin=NULL, stdout=PIPE)
    assert app.stdout is not None
    with trio.fail_after(20):
        assert await app.stdout.receive_some() == b"still served\n"
        await app.kill()
    await app.aclose()


async def test_leaving_the_supervisor_frees_who_hangs() -> None:
    hang = Hang()
    with trio.fail_after(20):
        async with libos.Supervisor() as supervisor:
            app = await supervisor.start(world("cat", "/answer", function=hang), stdin=NULL, stdout=NULL)
            await hang.asked.wait()
    assert app.status is not None
    assert app.status.reason == "killed"
    assert hang.cancelled
