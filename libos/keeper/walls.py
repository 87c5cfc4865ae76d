"""The walls around an app, in the order in which they go up, in the process that becomes it.

A session of its own; a user namespace below K in which it is itself and nobody else; default signals; no core
dumps; no capabilities; no new privileges; the seccomp filter. Whoever calls this execs next or ends: nothing
runs behind half the walls.
"""

from __future__ import annotations

import resource
import signal

from libos.keeper.identity import APP_ID
from libos.kernel import namespaces, process

# Python ignores the first two, and exec would keep that; init and the keeper handle or ignore the others.
_CHANGED_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def raise_walls(filter_program: bytes, proc: str) -> None:
    """Put all walls up. `proc` is a mounted /proc. Raises OSError."""
    namespaces.unshare(namespaces.CLONE_NEWUSER)
    namespaces.write_id_maps(f"{proc}/self", APP_ID, APP_ID, APP_ID)
    for number in _CHANGED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    process.drop_capabilities()
    process.set_no_new_privileges()
    process.load_seccomp_filter(filter_program)
