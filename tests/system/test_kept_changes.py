"""Changes that outlive their run, in real worlds, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from accounts import Account

import libos
from libos import ManifestError, SupervisorError

pytest_plugins = ["running"]
pytestmark = pytest.mark.system

EXAMPLE = Path(__file__).parent.parent.parent / "examples/undo/undo.py"

CHANGING = """
set -e
echo new > changed; rm gone; mv old-name new-name
mkdir -p made/deep; echo x > made/deep/x; ln made/deep/x hard
chmod 755 changed; rm -r tree; ln -s changed link; touch -d 2001-02-03 dated
"""


def project(as_user: Account) -> Path:
    """A directory of the account's with some files."""
    host = as_user.folder / "project"
    files = "for name in changed gone old-name tree/x; do echo old $name > $name; done"
    script = f"mkdir project project/tree && cd project && {files}"
    assert as_user.run(["sh", "-c", script]).returncode == 0
    return host


def run(as_user: Account, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A shell script in the project, its changes kept as "fix"."""
    mount = ("-v", "./project:/work:cow", "-w", "/work", "--keep", "fix")
    return as_user.run(as_user.libos("run", *mount, *options, "--", "sh", "-c", script))


def listed(as_user: Account) -> list[tuple[str, str]]:
    """Kind and path of each change."""
    done = as_user.run(as_user.libos("diff", "fix", "--json"))
    assert done.returncode == 0, done.stderr
    return [(each["kind"], each["path"]) for each in json.loads(done.stdout)["changes"]]


@pytest.mark.parametrize("served", [False, True])
def test_a_run_is_kept_shown_and_committed(as_user: Account, served: bool) -> None:
    host = project(as_user)
    options = ("--serve-all",) if served else ()
    done = run(as_user, CHANGING, *options)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(host)) == ["changed", "gone", "old-name", "tree"]
    done = run(as_user, "cat changed; ls; stat -c %U changed made", *options)
    assert done.stdout == "new\nchanged\ndated\nhard\nlink\nmade\nnew-name\napp\napp\n", done.stderr
    assert listed(as_user) == [
        ("M", "/work/changed"),
        ("A", "/work/dated"),
        ("D", "/work/gone"),
        ("A", "/work/hard"),
        ("A", "/work/link"),
        ("A", "/work/made"),
        ("A", "/work/made/deep"),
        ("A", "/work/made/deep/x"),
        ("R", "/work/new-name"),
        ("D", "/work/tree"),
        ("D", "/work/tree/x"),
    ]
    done = as_user.run(as_user.libos("commit", "fix"))
    assert done.returncode == 0, done.stderr
    assert "11 changes committed" in done.stderr
    assert (host / "changed").read_text() == "new\n"
    assert (host / "changed").stat().st_mode & 0o777 == 0o755
    assert (host / "new-name").read_text() == "old old-name\n"
    assert (host / "dated").stat().st_mtime < 1_000_000_000
    assert (host / "hard").stat().st_ino == (host / "made/deep/x").stat().st_ino
    assert sorted(os.listdir(host)) == ["changed", "dated", "hard", "link", "made", "new-name"]
    assert {path.lstat().st_uid for path in host.rglob("*")} == {as_user.uid}


def test_diff_is_a_table_for_people_and_a_patch_for_tools(as_user: Account) -> None:
    project(as_user)
    run(as_user, CHANGING)
    done = as_user.run(as_user.libos("diff", "fix"))
    assert "R  /work/old-name -> /work/new-name" in done.stdout
    assert "M  /work/changed" in done.stdout
    assert "mode 0644 -> 0755" in done.stdout
    patch = as_user.run(as_user.libos("diff", "fix", "changed", "--patch")).stdout
    assert patch.endswith("--- a/changed\n+++ b/changed\n@@ -1 +1 @@\n-old changed\n+new\n")
    assert as_user.run(as_user.libos("diff")).stdout == "fix\n"


def test_what_cannot_be_done_is_said_in_one_line_with_a_status(as_user: Account) -> None:
    host = project(as_user)
    run(as_user, CHANGING)
    (host / "changed").write_text("edited by me\n")
    done = as_user.run(as_user.libos("commit", "fix"))
    assert done.returncode == 1
    assert "/work/changed is not on the host what the app saw" in done.stderr
    assert "M!" in as_user.run(as_user.libos("diff", "fix")).stdout
    done = as_user.run(as_user.libos("commit", "fix", "no-such"))
    assert done.returncode == 1
    assert "no change matches no-such" in done.stderr
    done = as_user.run(as_user.libos("commit", "other"))
    assert done.returncode == 125
    assert 'no changes are kept as "other"; there are: fix' in done.stderr
    done = as_user.run(as_user.libos("commit", "fix", "--force", "changed"))
    assert done.returncode == 0
    assert (host / "changed").read_text() == "new\n"


def test_a_part_is_discarded_and_then_all(as_user: Account) -> None:
    host = project(as_user)
    run(as_user, CHANGING)
    assert as_user.run(as_user.libos("discard", "fix", "tree/", "gone")).returncode == 0
    done = run(as_user, "cat tree/x gone new-name")
    assert done.stdout == "old tree/x\nold gone\nold old-name\n", done.stderr
    assert as_user.run(as_user.libos("discard", "fix")).returncode == 0
    assert as_user.run(as_user.libos("diff", "fix")).returncode == 125
    assert (host / "gone").exists()
    assert list((as_user.folder / ".local/state/libos/changes").iterdir()) == []


def test_one_run_at_a_time_and_the_next_one_after_a_killed_one(as_user: Account) -> None:
    project(as_user)
    script = "echo kept > new; sync new; echo ready; exec sleep 1000"
    command = as_user.libos(
        "run", "-v", "./project:/work:cow", "-w", "/work", "--keep", "fix", "--", "sh", "-c", script
    )
    with subprocess.Popen(
        as_user.command(*command), env=as_user.environment, cwd=as_user.folder, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"ready\n"
        done = run(as_user, "true")
        assert done.returncode == 125
        assert '"fix" is in use by a run (process' in done.stderr
        assert listed(as_user) == [("A", "/work/new")]
        first.send_signal(signal.SIGKILL)
    done = run(as_user, "cat new")  # waits until the killed one's world is gone
    assert done.stdout == "kept\n", done.stderr


def test_a_state_folder_inside_the_mount_is_refused_with_a_remedy(as_user: Account) -> None:
    command = ("run", "-v", ".:/work:cow", "--keep", "fix", "--", "true")
    done = as_user.run(as_user.libos(*command))
    assert done.returncode == 125
    assert "set XDG_STATE_HOME to a folder elsewhere" in done.stderr
    assert not (as_user.folder / ".local").exists()


def test_nothing_to_keep_is_an_error_before_anything_starts(as_user: Account) -> None:
    done = as_user.run(as_user.libos("run", "--keep", "fix", "--", "true"))
    assert done.returncode == 2
    assert "no mount is copy-on-write" in done.stderr
    assert not (as_user.folder / ".local").exists()


async def test_the_library_reads_while_it_runs_and_commits_after(
    supervisor: libos.Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    host = tmp_path / "host"
    host.mkdir()
    manifest = {
        "include": ["base"],
        "app": {"command": ["sh", "-c", "echo x > /work/new; echo; read go"]},
        "mount": [{"at": "/work", "host": str(host), "mode": "copy-on-write"}],
    }
    app = await supervisor.start(manifest, keep="lib", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert app.stdin is not None
    assert app.stdout is not None
    assert await app.stdout.receive_some() == b"\n"
    (change,) = await app.changes()
    assert (change.kind, change.path) == ("A", "/work/new")
    with pytest.raises(libos.ChangesError, match="in use"):
        libos.changes("lib").commit()
    await app.stdin.aclose()
    await app.wait()
    await app.aclose()
    assert len((await app.changes()).commit()) == 0
    assert (host / "new").read_text() == "x\n"


async def test_the_library_refuses_what_cannot_be_kept(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    manifest = {"include": ["base"], "app": {"command": ["true"]}}
    with pytest.raises(ManifestError, match="copy-on-write"):
        await supervisor.start(manifest, keep="lib")
    app = await supervisor.start(manifest)
    with pytest.raises(SupervisorError, match="keep=NAME"):
        await app.changes()
    await app.wait()


def test_the_example_commits_one_half_and_discards_the_other(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLE)))
    assert done.returncode == 0, done.stderr
    assert "  D  /work/shapes.py\n" in done.stdout
    assert "+    if not values:\n+        return 0\n" in done.stdout
    assert done.stdout.endswith(
        "the project has now: README.txt shapes.py stats.py test_stats.py\nStatistics, in one small module.\n"
    )
    assert not (as_user.folder / ".local").exists()


def test_a_directory_that_may_not_be_written_is_named_with_a_remedy(as_user: Account) -> None:
    host = project(as_user)
    run(as_user, "echo x > tree/new; echo y > changed")
    (host / "tree").chmod(0o500)
    done = as_user.run(as_user.libos("commit", "fix"))
    (host / "tree").chmod(0o700)
    if as_user.uid == 0:  # may write any directory
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 125
    assert "chmod u+w" in done.stderr
    assert (host / "changed").read_text() == "old changed\n"


@pytest.mark.accounts("root")  # who alone runs programs on what others own
def test_what_root_commits_to_another_ones_project_stays_that_ones(as_user: Account) -> None:
    host = project(as_user)
    for path in (host, *host.rglob("*")):
        os.chown(path, 1234, 1234)
    done = run(as_user, CHANGING)
    assert done.returncode == 0, done.stderr
    assert as_user.run(as_user.libos("commit", "fix")).returncode == 0
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in host.rglob("*")} == {(1234, 1234)}


FULL = """
import errno, os
open("small", "w").write("kept")
try:
    with open("large", "wb", buffering=0) as file:
        for _ in range(64):
            file.write(b"x" * 65536)
except OSError as error:
    print(errno.errorcode[error.errno])
os.unlink("large")
"""


@pytest.mark.parametrize("served", [False, True])
def test_a_full_state_folder_is_the_apps_enospc_and_nothing_else(as_user: Account, served: bool) -> None:
    host = project(as_user)
    (as_user.folder / "full.py").write_text(FULL)
    libos_run = "libos run --include python -v ./project:/work:cow -v ./full.py:/full.py -w /work --keep fix"
    how = "--serve-all" if served else "--no-terminal"
    script = f"""
        set -e; mkdir state; mount -t tmpfs -o size=1m,mode=700 state state; export XDG_STATE_HOME=$PWD/state
        {libos_run} {how} -- python3 /full.py
        libos commit fix small
    """
    private = ["unshare", "-m"] if as_user.uid == 0 else ["unshare", "-U", "-r", "-m"]
    done = as_user.run([*private, "sh", "-c", script])
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ENOSPC\n"
    assert (host / "small").read_text() == "kept"


def test_explain_says_what_becomes_of_the_changes(as_user: Account) -> None:
    project(as_user)
    done = as_user.run(as_user.libos("explain", "-v", "./project:/work:cow", "--keep", "fix"))
    assert 'changes are kept as "fix"' in " ".join(done.stdout.split())


@pytest.mark.parametrize("joining", [False, True])
async def test_what_is_mounted_while_the_app_runs_is_kept_too(
    supervisor: libos.Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joining: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("first", "later"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_text(name)
    manifest = {
        "include": ["base"],
        "app": {
            "command": ["sh", "-c", "read line; echo new > /later/new; rm /later/old; echo x > /first/x"]
        },
        "mount": [{"at": "/first", "host": str(tmp_path / "first"), "mode": "copy-on-write"}],
    }
    app = await supervisor.start(manifest, stdin=subprocess.PIPE, keep="fix")
    later = libos.host(str(tmp_path / "later"), mode="copy-on-write")
    if joining:
        await app.mount("/later", {"memory": "1M"})
        grant = await app.mount("/later", later, order="before")
    else:
        grant = await app.mount("/later", later)
    assert app.stdin is not None
    await app.stdin.send_all(b"go\n")
    assert (await app.wait()).returncode == 0
    await app.aclose()
    assert grant.at == "/later"
    changed = [(change.kind, change.path) for change in await app.changes()]
    assert changed == [("A", "/first/x"), ("A", "/later/new"), ("D", "/later/old")]
    libos.changes("fix").commit()
    assert (tmp_path / "later" / "new").read_text() == "new\n"
    assert not (tmp_path / "later" / "old").exists()


async def test_one_run_keeps_the_changes_of_one_mount_at_a_place(
    supervisor: libos.Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "tree").mkdir()
    later = libos.host(str(tmp_path / "tree"), mode="copy-on-write")
    manifest = {
        "include": ["base"],
        "app": {"command": ["sh", "-c", "read line; echo new > /two/new"]},
        "mount": [{"at": "/one", **later}],
    }
    app = await supervisor.start(manifest, stdin=subprocess.PIPE, keep="fix")
    grant = await app.mount("/two", later)
    await grant.revoke()
    before = [each.at for each in app.grants]
    with pytest.raises(libos.ChangesError, match='keeps changes of "/two" already'):
        await app.mount("/two", later)
    assert [each.at for each in app.grants] == before
    await app.kill()
    await app.aclose()


def test_one_call_keeps_what_it_changed(as_user: Account) -> None:
    project(as_user)
    script = (
        "import libos\n"
        "libos.run(['sh', '-c', 'echo x > /work/x'], mounts=['./project:/work:cow'], keep='fix')\n"
        "print([change.path for change in libos.changes('fix')])\n"
    )
    done = as_user.run(as_user.python("-c", script))
    assert (done.stdout, done.stderr) == ("['/work/x']\n", "")
