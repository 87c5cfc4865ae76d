"""The process that stands for a map of ids, while the keeper writes it."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
from pathlib import Path

import pytest

from libos.keeper import base, inside

# Seconds that a process gets to end.
_PATIENCE = 60


@pytest.mark.parametrize("half", ["uid_map", "gid_map"])
def test_a_keeper_killed_while_it_maps_ids_leaves_no_process_that_holds_its_channel(
    monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    monkeypatch.setattr(base, "HOST_PROC", "/proc")
    supervisors, keepers = socket.socketpair()
    told, tell = os.pipe()
    keeper = os.fork()
    if keeper == 0:

        def kill_oneself(name: str, *rest: object) -> object:
            if not name.endswith(half):
                return Path(os.devnull).open("w")
            os.write(tell, (re.findall(r"\d+", name)[0] + "\n").encode())
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("alive")

        monkeypatch.setattr(inside, "open", kill_oneself, raising=False)
        inside._id_map_namespace(1000, 1000, 1000, 1)
        os._exit(1)
    keepers.close()
    os.close(tell)
    with supervisors, open(told) as pids:
        stands = int(pids.readline())
        assert os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1]) == -signal.SIGKILL
        supervisors.settimeout(_PATIENCE)
        assert supervisors.recv(1) == b""
        try:
            stands_fd = os.pidfd_open(stands)
        except ProcessLookupError:
            return
        try:
            assert select.select([stands_fd], [], [], _PATIENCE)[0], "it stands there still"
        finally:
            os.close(stands_fd)
