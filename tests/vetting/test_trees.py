"""Trees that are looked through before they are served, and what a manifest may ask of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from validated import module

import libos
from libos.branch import Branch
from libos.grants import Grant
from libos.manifest.model import Limits
from libos.namespace import Vetted
from libos.namespace.errors import GrammarError
from libos.namespace.layer_text import layer_words, parse_layer
from libos.nesting.admission import admit
from libos.nesting.holding import Holding, wanted_of
from libos.plan import Bind, BindServed, Overlay, Plan, Tmpfs, lower
from libos.plan.live import lower_one
from libos.slots import SlotError, seal
from libos.vetting import Check, Inspected, inspect, inspect_signed


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """A tree with one of each, by its descriptor."""
    root = tmp_path / "sealed" / "root"
    root.mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "bin/good").write_bytes(module("good"))
    (root / "bin/other").write_bytes(module("other"))
    (root / "text").write_text("text")
    (root / "link").symlink_to("/etc/passwd")
    fd = os.open(root, os.O_PATH)
    yield fd
    os.close(fd)


def listed(found: Iterator[Inspected]) -> dict[bytes, tuple[str, bool]]:
    return {each.entry.path: (each.problem, each.code) for each in found}


def test_a_tree_is_looked_through(folder: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sealed/root/fifo")
    digest = hashlib.sha256(module("good")).hexdigest()
    found = listed(inspect(folder, Check(frozenset([digest]), ())))
    unlisted = "its digest is not listed"
    assert found == {
        b"": ("", False),
        b"bin": ("", False),
        b"bin/good": ("", True),
        b"bin/other": (unlisted, True),
        b"text": (unlisted, False),
        b"link": ("", False),
    }
    assert listed(inspect(folder, Check(None, ()), b"text")) == {b"text": ("it is no ELF file", False)}
    with pytest.raises(OSError, match="link"):
        list(inspect(folder, Check(), b"link"))


def test_what_others_may_not_read_is_not_shown(folder: int, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root has files of another user here")
    os.chown(tmp_path / "sealed/root/text", 1234, 1234)
    (tmp_path / "sealed/root/text").chmod(0o640)
    modes = {each.entry.path: each.entry.mode & 0o777 for each in inspect(folder, Check())}
    assert modes[b"text"] == 0
    assert modes[b"bin"] == 0o755


def test_a_sealed_tree_is_that_of_its_key(folder: int, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    place = tmp_path / "sealed"
    seal(place, key)
    (place / "root/bin/other").write_bytes(module("evil!"))
    found = listed(inspect_signed(place, key.public_key(), folder, Check()))
    assert found[b"bin/good"] == ("", True)
    assert found[b"bin/other"] == ("it is not what its seal says", True)
    with pytest.raises(SlotError, match="not signed by the key"):
        list(inspect_signed(place, Ed25519PrivateKey.generate().public_key(), folder, Check()))


DIGEST = "0" * 64


@pytest.mark.parametrize(
    "layer",
    [
        Vetted(sha256=(DIGEST, "a" * 64)),
        Vetted(sha256=()),
        Vetted(signed="/a key.pem"),
        Vetted(interpreters=()),
        Vetted((DIGEST,), "/k", ("/lib/ld.so", "/b")),
    ],
)
def test_words_say_the_same(layer: Vetted) -> None:
    assert parse_layer(layer_words(layer)) == layer


@pytest.mark.parametrize(
    "words", ["", "sha256=abc", "elf=yes", "signed=key", "signed=/a signed=/b", "other=1"]
)
def test_words_that_say_nothing_right(words: str) -> None:
    with pytest.raises(GrammarError):
        parse_layer(["exec", *words.split()])


def planned(folder: Path, exec_: dict[str, Any], *more: dict[str, Any], **keys: Any) -> Plan:
    (folder / "in").mkdir(exist_ok=True)
    mount = {"at": "/in", "host": "in", "exec": exec_, **keys}
    return lower(libos.from_mapping({"mount": [mount, *more]}, base=folder))


@pytest.mark.parametrize(
    ("exec_", "keys", "said"),
    [
        ({}, {}, "exec says nothing"),
        ({"sha256": ["xyz"]}, {}, "is no SHA-256"),
        ({"elf": False}, {}, "elf"),
        ({"elf": True}, {"mode": "read-write"}, "what can change is not checked"),
        ({"elf": True}, {"mode": "copy-on-write"}, "what can change is not checked"),
        ({"elf": True}, {"order": "after"}, "what can change is not checked"),
        ({"signed": "none.pem"}, {}, "the host has no key"),
        ({"signed": "key.pem"}, {}, "has no root/, so it is not sealed"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, exec_: dict[str, Any], keys: dict[str, Any], said: str) -> None:
    (tmp_path / "key.pem").touch()
    with pytest.raises(libos.ManifestError, match=said):
        planned(tmp_path, exec_, **keys)


def test_all_that_can_be_written_is_noexec(tmp_path: Path) -> None:
    for name in ("ro", "rw", "cow", "layered"):
        (tmp_path / name).mkdir()
    plan = planned(
        tmp_path,
        {"elf": True},
        {"at": "/ro", "host": "ro"},
        {"at": "/rw", "host": "rw", "mode": "read-write"},
        {"at": "/cow", "host": "cow", "mode": "copy-on-write"},
        {"at": "/layered", "host": "layered", "hide": ["x"]},
        {"at": "/memory", "memory": "1M"},
    )
    assert plan.vets
    assert plan.syscalls.deny == ("memfd_create",)
    steps = {step.at: (type(step), getattr(step, "noexec", None)) for step in plan.steps}
    assert steps == {
        "/in": (BindServed, False),
        "/ro": (Bind, False),
        "/rw": (Bind, True),
        "/cow": (Overlay, True),
        "/layered": (BindServed, False),
        "/memory": (Tmpfs, True),
    }


@pytest.mark.parametrize(("writes", "runs"), [("a", "a"), ("a/b", "a"), ("a", "a/b")])
def test_what_is_written_in_one_mount_is_not_executed_in_another(
    tmp_path: Path, writes: str, runs: str
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    mounts = [{"at": "/w", "host": writes, "mode": "read-write"}, {"at": "/r", "host": runs}]
    with pytest.raises(libos.ManifestError, match='"/w" it could execute at "/r", past all checks'):
        planned(tmp_path, {"elf": True}, *mounts)


def test_a_running_world_gets_none(tmp_path: Path) -> None:
    mounted = libos.from_mapping({"mount": [{"at": "/x", "host": ".", "exec": {"elf": True}}]}, base=tmp_path)
    with pytest.raises(libos.ManifestError, match="cannot have exec while the app runs"):
        lower_one((), mounted.mounts[0])


def test_what_runs_in_a_running_world_is_not_mounted_to_be_written(tmp_path: Path) -> None:
    (tmp_path / "ro").mkdir()
    plan = planned(tmp_path, {"elf": True}, {"at": "/ro", "host": "ro"})
    written = libos.from_mapping(
        {"mount": [{"at": "/rw", "host": "ro", "mode": "read-write"}]}, base=tmp_path
    )
    with pytest.raises(libos.ManifestError, match='"/rw" it could execute at "/ro"'):
        lower_one(plan.namespace, written.mounts[0])


def test_a_world_below_is_checked_as_well(tmp_path: Path) -> None:
    (tmp_path / "rw").mkdir()
    writable = {"at": "/rw", "host": "rw", "mode": "read-write"}
    plan = planned(tmp_path, {"elf": True}, writable)
    mounts = tuple(replace(each, grant=cast(Grant, object())) for each in wanted_of(plan))
    above = Holding("build", plan, mounts, (), Branch("build", Limits(children=2)), root=False)
    below = lower(libos.from_mapping({"mount": [{"at": "/r", "host": "rw"}]}, base=tmp_path))
    with pytest.raises(libos.ManifestError) as raised:
        admit("test", below, above, Branch("test"))
    assert 'it executes what it writes, and "build" only what passed a check' in str(raised.value)
    assert 'what the app writes at "/rw" it could execute at "/r"' in str(raised.value)
    admit("test", plan, above, Branch("test"))
