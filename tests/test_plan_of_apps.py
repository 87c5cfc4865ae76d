"""What a plan says beside its mounts: the app, its directory, its lines, its JSON form, what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plans import TABLE, Table, errors, host, memory, plan

from libos.errors import ManifestError
from libos.fs.synthetic import text as text_node
from libos.manifest import App, Dial, Limits, Listen, Manifest, from_mapping
from libos.namespace import (
    BytesSource,
    HostSource,
    Mode,
    Mount,
    NodeSource,
    TextSource,
)
from libos.plan import Host, Kind, Plan, lower


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
    bind = {"step": "bind", "at": "/u", "source": "/usr", "read_only": True, "noexec": False}
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
