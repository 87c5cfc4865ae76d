"""What `libos run` and `libos up` take from themselves before they serve a world.

Their process is their own, unlike that of a Python program that uses the library, which is left as it is.
From here on it gains no privileges by execve(2), and a root keeps the capabilities that serving and the
keeper take:

- chown, dac_override, fowner, fsetid: files of root's that are served and streams that are given away;
- setgid, setuid, setfcap, sys_admin: ids of worlds, the owner's rights in trees that are served, id-mapped
  mounts;
- net_bind_service: published ports below 1024.

What it does to worlds takes none: the keeper's user namespace was made by this uid, whose rights there are
whole (user_namespaces(7)). Modules, raw devices, the clock, tracing of the host's programs, its network and
the like are gone, from its threads and the keeper too, and do not come back.

A secret that a command prints is left out of it: the command is the caller's, and may need what is taken. So
is a root inside with the sub-ids of an ordinary user, since newuidmap(1) gains the privilege to map them. The
keeper, which starts it, gains no more after that.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from libos.keeper import subids
from libos.kernel import process
from libos.manifest import Manifest

KEPT = frozenset(
    (
        *(process.CAP_CHOWN, process.CAP_DAC_OVERRIDE, process.CAP_FOWNER, process.CAP_FSETID),
        *(process.CAP_SETGID, process.CAP_SETUID, process.CAP_SETFCAP, process.CAP_SYS_ADMIN),
        process.CAP_NET_BIND_SERVICE,
    )
)


def confine(manifests: Iterable[Manifest], *, sub_ids: bool = False) -> None:
    """Confine this process, while it has one thread, unless a manifest has a command for a secret, or
    `sub_ids` are wanted and there. Raises OSError."""
    manifests = tuple(manifests)
    if any(secret.command is not None for manifest in manifests for secret in manifest.secrets):
        return
    if sub_ids and not subids.offer().lack:
        return
    process.set_no_new_privileges()
    permitted = process.permitted_capabilities()
    if not permitted:
        return
    try:
        process.drop_capabilities(KEPT & permitted)
    except OSError as error:
        raise OSError(error.errno or errno.EPERM, f"confine libos itself: {error.strerror}") from error
