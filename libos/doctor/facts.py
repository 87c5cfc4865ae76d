"""What the machine says about itself: read once, so that causes can be judged without any I/O."""

from __future__ import annotations

import contextlib
import os
import platform
import stat
from dataclasses import dataclass
from pathlib import Path

from libos.keeper.identity import serves_root
from libos.kernel import landlock

# namespaces(7): the limits on namespaces a user, by the files' names below /proc/sys/user.
_LIMITS = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
# /proc/self/status, Seccomp: 0 none, 1 strict, 2 a filter (proc_pid_status(5)).
_NO_SECCOMP = "0"


@dataclass(frozen=True)
class Facts:
    """Sysctls that are absent are None."""

    serves_root: bool = False  # whether an app is given root's files (keeper.identity)
    uid: int = 0
    kernel: str = ""
    container: str | None = None  # its name as far as it can be told
    apparmor_restricts: bool = False  # kernel.apparmor_restrict_unprivileged_userns
    userns_clone: int | None = None  # kernel.unprivileged_userns_clone (Debian, Arch)
    limits: tuple[tuple[str, int], ...] = ()  # user.max_*_namespaces, by kind
    fuse_device: str = "open"  # "absent", "closed" or "open"
    fuse_known: bool = True  # whether the kernel has the file system now
    seccomp_filtered: bool = False  # whether this process itself runs under a filter
    proc_masked: bool = False  # whether parts of /proc are covered
    landlock: int = 0  # its version; 0 for none
    in_world: bool = False  # whether this is a world of libos itself

    def limit(self, kind: str) -> int | None:
        """Give user.max_<kind>_namespaces."""
        return dict(self.limits).get(kind)


def read_facts() -> Facts:
    """Read what /proc and /dev say. What cannot be read counts as absent."""
    limits = {kind: _sysctl(f"user/max_{kind}_namespaces") for kind in _LIMITS}
    return Facts(
        serves_root=serves_root(),
        uid=os.geteuid(),
        kernel=platform.release(),
        container=_container(),
        apparmor_restricts=_sysctl("kernel/apparmor_restrict_unprivileged_userns") == 1,
        userns_clone=_sysctl("kernel/unprivileged_userns_clone"),
        limits=tuple((kind, limit) for kind, limit in limits.items() if limit is not None),
        fuse_device=_fuse_device(),
        fuse_known="fuse" in _read("/proc/filesystems").split(),
        seccomp_filtered=_status("Seccomp") not in ("", _NO_SECCOMP),
        proc_masked=any(point.startswith("/proc/") for point in _mount_points()),
        landlock=landlock.abi(),
        in_world=_root_is_served_by_libos(),
    )


def _read(path: str) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return Path(path).read_text()
    return ""


def _sysctl(name: str) -> int | None:
    text = _read(f"/proc/sys/{name}").strip()
    return int(text) if text.isdigit() else None


def _status(key: str) -> str:
    lines = (line.partition(":") for line in _read("/proc/self/status").splitlines())
    return next((value.strip() for name, _, value in lines if name == key), "")


def _mount_points() -> list[str]:
    return [line.split()[4] for line in _read("/proc/self/mountinfo").splitlines()]


def _root_is_served_by_libos() -> bool:
    """Whether "/" is a FUSE file system named libos: "... / ... - fuse libos ..." (proc_pid_mountinfo(5))."""
    lines = (line.partition(" - ") for line in _read("/proc/self/mountinfo").splitlines())
    return any(head.split()[4] == "/" and tail.startswith("fuse libos ") for head, _, tail in lines)


def _container() -> str | None:
    """Name the container that this process runs in, by the marks that each leaves."""
    if os.path.exists("/run/.containerenv"):
        return "podman"
    if os.path.exists("/.dockerenv"):
        return "docker"
    if "microsoft" in platform.release().lower():
        return "wsl"
    name = os.environ.get("container", "")  # noqa: SIM112 - systemd's own spelling
    return name or None


def _fuse_device() -> str:
    try:
        mode = os.stat("/dev/fuse").st_mode
    except OSError:
        return "absent"
    return "open" if stat.S_ISCHR(mode) and os.access("/dev/fuse", os.R_OK | os.W_OK) else "closed"
