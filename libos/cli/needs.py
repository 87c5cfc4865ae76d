"""What the process of `libos run` and `libos up` opens of the host by itself: the rules for `enclosing`.

Rules:
- Each mount of a manifest gives what it grants: reading, and where it is read-write, changing. What is
  mounted as a copy is read alone; its changes are the keeper's to make.
- A mount of one file gives nothing: a rule is for the file that stands there now, and an editor puts another
  one in its place. It is opened outside; but where its content is checked, only what stands there now counts.
- Nothing is executed. Nothing below the caller's home is read but what a manifest names, libos's own folders,
  and where Python has its packages there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from libos.images.reference import parse
from libos.kernel import landlock
from libos.namespace import ChannelSource, HostSource, ImageSource, Mode, Mount, Vetted
from libos.plan.vetting import vetting

if TYPE_CHECKING:
    from libos.manifest import Manifest

LIST = landlock.ACCESS_FS_READ_DIR
READ = landlock.ACCESS_FS_READ_FILE | LIST
# A file that is there.
WRITE = landlock.ACCESS_FS_READ_FILE | landlock.ACCESS_FS_WRITE_FILE | landlock.ACCESS_FS_TRUNCATE
# All in a tree but devices and executing.
CHANGE = (
    READ
    | WRITE
    | landlock.ACCESS_FS_REMOVE_DIR
    | landlock.ACCESS_FS_REMOVE_FILE
    | landlock.ACCESS_FS_MAKE_DIR
    | landlock.ACCESS_FS_MAKE_REG
    | landlock.ACCESS_FS_MAKE_SOCK
    | landlock.ACCESS_FS_MAKE_FIFO
    | landlock.ACCESS_FS_MAKE_SYM
    | landlock.ACCESS_FS_REFER
)
DEVICE = WRITE | landlock.ACCESS_FS_IOCTL_DEV

# What the system's libraries read: programs' data, settings, names and certificates, and of the kernel what
# it tells of processes, processors and cgroups. The stores are of Nix and Guix, which link into them.
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/nix/store", "/gnu/store", "/proc", "/sys/devices/system")
_CGROUPS = "/sys/fs/cgroup"
# No terminal but the caller's own, which is one of its streams or /dev/tty.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# What may lead out of /etc: how names are looked up.
_LINKS = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime")
# Where OpenSSL looks when it is told: SSL_CTX_load_verify_locations(3).
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class Need(NamedTuple):
    """A file or directory of the host, and what is done there: landlock.ACCESS_FS_*."""

    path: str
    rights: int


def own_needs() -> Iterator[Need]:
    """Those of every run: Python's, libos's, the system's."""
    yield from (Need(path, READ) for path in (*_SYSTEM, _CGROUPS, *_python(), *_links()))
    yield from (Need(f"/dev/{name}", DEVICE) for name in _DEVICES)
    # The caller's streams, which a terminal opens again.
    streams = (f"/proc/self/fd/{number}" for number in range(3))
    yield from (Need(path, DEVICE) for path in streams if not os.path.isdir(path))


def manifest_needs(manifest: Manifest) -> Iterator[Need]:
    """Those of a manifest's grants."""
    for mount in manifest.mounts:
        if isinstance(mount.source, HostSource) and os.path.isdir(mount.source.path):
            yield Need(mount.source.path, CHANGE if mount.mode is Mode.READ_WRITE else READ)
        elif isinstance(mount.source, ImageSource):
            yield Need(parse(mount.source.reference).path, READ)
        if (asked := vetting(mount.layers)) is not None:
            yield from (Need(path, READ) for path in _looked_through(mount, asked))
    read, written = opened_files([manifest])
    yield from (Need(path, READ) for path in read)
    yield from (Need(path, WRITE) for path in written)
    yield from (Need(dial.ca, READ) for dial in manifest.dials if dial.ca is not None)
    if manifest.network.capture is not None:
        yield Need(manifest.network.capture, WRITE)


def _looked_through(mount: Mount, asked: Vetted) -> Iterator[str]:
    """The file that is checked, where it is no folder, and the key."""
    if isinstance(mount.source, HostSource):
        yield mount.source.path
    if asked.signed is not None:
        yield asked.signed


def opened_files(manifests: Iterable[Manifest]) -> tuple[list[str], list[str]]:
    """What is opened by path whenever a world is made, and may be another file by then: to be read, those of
    secrets and channels, and to be written, those of channels."""
    read: list[str] = []
    written: list[str] = []
    for manifest in manifests:
        read += [each.file for each in manifest.secrets if each.file is not None]
        for mount in manifest.mounts:
            if isinstance(mount.source, ChannelSource) and mount.source.path is not None:
                (written if mount.source.puttable else read).append(mount.source.path)
    return read, written


def copied_hosts(manifest: Manifest) -> tuple[str, ...]:
    """The directories, and the images, that are mounted as copies."""
    copied = [each.source for each in manifest.mounts if each.mode is Mode.COPY_ON_WRITE]
    images = (parse(each.reference).path for each in copied if isinstance(each, ImageSource))
    return (*(each.path for each in copied if isinstance(each, HostSource)), *images)


def wants_cgroups(manifest: Manifest) -> bool:
    """Whether a cgroup may be made for a limit, its own or of a world below it."""
    limits = manifest.limits
    asked = (
        *(limits.memory, limits.processes, limits.cpus, limits.cpu_share, limits.cpuset),
        *(limits.latency, limits.children),
    )
    return any(each is not None for each in asked)


def _python() -> Iterator[str]:
    """The interpreter, the packages that it finds, and where libos itself lies, links followed."""
    import libos
    import libos.fs
    import libos.net

    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    for package in (libos, libos.fs, libos.net):
        yield from (os.path.realpath(path) for path in package.__path__)
    # Not the directory of the program or the one where it was started: that is the caller's.
    packages, here = sys.path[not sys.flags.safe_path :], os.getcwd()
    yield from (path for path in packages if path and os.path.realpath(path) != here)


def _links() -> Iterator[str]:
    yield from (os.environ[name] for name in _CERTIFICATES if name in os.environ)
    for path in _LINKS:
        if os.path.islink(path):
            # Replaced rather than written: the directory, where it is one that is made for it.
            real = Path(os.path.realpath(path))
            yield str(real.parent if real.is_relative_to("/run") and len(real.parts) > 3 else real)
