"""A file of the host that programs replace by renaming another one over it: real programs, real worlds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from accounts import Account

import libos

pytest_plugins = ["running"]
pytestmark = pytest.mark.system

HOME = "/home/u"


def settings(as_user: Account, text: str = "color = red\n") -> Path:
    """A file of the account's in a folder with a secret beside it."""
    script = f"mkdir s && printf '{text}' > s/settings && echo secret > s/other && chmod 640 s/settings"
    assert as_user.run(["sh", "-c", script]).returncode == 0
    return as_user.folder / "s/settings"


def run(as_user: Account, *command: str, mode: str = "replace", python: bool = False) -> str:
    """What a program prints that may replace the file."""
    include = ("--include", "python") if python else ("--include", "base")
    mount = ("-v", f"./s/settings:{HOME}/settings:{mode}", "-w", HOME, "-e", f"HOME={HOME}")
    done = as_user.run(as_user.libos("run", *include, *mount, "--", *command))
    assert done.returncode == 0, done.stderr
    out: str = done.stdout
    return out


def unharmed(file: Path) -> None:
    """The folder holds the file and the secret, and no temporary file."""
    assert sorted(os.listdir(file.parent)) == ["other", "settings"]
    assert (file.parent / "other").read_text() == "secret\n"


def test_a_read_write_file_alone_cannot_be_replaced(as_user: Account) -> None:
    file = settings(as_user)
    script = "sed -i s/red/blue/ settings 2>/dev/null || echo refused"
    assert run(as_user, "sh", "-c", script, mode="rw") == "refused\n"
    assert file.read_text() == "color = red\n"


def test_sed_in_place(as_user: Account) -> None:
    file = settings(as_user)
    inode = file.stat().st_ino
    assert run(as_user, "sh", "-c", "sed -i s/red/blue/ settings && cat settings && ls -A") == (
        "color = blue\nsettings\n"
    )
    assert file.read_text() == "color = blue\n"
    assert file.stat().st_ino != inode  # replaced, not written over
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.stat().st_uid == as_user.uid
    unharmed(file)


def test_git_config(as_user: Account) -> None:
    file = settings(as_user, "[user]\\n\\tname = old\\n")
    script = "git config -f settings user.name new && git config -f settings user.name && ls -A"
    assert run(as_user, "sh", "-c", script) == "new\nsettings\n"
    assert "name = new" in file.read_text()
    unharmed(file)


PYTHON = """
import os, tempfile
for number in range(20):
    with tempfile.NamedTemporaryFile("w", dir=".", delete=False) as file:
        file.write(f"number {number}\\n" * 1000)
        file.flush(); os.fsync(file.fileno())
    os.replace(file.name, "settings")
    assert open("settings").read() == f"number {number}\\n" * 1000
    assert os.listdir(".") == ["settings"], os.listdir(".")
print(oct(os.stat("settings").st_mode))
"""


def test_python_replaces_it_again_and_again(as_user: Account) -> None:
    file = settings(as_user)
    assert run(as_user, "python3", "-c", PYTHON, python=True) == "0o100600\n"
    assert file.read_text() == "number 19\n" * 1000
    unharmed(file)


BACKUP = """
import os
os.rename("settings", "settings~")
assert os.listdir(".") == ["settings~"]
assert open("settings~").read() == "color = red\\n"
fd = os.open("settings", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
os.write(fd, b"color = green\\n"); os.fsync(fd); os.close(fd)
os.unlink("settings~")
assert os.listdir(".") == ["settings"]
"""


def test_a_backup_by_rename_as_editors_make_it(as_user: Account) -> None:
    file = settings(as_user)
    run(as_user, "python3", "-c", BACKUP, python=True)
    assert file.read_text() == "color = green\n"
    unharmed(file)


def test_a_file_that_was_renamed_away_is_still_the_hosts(as_user: Account) -> None:
    file = settings(as_user)
    script = "mv settings backup && test ! -e settings && cat backup && mv backup settings && cat settings"
    assert run(as_user, "sh", "-c", "mv settings backup && ls") == "backup\n"
    assert file.read_text() == "color = red\n"
    assert run(as_user, "sh", "-c", script) == "color = red\n" * 2
    unharmed(file)


def test_writing_in_place_still_writes_through(as_user: Account) -> None:
    file = settings(as_user)
    inode = file.stat().st_ino
    run(as_user, "sh", "-c", "echo more >> settings && chmod 600 settings")
    assert file.read_text() == "color = red\nmore\n"
    assert (file.stat().st_ino, file.stat().st_mode & 0o777) == (inode, 0o600)


REFUSED = """
import errno, os
def tried(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "worked"
os.symlink("/etc/passwd", "link"); os.mkdir("folder")
print(tried(os.unlink, "settings"), tried(os.rename, "link", "settings"),
      tried(os.rename, "folder", "settings"), tried(os.link, "settings", "hard"),
      tried(os.rename, "../u/settings", "folder/settings"), tried(open, "other"))
"""


def test_it_is_replaced_by_regular_files_alone_and_never_removed(as_user: Account) -> None:
    file = settings(as_user)
    said = run(as_user, "python3", "-c", REFUSED, python=True).split()
    assert said[0] == "EBUSY"
    assert said[1] == "EPERM"
    assert said[2] in ("EISDIR", "ENOTDIR")
    assert said[3] in ("EXDEV", "EPERM")
    assert said[4] == "EXDEV"
    assert said[5] == "ENOENT"
    assert file.read_text() == "color = red\n"
    unharmed(file)


@pytest.mark.accounts("user")  # root may write any folder
def test_a_folder_that_cannot_be_written_keeps_the_file(as_user: Account) -> None:
    file = settings(as_user)
    file.parent.chmod(0o500)
    try:
        script = "sed -i s/red/blue/ settings 2>/dev/null || echo refused; cat settings"
        assert run(as_user, "sh", "-c", script) == "refused\ncolor = red\n"
    finally:
        file.parent.chmod(0o700)
    unharmed(file)


@pytest.mark.parametrize(
    ("mount", "why"),
    [
        ({"at": "/w/f", "host": "{file}", "mode": "read-only"}, "read-write"),
        ({"at": "/w/f", "host": "{folder}", "mode": "read-write"}, "only a file"),
        ({"at": "/f", "host": "{file}", "mode": "read-write"}, "stands in the root"),
        ({"at": "/tmp/f", "host": "{file}", "mode": "read-write"}, 'a mount covers "/tmp"'),
        ({"at": "/w/f", "host": "{file}", "mode": "read-write", "append_only": True}, "no layers"),
    ],
)
def test_what_cannot_be_replaceable_is_an_error_that_says_why(
    tmp_path: Path, mount: dict[str, object], why: str
) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    host = str(mount["host"]).format(file=file, folder=tmp_path)
    manifest = {"include": ["base"], "mount": [{**mount, "host": host, "replaceable": True}]}
    with pytest.raises(libos.ManifestError, match=why):
        libos.run(["true"], manifest=manifest)


async def test_two_in_one_folder_and_a_mount_beside_them(
    supervisor: libos.Supervisor, tmp_path: Path
) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(name)
    mounts = [
        {"at": f"/w/{name}", "host": str(tmp_path / name), "mode": "read-write", "replaceable": True}
        for name in ("one", "two")
    ]
    script = "cd /w && echo 1 > n && mv n one && mv one two && cat two three && ls && ! mv two three"
    manifest = {
        "include": ["base"],
        "app": {"command": ["sh", "-c", script]},
        "mount": [*mounts, {"at": "/w/three", "host": str(tmp_path / "three")}],
    }
    app = await supervisor.start(manifest)
    assert (await app.wait()).returncode == 0
    assert [(tmp_path / name).read_text() for name in ("one", "two", "three")] == ["1\n", "1\n", "three"]
