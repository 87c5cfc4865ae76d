"""Other ways from a network namespace to a server on the host, as workers: pasta and slirp4netns.

Each at its best: pasta splices the namespace's loopback port to the host's (-T), slirp4netns has the largest
packets that it can. Both need /dev/net/tun.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from benchmarks.worker import Worker, outside

# Where slirp4netns shows the host's loopback (slirp4netns(1)).
SLIRP_HOST = "10.0.2.2"
# Bytes: slirp4netns(1), "--mtu"; its default of 1500 is several times slower.
_MTU = 65520


def can_run() -> bool:
    """Whether this user may open what both make their interface with."""
    return os.access("/dev/net/tun", os.R_OK | os.W_OK)


@asynccontextmanager
async def pasta(ports: Iterable[int]) -> AsyncIterator[Worker]:
    """A worker in a namespace that pasta made; its own 127.0.0.1 leads to these ports of the host's."""
    forward = ["-T", ",".join(map(str, ports)), "-t", "none", "-u", "none", "-U", "none"]
    # As root it would become nobody, who may not write its namespace's uid_map.
    runas = ["--runas", "0"] if os.geteuid() == 0 else []
    async with outside(["pasta", "--quiet", "--foreground", *runas, *forward, "--"]) as worker:
        yield worker


@asynccontextmanager
async def slirp4netns() -> AsyncIterator[Worker]:
    """A worker in a namespace that slirp4netns carries for."""
    async with outside(["unshare", "--user", "--map-root-user", "--net"]) as worker:
        await worker.ask("ready")  # it is in its namespace by now
        ready, says_ready = os.pipe()
        options = ["--configure", f"--mtu={_MTU}", f"--ready-fd={says_ready}"]
        process = await trio.lowlevel.open_process(
            ["slirp4netns", *options, str(worker.pid), "tap0"],
            pass_fds=[says_ready],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(says_ready)
        async with trio.lowlevel.FdStream(ready) as told:
            if await told.receive_some() != b"1":
                raise RuntimeError("slirp4netns did not come up")
        try:
            yield worker
        finally:
            process.terminate()
            with trio.CancelScope(shield=True):
                await process.wait()
