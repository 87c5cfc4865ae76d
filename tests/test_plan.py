"""Lowering, by comparing values: the host is a table of paths."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libos.errors import ManifestError
from libos.fs.synthetic import text as text_node
from libos.images.errors import ImageError
from libos.limits.model import Cgroups
from libos.manifest import App, Dial, Limits, Listen, Manifest, from_mapping
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
from libos.plan import Bind, BindServed, Host, Kind, Overlay, Plan, Served, Step, Tmpfs, lower

HOSTS = Served("/etc/hosts", WorldSource("hosts"))
RESOLV = Served("/etc/resolv.conf", WorldSource("resolv.conf"))
MADE = (("/proc", True), ("/dev", True))


class Table:
    """A host that is a table: each path has "d", "f", "x" (a program), "s" (a socket) or "-> target"."""

    def __init__(self, **entries: str) -> None:
        self.entries = {"/" + key.replace("__", "/").strip("/"): value for key, value in entries.items()}
        self.entries["/"] = "d"

    def kind(self, path: str) -> Kind | None:
        entry = self.entries.get(path)
        if entry is None:
            return None
        return {"d": Kind.DIRECTORY, "f": Kind.FILE, "x": Kind.FILE, "s": Kind.OTHER}.get(entry, Kind.LINK)

    def resolve(self, path: str) -> str | None:
        real = "/"
        for name in [part for part in path.split("/") if part]:
            real = (real.rstrip("/") + "/" + name) if name != ".." else (real.rsplit("/", 1)[0] or "/")
            entry = self.entries.get(real, "")
            if entry.startswith("->"):
                target = self.resolve(entry[3:])
                if target is None:
                    return None
                real = target
        return real if real in self.entries else None

    def link(self, path: str) -> str:
        return self.entries.get(path, "")[3:]

    def executable(self, path: str) -> bool:
        return self.entries.get(self.resolve(path) or "") in ("x", "d")

    def head(self, path: str) -> bytes:
        return b""

    def mounts_below(self, path: str) -> tuple[str, ...]:
        return ("/vol/disk",) if path == "/vol" else ()

    def cgroups(self) -> Cgroups:
        return Cgroups()

    def kernel(self) -> tuple[int, int]:
        return (6, 18)

    def image(self, reference: str, path: str) -> str:
        if reference != "oci:/image":
            raise ImageError(f"image {reference}: it is not there")
        return "/usr" + path.rstrip("/")


TABLE = Table(
    usr="d", usr__local="d", usr__bin="d", usr__bin__ls="x", bin="-> /usr/bin", file="f", sock="s",
    lost="-> /gone", src="d", src__sub="d", src__link="-> /usr", src__readme="f", vol="d", vol__disk="d",
)  # fmt: skip


def host(at: str, path: str, mode: Mode = Mode.READ_ONLY, *, optional: bool = False) -> Mount:
    return Mount(at, HostSource(path), mode, optional, origin="a.toml:1:1")


def memory(at: str) -> Mount:
    return Mount(at, MemorySource(1 << 20), Mode.READ_WRITE, origin="a.toml:2:1")


def text(at: str) -> Mount:
    return Mount(at, TextSource("x"), origin="a.toml:3:1")


def plan(*mounts: Mount, serve_all: bool = False) -> Plan:
    return lower(Namespace.ordered(mounts), TABLE, serve_all=serve_all)


def errors(*mounts: Mount, directory: str | None = None) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        lower(Manifest(App(directory=directory), mounts, source="a.toml"), TABLE)
    return str(caught.value).splitlines()


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


def test_defaults_of_the_app() -> None:
    made = lower(Manifest(), TABLE)
    assert (made.command, made.directory, made.hostname, made.name, made.time) == (
        (),
        "/",
        "libos",
        None,
        None,
    )
    assert dict(made.environment) == {}


def test_what_the_manifest_says_of_the_app_and_the_network() -> None:
    manifest = Manifest(
        App(("ls", "-l"), "/m", {"A": "1"}, "h", "n"),
        (memory("/m"),),
        (Dial("tcp!a.example!80", origin="a.toml:5:1"),),
        (Listen(80, "::1", 81, "a.toml:6:1"),),
        Limits(5),
    )
    made = lower(manifest, TABLE)
    assert (made.command, made.directory, made.hostname, made.name, made.time) == (
        ("ls", "-l"),
        "/m",
        "h",
        "n",
        5,
    )
    assert [str(address) for address in made.dials] == ["tcp!a.example!80"]
    assert made.listens == manifest.listens
    assert [(line.at, line.mechanism, line.origin) for line in made.lines[-2:]] == [
        ("tcp!a.example!80", "gate", "a.toml:5:1"),
        ("tcp!*!80", "gate", "a.toml:6:1"),
    ]


@pytest.mark.parametrize(
    "directory", ["/", "/s", "/s/sub", "/s/link", "/m", "/deep", "/deep/er", "/proc", "/dev/shm"]
)
def test_working_directories_that_are_there(directory: str) -> None:
    mounts = (host("/s", "/src"), host("/usr", "/usr"), memory("/m"), memory("/deep/er"))
    assert lower(Manifest(App(directory=directory), mounts), TABLE).directory == directory


@pytest.mark.parametrize("directory", ["/x", "/s/none", "/m/sub"])
def test_working_directories_that_are_not(directory: str) -> None:
    assert errors(host("/s", "/src"), memory("/m"), directory=directory) == [
        f'a.toml: the directory "{directory}" is not in the namespace: mount something there'
    ]


@pytest.mark.parametrize("directory", ["/s/readme", "/etc/hosts"])
def test_a_working_directory_that_is_a_file(directory: str) -> None:
    assert errors(host("/s", "/src"), memory("/m"), directory=directory) == [
        f'a.toml: "{directory}" is not a directory: the app starts in one'
    ]


def test_every_mount_has_a_line() -> None:
    made = lower(from_mapping({"include": ["shell"]}))
    assert {line.at for line in made.lines} >= {
        mount.at for mount in from_mapping({"include": ["shell"]}).mounts
    }
    assert {"/proc", "/dev", "network"} <= {line.at for line in made.lines}


def test_the_json_form_names_everything_and_shows_no_content() -> None:
    manifest = Manifest(
        App(("ls",), environment={"A": "1"}),
        (
            host("/u", "/usr"),
            memory("/m"),
            Mount("/secret", TextSource("password")),
            Mount("/b", BytesSource(b"password")),
            Mount("/m/n", NodeSource(text_node("password"))),
        ),
        (Dial("tcp!a!80"),),
        (Listen(80, "::1", 81),),
    )
    form = json.loads(json.dumps(lower(manifest, TABLE).json()))
    assert form["version"] == 1
    assert "password" not in json.dumps(form)
    assert form["dial"] == ["tcp!a!80"]
    assert form["listen"] == [{"port": 80, "publish": "[::1]:81"}]
    bind = {"step": "bind", "at": "/u", "source": "/usr", "read_only": True}
    assert form["steps"][0] == {**bind, "directory": True, "make_point": False}
    assert {step["step"] for step in form["steps"]} == {"bind", "tmpfs", "bindserved"}
    kinds = [served["source"]["kind"] for served in form["served"]]
    assert kinds == ["text", "bytes", "node", "world", "world"]
    assert form["points"][0] == {"at": "/u", "directory": True}
    assert {"at", "asked", "mechanism", "reason", "origin"} == set(form["resources"][0])


def test_the_json_form_with_serve_all() -> None:
    form = plan(host("/u", "/usr", Mode.COPY_ON_WRITE), memory("/m"), serve_all=True).json()
    assert form["served"][:2] == [
        {
            "at": "/u",
            "source": {"kind": "host", "path": "/usr"},
            "writable": True,
            "copy_on_write": True,
            "replaceable": False,
            "layers": [],
            "slot": None,
            "elements": [],
        },
        {
            "at": "/m",
            "source": {"kind": "memory", "bytes": 1 << 20},
            "writable": True,
            "copy_on_write": False,
            "replaceable": False,
            "layers": [],
            "slot": None,
            "elements": [],
        },
    ]


def test_the_real_host(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("#!/bin/sh\n")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    view = Host()
    at = str(tmp_path)
    assert [view.kind(f"{at}/{name}") for name in ("file", "link", "", "gone", "a\0")] == [
        Kind.FILE,
        Kind.LINK,
        Kind.DIRECTORY,
        None,
        None,
    ]
    assert view.kind("/dev/null") is Kind.OTHER
    assert view.resolve(f"{at}/link") == f"{at}/file"
    assert view.resolve(f"{at}/gone") is view.resolve(f"{at}/loop") is view.resolve("a\0") is None
    assert (view.link(f"{at}/link"), view.link(f"{at}/file")) == ("file", "")
    assert (view.executable("/bin/sh"), view.executable(f"{at}/file"), view.executable("/gone")) == (
        True,
        False,
        False,
    )
    assert "/proc" in view.mounts_below("/")
    assert view.mounts_below(at) == ()
    assert (view.head(f"{at}/file"), view.head(at)) == (b"#!/bin/sh\n", b"")


def test_a_plan_can_be_compared() -> None:
    one: Any = plan(memory("/m"))
    assert one == plan(memory("/m"))
    assert one != replace(one, directory="/m")


def test_a_published_port_that_is_dialed_too_is_an_error() -> None:
    manifest = from_mapping(
        {
            "app": {"command": ["true"]},
            "dial": [{"to": "tcp!127.0.0.1!8000"}],
            "listen": [{"port": 8000}],
        }
    )
    with pytest.raises(ManifestError, match="go round in circles; let the app listen on another port"):
        lower(manifest, Table())


def test_changes_are_kept_of_copy_on_write_mounts_alone() -> None:
    def kept(*mounts: Mount) -> Plan:
        return lower(Manifest(app=App(keep="fix"), mounts=mounts), TABLE)

    cow = Mount("/u", HostSource("/usr"), Mode.COPY_ON_WRITE)
    assert (kept(cow).keep, kept(cow).copied) == ("fix", (("/u", "/usr"),))
    with pytest.raises(ManifestError, match="no mount is copy-on-write"):
        kept(replace(cow, mode=Mode.READ_ONLY))


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
