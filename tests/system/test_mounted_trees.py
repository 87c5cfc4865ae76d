"""Mounts are what their mode says, whoever owns them, and an app cannot turn one against a later world."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from accounts import Account
from worlds import RunError, Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


@pytest.fixture
def tree(as_user: Account) -> Path:
    """A folder of the account's with a file, a program and a folder."""
    folder = as_user.folder / "tree"
    script = (
        "mkdir -p tree/below; echo original > tree/file; echo deep > tree/below/deep; chmod 640 tree/file"
    )
    as_user.run(["sh", "-c", script])
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Mode, owner, time and content of all that is in a folder."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        about = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_uid, about.st_mtime_ns, data)
    return found


def test_read_only_is_read_only_in_every_way(worlds: Worlds, tree: Path) -> None:
    before = snapshot(tree)
    changes = ["echo x > file", "echo x > new", "rm file", "mkdir d", "mv file f", "ln file l", "ln -s a b"]
    changes += ["chmod 777 file", "touch file", "truncate -s 0 file", "rmdir below", "mkfifo f"]
    script = 'cat file below/deep; for each do sh -c "$each"; done'
    result = worlds.run(
        *("sh", "-c", script, "sh", *changes), mounts=[f"{tree}:/t"], directory="/t", check=False
    )
    assert result.out.splitlines() == ["original", "deep"]
    assert result.err.count("Read-only file system") == len(changes)
    assert snapshot(tree) == before


def test_copy_on_write_shows_changes_and_keeps_the_original(worlds: Worlds, tree: Path) -> None:
    before = snapshot(tree)
    script = """set -e; cd /t; echo more >> file; cat file; rm -r below; echo new > new; mkdir dir
mv new dir/moved; chmod 600 file; ls; stat -c '%U %a' file"""
    result = worlds.run("sh", "-c", script, mounts=[f"{tree}:/t:cow"])
    assert result.out.split() == ["original", "more", "dir", "file", "app", "600"]
    assert snapshot(tree) == before
    # And the next world starts from the original again.
    assert worlds.run("ls", "/t", mounts=[f"{tree}:/t:cow"]).out.split() == ["below", "file"]


def test_read_write_changes_the_host_and_the_caller_owns_what_is_made(
    worlds: Worlds, tree: Path, as_user: Account
) -> None:
    script = """set -e; cd /t; echo changed > file; mkdir -p new/dir; echo x > new/dir/f; ln -s f new/dir/link
ln new/dir/f new/hard; mkfifo new/fifo; chmod 751 new; stat -c %U file new new/dir/f"""
    assert set(worlds.run("sh", "-c", script, mounts=[f"{tree}:/t:rw"]).out.split()) == {"app"}
    assert (tree / "file").read_text() == "changed\n"
    made = [tree / name for name in ("file", "new", "new/dir", "new/dir/f", "new/dir/link", "new/fifo")]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in made} == {
        (as_user.uid, as_user.folder.stat().st_gid)
    }
    assert stat.S_IMODE((tree / "new").stat().st_mode) == 0o751
    assert (tree / "new/dir/f").stat().st_nlink == 2


def test_no_set_id_file_is_left_on_the_host(worlds: Worlds, tree: Path) -> None:
    code = """
import os
for act in (lambda: os.chmod("/t/file", 0o4755), lambda: os.open("/t/su", os.O_CREAT | os.O_WRONLY, 0o6755),
            lambda: os.open("/t", os.O_TMPFILE | os.O_WRONLY, 0o4755), lambda: os.mknod("/t/n", 0o104755)):
    try: act(); print("done")
    except PermissionError: print("refused")
"""
    assert worlds.python(code, mounts=[f"{tree}:/t:rw"]).out.split() == ["refused"] * 4
    assert [path for path in tree.rglob("*") if path.stat().st_mode & 0o6000] == []


def test_files_of_others_stay_closed(worlds: Worlds, tree: Path) -> None:
    strange = Path("/etc/shadow")
    if os.geteuid() == 0:  # who else can make a file of somebody else's
        strange = tree / "strange"
        strange.touch(0o600)
        os.chown(strange, 4242, 4242)
    script = f"stat -c %U /t/{strange.name}; cat /t/{strange.name}"
    result = worlds.run("sh", "-c", script, mounts=[f"{strange.parent}:/t"], check=False)
    assert result.out == "nobody\n"
    assert "Permission denied" in result.err


def test_a_link_left_by_an_app_leads_no_later_mount_astray(
    worlds: Worlds, tree: Path, as_user: Account
) -> None:
    # The first app replaces the folder on which the next world mounts by a link out of its tree.
    target = as_user.folder / "target"
    as_user.run(["mkdir", str(target)])
    for link in (str(target), "/usr", "../../../usr", "/proc/self/cwd"):
        script = f"rm -rf /t/below; ln -s {link} /t/below"
        worlds.run("sh", "-c", script, mounts=[f"{tree}:/t:rw"])
        for mode in ("ro", "rw", "cow"):
            with pytest.raises(RunError) as raised:
                worlds.run("true", mounts=[f"{tree}:/t:{mode}", f"{target}:/t/below"])
            assert "/t/below" in str(raised.value)
    assert list(target.iterdir()) == []


def test_a_link_in_a_tree_leads_nowhere_on_the_host(worlds: Worlds, tree: Path) -> None:
    for name, link in (("a", "/etc/shadow"), ("b", "/root"), ("c", "../../../../../../etc/shadow")):
        (tree / name).symlink_to(link)
    result = worlds.run("sh", "-c", "cat /t/a; ls /t/b/; cat /t/c", mounts=[f"{tree}:/t:rw"], check=False)
    assert result.out == ""
    assert result.err.count("No such file") == 3


def test_a_file_is_mounted_over_a_file(worlds: Worlds, tree: Path) -> None:
    result = worlds.run(
        *("sh", "-c", "cat /t/file /etc/motd; echo x >> /t/file"),
        mounts=[f"{tree}:/t:cow", f"{tree}/below/deep:/t/file", f"{tree}/file:/etc/motd"],
        check=False,
    )
    assert result.out == "deep\noriginal\n"
    assert "Read-only file system" in result.err


def test_memory_is_bounded_and_ends_with_the_world(worlds: Worlds) -> None:
    manifest = {"libos": 1, "include": ["base"], "mount": [{"at": "/m", "memory": "1M"}]}
    script = "head -c 3M /dev/zero > /m/big; stat -c %s /m/big; rm /m/big; echo kept > /m/kept; cat /m/kept"
    result = worlds.run("sh", "-c", script, manifest=manifest, check=False)
    assert "No space left" in result.err
    assert result.out.split() == ["1048576", "kept"]
    assert worlds.run("ls", "/m", manifest=manifest).out == ""


def test_text_is_served_and_cannot_be_written(worlds: Worlds) -> None:
    manifest = {"libos": 1, "include": ["base"], "mount": [{"at": "/deep/er/note", "text": "héllo\n"}]}
    script = "cat /deep/er/note; stat -c %s /deep/er/note; echo x > /deep/er/note; mkdir /deep/other"
    result = worlds.run("sh", "-c", script, manifest=manifest, check=False)
    assert result.out == "héllo\n7\n"
    assert result.err.count("Permission denied") + result.err.count("Read-only file system") == 2


def test_a_working_directory_that_is_not_there_is_said(worlds: Worlds) -> None:
    with pytest.raises(RunError) as raised:
        worlds.run("true", directory="/no/such")
    assert "/no/such" in str(raised.value)


def test_a_manifest_has_more_mounts_than_a_message_has_descriptors(
    worlds: Worlds, tree: Path, as_user: Account
) -> None:
    as_user.run(["sh", "-c", "for n in $(seq 600); do echo $n > tree/below/$n; done"])
    mounts = [f"{tree}/below/{number}:/many/{number}" for number in range(1, 601)]
    result = worlds.run("sh", "-c", "ls /many | wc -l; cat /many/1 /many/254 /many/600", mounts=mounts)
    assert result.out.split() == ["600", "1", "254", "600"]
