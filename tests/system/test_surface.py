"""`libos surface`: what a probe counts in real worlds, and what the command says of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from accounts import Account

pytestmark = pytest.mark.system

# A walk of the whole machine takes as long as its disk is large.
BRIEF = ("--most", "2000")


def written(folder: Path, name: str, mounts: str = "", more: str = "") -> str:
    """A manifest in the account's folder."""
    path = folder / name
    path.write_text(f"libos = 1\n{more}\n{mounts}")
    return str(path)


def surveys(account: Account, *argv: str) -> dict[str, dict[str, Any]]:
    done = account.run(account.libos("surface", "--json", *BRIEF, *argv))
    assert done.returncode == 0, done.stderr
    return {each["place"]: each for each in json.loads(done.stdout)["places"]}


@pytest.fixture
def project(as_user: Account) -> Path:
    """Three files of 5, 7 and 2 bytes, one a set-uid program, and a directory."""
    script = "mkdir -p project/below; cd project; printf 12345 > a; printf 1234567 > below/b; "
    script += "printf '#!' > tool; chmod 4755 tool; chmod 644 a below/b"
    assert as_user.run(["sh", "-c", script]).returncode == 0
    return as_user.folder / "project"


def test_a_world_that_holds_no_python_is_counted_file_by_file(as_user: Account, project: Path) -> None:
    mount = f'[[mount]]\nat = "/p"\nhost = "{project}"\n'
    found = surveys(
        as_user,
        written(as_user.folder, "empty.toml"),
        written(as_user.folder, "ro.toml", mount),
        written(as_user.folder, "rw.toml", mount + 'mode = "read-write"\n'),
        written(as_user.folder, "cow.toml", mount + 'mode = "copy-on-write"\n'),
        written(as_user.folder, "hidden.toml", mount + 'mode = "read-write"\nhide = ["tool"]\n'),
    )
    empty = found["empty.toml"]
    assert empty["complete"]

    def more(place: str, *keys: str) -> tuple[int, ...]:
        return tuple(found[place][key] - empty[key] for key in keys)

    written_keys = ("writable", "writable_bytes", "makeable", "copies")
    assert more("ro.toml", "files", "bytes", "programs", "setuid") == (3, 14, 1, 1)
    assert more("ro.toml", "setuid_works", *written_keys) == (0, 0, 0, 0, 0)
    assert more("rw.toml", *written_keys) == (3, 14, 2, 0)
    assert more("cow.toml", *written_keys) == (0, 0, 0, 3)
    assert more("hidden.toml", "files", *written_keys) == (2, 2, 12, 2, 0)


def test_a_world_has_none_of_what_stands_open_outside(as_user: Account) -> None:
    path = written(as_user.folder, "app.toml", '[[dial]]\nto = "tcp!192.0.2.1!80,443"\n')
    found = surveys(as_user, path)
    outside, app = found["outside"], found["app.toml"]
    assert len(outside["shared_namespaces"]) >= 7
    assert app["shared_namespaces"] in (["time"], [])
    assert (app["capabilities"], app["sockets"], app["endpoints"]) == (0, 0, 2)
    assert app["processes"] == 1  # the world's init
    assert outside["processes"] > 1
    assert app["system_calls"] < outside["system_calls"]
    assert app["attack_surface_percent"] < found["profile base"]["attack_surface_percent"] < 100


def test_a_profile_of_calls_that_lets_no_python_run_is_counted_all_the_same(as_user: Account) -> None:
    path = written(as_user.folder, "app.toml", more='[syscalls]\nprofile = "compute"\n')
    found = surveys(as_user, path)["app.toml"]
    assert found["complete"]
    assert "profile default" in found["notes"][0]
    assert 0 < found["system_calls"] < 100


def test_bubblewrap_shows_all_files_and_takes_its_flags(as_user: Account) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    found = surveys(
        as_user,
        "--bwrap",
        "--ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 --unshare-pid --proc /proc",
    )
    assert found["bwrap"]["problem"] is None
    assert "pid" not in found["bwrap"]["shared_namespaces"]
    assert (found["bwrap"]["writable"], found["bwrap"]["makeable"]) == (0, 0)
    assert {"net", "ipc"} < set(found["bwrap"]["shared_namespaces"])
    assert found["bwrap"]["endpoints"] == found["outside"]["endpoints"]


def test_a_place_that_cannot_be_made_is_told_of_and_the_rest_is_measured(as_user: Account) -> None:
    done = as_user.run(as_user.libos("surface", *BRIEF, "--bwrap", "--no-such-flag"))
    assert done.returncode == 0
    assert "bwrap: " in done.stderr
    path = written(as_user.folder, "app.toml", '[[mount]]\nat = "/x"\nhost = "gone"\n')
    done = as_user.run(as_user.libos("surface", *BRIEF, path))
    assert done.returncode == 2
    assert "gone" in done.stderr


@pytest.mark.soak_accounts("root")
def test_what_is_learned_of_git_status_shows_less_than_a_hundredth_of_the_machine(as_user: Account) -> None:
    script = "git init -q repo && cd repo && for n in $(seq 20); do echo $n > $n; done && git add . && "
    script += "git -c user.name=a -c user.email=a@example.org commit -qm one && echo more > 1"
    assert as_user.run(["sh", "-c", script]).returncode == 0
    repo = as_user.folder / "repo"
    learned = as_user.run(
        as_user.libos("learn", "-o", "../git.toml", "--", "git", "status", "--short"), cwd=repo
    )
    assert (learned.returncode, learned.stdout) == (0, " M 1\n"), learned.stderr
    ran = as_user.run(as_user.libos("run", "git.toml"))
    assert (ran.returncode, ran.stdout) == (0, " M 1\n"), ran.stderr
    done = as_user.run(as_user.libos("surface", "--most", "100000", "git.toml"))
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(
        r"libos: git.toml shows ([0-9,]+) of (?:at least )?([0-9,]+) files: (?:at most )?([0-9.]+)%",
        done.stderr.splitlines()[-1],
    )
    assert told is not None, done.stderr
    assert float(told[3]) < 1
    assert int(told[1].replace(",", "")) > 20


@pytest.mark.soak_accounts("root")
def test_the_picture_has_each_place(as_user: Account) -> None:
    path = written(as_user.folder, "app.toml")
    done = as_user.run(as_user.libos("surface", *BRIEF, "--plot", "s.svg", path))
    assert done.returncode == 0, done.stderr
    picture = (as_user.folder / "s.svg").read_text()
    ElementTree.fromstring(picture)  # noqa: S314 - our own
    assert ">app.toml: " in picture
    assert ">outside: 2,000+ files, 100%<" in picture
    refused = as_user.run(as_user.libos("surface", "--plot", "no/such/s.svg"))
    assert (refused.returncode, "--plot no/such/s.svg" in refused.stderr) == (2, True)


def test_ctrl_c_ends_the_walks_and_their_worlds(as_user: Account) -> None:
    running = as_user.start(
        as_user.libos("surface"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        # Its own child, the walk of the place outside, is there: all handlers are set.
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        while not any(b"NoNewPrivs" in _command(child) for child in children.read_text().split()):
            assert running.poll() is None
    finally:
        running.send_signal(2)
        out, _ = running.communicate(timeout=30)
    assert running.returncode == 130, out


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
