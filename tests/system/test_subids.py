"""A root inside with the sub-ids of an ordinary user: what they are for, and what there is without them.

The user gets a name and a range in files that are bound over the machine's own in a mount namespace that ends
with each program; newuidmap(1) is the machine's.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import accounts
import pytest
from accounts import Account
from test_root_inside import INSIDE as ATTEMPTS
from test_root_inside import REFUSED, attempts
from test_superuser import BECOMING, CONTROL, MANY, with_dpkg

from libos.keeper import subids
from libos.keeper.identity import serves_root

pytestmark = pytest.mark.system

PROGRAMS = ("newuidmap", "newgidmap")
FIRST, LENGTH = 200_000, 65_536
# What stands at the first word is bound to what stands at the second, and so on to "--"; then a program.
BIND = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 99; shift 2; done; shift; exec "$@"'
Bound = Callable[..., Account]


def _why_not() -> str | None:
    if not serves_root():
        return "only root can bind files over /etc/subuid and become the user"
    if any(shutil.which(name) is None for name in PROGRAMS):
        return "this machine has no newuidmap and newgidmap (package uidmap)"
    if not all(os.path.exists(path) for path in ("/etc/subuid", "/etc/subgid")):
        return "this machine has no /etc/subuid and /etc/subgid"
    if "NoNewPrivs:\t1" in Path("/proc/self/status").read_text():
        return "nothing that this suite starts can gain privileges"
    return None


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Bound]:
    """Give the ordinary user with a name, `length` sub-ids, and files bound over others."""
    if reason := _why_not() or accounts.why_not("user"):
        pytest.skip(reason)
    passwd, subid = tmp_path / "passwd", tmp_path / "subid"
    passwd.write_text(f"root:x:0:0::/root:/bin/sh\nsomebody:x:{accounts.ORDINARY_UID}:1000::/:/bin/sh\n")
    with accounts.account("user") as user:

        def bind(over: dict[str, str] | None = None, length: int = LENGTH) -> Account:
            subid.write_text(f"nobody:1:65536\nsomebody:{FIRST}:{length}\n")
            binds = {"/etc/passwd": str(passwd), "/etc/subuid": str(subid), "/etc/subgid": str(subid)}
            words = [word for at, file in (binds | (over or {})).items() for word in (file, at)]
            private = ("unshare", "--mount", "--propagation=private", "sh", "-c", BIND, "sh")
            return dataclasses.replace(user, prefix=(*private, *words, "--", *user.prefix))

        yield bind


def run(account: Account, *words: str) -> tuple[str, list[dict[str, Any]]]:
    """Run `libos run -u root` with more words; give what the app wrote, and the `missing` events."""
    events = account.folder / "events"
    done = account.run(account.libos("run", "-T", "-u", "root", "--events", str(events), *words))
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in events.read_text().splitlines()]
    missing = [each for each in told if each["kind"] == "missing" and each["feature"] == "sub-ids"]
    return done.stdout, missing


def user_namespace(account: Account, *words: str) -> str:
    """What `libos explain` says of the user namespace."""
    done = account.run(account.libos("explain", "--json", "-u", "root", *words, "--", "true"))
    assert done.returncode == 0, done.stderr
    (wall,) = (each for each in json.loads(done.stdout)["walls"] if each["wall"] == "user namespace")
    return f"{wall['mechanism']}; {wall['keeps']}"


def ids(text: str) -> list[list[int]]:
    return [[int(number) for number in line.split()] for line in text.splitlines()]


def test_a_chown_and_a_change_of_user_reach_65535(bound: Bound) -> None:
    account = bound()
    script = "cd /tmp && touch file && chown 42:65535 file && stat -c %u:%g file"
    assert run(account, "--", "sh", "-c", script) == ("42:65535\n", [])
    none = "0" * 16
    became = f"(42, 42, 42) [7]\nno way back\nCapPrm:\t{none}\nCapEff:\t{none}\n"
    assert run(account, "--include", "python", "--", "python3", "-c", BECOMING) == (became, [])
    assert "65536 ids" in user_namespace(account)


def test_the_ids_are_the_users_own_and_his_range_and_the_keeper_gains_no_more(bound: Bound) -> None:
    account = bound()
    command = account.libos("run", "-T", "-u", "root", "--name", "it", "--", "sh", "-c", "echo up; cat")
    with account.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        (app,) = json.loads(account.run(account.libos("ps", "--json")).stdout)["worlds"]
        folders = line_of(app["pid"], process.pid)
        maps = [ids((folder / "uid_map").read_text()) for folder in folders]
        privileges = [status(folder)["NoNewPrivs"] for folder in folders]
        process.stdin.close()
    assert process.returncode == 0
    uid = accounts.ORDINARY_UID
    keeper = [[1000, uid, 1], [1001, FIRST, subids.WANTED]]
    # The app, init, the keeper's inside half, and its outside half, which is not in the namespace.
    assert maps[:3] == [[[0, uid, 1], [1, FIRST, subids.WANTED]], keeper, keeper]
    assert privileges == ["1"] * 4


def line_of(pid: int, ancestor: int) -> list[Path]:
    """The folders in /proc of a process and of those that started it, up to an ancestor."""
    found = []
    while pid != ancestor:
        found.append(Path(f"/proc/{pid}"))
        pid = int(status(found[-1])["PPid"])
    return found


def status(folder: Path) -> dict[str, str]:
    lines = (folder / "status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_its_processes_are_counted_together_whatever_their_ids(bound: Bound) -> None:
    manifest = 'libos = 1\ninclude = ["python"]\n[limits]\nprocesses = 30\n'
    account = bound()
    (account.folder / "many.toml").write_text(manifest)
    out, _ = run(account, str(account.folder / "many.toml"), "--", "python3", "-c", MANY)
    assert 20 < int(out) <= 36


SEVERAL = """if True:
    import subprocess, sys, libos, trio

    def manifest(*command):
        app = {"command": command, "user": "root"}
        return {"libos": 1, "include": ["python"], "limits": {"processes": 30}, "app": app}

    async def main():
        async with libos.Supervisor(spare=False, sub_ids=True) as supervisor:
            script = "for each in $(seq 20); do sleep 1000 & done; echo up; wait"
            held = await supervisor.start(manifest("sh", "-c", script), stdout=subprocess.PIPE)
            assert await held.stdout.receive_some() == b"up\\n"
            other = await supervisor.start(manifest("python3", "-c", sys.argv[1]), stdout=subprocess.PIPE)
            print(b"".join([part async for part in other.stdout]).decode())
            await held.kill()

    trio.run(main)
"""


def test_the_processes_of_two_worlds_of_a_user_are_counted_apart(bound: Bound) -> None:
    account = bound()
    done = account.run(account.python("-c", SEVERAL, MANY))
    assert done.returncode == 0, done.stderr
    assert 20 < int(done.stdout) <= 36


def test_what_is_stored_on_the_host_is_never_a_sub_ids(bound: Bound) -> None:
    account = bound()
    script = "cat /proc/self/uid_map; touch file; chown 42 file || stat -c %u file"
    mount = ("-v", f"{account.folder}:/data:rw", "-w", "/data")
    out, missing = run(account, *mount, "--", "sh", "-c", script)
    first, owner = out.splitlines()
    assert (first.split(), owner, missing) == (["0", "1000", "1"], "0", [])
    assert (account.folder / "file").stat().st_uid == accounts.ORDINARY_UID
    assert "store nothing on the host" in user_namespace(account, *mount)
    out, missing = run(account, "-v", "/usr:/data:cow", "--keep", "it", "--", "cat", "/proc/self/uid_map")
    assert (out.split(), missing) == (["0", "1000", "1"], [])


def test_a_read_write_mount_is_not_added_to_a_running_one(bound: Bound) -> None:
    account = bound()
    command = account.libos("run", "-T", "-u", "root", "--name", "it", "--", "sh", "-c", "echo up; cat")
    with account.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        refused = account.run(account.libos("mount", "it", f"{account.folder}:/data:rw"))
        granted = account.run(account.libos("mount", "it", f"{account.folder}:/data:ro"))
        process.stdin.close()
    assert (process.returncode, granted.returncode) == (0, 0), granted.stderr
    assert refused.returncode != 0
    assert "sub-ids" in refused.stderr


STACK = """libos = 1
[[world]]
name = "own"
include = ["base"]
[world.app]
command = ["sh", "-c", "cat /proc/self/uid_map; grep -c Privs:.1 /proc/self/status; touch {0}; chown 42 {0}"]
user = "root"
[[world]]
name = "storing"
include = ["base"]
needs = ["own"]
[world.app]
command = ["sh", "-c", "cat /proc/self/uid_map; touch /data/file; chown 42 /data/file 2>/dev/null || echo no"]
user = "root"
[[world.mount]]
at = "/data"
host = "."
mode = "read-write"
""".format("/tmp/file")


def test_a_stack_gives_them_to_its_roots_that_store_nothing_on_the_host(bound: Bound) -> None:
    account = bound()
    (account.folder / "two.toml").write_text(STACK)
    done = account.run(account.libos("up", "two.toml"))
    assert done.returncode == 0, done.stderr
    said: dict[str, list[list[str]]] = {"own": [], "storing": []}
    for line in done.stdout.splitlines():
        name, _, text = line.partition(" | ")
        said[name.strip()].append(text.split())
    ids = [["0", "0", "1"], ["1", "1", str(subids.WANTED)]]
    assert said == {"own": [*ids, ["1"]], "storing": [["0", "1000", "1"], ["no"]]}
    assert (account.folder / "file").stat().st_uid == accounts.ORDINARY_UID


ONE_CALL = """if True:
    import libos
    manifest = {"libos": 1, "include": ["base"], "app": {"user": "root"}}
    script = "cat /proc/self/uid_map; grep -c NoNewPrivs:.1 /proc/self/status; cd /tmp; touch it; chown 42 it"
    print(libos.run(["sh", "-c", script], manifest=manifest, stdout=-1, text=True).stdout)
"""


def test_a_single_call_of_python_has_uid_0_alone(bound: Bound) -> None:
    account = bound()
    done = account.run(account.python("-c", ONE_CALL))
    assert done.stdout.split() == ["0", "1000", "1", "1"]
    assert "Invalid argument" in done.stderr


SHARING = """if True:
    import subprocess, libos, trio

    def manifest(user, mount=(), **app):
        app = {"command": ["sleep", "1000"], **app, **({"user": user} if user else {})}
        return {"libos": 1, "include": ["base"], "app": app, "mount": mount}

    async def main():
        source = {"at": "/kept", "host": "data", "mode": "copy-on-write"}
        memory = {"at": "/memory", "memory": "1M"}
        shown = {"at": "/shown", "host": "data"}
        async with libos.Supervisor(spare=False, sub_ids=True) as supervisor:
            other = await supervisor.start(manifest(None, [source, memory, shown], keep="it"))
            root = await supervisor.start(manifest("root"))
            for at in ("/kept", "/memory", "/shown"):
                try:
                    await root.mount(at, other.grants.get(at))
                    print(at, "granted")
                except PermissionError as error:
                    print(at, "sub-ids" in str(error))
            await root.mount("/read", other.grants.get("/kept"), read_only=True)
            tried = await root.exec(["sh", "-c", "touch /read/new"], stderr=subprocess.DEVNULL)
            print((await tried.wait()).returncode)
            await root.kill()
            await other.kill()

    trio.run(main)
"""


def test_what_another_world_may_write_is_shared_with_them_to_read_alone(bound: Bound) -> None:
    account = bound()
    account.run(["mkdir", "data"], check=True)
    done = account.run(account.python("-c", SHARING))
    assert done.stdout.splitlines() == ["/kept True", "/memory True", "/shown granted", "1"], done.stderr


@pytest.mark.parametrize(
    ("over", "length", "reason"),
    [
        ({"/usr/bin/newuidmap": "/dev/null"}, LENGTH, "newuidmap is not installed"),
        ({}, 1000, "no 65535 ids in a row: the longest range has 1000"),
        ({"/etc/subgid": "/dev/null"}, LENGTH, "/etc/subgid gives somebody no 65535 ids in a row: no line"),
        ({"/usr/bin/newuidmap": "/bin/false"}, LENGTH, "newuidmap failed"),
        ({"/usr/bin/newgidmap": "/bin/false"}, LENGTH, "newgidmap failed"),
    ],
    ids=["not installed", "too few", "no gids", "uids fail", "gids fail"],
)
def test_without_them_it_has_uid_0_alone_and_says_why(
    bound: Bound, over: dict[str, str], length: int, reason: str
) -> None:
    account = bound(over, length)
    script = "cat /proc/self/uid_map /proc/self/gid_map; cd /tmp; touch file; chown 42 file || echo no"
    out, (missing,) = run(account, "--", "sh", "-c", script)
    assert out.split() == ["0", "1000", "1", "0", "1000", "1", "no"]
    assert reason in missing["reason"]
    if "failed" not in reason:  # only a try shows that
        assert reason in user_namespace(account)


def test_with_them_too_what_roots_of_their_own_namespaces_may_is_refused(bound: Bound) -> None:
    out, missing = run(bound(), "--include", "python", "--", "python3", "-c", ATTEMPTS.read_text(), "/tmp")
    held = attempts(out)
    assert {name: errno for name, errno in held.items() if errno not in REFUSED[name]} == {}
    assert missing == []


def test_who_is_no_root_inside_asks_for_none(bound: Bound) -> None:
    account = bound({"/usr/bin/newuidmap": "/bin/false"})
    done = account.run(account.libos("run", "-T", "--", "cat", "/proc/self/uid_map"))
    assert done.stdout.split() == ["1000", "1000", "1"], done.stderr


INSTALL = """set -e
cd /etc
echo "root:x:0:0::/:/bin/sh" >passwd
echo "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin" >>passwd
printf 'root:x:0:\\nnogroup:x:65534:\\n' >group
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/apt/lists/partial
mkdir -p /var/cache/apt/archives/partial /var/log/apt /etc/apt/apt.conf.d /etc/apt/preferences.d
touch /var/lib/dpkg/status
$TOOL /packages/hello.deb >&2
/opt/hello/bin/hello
stat -c %u:%g /opt/hello/data
dpkg -s libos-hello | grep Status
"""


@with_dpkg
@pytest.mark.parametrize("tool", ["dpkg -i", "apt-get install -y --no-install-recommends"])
def test_a_package_that_gives_files_away_is_installed_for_an_ordinary_user(bound: Bound, tool: str) -> None:
    if shutil.which(tool.split()[0]) is None:
        pytest.skip(f"this machine has no {tool.split()[0]}")
    account = bound()
    build_package(account.folder)
    (account.folder / "install.toml").write_text(manifest(account.folder, tool))
    out, missing = run(account, str(account.folder / "install.toml"))
    assert (out, missing) == ("hello\n1234:5\nStatus: install ok installed\n", [])


def build_package(folder: Path, *, gives_away: bool = True) -> None:
    """Build a package whose directory is given to another id when it is set up, or is not."""
    giving = "chown 1234:5 /opt/hello/data" if gives_away else "true"
    tree = folder / "tree"
    for path, text in {
        "DEBIAN/control": CONTROL,
        "DEBIAN/postinst": f"#!/bin/sh\nset -e\n{giving}\n",
        "opt/hello/bin/hello": "#!/bin/sh\necho hello\n",
        "opt/hello/data/empty": "",
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(0o644 if path.endswith("control") else 0o755)
    for each in (tree, *tree.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
    packages = folder / "packages"
    packages.mkdir()
    build = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(packages / "hello.deb")]
    subprocess.run(build, check=True, capture_output=True)
    packages.chmod(0o755)


def manifest(folder: Path, tool: str) -> str:
    """The host's programs, and in memory what packages are installed in."""
    merged = [name for name in ("bin", "sbin", "lib", "lib64") if os.path.islink(f"/{name}")]
    mounts = [{"at": f"/{name}", "bind": f"/usr/{name}"} for name in merged]
    mounts += [{"at": f"/{name}", "memory": "16M"} for name in ("etc", "var", "opt", "tmp")]
    mounts += [{"at": "/packages", "host": str(folder / "packages")}, {"at": "/usr", "host": "/usr"}]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "TOOL": tool}
    lines = ["libos = 1", "[app]", f'command = ["sh", "-c", {json.dumps(INSTALL)}]', 'user = "root"']
    lines.append(
        "environment = { " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in environment.items()) + " }"
    )
    for mount in mounts:
        lines += ["[[mount]]", *(f"{key} = {json.dumps(value)}" for key, value in mount.items())]
    return "\n".join(lines) + "\n"
