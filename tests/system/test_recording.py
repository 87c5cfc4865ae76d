"""A recorded run tells each use of a path: what it was for, and by which mount it was answered."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from accounts import Account

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

# Each kind of use of one file or name, and by its name alone.
EACH = """cd /t
cat read > /dev/null; ls list > /dev/null; test -e look; echo x > write; ./execute; chmod 700 change
readlink follow > /dev/null; mkdir created; rm removed; mv moved to; test -e absent; : > 'odd
name'; exit 0"""


@pytest.fixture
def tree(as_user: Account) -> None:
    script = """mkdir -p t/list u; cd t
for each in read look write change removed moved; do echo > $each; done
printf '#!/bin/sh\\nexit 0\\n' > execute; chmod 700 execute; ln -s read follow; echo > ../u/unused"""
    as_user.run(["sh", "-c", script])


def record(account: Account, *arguments: str) -> list[dict[str, Any]]:
    """The events of a recorded run that ends well."""
    ran = account.run(account.libos("run", "--record", "--events", "events", *arguments))
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in (account.folder / "events").read_text().splitlines()]


def uses(events: list[dict[str, Any]], below: str) -> dict[str, set[str]]:
    """What each path below a place was used for, but for looks where there is more."""
    found: dict[str, set[str]] = {}
    for event in events:
        if event["kind"] == "path.used" and event["path"].startswith(below):
            found.setdefault(event["path"], set()).add(event["operation"])
    return {path: seen - {"look"} or seen for path, seen in found.items()}


def test_each_use_is_told_with_its_mount(as_user: Account, tree: None) -> None:
    events = record(as_user, "-v", "t:/t:rw", "-v", "u:/u", "--", "sh", "-c", EACH)
    assert uses(events, "/t/") == {
        "/t/read": {"read"},
        "/t/list": {"list"},
        "/t/look": {"look"},
        "/t/write": {"write"},
        "/t/execute": {"execute", "read"},  # by the kernel, and by the shell that its first line names
        "/t/change": {"change"},
        "/t/follow": {"follow"},
        "/t/created": {"create"},
        "/t/removed": {"remove"},
        "/t/moved": {"remove"},
        "/t/to": {"create"},
        "/t/odd\nname": {"create", "write"},
    }
    used = [event for event in events if event["kind"] == "path.used"]
    assert all(event["path"].startswith(event["mount"]) for event in used)
    assert {event["mount"] for event in used if event["path"].startswith("/t")} == {"/t"}
    assert "/u" not in {event["mount"] for event in used}
    absent = [event for event in events if event["kind"] == "path.absent" and "mount" in event]
    assert {"/t/absent": "/t"}.items() <= {each["path"]: each["mount"] for each in absent}.items()
    assert [event["kind"] for event in events][-1] == "app.exit"


def test_a_mount_below_another_one_answers_for_itself(as_user: Account, tree: None) -> None:
    events = record(as_user, "-v", "t:/t", "-v", "u:/t/list", "--", "cat", "/t/list/unused")
    mounts = {event["path"]: event["mount"] for event in events if event["kind"] == "path.used"}
    assert mounts["/t/list/unused"] == mounts["/t/list"] == "/t/list"
    assert mounts.get("/t", "/t") == "/t"


@pytest.mark.soak_accounts("root")
def test_many_uses_are_told_without_a_loss(as_user: Account) -> None:
    """More first uses than readers may be behind, and each repetition counted."""
    script = "import os\nfor do in os.mkdir, os.rmdir:\n for n in range(4000): do(f'/tmp/{n}')"
    events = record(as_user, "--include", "python", "--", "python3", "-c", script)
    told: Counter[str] = Counter()
    for event in events:
        assert "lost" not in event
        if event["kind"] == "path.used" and event["path"].startswith("/tmp/"):
            told[event["operation"]] += event["count"]
    assert (told["create"], told["remove"]) == (4000, 4000)


def test_a_manifest_asks_for_it(as_user: Account, tree: None) -> None:
    (as_user.folder / "app.toml").write_text(
        'libos = 1\ninclude = ["base"]\n[app]\ncommand = ["cat", "/t/read"]\nrecord = true\n'
        '[[mount]]\nat = "/t"\nhost = "t"\n'
    )
    ran = as_user.run(as_user.libos("run", "--events", "events", "app.toml"))
    assert ran.returncode == 0, ran.stderr
    events = [json.loads(line) for line in (as_user.folder / "events").read_text().splitlines()]
    assert uses(events, "/t/") == {"/t/read": {"read"}}
    explained = as_user.run(as_user.libos("explain", "app.toml")).stdout
    assert "its uses are recorded" in explained


def test_a_mount_that_cannot_be_served_is_named(as_user: Account) -> None:
    ran = as_user.run(as_user.libos("run", "--record", "-v", "/proc/version:/etc/version", "--", "true"))
    assert (ran.returncode, '"/etc/version"' in ran.stderr) == (125, True), ran.stderr
