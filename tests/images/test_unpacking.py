"""Images are unpacked as their layers say, whole or not at all, and nothing leads out of their trees."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from layouts import Entry, kind, layout, link, seen, tar

from libos.images import store
from libos.images.bounds import Bounds
from libos.images.errors import ImageError
from libos.images.inside import at
from libos.images.reference import Reference, parse
from libos.images.store import Kept, listed
from libos.images.unpacking import unpacked


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are unpacked in this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/libos/images"


def of_layers(folder: Path, *layers: Iterable[Entry]) -> Kept:
    """The image of these layers."""
    return unpacked(parse(f"oci:{layout(folder / 'image', map(tar, layers))}"))


def of_tar(folder: Path, data: bytes, bounds: Bounds | None = None) -> Kept:
    """The image of one tar."""
    (folder / "x.tar").write_bytes(data)
    return unpacked(parse(str(folder / "x.tar")), bounds)


def kept_folders(cache: Path) -> list[str]:
    """What there is in the store."""
    return sorted(name for name in os.listdir(cache) if name != "lock") if cache.exists() else []


def test_upper_layers_replace_take_away_and_hide(tmp_path: Path) -> None:
    lower: list[Entry] = [("./a", b"1"), ("b/c", b"2"), ("b/d/e", b"3"), ("o/x", b"4"), ("o/s/y", b"5")]
    lower += [("file", b"6"), ("folder/z", b"7"), ("bin", link("usr/bin")), ("same", b"8")]
    upper: list[Entry] = [("a", b"one"), ("b/.wh.c", b""), (".wh.absent", b""), ("b/d/f", b"9")]
    upper += [("o/new", b"10"), ("o/s/kept", b"11"), ("o/.wh..wh..opq", b""), ("file/now", b"12")]
    upper = [(".wh.file", b""), *upper, ("folder", b"13"), ("bin", None), ("hard", link("same", hard=True))]
    kept = of_layers(tmp_path, lower, upper)
    assert seen(kept.root) == {
        "a": "one",
        "b": None,
        "b/d": None,
        "b/d/e": "3",
        "b/d/f": "9",
        "bin": None,
        "file": None,
        "file/now": "12",
        "folder": "13",
        "hard": "8",
        "o": None,
        "o/new": "10",
        "o/s": None,
        "o/s/kept": "11",
        "same": "8",
    }
    below = store.read(kept.chain[0])
    assert below is not None
    assert seen(below.root)["a"] == "1"  # the lower layer's own tree stays as it was
    assert (below.root / "same").stat().st_ino == (kept.root / "same").stat().st_ino


def test_modes_lose_what_would_give_rights_and_times_stay(tmp_path: Path) -> None:
    def header(mode: int, *, folder: bool = False) -> object:
        def change(entry: tarfile.TarInfo) -> None:
            entry.mode, entry.mtime, entry.uid = mode, 1_000_000_000, 77
            entry.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE

        return change

    entries = [("d", header(0o3555, folder=True)), ("d/f", header(0o6755)), ("n", header(0o000))]
    root = of_layers(tmp_path, entries, [("d/g", b"")]).root  # type: ignore[arg-type]  # the headers are callables
    modes = {name: stat.S_IMODE((root / name).lstat().st_mode) for name in ("d", "d/f", "n", "d/g")}
    assert modes == {"d": 0o1555, "d/f": 0o755, "n": 0o000, "d/g": 0o644}
    assert (root / "d/f").stat().st_mtime == 1_000_000_000
    assert (root / "d/f").stat().st_uid == os.geteuid()


CLIMBING: dict[str, list[Entry]] = {
    'climbs by ".."': [("a/../../out", b"x")],
    "is an absolute name": [("/etc/out", b"x")],
    "leads through a link or a file": [("l", link("/")), ("l/out", b"x")],
    "leads through a link": [("l", link("..")), ("l", link("..")), ("l/.wh.x", b""), ("l/d", None)],
    "leads through": [("f", b"x"), ("f/out", b"x")],
    "which is no file of the image": [("h", link("etc/passwd", hard=True))],
    "is an absolute": [("h", link("/etc/passwd", hard=True))],
    "climbs by": [("h", link("../h", hard=True))],
    "a link to itself": [("h", b"x"), ("h", link("h", hard=True))],
    "'dev' is a device": [("dev", kind(tarfile.CHRTYPE))],
    "'disk' is a device": [("disk", kind(tarfile.BLKTYPE))],
    "'pipe' is a FIFO": [("pipe", kind(tarfile.FIFOTYPE))],
    "of the type b'Z'": [("odd", kind(b"Z"))],
    "takes away a name that no file has": [("a/.wh...", b"")],
    "the top of an image is a directory": [("./", b"x")],
}


@pytest.mark.parametrize("wrong", CLIMBING)
def test_what_leads_out_or_is_no_file_is_refused_and_leaves_nothing(
    tmp_path: Path, cache: Path, wrong: str
) -> None:
    with pytest.raises(ImageError, match=wrong):
        of_layers(tmp_path, [("good", b"x"), *CLIMBING[wrong]])
    assert kept_folders(cache) == []
    assert not (tmp_path / "out").exists()


def test_a_link_in_the_image_leads_nowhere_on_the_host(tmp_path: Path) -> None:
    entries: list[Entry] = [("etc", link("/real")), ("real/f", b"inside"), ("up", link("../../../etc"))]
    kept = of_layers(tmp_path, entries)
    assert at(kept, "/etc/f") == str(kept.root / "real/f")
    assert at(kept, "/up/f") == str(kept.root / "real/f")
    with pytest.raises(ImageError, match="it has no /etc/passwd"):
        at(kept, "/etc/passwd")


def changed(folder: Path, what: str) -> Reference:
    """A layout in which one blob is not what it was."""
    layout(folder / "image", [tar([("a", b"1" * 2000)]), tar([("b", b"2")])])
    blobs = folder / "image/blobs/sha256"
    manifest = blobs / json.loads((folder / "image/index.json").read_text())["manifests"][0]["digest"][7:]
    named = json.loads(manifest.read_text())
    digests = {"config": named["config"]["digest"], "layer": named["layers"][1]["digest"]}
    path = manifest if what == "manifest" else blobs / digests[what][7:]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return parse(f"oci:{folder / 'image'}")


@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
def test_a_blob_that_is_not_what_its_digest_says_is_refused(tmp_path: Path, cache: Path, what: str) -> None:
    with pytest.raises(ImageError, match=r"not what its digest says|cannot be read|no whole tar"):
        unpacked(changed(tmp_path, what))
    assert len(kept_folders(cache)) == (1 if what == "layer" else 0)  # the sound layer below
    assert listed() == []


def test_a_layer_whose_tar_is_not_the_one_of_the_configuration_is_refused(tmp_path: Path) -> None:
    folder = layout(tmp_path / "image", [tar([("a", b"1")])], diff_ids=["sha256:" + "0" * 64])
    with pytest.raises(ImageError, match=r"the tar of layer .* is not what its digest says"):
        unpacked(parse(f"oci:{folder}"))


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        (Bounds(size=99), "more than 99 bytes .--max-size"),
        (Bounds(entries=1), "more than 1 entries .--max-entries"),
        (Bounds(depth=2), "more than 2 names .--max-depth"),
    ],
    ids=["bytes", "entries", "depth"],
)
def test_a_tar_beyond_its_bounds_leaves_nothing(
    tmp_path: Path, cache: Path, bounds: Bounds, said: str
) -> None:
    with pytest.raises(ImageError, match=said):
        of_tar(tmp_path, tar([("a", b"x" * 60), ("b/c/d", b"y" * 60)]), bounds)
    assert kept_folders(cache) == []


def test_a_tar_bomb_ends_at_the_ratio(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libos.images.bounds._FREE", 1 << 20)
    with tarfile.open(tmp_path / "x.tar", "w:gz", compresslevel=9) as out:
        entry = tarfile.TarInfo("zeros")
        entry.size = 2 << 20
        with open("/dev/zero", "rb") as zeros:
            out.addfile(entry, zeros)
    with pytest.raises(ImageError, match=r"unpacks to more than 200 .--max-ratio"):
        unpacked(parse(str(tmp_path / "x.tar")))
    assert kept_folders(cache) == []
    assert unpacked(parse(str(tmp_path / "x.tar")), Bounds(ratio=2000)).size == 2 << 20


@pytest.mark.parametrize("cut", [100, 700, 1300, 1536, 2048, 2560])
def test_a_tar_that_is_cut_off_is_refused(tmp_path: Path, cache: Path, cut: int) -> None:
    with pytest.raises(ImageError, match=r"no whole tar|cut off"):
        of_tar(tmp_path, tar([("a", b"x" * 600), ("b", b"y")])[:cut])
    assert kept_folders(cache) == []


def test_a_broken_header_is_no_end(tmp_path: Path) -> None:
    data = bytearray(tar([("a", b"x" * 600), ("b", b"y")]))
    data[1536 + 150] ^= 1  # in the checksum of the second header
    with pytest.raises(ImageError, match="it ends where it has no end"):
        of_tar(tmp_path, bytes(data))


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@PaxHeader")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 40
    with pytest.raises(ImageError, match="headers of an entry have more than 4194304 bytes"):
        of_tar(tmp_path, entry.tobuf(tarfile.GNU_FORMAT) + bytes(5 << 20))


def test_what_a_killed_import_left_is_removed_by_the_next_one(tmp_path: Path, cache: Path) -> None:
    layout(tmp_path / "image", [tar([("a", b"1")])])
    killed = (
        "import os, signal, sys; from libos.images import layer, unpacking, reference\n"
        "layer.Making.finish = lambda self: os.kill(os.getpid(), signal.SIGKILL)\n"
        "unpacking.unpacked(reference.parse(sys.argv[1]))"
    )
    reference = f"oci:{tmp_path / 'image'}"
    done = subprocess.run([sys.executable, "-c", killed, reference])
    assert done.returncode == -9
    (left,) = kept_folders(cache)
    assert left.startswith("partial-")
    assert listed() == []
    kept = unpacked(parse(reference))
    assert kept_folders(cache) == [store.folder_of(kept.id)]


def test_equal_layers_are_unpacked_once_and_removed_with_the_last_image(tmp_path: Path, cache: Path) -> None:
    base: list[Entry] = [("base", b"x")]
    one = of_layers(tmp_path / "1", base, [("one", b"1")])
    two = of_layers(tmp_path / "2", base, [("two", b"2")])
    assert len(kept_folders(cache)) == 3
    assert [each.id for each in listed()] == sorted([one.id, two.id])
    store.remove(one.id)
    assert seen(two.root) == {"base": "x", "two": "2"}
    assert len(kept_folders(cache)) == 2
    store.remove(two.id)
    assert kept_folders(cache) == []


def test_a_tree_that_is_held_is_not_removed(tmp_path: Path, cache: Path) -> None:
    kept = of_layers(tmp_path, [("a", b"1")])
    fd = store.hold(store.folder_above(str(kept.root / "a")))
    try:
        with pytest.raises(ImageError, match="is used by a world"):
            store.remove(kept.id)
        assert seen(kept.root) == {"a": "1"}
        fcntl.flock(fd, fcntl.LOCK_UN)
        store.remove(kept.id)
    finally:
        os.close(fd)
    assert kept_folders(cache) == []


def test_an_archive_is_a_layout_in_a_tar_and_no_file_tree(tmp_path: Path) -> None:
    folder = layout(tmp_path / "image", [tar([("a", b"1")])])
    with tarfile.open(tmp_path / "x.tar", "w") as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.add(path, str(path.relative_to(folder)))
    assert seen(unpacked(parse(f"oci-archive:{tmp_path / 'x.tar'}")).root) == {"a": "1"}
    with pytest.raises(ImageError, match="write oci-archive: before it"):
        unpacked(parse(str(tmp_path / "x.tar")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oci:/a/b", Reference("oci", "/a/b")),
        ("oci:/a/b:v1.2", Reference("oci", "/a/b", "v1.2")),
        ("oci:/a:b/c", Reference("oci", "/a:b/c")),
        ("oci-archive:x.tar:latest", Reference("oci-archive", "x.tar", "latest")),
        ("./x:y.tar", Reference("tar", "./x:y.tar")),
        ("docker://alpine", "copy from elsewhere"),
        ("oci:", "names no image"),
        ("oci:/a:b c", "is no tag"),
        ("", "names no image"),
    ],
)
def test_references(text: str, said: Reference | str) -> None:
    if isinstance(said, Reference):
        assert parse(text) == said
        assert parse(str(said)) == said
        return
    with pytest.raises(ValueError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (b"{", "index.json is not JSON"),
        (b"[]", "holds no object"),
        (b"{}", 'has no "manifests"'),
        (b'{"manifests": []}', "it has no images"),
        (b'{"manifests": [{"digest": "sha256:../../x"}]}', "is no digest"),
        (b'{"manifests": [{"digest": "sha256:' + b"0" * 64 + b'"}]}', "it has no blobs/sha256/0"),
        (b'{"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "v"}}, {}]}', "the tags v"),
    ],
)
def test_a_layout_that_is_wrong_is_told(tmp_path: Path, index: bytes, said: str) -> None:
    (tmp_path / "index.json").write_bytes(index)
    with pytest.raises(ImageError, match=said):
        unpacked(parse(f"oci:{tmp_path}"))
