"""Every way out of a world is listed before it runs, and what is not one is not."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from libos.cli.holes_command import command
from libos.fs.synthetic import text
from libos.holes import holes, special_files
from libos.holes.special import TooManyError
from libos.manifest import from_mapping
from libos.plan import Plan, lower


def plan(folder: Path, *mounts: dict[str, Any], **more: Any) -> Plan:
    return lower(from_mapping({"mount": list(mounts), **more}, base=folder))


def ways(found: Plan) -> set[tuple[str, str]]:
    """The kind and name of each way to others."""
    return {(each.kind, each.name) for each in holes(found) if not each.own}


async def answer(stream: Any) -> None:
    """Never called."""


def test_what_leads_to_others_is_listed(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    found = plan(
        tmp_path,
        {"at": "/rw", "host": ".", "mode": "read-write"},
        {"at": "/log", "host": ".", "mode": "read-write", "append_only": True},
        {"at": "/function", "function": lambda: "text"},
        {"at": "/node", "node": text("text")},
        {"at": "/service", "service": answer},
        {"at": "/server", "p9": "unix!/run/server.sock"},
        dial=[{"to": "tcp!a!1"}, {"to": "tcp!b!1", "via": "tcp!127.0.0.1!9"}],
        listen=[{"port": 1}, {"port": 2, "publish": False}],
        channel=[
            {"at": "/in", "host": "in", "gets": 1, "get_size": 1},
            {"at": "/out", "host": "out", "puts": 1, "put_size": 1},
            {"at": "/memory", "puts": 1, "put_size": 1},
        ],
    )
    assert ways(found) == {
        ("write", "/rw"),
        ("write", "/log"),
        ("function", "/function"),
        ("node", "/node"),
        ("service", "/service"),
        ("p9", "/server"),
        ("dial", "tcp!a!1"),
        ("dial", "tcp!b!1"),
        ("listen", "tcp!*!1"),
        ("channel", "/out"),
    }


def test_what_leads_to_nobody_or_to_who_starts_it_is_no_hole(tmp_path: Path) -> None:
    mounts = [
        {"at": "/ro", "host": "."},
        {"at": "/cow", "host": ".", "mode": "copy-on-write"},
        {"at": "/memory", "memory": "1M"},
        {"at": "/text", "text": ""},
    ]
    found = plan(tmp_path, *mounts, network={"capture": "packets"})
    assert ways(found) == set()
    assert [each.kind for each in holes(found)] == ["output", "status", "events", "capture"]
    assert ways(plan(tmp_path, *mounts, app={"keep": "kept"})) == {("keep", "/cow")}


def test_a_descriptor_is_listed_with_its_rights(tmp_path: Path) -> None:
    (tmp_path / "in").touch()
    found = plan(
        tmp_path,
        app={"ambient": False},
        descriptor=[
            {"name": "in", "host": "in", "rights": ["read", "seek"]},
            {"name": "memory", "rights": ["read", "append"]},
            {"name": "log", "host": "log", "rights": ["append"]},
            {"name": "base", "host": "base", "rights": ["read", "write", "seek"]},
        ],
    )
    assert [(each.kind, each.name, each.leads) for each in holes(found) if not each.own] == [
        ("descriptor", "/mnt/fd/log", f"whoever can read {tmp_path}/log: append"),
        ("descriptor", "/mnt/fd/base", f"whoever can read {tmp_path}/base: read, write, seek"),
    ]


def test_what_the_labels_refuse_is_no_hole(tmp_path: Path) -> None:
    labels = {"levels": ["low", "high"]}
    mounts = [
        {"at": "/low", "host": ".", "mode": "read-write"},
        {"at": "/up", "text": "", "label": "high"},
    ]
    dials = [{"to": "tcp!low!1"}, {"to": "tcp!high!1", "label": "high"}]
    at_high = plan(tmp_path, *mounts, labels=labels, dial=dials, app={"level": "high"})
    assert ways(at_high) == {("dial", "tcp!high!1")}
    at_low = plan(tmp_path, *mounts, labels=labels, dial=dials, app={"level": "low"})
    assert ways(at_low) == {("write", "/low"), ("dial", "tcp!low!1")}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a socket and a FIFO, and a link that leads to them from elsewhere."""
    inner = tmp_path / "tree" / "inner"
    inner.mkdir(parents=True)
    os.mkfifo(inner / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(inner / "socket"))
    (tmp_path / "tree/link").symlink_to("inner")
    return tmp_path


def test_sockets_and_fifos_of_read_only_mounts_are_found(tree: Path) -> None:
    found = special_files(plan(tree, {"at": "/t", "host": "tree"}))
    assert {(each.at, each.kind) for each in found} == {
        ("/t/inner/fifo", "FIFO"),
        ("/t/inner/socket", "socket"),
    }
    served = plan(tree, {"at": "/t", "host": "tree", "revocable": True})
    assert special_files(served) == []  # the kernel asks libos, and finds files of its own
    with pytest.raises(TooManyError, match="/t was not looked through"):
        special_files(plan(tree, {"at": "/t", "host": "tree"}), most=2)


def test_the_command_says_by_its_status_whether_there_is_one(tree: Path) -> None:
    manifest = tree / "m.toml"
    manifest.write_text('libos = 1\n[[mount]]\nat = "/t"\nhost = "tree"\n[[dial]]\nto = "tcp!a!1"\n')

    def ran(*arguments: str) -> tuple[Any, str]:
        done = CliRunner().invoke(command, [str(manifest), *arguments], standalone_mode=False)
        return done.exception or done.return_value, done.output

    status, said = ran()
    assert status == 1
    assert [line.split()[:3] for line in said.splitlines() if line.startswith("HOLE")] == [
        ["HOLE", "special", "/t/inner/fifo"],
        ["HOLE", "special", "/t/inner/socket"],
        ["HOLE", "dial", "tcp!a!1"],
    ]
    assert "not closed by any manifest:" in said
    names = ["/t/inner/fifo", "/t/inner/socket", "tcp!a!1"]
    status, said = ran("--json", *(f"--allow={name}" for name in names))
    assert status == 0
    value = json.loads(said)
    assert [(each["name"], each["allowed"]) for each in value["holes"]] == [(name, True) for name in names]
    wrong, _ = ran("--allow", "/nothing")
    assert str(wrong) == '--allow "/nothing": no such way out; libos holes lists them'
