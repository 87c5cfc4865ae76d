"""Unions and binds in real worlds, as root and as an ordinary user, from manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from worlds import Result, RunError, Worlds

import libos
from libos.manifest.namespace_file import look
from libos.namespace import Namespace
from libos.namespace.reading import read

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


@pytest.fixture
def trees(as_user: Account) -> Path:
    """Two folders of the account's: `one` and `two` have f and a directory d each, `two` has g too."""
    script = """mkdir -p t/one/d t/two/d; cd t; echo 1 > one/f; echo 2 > two/f; echo 2 > two/g
echo 1 > one/d/one; echo 2 > two/d/two"""
    as_user.run(["sh", "-c", script])
    return as_user.folder / "t"


def run(worlds: Worlds, script: str, *mounts: dict[str, Any], check: bool = True) -> Result:
    manifest = {"libos": 1, "include": ["python"], "mount": list(mounts)}
    return worlds.run("sh", "-c", script, manifest=manifest, check=check)


def test_the_first_element_wins_and_directories_do_not_merge(worlds: Worlds, trees: Path) -> None:
    script = "cat /u/f /u/g; ls /u /u/d; ls /u/d/two; echo x > /u/f; touch /u/n; rm /u/g; true"
    result = run(
        worlds, script,
        {"at": "/u", "host": f"{trees}/two"},
        {"at": "/u", "host": f"{trees}/one", "order": "before"},
    )  # fmt: skip
    assert result.out.split() == ["1", "2", "/u:", "d", "f", "g", "/u/d:", "one"]
    assert result.err.count("Read-only file system") == 3
    assert "/u/d/two': No such file" in result.err


def test_things_are_made_in_the_creatable_element_and_cross_elements_is_exdev(
    worlds: Worlds, trees: Path
) -> None:
    script = """import errno, os
open("/u/new", "w").write("made"); os.mkdir("/u/sub"); open("/u/sub/x", "w").close()
os.rename("/u/sub/x", "/u/x"); os.link("/u/x", "/u/y")
os.rename("/u/new", "/u/newer"); os.rename("/u/d/one", "/u/one")
for old, new in (("/u/g", "/u/newer"), ("/u/newer", "/u/g")):
    try: os.rename(old, new)
    except OSError as error: print(errno.errorcode[error.errno])
open("/u/g", "a").write("and more")
try: os.open("/u/g", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
except OSError as error: print(errno.errorcode[error.errno])
os.unlink("/u/f"); print(open("/u/f").read(), sorted(os.listdir("/u")))
"""
    manifest = {
        "libos": 1,
        "include": ["python"],
        "mount": [
            {"at": "/u", "host": f"{trees}/one", "mode": "read-write"},
            {"at": "/u", "host": f"{trees}/two", "mode": "read-write", "order": "after"},
            {"at": "/u", "memory": "1M", "order": "before"},
        ],
    }
    result = worlds.run("python3", "-c", script, manifest=manifest)
    assert result.out.split("\n")[:5] == [
        "EXDEV",
        "EXDEV",
        "EEXIST",
        "2",
        " ['d', 'f', 'g', 'newer', 'one', 'sub', 'x', 'y']",
    ]
    assert (trees / "two/g").read_text() == "2\nand more"
    assert not (trees / "one/f").exists()
    assert sorted(path.name for path in (trees / "one").iterdir()) == ["d", "one"]


def test_memory_in_a_union_is_the_same_memory_where_it_stands_itself(worlds: Worlds, trees: Path) -> None:
    script = "echo x > /tmp/a; echo y > /u/b; cat /tmp/b /u/a; ls /tmp /u; rm /u/a; ls /tmp; echo z > /ro/c"
    result = run(
        worlds, script,
        {"at": "/u", "host": f"{trees}/one"},
        {"at": "/u", "bind": "/tmp", "mode": "read-write", "order": "after"},
        {"at": "/ro", "host": f"{trees}/one"},
        {"at": "/ro", "bind": "/tmp", "order": "after"},
        check=False,
    )  # fmt: skip
    assert " ".join(result.out.split()) == "y x /tmp: a b /u: a b d f b"
    assert "Read-only file system" in result.err


def test_copy_on_write_is_shared_with_a_union_that_shows_a_part_of_it(worlds: Worlds, trees: Path) -> None:
    script = "echo changed > /w/d/one; cat /u/one; echo more > /u/new; cat /w/d/new; ls /u"
    result = run(
        worlds, script,
        {"at": "/w", "host": f"{trees}/one", "mode": "copy-on-write"},
        {"at": "/u", "host": f"{trees}/two"},
        {"at": "/u", "bind": "/w/d", "mode": "read-write", "order": "before"},
    )  # fmt: skip
    assert result.out.split() == ["changed", "more", "d", "f", "g", "new", "one"]
    assert (trees / "one/d/one").read_text() == "1\n"


def test_mounts_stand_in_a_union(worlds: Worlds, trees: Path) -> None:
    result = run(
        worlds, "cat /u/d/deep/x /u/f; ls /u/d",
        {"at": "/u", "host": f"{trees}/one", "mode": "copy-on-write"},
        {"at": "/u", "host": f"{trees}/two", "order": "after"},
        {"at": "/u/d/deep/x", "text": "deep\n"},
    )  # fmt: skip
    assert result.out.split() == ["deep", "1", "deep", "one"]


def test_a_bind_shows_what_the_world_shows_there(worlds: Worlds, trees: Path) -> None:
    script = """cat /b/f /b/d/x /file; echo new > /b/f || true; echo new > /rw/g; cat /w/g; touch /tmp/t
ls /tmp2; readlink /proc/self/exe; ls /ways"""
    result = run(
        worlds, script,
        {"at": "/w", "host": f"{trees}/two", "mode": "read-write"},
        {"at": "/w/d", "memory": "1M"},
        {"at": "/w/d/x", "text": "mounted\n"},
        {"at": "/b", "bind": "/w"},
        {"at": "/rw", "bind": "/w", "mode": "read-write"},
        {"at": "/file", "bind": "/w/d/x"},
        {"at": "/tmp2", "bind": "/tmp"},
        {"at": "/ways", "bind": "/etc/ssl"},
        check=False,
    )  # fmt: skip
    assert result.out.split()[:5] == ["2", "mounted", "mounted", "new", "t"]
    assert {"certs", "openssl.cnf"} & set(result.out.split())
    assert result.err.count("Read-only file system") == 1
    assert (trees / "two/f").read_text() == "2\n"


def test_a_bind_of_a_union_shows_what_it_was_then(worlds: Worlds, trees: Path) -> None:
    """From a file, where the order counts."""
    text = f"""bind #host/usr /usr
bind #host/bin /bin
bind -q #host/lib /lib
bind -q #host/lib64 /lib64
bind #host{trees}/two /u
bind #host{trees}/one /u/d
bind -b #host{trees}/one /two
bind -a /u /two
bind /two /then
bind -b #host{trees}/two /two
"""
    file = trees / "a.ns"
    file.write_text(text.replace("bind -a /u /two", f"bind -a #host{trees}/two /two"))
    script = "cat /two/f /then/f /u/d/f; ls /then"
    result = worlds.run("sh", "-c", script, namespace=str(file))
    assert result.out.split() == ["2", "1", "1", "d", "f", "g"]
    file.write_text(text)
    with pytest.raises(RunError, match='"/u/d" is mounted below "/u", and a union would not show it'):
        worlds.run("sh", "-c", script, namespace=str(file))


@pytest.mark.parametrize(
    ("mount", "text"),
    [
        ({"at": "/b", "bind": "/nowhere"}, '"/nowhere" is not in the namespace'),
        ({"at": "/b", "bind": "/usr/nowhere"}, '"/usr/nowhere" is not in the namespace'),
        ({"at": "/b", "bind": "/proc/self"}, "is made when all is mounted"),
        ({"at": "/b", "bind": "/usr", "mode": "read-write"}, '"/usr" is read-only there'),
        ({"at": "/etc/passwd", "bind": "/etc/group", "order": "after"}, "-a and -b are for directories"),
        ({"at": "/usr", "text": "x", "order": "before"}, "-a and -b are for directories"),
        ({"at": "/tmp", "bind": "/etc", "order": "after"}, '"/etc" only leads to what is mounted below it'),
        ({"at": "/usr", "host": "/usr"}, None),
        ({"at": "/usr", "memory": "1M"}, '"/usr" is already mounted by profile base'),
    ],
)
def test_what_cannot_be_bound_is_told_before_anything_starts(
    worlds: Worlds, mount: dict[str, Any], text: str | None
) -> None:
    if text is None:
        assert run(worlds, "true", mount).status == 0
        return
    with pytest.raises(RunError, match=text) as caught:
        run(worlds, "true", mount)
    assert caught.value.kind.endswith("Error")


def test_layers_of_an_element_stay_its_own(worlds: Worlds, trees: Path) -> None:
    result = run(
        worlds, "ls /u; cat /u/f; ls /b; ls /w",
        {"at": "/u", "host": f"{trees}/one", "hide": ["f"]},
        {"at": "/u", "host": f"{trees}/two", "order": "after"},
        {"at": "/w", "host": f"{trees}/two", "hide": ["g"]},
        {"at": "/b", "bind": "/w", "hide": ["d"]},
    )  # fmt: skip
    assert result.out.split() == ["d", "f", "g", "2", "f", "d", "f"]


def test_w_lets_files_be_written_and_nothing_be_made(worlds: Worlds, trees: Path) -> None:
    file = trees / "a.ns"
    head = "".join(f"bind -q #host{path} {path}\n" for path in ("/usr", "/bin", "/lib", "/lib64"))
    file.write_text(f"{head}bind -w #host{trees}/one /u\n")
    result = worlds.run(
        "sh", "-c", "echo 3 > /u/f; touch /u/new; touch /u/d/new; cat /u/f", namespace=str(file), check=False
    )
    assert result.out == "3\n"
    assert result.err.count("Read-only file system") == 1
    assert (trees / "one/d/new").exists()


async def test_the_text_of_a_running_world_is_that_of_its_plan(supervisor: libos.Supervisor) -> None:
    manifest = {
        "libos": 1,
        "include": ["base"],
        "app": {"command": ["sleep", "60"], "directory": "/tmp"},
        "mount": [
            {"at": "/u", "host": "/usr/share"},
            {"at": "/u", "bind": "/tmp", "mode": "read-write", "order": "before"},
            {"at": "/b", "bind": "/u"},
        ],
    }
    app = await supervisor.start(manifest)
    text = Namespace(app.grants.mounts()).text(app.plan.directory)
    assert text == app.plan.namespace.text("/tmp")
    assert read(text, look=look).namespace() == app.plan.namespace
    await app.kill()
