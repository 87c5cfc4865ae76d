"""Grants, uses, copies and what is told, by value."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from libos.errors import ManifestError
from libos.events import Event
from libos.manifest import from_mapping, load
from libos.namespace import HostSource, Mode
from libos.trimming import copying
from libos.trimming.copying import on_copies
from libos.trimming.grants import Grant, grants, without
from libos.trimming.telling import Finding, findings_json, rows, summary, time_left
from libos.trimming.trials import bound
from libos.trimming.trimming import TrimError, refuse_questions
from libos.trimming.using import Used, unused


def test_grants_know_their_line_and_what_an_include_brings_has_none(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    path.write_text('libos = 1\ninclude = ["base"]\n[[mount]]\nat = "/p"\nhost = "."\n')
    found = grants(load(path))
    assert found[-1] == Grant("mount", "/p", 3)
    assert all(grant.line is None and grant.origin == "profile base" for grant in found[:-1])


def test_a_manifest_without_a_grant_has_everything_else() -> None:
    manifest = from_mapping(
        {
            "mount": [{"at": "/a", "memory": "1M"}, {"at": "/b", "memory": "1M"}],
            "dial": [{"to": "tcp!192.0.2.1!80"}],
            "listen": [{"port": 80, "publish": "127.0.0.1:8080"}],
            "syscalls": {"allow": ["ptrace", "bpf"]},
        }
    )
    gone = [Grant("mount", "/a"), Grant("dial", "tcp!192.0.2.1!80"), Grant("syscall", "bpf")]
    less = without(manifest, gone)
    assert list(map(str, grants(less))) == ["mount /b", "listen tcp!*!80", "syscall ptrace"]
    assert without(manifest, []) is manifest


def used(*events: tuple[str, dict[str, object]]) -> Used:
    found = Used()
    for kind, fields in events:
        found.note(Event(kind, "app", fields))  # type: ignore[arg-type]  # kinds as a file has them
    return found


def test_a_mount_is_used_by_a_path_of_it_and_not_by_what_is_absent() -> None:
    found = used(
        ("path.used", {"path": "/a/x", "mount": "/a", "operation": "read", "count": 3}),
        ("path.used", {"path": "/a/x", "mount": "/a", "operation": "look", "count": 1}),
        ("path.absent", {"path": "/b/x", "mount": "/b", "count": 1}),
    )
    assert found.of(Grant("mount", "/a")) == Counter(read=3, look=1)
    assert unused(found, [Grant("mount", "/a"), Grant("mount", "/b"), Grant("syscall", "bpf")]) == [
        Grant("mount", "/b")
    ]


def test_of_binds_services_and_calls_nothing_is_told() -> None:
    mounts = [
        {"at": "/a", "memory": "1M"},
        {"at": "/b", "bind": "/a"},
        {"at": "/s", "service": "tcp!127.0.0.1!80"},
    ]
    found = grants(from_mapping({"mount": mounts, "syscalls": {"allow": ["bpf"]}}))
    assert [Used().of(grant) for grant in found] == [Counter(), None, None, None]


def test_dials_and_listens_are_used_by_connections() -> None:
    found = used(
        ("dial.open", {"address": "tcp!www.example.org!443"}),
        ("listen.ready", {"port": 8000}),
        ("path.untold", {"count": 7}),
    )
    assert found.of(Grant("dial", "tcp!*.example.org!443")) == Counter(connect=1)
    assert not found.of(Grant("dial", "udp!*.example.org!443"))
    assert found.of(Grant("listen", "tcp!*!8000")) == Counter(listen=1)
    assert not found.of(Grant("listen", "tcp!*!80"))
    assert found.untold == 7


def test_what_would_be_written_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("old")
    (tmp_path / "run").mkdir()
    manifest = from_mapping(
        {
            "app": {"keep": "x", "name": "y"},
            "mount": [
                {"at": "/d", "host": str(tmp_path / "d"), "mode": "read-write"},
                {"at": "/f", "host": str(tmp_path / "f"), "mode": "read-write"},
                {"at": "/r", "host": str(tmp_path / "f")},
            ],
            "listen": [{"port": 80, "publish": "127.0.0.1:8080"}],
        }
    )
    copied = on_copies(manifest, str(tmp_path / "run"))
    directory, file, read_only = copied.mounts
    assert directory.mode is Mode.COPY_ON_WRITE
    assert isinstance(file.source, HostSource)
    assert Path(file.source.path).parent == tmp_path / "run"
    assert Path(file.source.path).read_text() == "old"
    assert read_only == manifest.mounts[2]
    assert not copied.listens[0].is_published
    assert (copied.app.keep, copied.app.name) == (None, None)
    monkeypatch.setattr(copying, "_MOST", 2)
    with pytest.raises(ManifestError, match="too large"):
        on_copies(manifest, str(tmp_path / "run"))


def test_what_has_no_copy_is_not_written(tmp_path: Path) -> None:
    server = {"at": "/s", "p9": "unix!/run/s.sock", "mode": "read-write"}
    with pytest.raises(ManifestError, match='"/s" is written by a file server'):
        on_copies(from_mapping({"mount": [server]}), str(tmp_path))
    reading = from_mapping({"mount": [server | {"mode": "read-only"}]})
    assert on_copies(reading, str(tmp_path)).mounts == reading.mounts


@pytest.mark.parametrize(
    "asking",
    [
        {"mount": [{"at": "/a", "memory": "1M", "ask": True}]},
        {"dial": [{"to": "tcp!192.0.2.1!80", "ask": True}]},
    ],
)
def test_what_asks_is_refused_since_nobody_answers(asking: dict[str, object]) -> None:
    with pytest.raises(TrimError, match="nobody answers"):
        refuse_questions(from_mapping(asking))


def test_a_run_may_take_some_times_as_long_as_the_first() -> None:
    assert bound(0.0) == 5
    assert bound(10.0) == 45


FOUND = [
    Finding(
        Grant("mount", "/a", origin="app.toml:3:1"), Counter(read=3, look=1), "needed", "status 127: no sh"
    ),
    Finding(Grant("mount", "/\x1b[31m", origin="profile base"), Counter(), "dropped"),
    Finding(Grant("syscall", "bpf"), None, "kept"),
]


def test_findings_as_a_table_are_harmless() -> None:
    assert rows(FOUND) == [
        ("mount", "/a", "app.toml:3:1", "look, read", "needed: status 127: no sh"),
        ("mount", "/\\x1b[31m", "profile base", "never", "can go"),
        ("syscall", "bpf", "", "-", "kept"),
    ]
    assert summary(FOUND) == "1 of 3 grants can go"
    assert summary(FOUND[:1]) == "none of 1 can go: the manifest is as short as it can be"


def test_findings_as_json() -> None:
    said = findings_json(FOUND, 7, 1.23456)
    assert (said["version"], said["runs"], said["seconds"]) == (1, 7, 1.235)
    assert said["grants"][0]["uses"] == {"read": 3, "look": 1}
    assert [(each["result"], each["why"]) for each in said["grants"]] == [
        ("needed", "status 127: no sh"),
        ("dropped", None),
        ("kept", None),
    ]


def test_estimates() -> None:
    assert [time_left(seconds) for seconds in (0.4, 99, 300)] == ["0 s", "99 s", "5 min"]
