"""Limits of real worlds beside the bombs: explain, the command line, further programs, and what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from accounts import Account

import libos
from libos.kernel import landlock
from libos.limits.finding import find, parse_mounts

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

HELD = """
import os, signal, sys, trio, libos

async def main():
    async with libos.Supervisor() as supervisor:
        manifest = {"include": ["base"], "app": {"command": ["sleep", "1000"]}}
        limits = {"memory": "64M", "processes": 30, "latency": "normal", "children": 1}
        app = await supervisor.start(manifest | {"limits": limits})
        limits = {"memory": "32M", "processes": 9, "latency": "best-effort"}
        below = await supervisor.start(manifest | {"limits": limits}, parent=app)
        print(app.pid, below.pid, flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def ours(pid: int) -> list[Path]:
    """The cgroups that a supervisor has made and that are there."""
    parents = {place.parent for _, place in find().places}
    return [path for parent in parents for path in Path(parent).glob(f"libos-{pid}-*")]


def holds(cgroup: Path, pid: int) -> bool:
    """Whether a process is in a cgroup."""
    return str(pid) in (cgroup / "cgroup.procs").read_text().split()


@pytest.mark.accounts("root")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_cgroup_outlives_its_supervisor(as_user: Account, number: signal.Signals) -> None:
    if find().place("memory") is None:
        pytest.skip(f"root has no memory cgroup here: {find().why}")
    supervisor = subprocess.Popen(
        as_user.command(*as_user.python("-c", HELD)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=as_user.environment,
        text=True,
    )
    assert supervisor.stdout is not None
    app, below = map(int, supervisor.stdout.readline().split())
    made = ours(supervisor.pid)
    # The app's, and those of the spare that is prepared meanwhile.
    assert len(made) >= 2
    inside = [path for path in made if holds(path, app)]
    assert len(inside) == len({path.parent for path in made})
    versions = {place.parent: place.version for _, place in find().places}
    for path in inside:  # in version 1 the one of the world below stands below
        assert any(holds(each, below) for each in path.glob("libos-*")) == (versions[str(path.parent)] == 1)
    keeper = os.pidfd_open(keeper_of(supervisor.pid))
    supervisor.send_signal(number)
    supervisor.wait()
    supervisor.stdout.close()
    with os.fdopen(keeper):
        wait_for_end(keeper)
    assert ours(supervisor.pid) == []


def keeper_of(pid: int) -> int:
    """The keeper's outside half: the one child of a supervisor."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def wait_for_end(pidfd: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(30_000)


def test_explain_prints_each_limit_with_its_mechanism(as_user: Account) -> None:
    options = ("--pids-limit", "20", "--ulimit", "nofile=64", "--timeout", "5", "--", "true")
    printed = as_user.run(as_user.libos("explain", *options), check=True).stdout.splitlines()
    lines = {line.split()[0]: line for line in printed if line.startswith("limits.")}
    assert list(lines) == ["limits.time", "limits.processes", "limits.open_files"]
    assert lines["limits.open_files"].endswith("--ulimit nofile=64")
    plan = json.loads(as_user.run(as_user.libos("explain", "--json", *options), check=True).stdout)
    assert ["nofile", 64] in plan["limits"]["rlimits"]


async def test_a_program_that_exec_starts_is_limited_too(supervisor: libos.Supervisor) -> None:
    limits = {"open_files": 64, "cpu_time": 1}
    app = await supervisor.start(
        {"include": ["base"], "app": {"command": ["sleep", "1000"]}, "limits": limits}
    )
    shell = await app.exec(["sh", "-c", "ulimit -n"], stdout=subprocess.PIPE)
    assert shell.stdout is not None
    assert [part async for part in shell.stdout] == [b"64\n"]
    await shell.aclose()
    spinning = await app.exec(["sh", "-c", "while :; do :; done"])
    assert await spinning.wait() == libos.ExitStatus(-signal.SIGXCPU, "cpu_time")
    await app.kill()


def test_the_command_says_what_ended_the_app(as_user: Account) -> None:
    spin = ("--ulimit", "cpu=1", "--", "sh", "-c", "while :; do :; done")
    done = as_user.run(as_user.libos("run", *spin))
    assert done.returncode == 128 + signal.SIGXCPU
    assert done.stderr.endswith("(limits.cpu_time); give it more with --ulimit cpu=\n")
    done = as_user.run(
        as_user.libos("run", "--ulimit", "fsize=100", "--", "sh", "-c", "head -c 200 /usr/bin/env >/tmp/x")
    )
    assert done.returncode == 128 + signal.SIGXFSZ


async def test_stats_tell_of_each_limit(supervisor: libos.Supervisor) -> None:
    limits = {"processes": 30, "open_files": 64}
    app = await supervisor.start(
        {"include": ["base"], "app": {"command": ["sleep", "1000"]}, "limits": limits}
    )
    used = await app.stats()
    held = {each["limit"]: each for each in used["limits"]}  # type: ignore[attr-defined]  # a list of rows
    assert (held["open_files"]["asked"], held["open_files"]["mechanism"]) == ("64", "rlimit")
    if held["processes"]["mechanism"] != "rlimit":
        # Init, its thread behind Landlock's scopes where the kernel has them, and sleep.
        threads = 3 if landlock.abi() >= landlock.ABI_SCOPES else 2
        assert (held["processes"]["now"], held["processes"]["hits"]) == (threads, 0)
    await app.kill()


async def test_output_of_both_streams_is_counted_together_and_in_order(supervisor: libos.Supervisor) -> None:
    said = "for n in 1 2 3; do echo out $n; echo err $n >&2; done"
    app = await supervisor.start(
        {"include": ["base"], "app": {"command": ["sh", "-c", said]}, "limits": {"output": 30}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert app.stdout is not None
    assert b"".join([part async for part in app.stdout]) == b"out 1\nerr 1\nout 2\nerr 2\nout 3\n"
    assert (await app.wait()).reason in ("output", "exit")  # it may have ended by itself before it was told
    await app.aclose()


async def test_a_terminal_and_a_limit_of_output_do_not_go_together(supervisor: libos.Supervisor) -> None:
    limited = {"include": ["base"], "app": {"command": ["true"]}, "limits": {"output": 30}}
    with pytest.raises(libos.ManifestError, match=r"limits\.output counts files and pipes"):
        await supervisor.start(limited, terminal=True)


async def test_programs_that_end_as_others_start_are_each_told_of(supervisor: libos.Supervisor) -> None:
    """The report of a new program may have the number of one that is closed: one was taken for the other."""
    app = await supervisor.start({"include": ["base"], "app": {"command": ["sleep", "1000"]}})
    for number in range(40):
        program = await app.exec(["sh", "-c", f"exit {number}"], stdout=subprocess.PIPE)
        assert program.stdout is not None
        assert [part async for part in program.stdout] == []
        await program.aclose()
        last = program
    assert await last.wait() == libos.ExitStatus(39, "exit")
    await app.kill()


DELEGATED = """
import dataclasses, json, os, sys, trio, libos
from libos.limits.model import Cgroup, Place
from libos.plan import lower

async def main():
    async with libos.Supervisor(spare=False) as supervisor:
        plan = lower(libos.from_mapping({"include": ["base"], "app": {"command": ["sleep", "1000"]}}))
        place = Cgroup((("memory", Place(2, sys.argv[1])),), ())
        limits = dataclasses.replace(plan.limits, cgroup=place)
        app = await supervisor.start(dataclasses.replace(plan, limits=limits))
        inside = open(f"/proc/{app.pid}/cgroup").read().splitlines()[-1]
        seen = await app.exec(["cat", "/proc/self/cgroup"], stdout=-1)
        print(inside, b"".join([part async for part in seen.stdout]).decode().splitlines()[-1], sep="\\n")
        await seen.aclose()
        await app.kill()

trio.run(main)
"""


@pytest.mark.accounts("user")
def test_a_user_enters_a_cgroup_of_version_two_that_was_delegated(as_user: Account) -> None:
    """What systemd does for a unit with Delegate=yes, by hand; version 2 may control nothing here."""
    mounts = parse_mounts(Path("/proc/self/mountinfo").read_text().splitlines())
    top = next((mount.point for mount in mounts if mount.version == 2), None)
    if top is None or os.geteuid() != 0 or not os.access(top, os.W_OK):
        pytest.skip("only root can delegate a cgroup of version 2, where one is mounted")
    given = Path(top, f"libos-test-{os.getpid()}")
    leaf = given / "leaf"
    leaf.mkdir(parents=True)
    try:
        for path in (given, given / "cgroup.procs", leaf, leaf / "cgroup.procs"):
            os.chown(path, as_user.uid, -1)
        enter = f"echo $$ > {leaf}/cgroup.procs; exec"
        command = [*as_user.command(*as_user.python("-c", DELEGATED)), str(given)]
        done = subprocess.run(
            ["sh", "-c", f'{enter} "$@"', "sh", *command],
            env=as_user.environment,
            cwd=as_user.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        inside, shown = done.stdout.splitlines()
        assert inside.startswith(f"0::/{given.name}/libos-")
        assert shown == "0::/"
        assert [path.name for path in given.iterdir() if path.is_dir()] == ["leaf"]
    finally:
        leaf.rmdir()
        given.rmdir()


@pytest.mark.accounts("root")
async def test_a_limit_is_told_of_while_the_app_runs(as_user: Account, supervisor: libos.Supervisor) -> None:
    if find().place("pids") is None:
        pytest.skip(f"root has no pids cgroup here: {find().why}")
    bomb = "while :; do sh -c ':' 2>/dev/null; done"
    async with supervisor.events() as events:
        app = await supervisor.start(
            {
                "include": ["base"],
                "app": {"command": ["sh", "-c", f"{bomb} & {bomb}"]},
                "limits": {"processes": 1},
            }
        )
        told = [event async for event in until(events, "limit.hit")]
        assert told[-1].fields["limit"] == "processes"
        assert app.status is None
        await app.kill()


@pytest.mark.accounts("root")
async def test_who_comes_near_a_limit_is_told_of_once(as_user: Account, supervisor: libos.Supervisor) -> None:
    if find().place("pids") is None:
        pytest.skip(f"root has no pids cgroup here: {find().why}")
    limits = {"processes": 20, "children": 1}
    manifest = {"include": ["base"], "app": {"command": ["cat"]}, "limits": limits}
    async with supervisor.events() as events:
        top = await supervisor.start(manifest, stdin=subprocess.PIPE)
        script = "for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; wait"
        limits = {"processes": 16}
        await supervisor.start(
            {"include": ["base"], "app": {"command": ["sh", "-c", script]}, "limits": limits}, parent=top
        )
        told: dict[str | None, dict[str, object]] = {}
        async for event in events:
            if event.kind == "limit.threshold":
                assert event.world not in told
                told[event.world] = dict(event.fields)
                if len(told) == (2 if dict(find().places)["pids"].version == 1 else 1):
                    break
        await top.kill()
        await top.aclose()
    below = told["cat-1/sh-1"]
    assert (below["limit"], below["most"]) == ("processes", 16)
    assert all(int(str(each["now"])) >= int(str(each["most"])) * 0.9 for each in told.values())


async def until(events: AsyncIterator[libos.Event], kind: str) -> AsyncIterator[libos.Event]:
    """The events up to the first of a kind."""
    async for event in events:
        yield event
        if event.kind == kind:
            return
