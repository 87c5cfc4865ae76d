"""Keeping the changes of a run: the folders that its overlays write into, for as long as its world lives."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from libos.keeper.identity import serves_root
from libos.kept import journal
from libos.kept.errors import ChangesError
from libos.kept.layers import opened_layers
from libos.kept.originals import tick
from libos.kept.store import Pair, Store, check_name, home

# An overlay of a plan: its mount point and the host's directory.
Overlaid = tuple[str, str]


class Keeping:
    """The kept changes of one run; `folders` gives the folder with `upper` and `work` for a mount point."""

    def __init__(self, store: Store, lock_fd: int, pairs: list[Pair]) -> None:
        self._store = store
        self._pairs = pairs
        # The lock lasts as long as any copy of this is open: a world's init gets one.
        self.lock_fd = lock_fd
        self.folders = {each.at: str(store.path / each.folder) for each in pairs}

    def add(self, at: str, host: str) -> str:
        """Take in one more mount of the run and give its folder; blocks for some milliseconds. Raises
        ChangesError: of another directory, or one whose changes this run keeps already."""
        if at in self.folders:
            raise ChangesError(
                f'this run keeps changes of "{at}" already, from a mount that may still be open: '
                "mount it at another place, or start the app again"
            )
        try:
            (pair,) = _begun(self._store, ((at, host),))
        except OSError as error:
            raise _unkept(self._store, error) from error
        self._pairs.append(pair)
        self.folders[at] = str(self._store.path / pair.folder)
        return self.folders[at]

    def close(self) -> None:
        """Note what the run's originals were, and let go. Call when the world is gone."""
        try:
            for pair in self._pairs:
                with contextlib.suppress(OSError, ChangesError), opened_layers(self._store, pair) as layers:
                    layers.note()
        finally:
            self._store.close()


def keep(name: str, overlays: Sequence[Overlaid]) -> Keeping:
    """Take a name for a run whose copy-on-write mounts these are; blocks for some milliseconds.

    Finishes what an interrupted commit left. Raises ChangesError: in use, not private, of another directory.
    """
    for _, host in overlays:
        _refuse_overlap(home() / check_name(name), host)
    store = Store(name, make=True)
    try:
        lock_fd = store.lock("a run")
        journal.recover(store)
        return Keeping(store, lock_fd, _begun(store, overlays))
    except OSError as error:
        store.close()
        raise _unkept(store, error) from error
    except BaseException:
        store.close()
        raise


def prepare(name: str, hosts: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """Make the folder of a name, finish what an interrupted commit left, and let go: for who will not be able
    to write elsewhere when the run begins. Gives the folder, and the directories whose changes it has. Where
    any of it cannot be done, `keep` will say why."""
    path = home() / name
    if not hosts:
        return path, ()
    with contextlib.suppress(ChangesError, OSError):
        for host in hosts:
            _refuse_overlap(home() / check_name(name), host)
        with Store(name, make=True) as store:
            store.lock("a run")
            journal.recover(store)
            return path, tuple(pair.host for pair in store.pairs())
    return path, ()


def _begun(store: Store, overlays: Sequence[Overlaid]) -> list[Pair]:
    """The folders of these mounts, ready for overlays to write into."""
    for _, host in overlays:
        _refuse_overlap(store.path, host)
    pairs = store.pairs()
    mine = [_pair(store, pairs, at, host) for at, host in overlays]
    for pair in mine:
        with opened_layers(store, pair) as layers:
            layers.note()
    moment = tick()
    for pair in mine:
        with opened_layers(store, pair) as layers:
            layers.begin(moment)
    return mine


def _unkept(store: Store, error: OSError) -> ChangesError:
    return ChangesError(f"changes cannot be kept in {store.path}: {error.strerror}")


def _refuse_overlap(path: Path, host: str) -> None:
    """A commit must not write to what keeps it, nor an app see it."""
    state, lower = os.path.realpath(path), os.path.realpath(host)
    if os.path.commonpath((state, lower)) in (state, lower):
        raise ChangesError(
            f"changes to {host} cannot be kept in {path}, for one lies inside the other; "
            "set XDG_STATE_HOME to a folder elsewhere"
        )


def _pair(store: Store, pairs: list[Pair], at: str, host: str) -> Pair:
    for pair in pairs:
        if pair.at == at:
            if pair.host != host:
                raise ChangesError(
                    f'"{store.name}" keeps changes of {pair.host} at {at}, not of {host}; '
                    f"take another name, or: libos discard {store.name}"
                )
            _make(store, pair)
            return pair
    pair = Pair(at, host, str(max((int(each.folder) for each in pairs), default=-1) + 1))
    _make(store, pair)
    pairs.append(pair)
    store.record(pairs)
    return pair


def _make(store: Store, pair: Pair) -> None:
    """Make a pair's folders where they are missing, the host directory's owner's when root keeps them: his
    files are the app's."""
    original = Path(pair.host).stat()
    for name in (pair.folder, f"{pair.folder}/upper", f"{pair.folder}/work"):
        made = False
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=store.fd)
            made = True
        if serves_root():
            os.chown(name, original.st_uid, original.st_gid, dir_fd=store.fd, follow_symlinks=False)
        if made and name.endswith("/upper"):  # the merged top shows the upper directory's mode
            os.chmod(name, stat.S_IMODE(original.st_mode), dir_fd=store.fd)
