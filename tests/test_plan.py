"""Lowering, by comparing values: the host is a table of paths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plans import HOSTS, MADE, RESOLV, TABLE, Table, errors, host, memory, plan, text

from libos.errors import ManifestError
from libos.fs.synthetic import text as text_node
from libos.manifest import Manifest
from libos.namespace import (
    BytesSource,
    FunctionSource,
    HostSource,
    MemorySource,
    Mode,
    Mount,
    Namespace,
    NodeSource,
    Source,
    TextSource,
    WorldSource,
)
from libos.plan import Bind, BindServed, Overlay, Served, Step, Tmpfs, lower


@pytest.mark.parametrize(
    ("mount", "step", "mechanism"),
    [
        (host("/u", "/usr"), Bind("/u", "/usr", read_only=True, directory=True), "bind"),
        (host("/f", "/file"), Bind("/f", "/file", read_only=True, directory=False), "bind"),
        (host("/b", "/bin"), Bind("/b", "/usr/bin", read_only=True, directory=True), "bind"),
        (
            host("/w", "/src", Mode.READ_WRITE),
            Bind("/w", "/src", read_only=False, directory=True),
            "bind",
        ),
        (host("/w", "/src", Mode.COPY_ON_WRITE), Overlay("/w", "/src"), "overlay"),
        (memory("/m"), Tmpfs("/m", 1 << 20, 0o755), "tmpfs"),
        (memory("/tmp"), Tmpfs("/tmp", 1 << 20, 0o1777), "tmpfs"),
    ],
)
def test_what_is_lowered_to_a_kernel_mount(mount: Mount, step: Step, mechanism: str) -> None:
    made = plan(mount)
    assert made.steps == (step,)
    assert made.served == (HOSTS, RESOLV)
    assert made.points == ((mount.at, not isinstance(step, Bind) or step.directory), *MADE)
    assert made.lines[0].mechanism == mechanism
    assert made.lines[0].origin == mount.origin
    assert made.lines[0].reason


@pytest.mark.parametrize(
    ("source", "mode", "asked"),
    [
        (TextSource("é"), Mode.READ_ONLY, "text, 2 bytes"),
        (BytesSource(b"abc"), Mode.READ_ONLY, "bytes, 3 bytes"),
        (FunctionSource(lambda: ""), Mode.READ_ONLY, "function"),
        (NodeSource(text_node("x")), Mode.READ_WRITE, "node Constant, read-write"),
    ],
)
def test_what_is_always_served(source: Source, mode: Mode, asked: str) -> None:
    made = plan(Mount("/x", source, mode))
    assert made.steps == ()
    assert made.points == MADE
    assert made.served == (Served("/x", source, writable=mode is Mode.READ_WRITE), HOSTS, RESOLV)
    assert made.lines[0].mechanism == "served"
    assert made.lines[0].asked.startswith(asked)


def test_with_serve_all_nothing_is_lowered() -> None:
    made = plan(
        host("/u", "/usr"), host("/w", "/src", Mode.COPY_ON_WRITE), memory("/m"), text("/t"), serve_all=True
    )
    assert made.steps == ()
    assert made.points == MADE
    assert made.served[:4] == (
        Served("/u", HostSource("/usr")),
        Served("/w", HostSource("/src"), writable=True, copy_on_write=True),
        Served("/m", MemorySource(1 << 20), writable=True),
        Served("/t", TextSource("x")),
    )
    assert made.lines[0].reason == "lowering is off (--serve-all)"


def test_an_optional_source_that_is_absent_is_left_out_with_a_line() -> None:
    made = plan(host("/o", "/opt", optional=True), host("/l", "/lost", optional=True))
    assert made.steps == ()
    assert [mount.at for mount in made.namespace] == ["/etc/hosts", "/etc/resolv.conf"]
    assert made.lines[0].mechanism == "left out"
    assert made.lines[0].reason == "optional, and the host has no /opt"


def test_sources_that_cannot_be_mounted_come_all_at_once() -> None:
    assert errors(host("/a", "/gone"), host("/b", "/sock"), host("/c", "/file", Mode.COPY_ON_WRITE)) == [
        'a.toml:1:1: the host has no "/gone": make it, or correct the path',
        'a.toml:1:1: "/sock" is neither a file nor a directory: only these can be mounted',
        'a.toml:1:1: "/file" is a file, and copy-on-write takes a directory: mount the folder "/", '
        "or this file read-only",
    ]


def test_copy_on_write_does_not_reach_over_another_mount() -> None:
    assert errors(host("/v", "/vol", Mode.COPY_ON_WRITE)) == [
        'a.toml:1:1: the host mounts "/vol/disk" below "/vol", and copy-on-write cannot reach over it: '
        'choose a directory without a mount in it, or mount "/vol" read-only'
    ]
    assert plan(host("/v", "/vol")).steps == (Bind("/v", "/vol", read_only=True, directory=True),)


def test_below_a_host_directory_the_mount_point_must_exist() -> None:
    made = plan(host("/u", "/usr"), memory("/u/local"))
    assert made.steps[1] == Tmpfs("/u/local", 1 << 20, 0o755, make_point=False)
    assert made.points == (("/u", True), *MADE)
    assert errors(host("/u", "/usr"), memory("/u/new"), host("/u/x", "/file")) == [
        'a.toml:1:1: "/u/x" stands in the host\'s "/usr", which has nothing there to mount on: touch /usr/x, '
        'or mount "/u" copy-on-write',
        'a.toml:2:1: "/u/new" stands in the host\'s "/usr", which has nothing there to mount on: '
        'mkdir -p /usr/new, or mount "/u" copy-on-write',
    ]


@pytest.mark.parametrize("parent", [memory("/p"), host("/p", "/src", Mode.COPY_ON_WRITE)])
def test_in_what_ends_with_the_world_the_mount_point_is_made(parent: Mount) -> None:
    made = plan(parent, host("/p/new/u", "/usr"), text("/p/t"))
    assert made.steps[1:] == (
        BindServed("/p/t", 0, directory=False, make_point=True),
        Bind("/p/new/u", "/usr", read_only=True, directory=True, make_point=True),
    )
    assert made.served[0] == Served("/p/t", TextSource("x"), slot=0)
    assert made.points == (("/p", True), *MADE)


def test_below_a_copy_on_write_directory_an_existing_point_is_used() -> None:
    made = plan(host("/w", "/src", Mode.COPY_ON_WRITE), memory("/w/sub"))
    assert made.steps[1] == Tmpfs("/w/sub", 1 << 20, 0o755, make_point=False)


def test_a_served_mount_below_another_has_a_slot_of_its_own() -> None:
    made = plan(memory("/p"), text("/p/a"), text("/p/b"))
    assert [(served.at, served.slot) for served in made.served] == [
        ("/p/a", 0),
        ("/p/b", 1),
        ("/etc/hosts", None),
        ("/etc/resolv.conf", None),
    ]
    served = plan(host("/u", "/usr"), memory("/u/local"), text("/u/local/t"), serve_all=True)
    assert served.steps == (
        BindServed("/u/local", 0, directory=True, make_point=False),
        BindServed("/u/local/t", 1, directory=False, make_point=True),
    )


def test_a_point_of_the_other_kind_is_an_error() -> None:
    assert errors(host("/s", "/src"), memory("/s/readme"), text("/s/sub")) == [
        'a.toml:2:1: inconsistent mount: "/s/readme" is a file and would become a directory: '
        "both must be directories, or both files",
        'a.toml:3:1: inconsistent mount: "/s/sub" is a directory and would become a file: '
        "both must be directories, or both files",
    ]


def test_nothing_is_mounted_through_a_link() -> None:
    assert errors(host("/s", "/src", Mode.COPY_ON_WRITE), memory("/s/link/x")) == [
        'a.toml:2:1: "/src/link" is a symbolic link on the host, and nothing is mounted through one: '
        "mount at the place where it leads (/usr)"
    ]


def test_nothing_is_mounted_below_a_file() -> None:
    message = 'a.toml:2:1: "/t" is a file, so nothing can be mounted below it'
    assert errors(text("/t"), memory("/t/x")) == [message]
    assert errors(host("/t", "/file"), memory("/t/x")) == [message]


def test_the_order_of_a_manifest_does_not_matter() -> None:
    mounts = (memory("/p"), text("/p/t"), host("/p/u", "/usr"))
    assert set(plan(*mounts).steps) == set(lower(Manifest(mounts=tuple(reversed(mounts))), TABLE).steps)


def test_the_files_of_the_supervisor_give_way_to_the_manifests() -> None:
    made = plan(text("/etc/hosts"))
    assert [(served.at, type(served.source)) for served in made.served] == [
        ("/etc/hosts", TextSource),
        ("/etc/resolv.conf", WorldSource),
    ]


def test_where_the_files_of_the_supervisor_cannot_stand_they_are_left_out_with_a_line() -> None:
    table = Table(etc="d", etc__hosts="f")
    made = lower(Namespace((host("/etc", "/etc"),)), table)
    assert made.steps[1] == BindServed("/etc/hosts", 0, directory=False)
    [line] = [line for line in made.lines if line.at == "/etc/resolv.conf"]
    assert line.mechanism == "left out"


REPLACEABLE = Mount("/w/f", HostSource("/file"), Mode.READ_WRITE, replaceable=True)


def test_a_replaceable_file_is_served() -> None:
    plan = lower(Namespace((REPLACEABLE,)), TABLE)
    (served,) = (each for each in plan.served if each.replaceable)
    assert (served.at, served.writable, served.slot) == ("/w/f", True, None)
    assert plan.steps == ()


@pytest.mark.parametrize(
    ("mounts", "why"),
    [
        ([replace(REPLACEABLE, mode=Mode.READ_ONLY)], "only a file of the host that is read-write"),
        ([replace(REPLACEABLE, source=HostSource("/usr"))], "only a file of the host that is read-write"),
        ([replace(REPLACEABLE, revocable=True)], "takes no layers, union or revocable"),
        ([replace(REPLACEABLE, at="/f")], "stands in the root"),
        ([Mount("/w", MemorySource(1 << 20)), REPLACEABLE], 'a mount covers "/w"'),
    ],
)
def test_what_cannot_be_replaceable_says_why(mounts: list[Mount], why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        lower(Namespace(tuple(mounts)), TABLE)
