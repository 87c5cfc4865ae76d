"""What a commit writes to the host, and what it refuses."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from made import app
from scene import NAME, Scene, snapshot

from libos.errors import ManifestError
from libos.kept import ChangesError, ConflictError, NothingMatchesError, changes, faults, keep

pytest_plugins = ["kept_scene"]


def project(tmp_path: Path, **files: str) -> Path:
    """A new directory of the host with these files."""
    host = tmp_path / "host"
    host.mkdir()
    for name, text in files.items():
        (host / name).write_text(text)
    return host


def listed() -> list[tuple[str, str]]:
    """The kind and the path of each change."""
    return [(each.kind, each.path) for each in changes(NAME)]


def test_everything_arrives_as_the_app_left_it(scene: Scene) -> None:
    assert len(changes(NAME).commit()) == 0
    after = snapshot(scene.host)
    assert after["modified"] == ("-rw-r--r--", "new text\n")
    assert after["mode"][0] == "-rwxr-xr-x"
    assert after["renamed2"] == scene.before["renamed"]
    assert after["link"] == ("lrwxrwxrwx", "modified")
    assert after["fifo"][0] == "prw-r--r--"
    assert after["tofile"] == ("-rw-r--r--", "now a file\n")
    assert after["todir/k"][1] == "k\n"
    assert after["escape"] == ("lrwxrwxrwx", "/etc")
    assert after["folder"][0] == "drwx------"
    assert not {"deleted", "renamed", "tree", "opaque/a"} & after.keys()
    assert (scene.host / "new/f").stat().st_ino == (scene.host / "linked").stat().st_ino
    assert after["untouched"] == scene.before["untouched"]


def test_a_part_is_committed_and_the_rest_stays_as_the_app_sees_it(scene: Scene) -> None:
    left = changes(NAME).commit(["/work/opaque/", "new/f", "!linked", "tree/y"])
    after = snapshot(scene.host)
    assert after["opaque/b"][1] == "bbb\n"
    assert not {"opaque/a", "tree/y", "new/deep"} & after.keys()
    assert after["tree/sub/x"] == scene.before["tree/sub/x"]
    assert after["modified"] == scene.before["modified"]
    assert ("A", "/work/new/deep/g") in {(each.kind, each.path) for each in left}
    program = """
        assert sorted(os.listdir("new")) == ["deep", "f"], os.listdir("new")
        assert os.listdir("opaque") == ["b"]
        assert not os.path.exists("tree")
        assert open("modified").read() == "new text\\n"
        write("new/f", "once more\\n")
    """
    app(NAME, scene.host, program)
    assert len(changes(NAME).commit()) == 0
    assert (scene.host / "new/f").read_text() == "once more\n"
    assert not (scene.host / "tree").exists()


def test_a_second_run_goes_on_where_the_first_stopped(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, a="one\n")
    app(NAME, host, 'write("a", "two\\n"); write("b", "b")')
    app(NAME, host, 'assert open("a").read() == "two\\n"; os.unlink("b"); open("a", "a").write("three\\n")')
    assert listed() == [("M", "/work/a")]
    changes(NAME).commit()
    assert (host / "a").read_text() == "two\nthree\n"


def test_times_attributes_and_holes_are_kept(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    program = """
        with open("sparse", "wb") as file:
            file.seek(64 << 20); file.write(b"end")
        os.setxattr("sparse", "user.note", b"hello")
        os.utime("sparse", ns=(10**18 + 1, 10**18 + 5))
        os.mkdir("dated"); write("dated/inner", "x"); os.setxattr("dated", "user.folder", b"d")
        os.utime("dated", ns=(10**18, 10**18 + 7))
        os.symlink("nowhere", "l"); os.utime("l", ns=(10**18, 10**18 + 9), follow_symlinks=False)
    """
    app(NAME, host, program)
    changes(NAME).commit()
    found = (host / "sparse").stat()
    assert (found.st_size, found.st_mtime_ns) == ((64 << 20) + 3, 10**18 + 5)
    assert found.st_blocks * 512 < 1 << 20
    assert (host / "sparse").read_bytes()[-4:] == b"\0end"
    assert os.listxattr(host / "sparse") == ["user.note"]
    assert os.getxattr(host / "dated", "user.folder") == b"d"
    assert (host / "dated").stat().st_mtime_ns == 10**18 + 7
    assert (host / "l").lstat().st_mtime_ns == 10**18 + 9


def test_no_set_user_id_reaches_the_host(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, tool="#!/bin/sh\n")
    app(NAME, host, 'os.chmod("tool", 0o6755); write("new", "x"); os.chmod("new", 0o6711)')
    changes(NAME).commit()
    assert stat.S_IMODE((host / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((host / "new").stat().st_mode) == 0o711


def test_a_link_that_was_committed_leads_no_later_commit_outside(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, a="a")
    outside = tmp_path / "outside"
    outside.mkdir()
    app(NAME, host, f'os.symlink("{outside}", "way")')
    changes(NAME).commit()
    app(NAME, host, 'os.unlink("way"); os.mkdir("way"); write("way/in", "x")')
    # The host puts the link back while the app's directory of that name waits.
    changes(NAME).commit(["way/in"])
    assert (host / "way/in").read_text() == "x"
    assert list(outside.iterdir()) == []


def test_a_link_that_the_host_puts_in_the_way_is_not_followed(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    (host / "folder").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    app(NAME, host, 'write("folder/in", "x")')
    (host / "folder").rmdir()
    (host / "folder").symlink_to(outside)
    with pytest.raises(ChangesError):
        changes(NAME).commit(["folder/in"])
    changes(NAME).commit(["folder/in"], force=True)
    assert list(outside.iterdir()) == []


def test_names_of_any_bytes_and_depth_are_committed(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    program = """
        os.mkdir(b"\\xff\\n\\t"); write(b"\\xff\\n\\t/\\x80", "bytes")
        write("n" * 255, "long")
        os.mkdir("deep"); os.chdir("deep")
        for _ in range(40):
            os.mkdir("d" * 200); os.chdir("d" * 200)
        write("bottom", "down here")
    """
    app(NAME, host, program)
    assert len(changes(NAME)) == 2 + 1 + 41 + 1
    assert len(changes(NAME).commit()) == 0
    assert (host / os.fsdecode(b"\xff\n\t/\x80")).read_text() == "bytes"
    found = subprocess.run(["find", ".", "-name", "bottom"], cwd=host, capture_output=True, check=True).stdout
    assert found.count(b"/") == 42


def test_what_may_not_be_read_is_committed_with_its_mode(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    app(NAME, host, 'write("s", "s"); os.chmod("s", 0); os.mkdir("d"); write("d/in", "i"); os.chmod("d", 0)')
    assert {("A", "/work/s"), ("A", "/work/d"), ("A", "/work/d/in")} == set(listed())
    changes(NAME).commit()
    assert stat.S_IMODE((host / "s").stat().st_mode) == 0
    assert stat.S_IMODE((host / "d").stat().st_mode) == 0
    (host / "d").chmod(0o700)
    assert (host / "d/in").read_text() == "i"


# --- what changed meanwhile

MEANWHILE: dict[str, Callable[[Path], object]] = {
    "modified": lambda host: (host / "f").write_text("the host's\n"),
    "replaced by another of the same size": lambda host: subprocess.run(
        ["sh", "-c", "echo OLD > new && mv new f"], cwd=host, check=True
    ),
    "deleted": lambda host: (host / "f").unlink(),
    "a directory now": lambda host: subprocess.run(["sh", "-c", "rm f && mkdir f"], cwd=host, check=True),
}


@pytest.mark.parametrize("how", MEANWHILE)
def test_what_changed_on_the_host_is_not_overwritten(state: Path, tmp_path: Path, how: str) -> None:
    host = project(tmp_path, f="old\n", other="o")
    app(NAME, host, 'write("f", "the app\\n"); write("other", "too")')
    MEANWHILE[how](host)
    before = snapshot(host)
    assert [each.conflict for each in changes(NAME) if each.path == "/work/f"] == [True]
    with pytest.raises(ConflictError) as refused:
        changes(NAME).commit()
    assert "/work/f" in str(refused.value)
    assert "--force" in str(refused.value)
    assert "8 bytes" in str(refused.value)
    assert snapshot(host) == before
    changes(NAME).commit(["other"])  # what is in order goes by itself
    assert (host / "other").read_text() == "too"
    assert len(changes(NAME).commit(force=True)) == 0
    assert (host / "f").read_text() == "the app\n"


def test_a_change_during_the_run_is_seen_too(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, f="old\n")
    keeping = keep(NAME, [("/work", str(host))])
    keeping.close()
    (host / "f").write_text("while it ran\n")  # and before the app's copy is noted
    app_without_new_start(host, state)
    with pytest.raises(ConflictError):
        changes(NAME).commit()


def app_without_new_start(host: Path, state: Path) -> None:
    """What a killed supervisor leaves: a copy in the upper layer of which nothing was noted."""
    copy = state / "libos/changes" / NAME / "0/upper/f"
    copy.write_text("the app's\n")


def test_a_file_that_the_host_makes_meanwhile_is_not_replaced(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    app(NAME, host, 'write("f", "the app\\n")')
    (host / "f").write_text("the host's\n")
    with pytest.raises(ConflictError):
        changes(NAME).commit()
    assert (host / "f").read_text() == "the host's\n"


def test_a_file_that_comes_into_a_deleted_directory_is_not_lost(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    (host / "d").mkdir()
    (host / "d/a").write_text("a")
    app(NAME, host, 'shutil.rmtree("d")')
    assert listed() == [("D", "/work/d"), ("D", "/work/d/a")]
    (host / "d/b").write_text("new on the host")
    with pytest.raises(ConflictError):
        changes(NAME).commit()
    assert (host / "d/b").read_text() == "new on the host"


def test_a_mode_that_the_host_gives_a_directory_is_no_change_of_the_app(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    for name in ("d", "e"):
        (host / name).mkdir()
    app(NAME, host, 'write("d/f", "x"); write("e/f", "x"); os.chmod("e", 0o711)')
    (host / "d").chmod(0o700)
    assert listed() == [("A", "/work/d/f"), ("M", "/work/e"), ("A", "/work/e/f")]
    assert len(changes(NAME).commit()) == 0
    assert [stat.S_IMODE((host / name).stat().st_mode) for name in ("d", "e")] == [0o700, 0o711]


def test_what_changes_between_two_runs_is_what_the_second_saw(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, f="old\n", g="g")
    app(NAME, host, 'write("g", "app")')
    (host / "f").write_text("edited between\n")
    app(NAME, host, 'open("f", "a").write("and by the app\\n")')
    changes(NAME).commit()
    assert (host / "f").read_text() == "edited between\nand by the app\n"


def test_names_of_one_file_are_committed_one_after_the_other(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, one="same\n")
    (host / "two").hardlink_to(host / "one")
    app(NAME, host, 'write("one", "1\\n"); write("two", "2\\n"); os.link("one", "three")')
    changes(NAME).commit(["one"])  # changes the ctime of `two` on the host
    changes(NAME).commit()
    assert [(host / name).read_text() for name in ("one", "two", "three")] == ["1\n", "2\n", "1\n"]


# --- others at the same time


def test_two_commits_at_once_the_second_waits_then_refuses(scene: Scene) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold(step: str) -> None:
        if step == "placed" and not inside.is_set():
            inside.set()
            go_on.wait(30)

    kept, faults.listener = changes(NAME), hold
    first = threading.Thread(target=kept.commit)
    first.start()
    try:
        assert inside.wait(30)
        with pytest.raises(ChangesError, match=r'"n" is in use by a commit \(process \d+\); wait'):
            kept.commit()
        with pytest.raises(ChangesError, match="in use"):
            kept.discard()
        with pytest.raises(ChangesError, match="in use"):
            keep(NAME, [("/work", str(scene.host))])
        assert len(changes(NAME)) > 0  # reading goes on
    finally:
        go_on.set()
        first.join()
        faults.listener = faults.nobody
    assert len(changes(NAME)) == 0


def test_somebody_who_takes_a_place_during_the_commit_keeps_it(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, f="old\n", g="g")
    app(NAME, host, 'write("f", "app\\n"); write("g", "app")')

    def interfere(step: str) -> None:
        if step == "journal apply":
            (host / "f").write_text("somebody's\n")

    faults.listener = interfere
    try:
        with pytest.raises(ChangesError, match="changed by somebody else"):
            changes(NAME).commit()
    finally:
        faults.listener = faults.nobody
    assert (host / "f").read_text() == "somebody's\n"
    assert (host / "g").read_text() == "app"
    assert [(each.path, each.conflict) for each in changes(NAME)] == [("/work/f", True)]


# --- what cannot be


def test_a_pattern_that_matches_nothing_says_so(scene: Scene) -> None:
    with pytest.raises(NothingMatchesError, match=r"no change matches nothing\.like\.it"):
        changes(NAME).commit(["nothing.like.it"])
    with pytest.raises(NothingMatchesError):
        changes(NAME).discard(["untouched"])
    assert snapshot(scene.host) == scene.before


def test_a_pattern_that_cannot_be_read_says_so(scene: Scene) -> None:
    with pytest.raises(ManifestError, match="gitignore"):
        changes(NAME).commit(["!"])


def test_a_host_directory_that_is_gone_says_so_and_can_be_discarded(scene: Scene) -> None:
    kept = changes(NAME)
    scene.host.rename(scene.host.with_name("elsewhere"))
    with pytest.raises(ChangesError, match="No such file"):
        kept.commit()
    kept.discard()


def test_discarding_a_part_shows_the_hosts_again(scene: Scene) -> None:
    left = changes(NAME).discard(["tree/y", "opaque/a", "renamed2", "/work/new"])
    paths = {(each.kind, each.path) for each in left}
    assert ("D", "/work/tree/sub/x") in paths
    assert (
        not {("D", "/work/tree/y"), ("D", "/work/tree"), ("D", "/work/opaque/a"), ("A", "/work/new")} & paths
    )
    program = """
        assert os.listdir("tree") == ["y"], os.listdir("tree")
        assert sorted(os.listdir("opaque")) == ["a", "b"]
        assert open("renamed").read() == "old renamed\\n" and not os.path.exists("renamed2")
        assert not os.path.exists("new") and open("linked").read() == "f\\n"
    """
    app(NAME, scene.host, program)
    assert snapshot(scene.host) == scene.before


# --- how overlayfs may write it


def test_a_whiteout_that_is_an_attribute_is_one_too(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path, gone="old\n", stays="s")
    app(NAME, host, "pass")
    upper = state / "libos/changes" / NAME / "0/upper"
    (upper / "gone").touch()
    os.setxattr(upper / "gone", "user.overlay.whiteout", b"y")
    os.setxattr(upper, "user.overlay.opaque", b"x")
    assert listed() == [("D", "/work/gone")]
    assert len(changes(NAME).commit()) == 0
    assert sorted(os.listdir(host)) == ["stays"]


def test_what_libos_never_lets_overlayfs_write_is_refused(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    app(NAME, host, 'os.mkdir("d")')
    os.setxattr(state / "libos/changes" / NAME / "0/upper/d", "user.overlay.redirect", b"/etc")
    with pytest.raises(ChangesError, match="not written by libos"):
        changes(NAME).commit()


def test_access_control_lists_are_kept(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    # acl(5) as the kernel stores it: version 2, then tag, permissions and id of each entry.
    program = """
        import struct
        none = 0xFFFFFFFF
        entries = [(1, 6, none), (2, 4, 0), (4, 4, none), (16, 4, none), (32, 0, none)]
        value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
        write("f", "x"); os.setxattr("f", "system.posix_acl_access", value)
    """
    app(NAME, host, program)
    changes(NAME).commit()
    value = os.getxattr(host / "f", "system.posix_acl_access")
    assert struct.unpack_from("<HHI", value, 12) == (2, 4, os.getuid())


def test_changes_are_read_while_an_app_takes_them_away(state: Path, tmp_path: Path) -> None:
    host = project(tmp_path)
    keeping = keep(NAME, [("/work", str(host))])
    upper = Path(keeping.folders["/work"], "upper")
    script = "while :; do mkdir -p a/b/c; echo x > a/b/c/f; echo y > a/g; rm -rf a; done"
    with subprocess.Popen(["sh", "-c", script], cwd=upper) as busy:
        try:
            seen = {each.path for _ in range(300) for each in changes(NAME)}
            assert seen <= {f"/work/{path}" for path in ("a", "a/b", "a/b/c", "a/b/c/f", "a/g")}
            assert seen
        finally:
            busy.kill()
    keeping.close()
