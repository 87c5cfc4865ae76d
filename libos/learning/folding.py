"""From the paths that a program used to the mounts that cover them. Pure; the host is asked through `Host`.

Rules, in this order:
- The working directory is granted whole, but for the secrets in it that were not used: they are hidden. Not
  where it is, or holds, the home directory, nor at the root's own level.
- What was written elsewhere gets an empty directory in memory where only new files were made, and a
  copy-on-write directory where files that are there were changed.
- A locale of which a file was read is granted whole: without it what a terminal shows is no UTF-8.
- A library tree (libos.learning.libraries) is granted whole where it was listed or much of it was used; its
  secrets are hidden as those of the working directory are.
- A directory that was listed is granted, since the program saw all of its names.
- Of the rest, each file gets a mount of its own, and those of one directory are folded into it where the
  program used a good part of it, or where there would be too many lines.
- Nothing is folded into a directory that may not be granted whole (libos.learning.widening).
- A secret that was used itself is granted alone, and said, whatever link led there; one that was only looked
  at is not.
- What stands where the program could put links is not granted (libos.learning.planted).
- Links are granted as what they lead to; what they lead to is then not granted a second time.
- What leads into OWN is no grant: a world has those of its own, and the host's would tell of the host.
- Directories that were only passed through, and listings of WIDE directories, are no grant; nor are looks at
  many files of a directory that was listed and is not granted: whoever lists looks at all.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from libos.learning import libraries, planted
from libos.learning.host import Host
from libos.learning.widening import WIDE, Uses, Widening, within
from libos.sensitive import is_secret

# What every world has of its own.
OWN = ("/proc/", "/dev/", "/sys/")
# Lines for which folding begins: a person reads so many.
MOST_LINES = 80
# The least files of one directory that are folded into it, and the part of its files that must have been
# used: one in so many.
FEWEST, PART = 3, 4
# Secrets that are hidden in a library at most: what holds more is more than a library.
MOST_HIDDEN = 32
# Files of a directory that was listed and is not granted which are granted because of a look.
MOST_LOOKS = 20
# Files below a directory that was listed, or that a link leads to, at most.
MOST_LISTED = 10_000
CHANGES = frozenset(("write", "create", "remove", "change"))

# Where the C library has its locales, each a directory or all in one file: locale(7).
LOCALES = "/usr/lib/locale/"
# What the C library looks at in every program, and can do without: other names of locales, encodings.
LOADER = (
    *("/usr/share/locale/locale.alias", "/etc/locale.alias"),
    *("/usr/lib/x86_64-linux-gnu/gconv/", "/usr/lib64/gconv/", "/etc/ld.so.preload"),
)


@dataclass(frozen=True)
class Grant:
    """One mount: of the host at the same path, in `mode`, or in memory; and why it is there."""

    at: str
    why: str
    mode: str = "read-only"
    memory: bool = False
    hide: tuple[str, ...] = ()
    source: str = ""  # the host's path, where it is another one


@dataclass
class Folded:
    """The grants, and what a person should know besides."""

    grants: list[Grant] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def covers(self, path: str) -> bool:
        """Whether a grant shows what stands at a path."""
        return any(not each.memory and within(path, each.at) for each in self.grants)


def fold(
    uses: Uses,
    host: Host,
    *,
    directory: str,
    home: str,
    covered: Callable[[str], bool],
    memory: tuple[str, ...] = (),
    written: Iterable[str] = (),
) -> Folded:
    """Give the grants for what was used. `covered(path)`: whether something else shows it already; `memory`:
    where there are empty directories in memory already; `written`: directories of the host that the program
    could change while it was learned."""
    folding = _Folding(host, directory, home, memory)
    rest = {
        path: seen
        for path, seen in uses.items()
        if not (covered(path) or path.startswith(LOADER) or host.real(path).startswith(OWN))
        and (not path.startswith(LOCALES) or "read" in seen)
    }
    without = planted.planted(rest, host, written)
    folding.done.notes += planted.notes(without)
    rest = {path: seen for path, seen in rest.items() if path not in without}
    steps = (folding.directory_whole, folding.changed, folding.locales, folding.libraries)
    for step in (*steps, folding.listed, folding.files):
        step(rest)
        rest = {path: seen for path, seen in rest.items() if not folding.done.covers(path)}
    folding.done.grants.sort(key=lambda grant: grant.at)
    return folding.done


class _Folding:
    def __init__(self, host: Host, directory: str, home: str, memory: tuple[str, ...]) -> None:
        self.host = host
        self.widening = Widening(host, directory, home)
        self.directory = directory
        self.home = home
        self.memory = memory
        self.done = Folded()

    def grant(self, at: str, why: str, **more: object) -> None:
        self.done.grants.append(Grant(at, why, **more))  # type: ignore[arg-type]  # its own fields

    def hidden(self, place: str, rest: Uses) -> tuple[str, ...]:
        """The secrets that are hidden in a directory granted whole."""
        hide, all_of_them = self.widening.unused_secrets(place, rest)
        if not all_of_them:
            self.done.notes.append(f"secrets in {place} were used, and are granted with it")
        return hide

    def is_secret(self, path: str) -> bool:
        """Whether a path is a secret, or leads to one."""
        return is_secret(path) or is_secret(self.host.real(path))

    # --- the working directory

    def directory_whole(self, rest: Uses) -> None:
        place = self.directory
        used = [path for path in rest if within(path, place) and rest[path] - {"look"}]
        if not used or place in WIDE or within(self.home, place) or is_secret(place):
            return
        hide = self.hidden(place, rest)
        changed = any(rest[path] & CHANGES for path in used)
        some = "some" if changed else "none"
        why = f"the working directory: {len(used)} of its paths were used, {some} changed"
        why += "; its secrets are hidden" if hide else ""
        self.grant(place, why, mode="copy-on-write" if changed else "read-only", hide=hide)

    # --- what was changed elsewhere

    def changed(self, rest: Uses) -> None:
        changed = [path for path, seen in rest.items() if seen & CHANGES]
        fresh = {place for path in changed if (place := self._new_place(path)) is not None}
        old = {posixpath.dirname(path) for path in changed if self.host.kind(path) is not None}
        for place in sorted(old):
            if not self.widening.may_be_copied(place):
                self.done.notes.append(f"files in {place} were changed: that is not granted, but by -v")
            elif not self.done.covers(place):
                hide = tuple(posixpath.relpath(each, place) for each in self.host.below(place).secrets)
                self.grant(place, "files in it were changed", mode="copy-on-write", hide=hide)
        for place in sorted(fresh):
            writable = [each.at for each in self.done.grants if each.mode != "read-only"]
            if not _in_any(place, (*writable, *self.memory)):
                self.grant(place, "new files were made in it; they end with the app", mode="", memory=True)

    def _new_place(self, path: str) -> str | None:
        """Where an empty directory must stand so that a new path can be made; None for one that was there."""
        if self.host.kind(path) is not None:
            return None
        place = posixpath.dirname(path)
        while self.host.kind(above := posixpath.dirname(place)) is None:
            place = above
        return place if place != "/" else None

    # --- locales

    def locales(self, rest: Uses) -> None:
        for path in sorted(rest):
            if path.startswith(LOCALES) and not self.done.covers(path):
                self.grant(LOCALES + path[len(LOCALES) :].partition("/")[0], "the locale in which it ran")

    # --- libraries

    def libraries(self, rest: Uses) -> None:
        used = [path for path in rest if not is_secret(path)]
        for tree, count in libraries.trees(used, self.host).items():
            wanted = count >= libraries.FEWEST or "list" in rest.get(tree, ())
            if wanted and not self.done.covers(tree) and self.widening.may(tree, MOST_HIDDEN):
                total, hide = self.host.below(tree).files, self.hidden(tree, rest)
                why = f"{count} of its {total} files were used: a library, granted whole"
                self.grant(tree, f"{why} but for its secrets" if hide else why, hide=hide)

    # --- what was listed

    def listed(self, rest: Uses) -> None:
        refused: list[str] = []
        for path in sorted(path for path, seen in rest.items() if "list" in seen):
            if self.done.covers(path) or self.host.kind(path) != "directory":
                continue
            if self.widening.may(path) and self.host.below(path).files <= MOST_LISTED:
                self.grant(path, f"it was listed: widened to all {self.host.below(path).files} files")
            elif path not in WIDE and not within(self.directory, path) and not within(self.home, path):
                refused.append(path)
        for path in (each for each in refused if not _in_any(posixpath.dirname(each), refused)):
            inner = sum(within(each, path) for each in refused) - 1
            also = f", nor are {inner} more in it" if inner else ""
            self.done.notes.append(f"{path} was listed, and is not granted{also}: large, or with secrets")

    # --- single files

    def files(self, rest: Uses) -> None:
        single: dict[str, frozenset[str]] = {}
        crowd = self._looked_through(rest)
        for path, seen in rest.items():
            if path in crowd:
                continue
            kind = self.host.kind(path)
            if kind == "directory" and "follow" in seen and self.widening.may(path):
                self.grant(path, f"a link to {self.host.real(path)}")
            elif kind == "file" and self.is_secret(path) and seen <= {"look", "follow"}:
                self.done.notes.append(f"{path} was looked at, and is not granted: it may hold a secret")
            elif kind == "file":
                single[path] = seen
            elif kind == "other" and seen != {"look"}:
                self.done.notes.append(f"{path} is a socket or a device: mount it as a service")
        folded = self._folded(single)
        self._alone({path: seen for path, seen in single.items() if not _in_any(path, folded)})

    def _looked_through(self, rest: Uses) -> set[str]:
        """The files that were looked at because their directory was listed."""
        looked: dict[str, list[str]] = {}
        for path, seen in rest.items():
            place = posixpath.dirname(path)
            if (
                seen <= {"look", "follow"}
                and "list" in rest.get(place, ())
                and self.host.kind(path) == "file"
            ):
                looked.setdefault(place, []).append(path)
        crowds = {place: paths for place, paths in looked.items() if len(paths) > MOST_LOOKS}
        for place, paths in crowds.items():
            self.done.notes.append(f"{len(paths)} files of {place} were looked at: that is not granted")
        return {path for paths in crowds.values() for path in paths}

    def _alone(self, kept: Uses) -> None:
        """A mount for each file, but for what a granted link leads to."""
        links = {self.host.real(path) for path, seen in kept.items() if "follow" in seen}
        led_to: dict[str, frozenset[str]] = {}
        for path, seen in kept.items():
            if "follow" not in seen:
                led_to[self.host.real(path)] = seen
        for path, seen in kept.items():
            real = self.host.real(path)
            if "follow" in seen:
                self.grant(path, self._why(path, seen | led_to.get(real, frozenset())))
            elif real not in links:
                self.grant(path, self._why(path, seen))

    def _why(self, path: str, seen: frozenset[str]) -> str:
        if self.is_secret(path):
            to = "" if is_secret(path) else f", by its link to {self.host.real(path)},"
            self.done.notes.append(
                f"{path} holds a secret{to} and was read: take its lines out if it need not be"
            )
            return "SECRET: it was read"
        if "execute" in seen:
            return "executed"
        return "read" if "read" in seen else "looked at"

    def _folded(self, single: Iterable[str]) -> list[str]:
        """The directories that take the place of files, each granted."""
        files = [path for path in single if not self.is_secret(path)]
        counts = _by_directory(files)
        chosen: list[str] = []
        for path in sorted(counts, key=lambda each: (each.count("/"), each)):
            if _in_any(path, chosen) or not self.widening.may(path):
                continue
            total = self.host.below(path).files
            if counts[path] >= FEWEST and counts[path] * PART >= total:
                chosen.append(path)
                self.grant(path, f"{counts[path]} of its {total} files were used")
        self._pressed(files, counts, chosen)
        return chosen

    def _pressed(self, files: list[str], counts: Mapping[str, int], chosen: list[str]) -> None:
        """Fold on while there are too many lines: where a file more shown saves the most."""
        left = [path for path in files if not _in_any(path, chosen)]
        while len(left) > MOST_LINES:
            counts = _by_directory(left)
            may = [path for path in counts if counts[path] >= FEWEST and self.widening.may(path)]
            if not may:
                return
            best = min(may, key=lambda path: (self.host.below(path).files / counts[path], path))
            self.grant(best, f"{counts[best]} of its {self.host.below(best).files} files: folded to be short")
            chosen.append(best)
            left = [path for path in left if not within(path, best)]


def _in_any(path: str, directories: Iterable[str]) -> bool:
    return any(within(path, each) for each in directories)


def _by_directory(files: Iterable[str]) -> dict[str, int]:
    """How many of the files stand below each directory on the way to them."""
    counts: dict[str, int] = {}
    for path in files:
        while (path := posixpath.dirname(path)) != "/":
            counts[path] = counts.get(path, 0) + 1
    return counts
