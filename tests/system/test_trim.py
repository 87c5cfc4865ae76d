"""`libos trim`: real worlds with less and less in them, and the manifest's file afterwards."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

pytestmark = pytest.mark.system

MANIFEST = """libos = 1
include = ["base"]

[app]
command = ["sh", "-c", "{script}"]
directory = "/p"

# The project, as it is.
[[mount]]
at = "/p"
host = "p"
mode = "read-write"

# A file that is written.
[[mount]]
at = "/log"
host = "log"
mode = "read-write"

# Once there was a cache.
[[mount]]
at = "/cache"
memory = "1M"

[[dial]]
to = "tcp!192.0.2.1!80"
"""
SCRIPT = "cat a >/dev/null && echo new > b && echo more >> /log && grep -q more /log && rm a"


@pytest.fixture
def manifest(as_user: Account) -> Path:
    as_user.run(["sh", "-c", "mkdir p; echo a > p/a; echo old > log"])
    return written(as_user, SCRIPT)


def written(account: Account, script: str) -> Path:
    path = account.folder / "app.toml"
    path.write_text(MANIFEST.format(script=script))
    path.chmod(0o644)
    return path


def trim(account: Account, *argv: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = account.run(account.libos("trim", *argv))
    assert done.returncode == status, done.stderr
    return done


def results(text: str) -> dict[str, dict[str, Any]]:
    return {f"{each['kind']} {each['name']}": each for each in json.loads(text)["grants"]}


def as_it_was(folder: Path) -> bool:
    return (
        sorted(each.name for each in (folder / "p").iterdir()) == ["a"]
        and (folder / "log").read_text() == "old\n"
    )


def test_what_a_run_never_used_goes_and_the_rest_works(as_user: Account, manifest: Path) -> None:
    done = trim(as_user, "app.toml", "-o", "less.toml")
    assert "grants can go; less.toml is written" in done.stderr.splitlines()[-1]
    assert as_it_was(as_user.folder)
    less = (as_user.folder / "less.toml").read_text()
    assert "cache" not in less
    assert "192.0.2.1" not in less
    assert '# The project, as it is.\n[[mount]]\nat = "/p"' in less
    ran = as_user.run(as_user.libos("run", "less.toml"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not as_it_was(as_user.folder)


@pytest.mark.soak_accounts("root")
def test_each_grant_that_is_left_is_shown_to_be_needed(as_user: Account, manifest: Path) -> None:
    before = manifest.read_text()
    done = trim(as_user, "--prove", "--json", "app.toml")
    found = results(done.stdout)
    assert found["mount /usr"]["result"] == "needed"
    assert found["mount /p"]["result"] == "needed"
    assert found["mount /log"]["result"] == "needed"
    assert {"create", "read", "write", "remove"} <= set(found["mount /p"]["uses"])
    cache = found["mount /cache"]
    assert (cache["uses"], cache["result"], cache["why"]) == ({}, "dropped", None)
    # Read, and of no consequence.
    assert found["mount /etc/ld.so.cache"]["uses"]
    assert found["mount /etc/ld.so.cache"]["result"] == "dropped"
    assert json.loads(done.stdout)["runs"] < len(found)
    assert as_it_was(as_user.folder)
    assert manifest.read_text() == before
    trim(as_user, "--prove", "-o", "app.toml", "app.toml")
    again = results(trim(as_user, "--prove", "--json", "app.toml").stdout)
    assert {each["result"] for each in again.values()} == {"needed"}


@pytest.mark.soak_accounts("root")
def test_a_check_judges_a_run_in_place_of_its_status(as_user: Account, manifest: Path) -> None:
    written(as_user, "cat a; cat /log; exit 3")
    trim(as_user, "app.toml", status=125)
    found = results(
        trim(
            as_user,
            "--prove",
            "--json",
            "app.toml",
            "--check",
            'test "$LIBOS_STATUS" = 3 && grep -q old "$LIBOS_STDOUT"',
        ).stdout
    )
    assert found["mount /log"]["result"] == "needed"
    assert found["mount /log"]["why"] == "the check ends with status 1"


@pytest.mark.soak_accounts("root")
def test_a_run_that_hangs_without_a_grant_is_ended(as_user: Account, manifest: Path) -> None:
    written(as_user, "test -e /log || sleep 1000")
    done = trim(as_user, "--prove", "--json", "--timeout", "2s", "app.toml")
    assert results(done.stdout)["mount /log"]["why"] == "does not end within 2 s"


def test_an_app_that_fails_with_everything_is_told_of(as_user: Account, manifest: Path) -> None:
    before = manifest.read_text()
    done = trim(
        as_user, "--prove", "-o", "app.toml", "app.toml", "--", "sh", "-c", "echo why >&2; exit 4", status=125
    )
    assert "does not work on a copy: status 4: why" in done.stderr
    assert manifest.read_text() == before


@pytest.mark.soak_accounts("root")
def test_a_manifest_that_cannot_be_written_is_told_of_before_anything_runs(
    as_user: Account, manifest: Path
) -> None:
    done = trim(as_user, "-o", "no/such/less.toml", "app.toml", status=2)
    assert "-o no/such/less.toml" in done.stderr
    elsewhere = as_user.folder / "elsewhere"
    as_user.run(["mkdir", "elsewhere"])
    done = trim(as_user, "-o", "elsewhere/less.toml", "app.toml", status=2)
    assert not list(elsewhere.iterdir())


def test_a_manifest_that_is_changed_meanwhile_is_not_written(as_user: Account, manifest: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(40)
        path = connecting(as_user, listener, "cat <&3")
        running = as_user.start(
            as_user.libos("trim", "-o", "app.toml", "app.toml"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            with listener.accept()[0]:  # the recorded run is there
                changed = path.read_text() + "# a line more\n"
                path.write_text(changed)
            with listener.accept()[0]:
                pass  # the run without what was not used
        finally:
            _, err = running.communicate(timeout=40)
    assert (running.returncode, path.read_text()) == (2, changed)
    assert "app.toml was changed meanwhile" in err
    assert not list(as_user.folder.glob(".app.toml.*"))


def connecting(account: Account, listener: socket.socket, then: str) -> Path:
    """The manifest of an app that connects to a listener, so that a test knows of it, and goes on."""
    port = listener.getsockname()[1]
    path = written(account, f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; {then}'")
    path.write_text(path.read_text().replace("192.0.2.1!80", f"127.0.0.1!{port}"))
    return path


def test_ctrl_c_leaves_the_manifest_as_it_was(as_user: Account, manifest: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(40)
        path = connecting(as_user, listener, "echo > new; sleep 1000")
        before = path.read_text()
        running = as_user.start(
            as_user.libos("trim", "--prove", "-o", "app.toml", "app.toml"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            listener.accept()[0].close()  # the app of the first run is there
        finally:
            running.send_signal(2)
            out, _ = running.communicate(timeout=40)
    assert running.returncode == 130, out
    assert path.read_text() == before
    assert as_it_was(as_user.folder)
    assert not list(as_user.folder.glob(".app.toml.*"))
