"""A root inside: what it may, over which ids, and that a package can be installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from worlds import Worlds

from libos.keeper.superuser import CAPABILITIES

pytestmark = pytest.mark.system
pytest_plugins = ["running"]
with_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this machine has no dpkg-deb")

CONTROL = """Package: libos-hello
Version: 1
Architecture: all
Maintainer: Nobody <nobody@localhost>
Description: says hello
"""
POSTINST = """#!/bin/sh
set -e
chown 1234:5 /var/lib/libos-hello
chmod 2750 /var/lib/libos-hello || chmod 750 /var/lib/libos-hello
"""
BECOMING = """if True:
    import os
    os.setgroups([7])
    os.setresgid(7, 7, 7)
    os.setresuid(42, 42, 42)
    print(os.getresuid(), os.getgroups())
    try:
        os.setuid(0)
    except PermissionError:
        print("no way back", flush=True)
    os.execv("/bin/grep", ["grep", "Cap[PE]", "/proc/self/status"])
"""
# One program that takes many ids, each with processes of its own, until it gets no more.
MANY = """if True:
    import os, signal, sys
    started = 0
    for uid in range(1, 100):
        read_fd, write_fd = os.pipe()
        try:
            pid = os.fork()
        except BlockingIOError:
            break
        if pid == 0:
            made = 0
            try:
                os.setresuid(uid, uid, uid)
                while made < 100:
                    if os.fork() == 0:
                        signal.pause()
                    made += 1
            except BlockingIOError:
                pass
            except OSError:
                sys.exit("it cannot be that one")
            os.write(write_fd, b"%d" % made)
            signal.pause()
        os.close(write_fd)
        answer = os.read(read_fd, 10)
        if not answer:
            sys.exit(1)
        started += 1 + int(answer)
        os.close(read_fd)
    print(started)
    sys.stdout.flush()
"""


def test_it_is_uid_0_with_the_capabilities_that_are_written_down_and_no_more(
    as_user: Account, worlds: Worlds
) -> None:
    lines = worlds.run("cat", "/proc/self/status", user="root").out.splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    mask = sum(1 << each for each in CAPABILITIES)
    assert {name: int(status[name], 16) for name in status if name.startswith("Cap")} == {
        "CapInh": 0,
        "CapPrm": mask,
        "CapEff": mask,
        "CapBnd": mask,
        "CapAmb": 0,
    }
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"0"}
    assert set(status["Groups"].split()) <= {"0", "65534"}
    inside, outside, length = worlds.run("cat", "/proc/self/uid_map", user="root").out.split()
    assert (inside, length) == ("0", "65536" if as_user.uid == 0 else "1")
    assert outside != "0"


def test_one_that_becomes_another_keeps_no_right_and_does_not_come_back(
    as_user: Account, worlds: Worlds
) -> None:
    result = worlds.python(BECOMING, user="root", check=False)
    if as_user.uid != 0:  # 0 is the only id there
        assert "Operation not permitted" in result.err
        return
    none = "0" * 16
    assert result.out == f"(42, 42, 42) [7]\nno way back\nCapPrm:\t{none}\nCapEff:\t{none}\n", result.err


def test_a_chown_to_an_id_that_it_has_not_is_refused(as_user: Account, worlds: Worlds) -> None:
    script = "touch file && chown 42:7 file && stat -c %u:%g file"
    options: dict[str, Any] = {"user": "root", "manifest": memory(), "directory": "/memory", "check": False}
    result = worlds.run("sh", "-c", script, **options)
    if as_user.uid == 0:
        assert result.out == "42:7\n", result.err
    else:
        assert "Invalid argument" in result.err


def memory() -> dict[str, Any]:
    return {"libos": 1, "include": ["base"], "mount": [{"at": "/memory", "memory": "1M"}]}


def test_what_it_makes_in_a_read_write_mount_is_the_owners_and_stays_so(
    as_user: Account, worlds: Worlds
) -> None:
    script = "touch file; chown 42 file; chmod u+s file; chmod g+s .; stat -c '%u %a' file"
    mounts = [f"{as_user.folder}:/data:rw"]
    result = worlds.run("sh", "-c", script, user="root", mounts=mounts, directory="/data")
    assert result.out == "0 644\n"
    assert len(result.err.splitlines()) == 3, result.err
    found = (as_user.folder / "file").stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (as_user.uid, 0o644)


def test_its_processes_are_counted_together_whatever_their_ids(as_user: Account, worlds: Worlds) -> None:
    manifest = {"libos": 1, "include": ["python"], "limits": {"processes": 30}}
    result = worlds.run("python3", "-c", MANY, user="root", manifest=manifest, check=False)
    if as_user.uid != 0:
        assert result.out == ""  # it cannot become anybody
    else:
        assert 20 < int(result.out) <= 36


def package(folder: Path) -> None:
    """Build a package that brings a program, and a directory that is given to another id."""
    tree = folder / "tree"
    for path, text in {
        "DEBIAN/control": CONTROL,
        "DEBIAN/postinst": POSTINST,
        "usr/bin/libos-hello": "#!/bin/sh\necho hello\n",
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(0o644 if path.endswith("control") else 0o755)
    (tree / "var/lib/libos-hello").mkdir(parents=True)
    for each in (folder, tree, *tree.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
    build = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(folder / "hello.deb")]
    subprocess.run(build, check=True, capture_output=True)


def host_copies(folder: Path) -> dict[str, Any]:
    """The host's directories of packages, each as a copy."""
    copies = [{"at": at, "host": at, "mode": "copy-on-write"} for at in ("/usr", "/etc", "/var")]
    merged = [name for name in ("bin", "sbin", "lib", "lib64") if os.path.islink(f"/{name}")]
    bound = [{"at": f"/{name}", "bind": f"/usr/{name}"} for name in merged]
    rest = [{"at": "/packages", "host": str(folder)}, {"at": "/tmp", "memory": "64M"}]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    return {
        "libos": 1,
        "app": {"user": "root", "environment": environment},
        "mount": [*copies, *bound, *rest],
    }


@with_dpkg
@pytest.mark.parametrize("tool", ["dpkg -i", "apt-get install -y"])
def test_a_package_is_installed_in_copies_of_the_hosts_directories(
    as_user: Account, worlds: Worlds, tool: str
) -> None:
    if as_user.uid != 0:
        pytest.skip(
            "what copies of the host's directories hold is root's; test_subids.py has an ordinary user's"
        )
    if shutil.which(tool.split()[0]) is None:
        pytest.skip(f"this machine has no {tool.split()[0]}")
    package(as_user.folder)
    script = f"{tool} /packages/hello.deb >&2 && libos-hello && stat -c '%u:%g' /var/lib/libos-hello"
    script += " && dpkg -s libos-hello | grep Status"
    result = worlds.run("sh", "-c", script, manifest=host_copies(as_user.folder))
    assert result.out == "hello\n1234:5\nStatus: install ok installed\n", result.err
    assert not Path("/usr/bin/libos-hello").exists()
    assert b"libos-hello" not in Path("/var/lib/dpkg/status").read_bytes()
