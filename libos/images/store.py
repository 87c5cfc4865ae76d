"""Where images are unpacked: a folder a tree, by the identity of its content.

    $XDG_CACHE_HOME/libos/images/       ~/.cache where the variable is unset
        lock                            held (flock) by who makes or removes a tree
        partial-…/                      one that is being made; left over, the next import removes it
        DIGEST/root                     the tree of some layers, the lowest first
        DIGEST/.libos-image             {"version": 1, "chain": […], "sources": […], …}

Rules: DIGEST is the ChainID of the OCI image configuration, so equal layers are unpacked once, and files of a
common lower part are hard links. A folder appears whole, by rename, once all of it is on disk. What stands in
it is never written again. Who uses a tree holds its folder (flock). The folders belong to the caller and
nobody else may write them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from libos.images.errors import ImageError
from libos.kept.removing import remove as remove_tree
from libos.kept.tree import Tree
from libos.kernel.files import sync_filesystem

RECORD = ".libos-image"
_VERSION = 1
_PARTIAL = "partial-"


@dataclass(frozen=True)
class Kept:
    """A tree of the store: its identity, those of its lower parts and itself, where it came from (nothing for
    what is only a part of others), and how much it is, in bytes and entries of all layers."""

    id: str
    chain: tuple[str, ...]
    sources: tuple[str, ...]
    size: int
    entries: int
    config: dict[str, Any]

    @property
    def root(self) -> Path:
        """Its top directory."""
        return home() / folder_of(self.id) / "root"


def home() -> Path:
    """The folder of all images of this user; it need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if cache.startswith("/") else Path("~/.cache").expanduser()
    return base / "libos" / "images"


def folder_of(identity: str) -> str:
    """The name of a tree's folder."""
    return identity.replace(":", "-")


def read(identity: str) -> Kept | None:
    """A tree of the store; None where it is not there. ImageError for one that libos has not made."""
    path = home() / folder_of(identity) / RECORD
    try:
        value = json.loads(path.read_bytes())
        if value.pop("version") != _VERSION:
            raise ImageError(f"{path} was written by another version of libos: libos image rm {identity}")
        return Kept(
            value["id"], tuple(value["chain"]), tuple(value["sources"]), value["size"], value["entries"],
            value["config"],
        )  # fmt: skip
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ImageError(f"{path} is damaged: remove {path.parent}") from None


def listed() -> list[Kept]:
    """The images of the store, by their identities; not what is only a part of them."""
    found = []
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(home())):
            if name.startswith(("sha256-", "sha512-")):
                found.append(read(name.replace("-", ":", 1)))
    return [each for each in found if each is not None and each.sources]


@contextmanager
def locked() -> Iterator[Path]:
    """Give the store's folder, which no other process changes during the block; waits for it. ImageError for
    a folder that is not private."""
    top = home()
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (top.parent, top):
        _check_private(folder)
    fd = os.open(top / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        for name in os.listdir(top):
            if name.startswith(_PARTIAL):  # whose maker was killed: it had the lock
                _remove(top, name)
        yield top
    finally:
        os.close(fd)


def _check_private(folder: Path) -> None:
    found = folder.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
        raise ImageError(f"{folder} is no folder of yours: set XDG_CACHE_HOME to one")
    if found.st_mode & 0o022:
        raise ImageError(f"{folder} can be written by others: chmod go-w {folder}")


def add(top: Path, make: Callable[[Tree], Kept]) -> Kept:
    """Let `make` fill a tree, and keep it as what it gives. The store is `locked`. Whatever `make` raises:
    nothing is left."""
    partial = tempfile.mkdtemp(prefix=_PARTIAL, dir=top)
    try:
        os.mkdir(f"{partial}/root", 0o700)
        with Tree.at(f"{partial}/root") as tree:
            kept = make(tree)
            _write(Path(partial), kept)
            sync_filesystem(tree.fd)
        os.rename(partial, top / folder_of(kept.id))
        _sync(top)
    except BaseException:
        _remove(top, os.path.basename(partial))
        raise
    return kept


def add_source(top: Path, kept: Kept, source: str) -> Kept:
    """Note one more place that a tree came from. The store is `locked`."""
    kept = replace(kept, sources=(*kept.sources, source))
    _write(top / folder_of(kept.id), kept)
    return kept


def _write(folder: Path, kept: Kept) -> None:
    new = folder / f"{RECORD}.new"
    with open(new, "w") as file:
        json.dump({"version": _VERSION, **asdict(kept)}, file)
        file.flush()
        os.fsync(file.fileno())
    new.rename(folder / RECORD)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def folder_above(path: str) -> Path:
    """The folder of the store that holds a path of a tree. ImageError where none does."""
    for folder in Path(path).parents:
        if (folder / RECORD).exists():
            return folder
    raise ImageError(f"{path} was removed meanwhile: start again")


def hold(folder: Path) -> int:
    """Keep a tree from being removed until the descriptor that this gives is closed. ImageError where it is
    gone."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        raise ImageError(f"{folder} was removed meanwhile: start again") from None
    return fd


def remove(identity: str) -> None:
    """Remove an image, and the parts of it that no other image has. ImageError where it is not there, or is
    used by a world."""
    kept = read(identity)
    if kept is None:
        raise ImageError(f"there is no image {identity}: libos image ls")
    with locked() as top:
        needed = {each for other in listed() if other.id != identity for each in other.chain}
        if identity in needed:
            _write(top / folder_of(identity), replace(kept, sources=()))
            return
        for each in reversed(kept.chain):
            if each not in needed:
                _remove_held(top, each)


def _remove_held(top: Path, identity: str) -> None:
    name = folder_of(identity)
    try:
        fd = os.open(top / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(top / name, top / f"{_PARTIAL}{name}")
        _remove(top, f"{_PARTIAL}{name}")
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            raise ImageError(f"{identity} is used by a world: end that first") from None
        raise
    finally:
        os.close(fd)


def _remove(top: Path, name: str) -> None:
    with Tree.at(str(top)) as tree:
        remove_tree(tree, name.encode())
