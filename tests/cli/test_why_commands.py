"""`libos why`, `libos allow` and the lines at the end of a report, with real worlds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from accounts import Account

pytestmark = pytest.mark.system

MANIFEST = """\
# Mine.
libos = 1
include = ["base"]

[app]
command = ["cat", "/data/note"]  # what it reads
"""


@pytest.fixture
def manifest(as_user: Account) -> Path:
    folder = as_user.folder / "data"
    made = as_user.run(["sh", "-c", "mkdir data && echo hello > data/note && cat > agent.toml"],
                       stdin=None, input=MANIFEST)  # fmt: skip
    assert made.returncode == 0
    assert folder.is_dir()
    return as_user.folder / "agent.toml"


@pytest.mark.soak_accounts("root")
def test_what_was_refused_is_explained_allowed_and_then_granted(as_user: Account, manifest: Path) -> None:
    data = as_user.folder / "data"
    text = MANIFEST.replace("/data/note", f"{data}/note")
    as_user.run(["sh", "-c", "cat > agent.toml"], stdin=None, input=text)
    refused = as_user.run(as_user.libos("run", "--events", "run.jsonl", "agent.toml"))
    assert refused.returncode == 1
    for source in ("run.jsonl", "agent.toml"):
        said = as_user.run(as_user.libos("why", source, f"{data}"))
        assert "what the host has at this path is not in it" in said.stdout, said.stderr  # base has a /tmp
        assert f'    host = "{data}"' in said.stdout.splitlines()
    allowed = as_user.run(as_user.libos("allow", "agent.toml", str(data)))
    assert (allowed.returncode, allowed.stderr) == (0, "")
    assert f'+host = "{data}"' in allowed.stdout.splitlines()
    assert manifest.read_text().startswith(text)
    assert as_user.run(as_user.libos("run", "agent.toml")).stdout == "hello\n"
    assert "is given by the mount" in as_user.run(as_user.libos("why", "agent.toml", f"{data}/note")).stdout


def test_a_running_world_is_asked_too(as_user: Account) -> None:
    words = ("run", "--name", "w", "--", "sh", "-c", "cat /opt/x; echo ready; read line")
    with as_user.start(
        as_user.libos(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        told = json.loads(as_user.run(as_user.libos("why", "--json", "w", "/opt/x")).stdout)
        assert running.stdin is not None
        running.stdin.close()
        running.wait(50)
    assert (told["granted"], told["version"]) == (False, 1)
    assert "The app looked for /opt once." in told["text"]


def test_a_dry_run_writes_nothing(as_user: Account, manifest: Path) -> None:
    done = as_user.run(as_user.libos("allow", "--dry-run", "agent.toml", "keyctl"))
    assert '+allow = ["keyctl"]' in done.stdout
    assert manifest.read_text() == MANIFEST
    assert sorted(each.name for each in as_user.folder.iterdir() if each.name.startswith(".")) == []


def test_secrets_are_granted_only_with_yes(as_user: Account, manifest: Path) -> None:
    done = as_user.run(as_user.libos("allow", "agent.toml", "/etc/shadow"))
    assert done.returncode == 2
    assert "/etc/shadow is sensitive: the passwords of this machine; grant it with --yes" in done.stderr
    assert manifest.read_text() == MANIFEST
    assert as_user.run(as_user.libos("allow", "--yes", "-n", "agent.toml", "/etc/shadow")).returncode == 0


def test_a_link_to_a_secret_is_one(as_user: Account, manifest: Path) -> None:
    as_user.run(["ln", "-s", "/etc/shadow", "data/innocent"])
    done = as_user.run(as_user.libos("allow", "agent.toml", str(as_user.folder / "data/innocent")))
    assert (done.returncode, manifest.read_text()) == (2, MANIFEST)


def test_all_is_written_or_nothing(as_user: Account, manifest: Path) -> None:
    done = as_user.run(as_user.libos("allow", "agent.toml", "keyctl", "tcp!db!5432", "memory=1"))
    assert done.returncode == 2
    assert "agent.toml" in done.stderr
    assert manifest.read_text() == MANIFEST


def test_mode_and_owner_and_a_link_to_the_manifest_stay(as_user: Account, manifest: Path) -> None:
    manifest.chmod(0o640)
    before = manifest.stat()
    as_user.run(["ln", "-s", "agent.toml", "link.toml"])
    assert as_user.run(as_user.libos("allow", "link.toml", "keyctl")).returncode == 0
    after = manifest.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert (as_user.folder / "link.toml").is_symlink()
    assert "keyctl" in manifest.read_text()


def test_a_report_ends_with_the_lines_that_grant_it(as_user: Account) -> None:
    done = as_user.run(as_user.libos("run", "--report", "--", "sh", "-c", "cat /opt/x /etc/shadow; true"))
    lines = done.stderr.splitlines()
    assert lines[-4:] == ["", "[[mount]]", 'at = "/opt"', 'host = "/opt"']
    assert any("/etc/shadow is sensitive" in line for line in lines)
    assert not any('"/etc/shadow"' in line for line in lines)


def test_a_report_offers_an_address(as_user: Account) -> None:
    script = "import socket; socket.socket().connect_ex(('1.1.1.1', 80))"
    done = as_user.run(as_user.libos("run", "--report", "--include", "python", "--", "python3", "-c", script))
    assert done.stderr.splitlines()[-2:] == ["[[dial]]", 'to = "tcp!1.1.1.1!80"']
