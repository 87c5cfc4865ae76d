"""What a bundle takes over, what its manifest says, and what its root holds: by value."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

import pytest

from libos.bundling.closure import Closure, bundled
from libos.bundling.errors import BundleError
from libos.bundling.root import Copied, copy, pack
from libos.bundling.text import text
from libos.events import Event
from libos.manifest import Manifest, load

MANIFEST = """libos = 1
include = ["base"]

[app]
command = ["true"]

# The data.
[[mount]]
at = "/data"
host = "data"

[[mount]]
at = "/never"
host = "data"

[[mount]]
at = "/work"
host = "work"
mode = "read-write"
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A manifest beside the folders that it names."""
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "app.toml").write_text(MANIFEST)
    return load(tmp_path / "app.toml")


def made(manifest: Manifest, used: set[str], *, tar: bool = False) -> str:
    """The text of its bundle."""
    source = Path(manifest.source)
    return text(
        source.read_text(), str(source.parent), ["sh"], bundled(manifest), used, tar=tar, head="Made."
    )


def test_what_is_written_in_place_is_not_taken_over(manifest: Manifest) -> None:
    places = {mount.at for mount in bundled(manifest)}
    assert {"/data", "/never", "/usr", "/bin"} <= places
    assert not places & {"/work", "/tmp", "/etc/passwd"}


def test_uses_are_kept_by_mount_and_what_is_absent_is_not_used() -> None:
    closure = Closure()
    closure.note(Event("path.used", "app", {"path": "/usr/bin/sh", "mount": "/usr", "operation": "read"}))
    closure.note(Event("path.used", "app", {"path": "/usr/bin/sh", "mount": "/usr", "operation": "look"}))
    closure.note(Event("path.absent", "app", {"path": "/usr/bin/zz", "mount": "/usr"}))
    assert (closure.used, closure.untold) == ({"/usr": {"/usr/bin/sh"}}, 0)
    closure.note(Event("path.untold", "app", {"count": 3}))
    assert closure.untold


def test_the_text_mounts_from_the_root_and_loses_what_was_not_used(
    manifest: Manifest, tmp_path: Path
) -> None:
    written = made(manifest, {"/data", "/usr"})
    assert '# The data.\n[[mount]]\nat = "/data"\nhost = "root/data"\n' in written
    (tmp_path / "b/root/usr").mkdir(parents=True)
    (tmp_path / "b/root/data").mkdir()
    (tmp_path / "b/app.toml").write_text(written)
    read = load(tmp_path / "b/app.toml")
    sources = {mount.at: getattr(mount.source, "path", None) for mount in read.mounts}
    assert sources["/usr"] == str(tmp_path / "b/root/usr")
    assert sources["/work"] == str(tmp_path / "work")
    assert "/never" not in sources
    assert "/bin" not in sources
    assert read.app.command == ("sh",)


def test_a_tar_is_mounted_as_an_image(manifest: Manifest) -> None:
    written = made(manifest, {"/data"}, tar=True)
    assert 'at = "/data"\nimage = "root.tar"\npath = "/data"\n' in written


def test_a_mount_with_layers_that_an_include_brings_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text('libos = 1\n[[mount]]\nat = "/m"\nhost = "data"\nhide = ["x"]\n')
    (tmp_path / "app.toml").write_text(MANIFEST.replace('"base"', '"base", "./more.toml"'))
    with pytest.raises(BundleError, match=r"^/m \(.*more.toml.*has layers and comes from an include"):
        made(load(tmp_path / "app.toml"), {"/m"})


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A tree of the host."""
    top = tmp_path / "host"
    (top / "d/e").mkdir(parents=True)
    (top / "d/program").write_text("#!/bin/sh\n")
    (top / "d/program").chmod(0o4755)
    (top / "d/other").write_text("not used")
    os.symlink("program", top / "d/link")
    os.utime(top / "d/program", ns=(5, 5_000_000_007))
    os.mkfifo(top / "d/fifo")
    (top / "d").chmod(0o555)
    return top


def test_a_root_holds_what_was_used_with_modes_and_times(host: Path, tmp_path: Path) -> None:
    copied = Copied()
    copy(str(host), "/opt", ["/opt/d/program", "/opt/d/link", "/opt/d/e"], tmp_path / "root", copied)
    folder = tmp_path / "root/opt/d"
    assert sorted(each.name for each in folder.iterdir()) == ["e", "link", "program"]
    found = (folder / "program").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o755, 5_000_000_007)
    assert (folder / "link").readlink() == Path("program")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    assert copied == Copied(files=1, links=1, directories=3, bytes=10)


def test_a_file_is_a_mount_too_and_a_link_above_it_is_the_hosts_own(host: Path, tmp_path: Path) -> None:
    os.symlink(host / "d", tmp_path / "short")
    copy(str(tmp_path / "short/other"), "/etc/x", ["/etc/x"], tmp_path / "root", Copied())
    assert (tmp_path / "root/etc/x").read_text() == "not used"


@pytest.mark.parametrize(
    ("path", "why"), [("/opt/d/fifo", "is a socket, a FIFO or a device"), ("/opt/d/gone", "was removed from")]
)
def test_what_is_no_file_or_gone_is_refused(host: Path, tmp_path: Path, path: str, why: str) -> None:
    with pytest.raises(BundleError, match=why):
        copy(str(host), "/opt", [path], tmp_path / "root", Copied())


def test_a_link_that_was_put_in_the_way_is_not_followed(host: Path, tmp_path: Path) -> None:
    (host / "d").chmod(0o755)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("k")
    os.symlink(tmp_path / "secret", host / "d/way")
    with pytest.raises(BundleError, match="was removed from"):
        copy(str(host), "/opt", ["/opt/d/way/key"], tmp_path / "root", Copied())


def test_the_same_root_makes_the_same_tar(host: Path, tmp_path: Path) -> None:
    for name in ("1", "2"):
        copy(str(host), "/opt", ["/opt/d/program", "/opt/d/link"], tmp_path / name, Copied())
        pack(tmp_path / name, tmp_path / f"{name}.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    with tarfile.open(tmp_path / "1.tar") as tar:
        assert tar.getnames() == ["opt", "opt/d", "opt/d/link", "opt/d/program"]
        assert {entry.uid for entry in tar} == {0}
