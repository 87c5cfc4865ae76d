"""`libos bundle`: a program runs from a root that holds what it used, and nothing else."""

from __future__ import annotations

import json
import subprocess

import pytest
from accounts import Account

pytestmark = pytest.mark.system

MANIFEST = """libos = 1
include = ["base"]

[app]
command = ["sh", "-c", "sort /data/list && ls /usr/bin | wc -l"]

[[mount]]
at = "/data"
host = "data"
"""


@pytest.fixture
def account(as_user: Account) -> Account:
    """An account with the manifest and its data."""
    as_user.run(["sh", "-c", "mkdir data; printf 'b\\na\\n' > data/list"])
    (as_user.folder / "app.toml").write_text(MANIFEST)
    (as_user.folder / "app.toml").chmod(0o644)
    return as_user


def libos(account: Account, *argv: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = account.run(account.libos(*argv))
    assert done.returncode == status, done.stderr
    return done


def test_a_bundle_runs_from_what_one_run_used(account: Account) -> None:
    many = libos(account, "run", "app.toml").stdout.split()
    done = libos(account, "bundle", "app.toml", "-o", "small")
    assert done.stderr.rstrip().endswith("libos run small/app.toml runs it")
    few = libos(account, "run", "small/app.toml").stdout.split()
    assert few[:2] == many[:2] == ["a", "b"]
    assert sorted(each.name for each in (account.folder / "small/root/usr/bin").iterdir()) == [
        "dash", "ls", "sh", "sort", "wc",
    ]  # fmt: skip
    assert int(few[2]) == 5 < int(many[2])
    absent = account.run(account.libos("run", "small/app.toml", "--", "cat", "/data/list"))
    assert absent.returncode == 127, absent.stderr

    tar = json.loads(libos(account, "bundle", "app.toml", "--tar", "--json", "-o", "one").stdout)
    assert sorted(each.name for each in (account.folder / "one").iterdir()) == ["app.toml", "root.tar"]
    assert tar["files"] > 5
    assert tar["bytes"] < (account.folder / "one/root.tar").stat().st_size
    assert libos(account, "run", "one/app.toml").stdout.split() == few


@pytest.mark.soak_accounts("root")
def test_nothing_is_made_of_what_fails_or_where_something_is(account: Account) -> None:
    done = libos(account, "bundle", "app.toml", "-o", "none", "--", "sh", "-c", "exit 3", status=125)
    assert "the app does not work on a copy: status 3" in done.stderr
    # It counts the names of a directory: those that it used are not enough.
    changed = "mkdir /tmp/x && test -e /usr/bin/sort && test $(ls /usr/share | wc -l) -gt 3"
    done = libos(account, "bundle", "app.toml", "-o", "none", "--", "sh", "-c", changed, status=125)
    assert "with what it used alone the app does not work: status 1" in done.stderr
    done = libos(account, "bundle", "app.toml", "-o", "data", status=2)
    assert "-o data: is there already: name a new folder" in done.stderr
    assert sorted(each.name for each in account.folder.iterdir() if "." not in each.name[:1]) == [
        "app.toml",
        "data",
    ]
    assert not list(account.folder.glob(".none.*"))
