"""Command-line options as a manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from libos.errors import ManifestError
from libos.manifest import Manifest, from_options
from libos.manifest.options import split_joining
from libos.namespace import HostSource, MemorySource, Mode, Order


def errors(**options: Any) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        from_options(**options)
    return str(caught.value).splitlines()


def test_without_a_manifest_the_profile_base_is_taken() -> None:
    assert {mount.origin for mount in from_options(command=["ls"]).mounts} == {"profile base"}


def test_includes_stand_for_the_profile_base() -> None:
    assert "/home/app" in [mount.at for mount in from_options(include=["shell"]).mounts]
    assert from_options(include=["base", "-/tmp"]).namespace().covering("/tmp/x") is None


def test_with_a_manifest_nothing_is_added_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("libos = 1\n[app]\ncommand = ['a']\nname = 'n'\n")
    manifest = from_options("a.toml", base=tmp_path, command=["b", "c"])
    assert (manifest.app.command, manifest.app.name, manifest.mounts) == (("b", "c"), "n", ())


def test_a_manifest_may_be_a_mapping_or_a_manifest() -> None:
    mapping = {"mount": [{"at": "/x", "memory": 1}]}
    one = from_options(mapping, name="n")
    assert [mount.at for mount in one.mounts] == ["/x"]
    assert from_options(one, name="m").app.name == "m"
    assert from_options(Manifest()).mounts == ()


@pytest.mark.parametrize(
    ("text", "source", "at", "mode"),
    [
        (".:/src", "", "/src", Mode.READ_ONLY),
        ("sub:/src:ro", "/sub", "/src", Mode.READ_ONLY),
        ("./sub/:/src/:rw", "/sub", "/src", Mode.READ_WRITE),
        ("sub:/src:cow", "/sub", "/src", Mode.COPY_ON_WRITE),
        ("a:b:/src", "/a:b", "/src", Mode.READ_ONLY),
        ("a:b:/src:cow", "/a:b", "/src", Mode.COPY_ON_WRITE),
        ("/usr:/u", None, "/u", Mode.READ_ONLY),
    ],
)
def test_mounts(text: str, source: str | None, at: str, mode: Mode, tmp_path: Path) -> None:
    for name in ("sub", "a:b"):
        (tmp_path / name).mkdir()
    [mount] = from_options(Manifest(), mounts=[text], base=tmp_path).mounts
    path = "/usr" if source is None else f"{tmp_path}{source}"
    assert (mount.source, mount.at, mount.mode, mount.origin) == (HostSource(path), at, mode, f"-v {text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("src", "write SRC:AT or SRC:AT:ro|rw|cow, as ./project:/work:cow"),
        (":/src", "write SRC:AT or SRC:AT:ro|rw|cow, as ./project:/work:cow"),
        ("/usr:", "write SRC:AT or SRC:AT:ro|rw|cow, as ./project:/work:cow"),
        ("/usr:src", '"src" is a relative path: write an absolute one, as "/src"'),
        ("/usr:/x:wr", '"wr" is no mode: write ro, rw, cow or replace, as SRC:AT:cow'),
        ("/usr:/", 'nothing can be mounted at "/": it shows what is mounted below; name a directory'),
        ("/no/such:/x", 'the host has no "/no/such": make it, or correct the path'),
        ("/usr:/x/../y", '"/x/../y" is not in its plain form: write "/y"'),
    ],
)
def test_wrong_mounts(text: str, message: str) -> None:
    assert errors(mounts=[text]) == [f"-v {text}: {message}"]


def test_a_source_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, **_: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refuse)  # root may look everywhere
    message = '-v /root/x:/x: you may not look at "/root/x" on the host: choose what you may read'
    assert errors(manifest=Manifest(), mounts=["/root/x:/x"]) == [message]


def test_a_missing_source_is_not_made(tmp_path: Path) -> None:
    errors(mounts=["gone:/x"], base=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_mount_takes_the_place_of_the_manifests() -> None:
    manifest = from_options(
        {"mount": [{"at": "/x", "memory": 1}, {"at": "/y", "memory": 1}]}, mounts=["/usr:/x"]
    )
    sources = {mount.at: mount.source for mount in manifest.mounts}
    assert sources == {"/y": MemorySource(1), "/x": HostSource("/usr")}


def test_two_mounts_of_the_options_at_one_place() -> None:
    [line] = errors(mounts=["/usr:/x", "/etc:/x:rw"])
    assert line.startswith('-v /etc:/x:rw: "/x" is already mounted by -v /usr:/x; remove one of them')


def test_environment() -> None:
    given = ["A=1", "B=x=y", "C=", "D"]
    manifest = from_options(
        {"app": {"environment": {"A": "0", "E": "5"}}}, environment=given, environ={"D": "4"}
    )
    assert dict(manifest.app.environment) == {"A": "1", "E": "5", "B": "x=y", "C": "", "D": "4"}


def test_network_options() -> None:
    manifest = from_options(
        dials=["tcp!A.example!https", "udp!b.example!53,54,private", "tcp!c!80,private"],
        publish=["8000:80", "[::1]:81:81", "0.0.0.0:82:82", "83"],
    )
    assert [(dial.to, dial.private) for dial in manifest.dials] == [
        ("tcp!a.example!443", False),
        ("udp!b.example!53-54", True),
        ("tcp!c!80", True),
    ]
    assert [(listen.published, listen.port) for listen in manifest.listens] == [
        ("127.0.0.1:8000", 80),
        ("[::1]:81", 81),
        ("0.0.0.0:82", 82),
        ("127.0.0.1:83", 83),
    ]


def test_all_errors_of_options_and_file_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("libos = 1\nwhat = 1\n")
    found = errors(
        manifest="a.toml",
        base=tmp_path,
        environment=["=1", "NOT_SET"],
        environ={},
        dials=["nope"],
        publish=["80:x", "1.2.3:1:1"],
        directory="src",
        name="a b",
        hostname="-",
        time="soon",
        include=["pyton"],
        command=["a\0"],
    )
    assert [line.split(":")[0] for line in found] == [
        r"COMMAND a\x00",
        "-w src",
        "-e =1",
        "-e NOT_SET",
        "--hostname -",
        "--name a b",
        "--dial nope",
        "-p 80",
        "-p 1.2.3",
        "--timeout soon",
        "--include",
        "a.toml",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:/b", ("a:/b", None)),
        ("a:/b:rw", ("a:/b:rw", None)),
        ("a:/b:rw,after", ("a:/b:rw", Order.AFTER)),
        ("a:/b:before", ("a:/b", Order.BEFORE)),
        ("a,after:/b", ("a,after:/b", None)),
        ("a:/b,replace", ("a:/b,replace", None)),
        ("before", ("before", None)),
    ],
)
def test_how_a_mount_joins_is_said_last(text: str, expected: tuple[str, Order | None]) -> None:
    assert split_joining(text) == expected
