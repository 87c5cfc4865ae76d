"""Attacks on how a world is built and changed: binds from inside, links and leaked descriptors where it
starts, directories swapped for links while it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from attack import Attack
from booty import WORD, Scene, scene
from worlds import RunError, Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

ATTACKS = {
    name: [Attack("", what, live, wall)]
    for name, what, live, wall in (
        (
            "test_binding_by_every_path_shows_nothing_new",
            "/mnt/ns/ctl: binds of `..`, of links, of /proc/*/root, /proc/self/fd, with a wish to write",
            "a bind of what is granted",
            "init looks up below the world's root, without /proc's links; what is bound keeps its mode",
        ),
        (
            "test_a_bind_through_a_link_that_changes_shows_nothing_new",
            "/mnt/ns/ctl: a bind while its source is swapped for a link",
            "the same outside, by a plain path",
            "init looks up once, to a descriptor",
        ),
        (
            "test_no_directory_to_start_in_leads_out",
            "a working directory of /proc/self/fd/N (CVE-2024-21626)",
            "in a chroot with a leaked descriptor",
            "no descriptor of the host is open where the program starts, and it starts behind the walls",
        ),
        (
            "test_no_descriptor_of_the_caller_comes_in",
            "descriptors that `libos run` inherited",
            "a program that is started without libos",
            "all are closed but the three streams",
        ),
        (
            "test_the_launchers_program_cannot_be_written",
            "/proc/self/exe as the command (CVE-2019-5736)",
            "outside, on a program of the account",
            "it runs the interpreter, as an app; the kernel and the interpreter's owner keep it from writing",
        ),
        (
            "test_a_place_that_becomes_a_link_is_not_followed",
            "the mount point is swapped for a link while the world starts (CVE-2021-30465)",
            "mount --bind by a path",
            "openat2 below the new root, without links",
        ),
        (
            "test_a_link_that_waits_at_a_mount_point_stops_the_start",
            "a link left at a mount point by an earlier app",
            "mount --bind by a path",
            "openat2 below the new root, without links",
        ),
        (
            "test_an_overlays_own_attributes_cannot_be_planted",
            "user.overlay.redirect and .opaque, left in a tree that is copied later",
            "root, by an overlay that follows redirects",
            "the overlay is mounted with userxattr, which follows no redirect",
        ),
    )
}

BINDS = """
import json, os, sys
secret = sys.argv[1]
def order(line):
    try:
        with open("/mnt/ns/ctl", "w") as file: file.write(line + chr(10))
        return "done"
    except OSError as error: return os.strerror(error.errno)
os.symlink("/", "/work/root"); os.symlink("/proc/1/root", "/work/init"); os.symlink("../../..", "/work/up")
held = os.open("/work", os.O_RDONLY)
sources = ["/work/../..", "/work/root", "/work/init", "/work/up", "/proc/self/root", "/proc/1/root",
    f"/proc/self/fd/{held}", "/proc/1/fd/4", "/proc/self/cwd", "/proc/1/cwd", "/.", "/shown/..", "//",
    os.path.dirname(secret), "/work/root" + os.path.dirname(secret), "/dev/fd/0", "/dev", "/proc", "/dev/pts"]
said, got, written = {}, [], []
said["control"] = order("bind /work /control")
control = os.path.exists("/control/file")
for number, source in enumerate([*sources, "/shown", "/hidden", "/usr"]):
    for flags in ("", "-aw ", "-bc "):
        place = f"/bound{number}" if not flags else "/work"
        said[flags + source] = order(f"bind {flags}{source} {place}")
        for up in ("", "/..", "/../..", "/../../.."):
            try: got.append(open(place + up + secret).read())
            except OSError: pass
            try: got.append(open(place + up + "/key").read())
            except OSError: pass
        for name in ("file", "bin/true", "attack"):
            try:
                os.close(os.open(f"/bound{number}/{name}", os.O_WRONLY | os.O_CREAT))
                written.append([source, name])
            except OSError: pass
for place in ("/proc", "/dev", "/dev/null", "/proc/self", "/", "/work/../proc"):
    said["onto " + place] = order(f"bind /work {place}")
print(json.dumps([control, said, got, written]))
"""


@pytest.fixture
def made(as_user: Account) -> Iterator[Scene]:
    with scene(as_user) as found:
        yield found


def test_binding_by_every_path_shows_nothing_new(worlds: Worlds, made: Scene) -> None:
    import json

    app = {"control": True, "command": ["python3", "-c", BINDS, made.secret]}
    done = worlds.run(manifest=made.manifest(app=app), command=())
    control, said, got, written = json.loads(done.out)
    assert control and said["control"] == "done"
    assert WORD not in got
    # What is bound from /work may be written, as /work may; nothing else.
    assert {source for source, _ in written} <= {
        "/work/../..",
        "/work/root",
        "/work/up",
        "/.",
        "//",
        "/shown/..",
    }
    assert (made.folder / "shown/file").read_text() == "as it was"
    assert not list(made.folder.glob("shown/attack")) and not list(made.folder.glob("hidden/attack"))
    refused = {what: answer for what, answer in said.items() if what.startswith("onto")}
    assert "done" not in refused.values(), refused


RACE = """
import os, sys, ctypes
secret, libc = sys.argv[1], ctypes.CDLL(None)
os.mkdir("/work/race"); open("/work/race/key", "w").write("mine")
os.symlink("/proc/1/root" + os.path.dirname(secret), "/work/bait")
child = os.fork()
if child == 0:
    while os.getppid() != 1: libc.renameat2(-100, b"/work/race", -100, b"/work/bait", 2)
    os._exit(0)
got = set()
for number in range(60):
    try:
        with open("/mnt/ns/ctl", "w") as file: file.write(f"bind /work/race /r{number}" + chr(10))
        got.add(open(f"/r{number}/key").read())
    except OSError as error: got.add(error.strerror)
os.kill(child, 9)
print(sorted(got))
"""


def test_a_bind_through_a_link_that_changes_shows_nothing_new(worlds: Worlds, made: Scene) -> None:
    app = {"control": True, "command": ["python3", "-c", RACE, made.secret]}
    out = worlds.run(manifest=made.manifest(app=app), command=()).out
    assert WORD not in out
    assert "mine" in out, out


LEAKED = """
import os, sys
os.open("/", os.O_RDONLY)
os.chroot(sys.argv[1])
os.chdir("/")
os.fchdir(3)
print(open("." + sys.argv[2]).read())
"""


def test_no_directory_to_start_in_leads_out(as_user: Account, worlds: Worlds, made: Scene) -> None:
    own = ["unshare", "--user", "--map-root-user"] if as_user.uid else []
    live = as_user.run([*own, sys.executable, "-c", LEAKED, str(made.folder / "shown"), made.secret])
    assert WORD in live.stdout, live.stderr
    for process, numbers in (("self", range(16)), ("1", range(3, 8))):
        for number in numbers:
            directory = f"/proc/{process}/fd/{number}"
            try:
                done = worlds.run(
                    "cat", f"../../../..{made.secret}", f".{made.secret}", directory=directory, check=False
                )
            except RunError as error:
                assert error.kind in ("LaunchError", "CommandError", "ManifestError"), error
                continue
            assert WORD not in done.out, directory


def test_no_descriptor_of_the_caller_comes_in(as_user: Account, made: Scene) -> None:
    code = "import os; [print(n, os.fstat(n)) for n in map(int, os.listdir('/proc/self/fd')) if n > 3]"
    holding = ["bash", "-c", 'exec 9<"$0" 77<"$0" 500<"$0" && exec "$@"', made.secret]
    live = as_user.run([*holding, "python3", "-c", code])
    assert live.stdout.count("st_ino") == 3, live.stderr
    held = as_user.run([*holding, *as_user.libos("run", "--include", "python", "--", "python3", "-c", code)])
    assert (held.stdout, held.returncode) == ("", 0), held.stderr


OVERWRITE = """
import os, sys
seen_fd = os.open(sys.argv[1], os.O_PATH)
if os.fork() == 0:
    os.execv("/bin/sleep", ["sleep", "0"])
os.wait()
for way in (f"/proc/self/fd/{seen_fd}", sys.argv[1]):
    try:
        os.close(os.open(way, os.O_WRONLY | os.O_APPEND)); print("written")
    except OSError as error: print(error.strerror)
"""


def test_the_launchers_program_cannot_be_written(as_user: Account, worlds: Worlds, made: Scene) -> None:
    target = made.folder / "work/program"
    target.write_bytes(Path("/bin/true").read_bytes())
    os.chown(target, as_user.uid, -1)
    live = as_user.run([sys.executable, "-c", OVERWRITE, str(target)])
    assert "written" in live.stdout, live.stderr
    try:
        done = worlds.run(
            "/proc/self/exe", "-I", "-S", "-c", OVERWRITE, "/proc/self/exe", include=["python"], check=False
        )
    except RunError:
        return  # it is not even run
    assert "written" not in done.out, done.out


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Two names change places all the time."""
    code = (
        "import ctypes, os, sys\nlibc = ctypes.CDLL(None)\nprint(flush=True)\n"
        "while os.getppid() != 1: libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)"
    )
    argv = [sys.executable, "-I", "-S", "-c", code, str(one), str(other)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as flipper:
        assert flipper.stdout is not None
        flipper.stdout.readline()
        try:
            yield
        finally:
            flipper.kill()


def mounted_by_path(account: Account, folder: Path, place: Path) -> str:
    """Where `mount --bind` by a path ends up."""
    script = f'mount --bind "{folder}/shown" "{place}" && cut -d" " -f5 /proc/self/mountinfo'
    done = account.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])
    assert done.returncode == 0, done.stderr
    return done.stdout


def racing(made: Scene) -> list[dict[str, Any]]:
    """A mount in a directory of the host that somebody else may write."""
    outer = str(made.folder / "work")
    return [
        {"at": "/work", "host": outer, "mode": "read-write"},
        {"at": "/work/place", "host": str(made.folder / "shown")},
    ]


def test_a_place_that_becomes_a_link_is_not_followed(worlds: Worlds, made: Scene, as_user: Account) -> None:
    (made.folder / "work/place").mkdir()
    (made.folder / "work/bait").symlink_to("/tmp")
    manifest = {"include": ["base"], "app": {}, "mount": racing(made)}
    script = "cut -d' ' -f5 /proc/self/mountinfo"
    ended = set()
    with swapping(made.folder / "work/place", made.folder / "work/bait"):
        for _ in range(15):
            try:
                points = worlds.run("sh", "-c", script, manifest=manifest).out.split()
            except RunError as error:
                assert "place" in str(error), error
                ended.add("refused")
                continue
            # Mounted at the directory, whichever name that has just now, and never on what the link leads to.
            assert points.count("/tmp") == 1
            assert {"/work/place", "/work/bait"} & set(points), points
            ended.add("mounted")
    assert ended


def test_a_link_that_waits_at_a_mount_point_stops_the_start(
    worlds: Worlds, made: Scene, as_user: Account
) -> None:
    (made.folder / "work/place").symlink_to(made.folder / "all")
    assert f"{made.folder}/all\n" in mounted_by_path(as_user, made.folder, made.folder / "work/place")
    with pytest.raises(RunError, match="place"):
        worlds.run("true", manifest={"include": ["base"], "app": {}, "mount": racing(made)})


FOLLOWING = """
mkdir -p "$0/first/sub" "$0/second" "$0/seen" && cp -r "$0/secret" "$0/second/"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "trusted.overlay.redirect", b"/secret")' "$0/first/sub"
mount -t overlay -o "redirect_dir=follow,lowerdir=$0/first:$0/second" x "$0/seen" && cat "$0/seen/sub/key"
"""


def test_an_overlays_own_attributes_cannot_be_planted(worlds: Worlds, made: Scene, as_user: Account) -> None:
    if as_user.uid == 0:
        live = as_user.run(["unshare", "--mount", "sh", "-c", FOLLOWING, str(made.folder)])
        assert live.stdout == WORD, live.stderr
    copied = made.folder / "copied"
    (copied / "sub").mkdir()
    for name, value in (("redirect", b"/../../secret"), ("redirect", b"/secret"), ("opaque", b"y")):
        os.setxattr(copied / "sub", f"user.overlay.{name}", value)
    os.setxattr(copied / "file", "user.overlay.metacopy", b"")
    os.setxattr(copied / "file", "user.overlay.redirect", b"/../secret/key")
    os.setxattr(copied, "user.overlay.redirect", b"/secret")
    script = """
        cat /copied/sub/key /copied/file /copied/key
        python3 -c 'import os
for n in ("redirect", "opaque", "metacopy", "origin"):
    for p in ("/copied/sub", "/copied/other"):
        try: os.setxattr(p, "user.overlay." + n, b"/../../secret")
        except OSError: pass'
        mv /copied/sub /copied/moved; cat /copied/moved/key /copied/other; ls -R /copied
    """
    done = worlds.run("sh", "-c", script, manifest=made.manifest(app={}), check=False)
    assert WORD not in done.out
    assert "as it was" in done.out, done.err
