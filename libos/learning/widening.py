"""Whether a directory may be granted because of what stands in it. Pure; the host is asked through `Host`.

Rules:
- Never what is WIDE or a secret (libos.sensitive), nor what leads to the working directory or the home
  directory; for a link the same is asked of what it leads to.
- Never what could not be looked at whole.
- Where files in it were changed the same holds, but that all its secrets are hidden.
- What holds secrets only where as many may be hidden; those that were used are not.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from libos.learning.host import Host
from libos.sensitive import is_secret

# Directories that many programs share: their names say nothing of this one.
WIDE = frozenset(
    ("/", "/bin", "/sbin", "/lib", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64")
    + ("/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/share", "/usr/libexec", "/usr/include")
    + ("/etc", "/home", "/root", "/var", "/var/lib", "/opt", "/run", "/srv", "/mnt", "/media")
    + ("/tmp",)  # noqa: S108 - a name, nothing is made there
)

# Paths, and what each was used for.
Uses = Mapping[str, frozenset[str]]


def within(path: str, directory: str) -> bool:
    """Whether a path is a directory or stands below it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


@dataclass(frozen=True)
class Widening:
    """The answers, for a program that runs in `directory` and whose home is `home`."""

    host: Host
    directory: str
    home: str

    def may(self, path: str, hidden: int = 0) -> bool:
        """Whether all of a directory may be granted, so many secrets in it hidden at most."""
        if path in WIDE or path == self.home or is_secret(path):
            return False
        if within(self.directory, path) or within(self.home, path):
            return False
        real = self.host.real(path)
        if real != path and not self.may(real, hidden):
            return False
        below = self.host.below(path)
        return below.complete and len(below.secrets) <= hidden

    def may_be_copied(self, path: str) -> bool:
        """Whether a directory in which files were changed may be granted, its secrets hidden."""
        real = self.host.real(path)
        if path in WIDE or is_secret(path) or is_secret(real):
            return False
        above = any(within(each, place) for each in (self.home, self.directory) for place in (path, real))
        return not above and self.host.below(path).complete

    def unused_secrets(self, place: str, uses: Uses) -> tuple[tuple[str, ...], bool]:
        """The secrets below a directory that were not used, relative to it; and whether these are all."""
        secrets = self.host.below(place).secrets
        used = [path for path, seen in uses.items() if seen - {"look"} and within(path, place)]
        hide = [each for each in secrets if not any(within(path, each) for path in used)]
        return tuple(posixpath.relpath(each, place) for each in hide), len(hide) == len(secrets)
