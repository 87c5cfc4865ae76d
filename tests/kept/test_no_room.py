"""Full disks: the host's, and the one with the kept changes. Each is a small tmpfs of the test's own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

_PRELUDE = """
import os, sys
from pathlib import Path
from libos.kernel import mounts, namespaces
top = Path(sys.argv[1])
uid, gid = os.getuid(), os.getgid()
namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
namespaces.write_id_maps("/proc/self", 0, uid, gid)
mounts.make_private()
state, host, view = top / "state", top / "host", top / ".view-host"
for folder in (state, host, view):
    folder.mkdir()
def disk(at, size):
    mounts.mount("disk", str(at), "tmpfs", 0, f"size={size},mode=700")
os.environ["XDG_STATE_HOME"] = str(state)
from libos.kept import ChangesError, changes, keep
def overlaid():
    keeping = keep("n", [("/work", str(host))])
    pair = keeping.folders["/work"]
    options = f"userxattr,lowerdir={host},upperdir={pair}/upper,workdir={pair}/work"
    mounts.mount("overlay", str(view), "overlay", 0, options)
    return keeping
def tree(at):
    return {str(path.relative_to(at)): path.read_bytes() for path in at.rglob("*") if path.is_file()}
"""


def private(tmp_path: Path, program: str) -> str:
    """What a program prints in a mount namespace of its own."""
    command = [sys.executable, "-c", _PRELUDE + textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_commit_that_has_no_room_leaves_the_host_as_it_was(tmp_path: Path) -> None:
    program = """
        disk(host, "1m")
        (host / "small").write_text("old")
        (host / "large").write_bytes(b"o" * 300_000)
        keeping = overlaid()
        (view / "small").write_text("new")
        (view / "large").write_bytes(b"n" * 900_000)
        mounts.unmount(str(view)); keeping.close()
        before = tree(host)
        try:
            changes("n").commit()
        except ChangesError as error:
            print(error)
        assert tree(host) == before
        assert [each.path for each in changes("n")] == ["/work/large", "/work/small"]
        changes("n").commit(["small"])
        (host / "large").unlink()
        changes("n").commit(force=True)
        assert tree(host) == {"small": b"new", "large": b"n" * 900_000}
    """
    said = private(tmp_path, program)
    assert "no room" in said
    assert "nothing was changed" in said


def test_a_commit_whose_journal_has_no_room_leaves_the_host_as_it_was(tmp_path: Path) -> None:
    program = """
        disk(state, "1m")
        (host / "f").write_text("old")
        keeping = overlaid()
        (view / "f").write_text("new")
        mounts.unmount(str(view)); keeping.close()
        kept = changes("n")
        with open(state / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        try:
            kept.commit()
        except ChangesError as error:
            print(error)
        assert tree(host) == {"f": b"old"}
        (state / "filler").unlink()
        changes("n").commit()
        assert tree(host) == {"f": b"new"}
    """
    assert "no room" in private(tmp_path, program)


def test_a_write_that_has_no_room_fails_and_the_rest_is_kept(tmp_path: Path) -> None:
    program = """
        import errno
        disk(state, "1m")
        keeping = overlaid()
        (view / "small").write_text("kept")
        try:
            (view / "large").write_bytes(b"n" * 2_000_000)
        except OSError as error:
            print(errno.errorcode[error.errno])
        (view / "large").unlink()
        mounts.unmount(str(view)); keeping.close()
        changes("n").commit()
        assert tree(host) == {"small": b"kept"}
    """
    assert private(tmp_path, program) == "ENOSPC\n"
