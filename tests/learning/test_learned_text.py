"""What is learned as text: every comment stays in its line, and merging takes nothing away."""

from __future__ import annotations

import os
import tomllib
from itertools import pairwise
from pathlib import Path

from libos.fs.layers.patterns import Patterns
from libos.harmless import is_seen
from libos.learning.folding import Grant
from libos.learning.host import Kind, ThisHost
from libos.learning.learned import Command, Learned, learn
from libos.learning.observed import Observed
from libos.learning.writing import merged, text
from libos.listening import NOWHERE
from libos.manifest import load
from libos.namespace import Hide, Mode

WHEN = "today"


def learned(*grants: Grant) -> Learned:
    return Learned(Command(("cat", "x"), "/w", {"LANG": "C"}), list(grants))


def test_what_is_written_can_be_loaded(tmp_path: Path) -> None:
    what = learned(
        Grant(
            "/w", "because\nlibos = 2", mode="copy-on-write", hide=("a [1].pem", "b/!x"), source=str(tmp_path)
        ),
        Grant("/new", "made", memory=True),
    )
    what.dials = {"tcp!example.com!443": "connected to once"}
    what.listens = {8000: "127.0.0.1:0", 9000: "unix:/run/x.sock"}
    what.allow = {"@attributes": "used: listxattr", "ptrace": "used: ptrace"}
    what.limits = {"memory": (64 << 20, "the peak was 9M"), "processes": (32, "the peak was 2")}
    (tmp_path / "app.toml").write_text(text(what, WHEN))
    manifest = load(tmp_path / "app.toml")
    mounts = {mount.at: mount for mount in manifest.mounts}
    assert (mounts["/w"].mode, manifest.app.directory) == (Mode.COPY_ON_WRITE, "/w")
    assert {"/new", "/tmp"} <= mounts.keys()
    assert "/usr" not in mounts
    assert (manifest.limits.memory, manifest.limits.processes) == (64 << 20, 32)
    assert manifest.syscalls.allow == ("@attributes", "ptrace")
    assert [dial.to for dial in manifest.dials] == ["tcp!example.com!443"]
    listens = [(listen.port, listen.published) for listen in manifest.listens]
    assert listens == [(8000, "127.0.0.1:0"), (9000, "unix:/run/x.sock")]


def test_a_blank_line_stands_before_each_head() -> None:
    what = learned(Grant("/a", "read"), Grant("/b", "read"))
    what.dials, what.listens = {"tcp!example.com!443": "once"}, {8000: "127.0.0.1:8000"}
    for what.allow in ({}, {"@attributes": "used"}):
        for what.limits in ({}, {"processes": (32, "few")}):
            lines = text(what, WHEN).split("\n")
            heads = [number for number, line in enumerate(lines) if line.startswith("[")]
            assert len(heads) == 6 + bool(what.limits)
            assert [lines[number - 1] for number in heads] == [""] * len(heads)
            assert "" not in (before for before, line in pairwise(lines) if line == "")


def test_hostile_names_are_written_so_that_they_can_be_loaded(tmp_path: Path) -> None:
    names = ('/a" # \nhost = "x', "/b\x9b2J\u202e\U0001f600", "/c  ")
    hidden = ("two\nlines.pem", "no utf-8 \udcff.key", "end.pem ")
    whole = Grant("/w", "because", hide=hidden, source=str(tmp_path))
    what = learned(whole, *(Grant(name, "read", source="/etc") for name in names))
    written = text(what, WHEN)
    assert all(map(is_seen, written.splitlines()))
    (tmp_path / "app.toml").write_text(written)
    mounts = {mount.at: mount for mount in load(tmp_path / "app.toml").mounts}
    assert set(names) < mounts.keys()
    (layer,) = mounts["/w"].layers
    assert isinstance(layer, Hide)
    patterns = Patterns(layer.patterns)
    assert all(patterns.match(os.fsencode(name), False) for name in hidden)


class Names(ThisHost):
    """A host that has these files besides."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    def kind(self, path: str) -> Kind | None:
        return "file" if path in self._names else super().kind(path)


def test_a_name_that_is_no_text_is_not_granted_and_said() -> None:
    observed = Observed(uses={"/opt/\udcff": frozenset({"read"})})
    found = learn(observed, Command(("cat",), "/w", {}), Names("/opt/\udcff"))
    assert found.grants == []
    assert any("not UTF-8" in note for note in found.notes)


def test_an_incomplete_run_is_said_in_the_head() -> None:
    what = learned()
    what.incomplete = "the run ended with status 1"
    assert text(what, WHEN).splitlines()[1] == "# INCOMPLETE: the run ended with status 1."


def test_merging_adds_what_is_new_and_keeps_the_rest() -> None:
    before = text(learned(Grant("/a", "read"), Grant("/b", "read")), WHEN).replace('/a" #', '/a" # mine,')
    more = learned(Grant("/a/x", "read"), Grant("/b", "changed", mode="copy-on-write"), Grant("/c", "read"))
    after = merged(before, more, WHEN)
    assert '"/a" # mine, read' in after
    found = {mount["at"]: mount.get("mode") for mount in tomllib.loads(after)["mount"]}
    assert found == {"/a": None, "/b": "copy-on-write", "/c": None}


def test_merging_adds_a_port_once() -> None:
    one, two = learned(), learned()
    one.listens, two.listens = {8000: "127.0.0.1:8000"}, {8000: "127.0.0.1:1", 9000: "127.0.0.1:2"}
    entries = tomllib.loads(merged(text(one, WHEN), two, WHEN))["listen"]
    assert [(each["port"], each["publish"]) for each in entries] == [
        (8000, "127.0.0.1:8000"),
        (9000, "127.0.0.1:2"),
    ]


def test_a_port_that_nobody_published_is_written_so_and_published_by_a_later_run(tmp_path: Path) -> None:
    observed = Observed(listens={8000: NOWHERE, 9000: NOWHERE, 40000: NOWHERE, 50000: "127.0.0.1:0"})
    one, two = learn(observed, Command(("server",), "/", {}), ThisHost()), learned()
    assert sum("where nobody outside reaches it" in note for note in one.notes) == 2
    before = text(one, WHEN)
    (tmp_path / "app.toml").write_text(before)
    there = {listen.port: listen.published for listen in load(tmp_path / "app.toml").listens}
    assert there == {8000: NOWHERE, 9000: NOWHERE, 50000: "127.0.0.1:0"}
    two.listens = {8000: "127.0.0.1:8000", 9000: NOWHERE, 50000: NOWHERE}
    after = merged(before, two, WHEN)
    entries = {each["port"]: each["publish"] for each in tomllib.loads(after)["listen"]}
    assert entries == {8000: "127.0.0.1:8000", 9000: False, 50000: "127.0.0.1:0"}
    assert "port = 8000 # the program listened there; published as -p said" in after


def test_merging_raises_limits_and_never_lowers_them() -> None:
    one, two = learned(), learned()
    one.limits = {"memory": (64 << 20, "small"), "processes": (100, "many")}
    two.limits = {"memory": (128 << 20, "large"), "processes": (32, "few")}
    assert tomllib.loads(merged(text(one, WHEN), two, WHEN))["limits"] == {"memory": "128M", "processes": 100}


class Nothing:
    """A host without files."""

    def kind(self, path: str) -> None:
        return None


def test_calls_beyond_strict_become_groups_and_those_beyond_default_are_said() -> None:
    observed = Observed(calls={"listxattr": 2, "mount": 1, "clone3": 1, "openat": 1})
    what = learn(observed, Command(("x",), "/", {}), Nothing())  # type: ignore[arg-type]  # nothing else is asked
    assert what.allow == {"@attributes": "used: listxattr"}
    assert what.notes == ["the system call mount is beyond the default profile, and is not granted"]
