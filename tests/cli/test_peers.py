"""Who is at the other end of a control connection, by the kernel's word."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from libos.control import peers

_CONNECT = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.recv(1)
"""


@pytest.fixture(params=[True, False], ids=["by pidfd", "by number"])
def pidfd_option(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SO_PEERPIDFD, and without it, as before Linux 6.5."""
    if not request.param:
        monkeypatch.setattr(peers, "_SO_PEERPIDFD", 9999)


@pytest.mark.usefixtures("pidfd_option")
@pytest.mark.parametrize(
    ("prefix", "own"),
    [((), True), (("unshare", "-Ur"), True), (("unshare", "-Urpf", "--kill-child"), False)],
    ids=["beside", "in a user namespace", "in a pid namespace"],
)
def test_who_connects_from_a_deeper_pid_namespace_is_not_own(
    prefix: tuple[str, ...], own: bool, tmp_path: Path
) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with subprocess.Popen([*prefix, sys.executable, "-c", _CONNECT, path]) as client:
            connection, _ = listener.accept()
            with connection:
                assert peers.is_own(connection) is own
            assert client.wait(40) == 0


@pytest.mark.usefixtures("pidfd_option")
def test_who_has_ended_is_not_own(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        connect_and_go = _CONNECT.replace("connection.recv(1)", "")
        subprocess.run([sys.executable, "-c", connect_and_go, path], check=True)
        connection, _ = listener.accept()
        with connection:
            assert not peers.is_own(connection)


def test_another_user_is_not_own(monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.geteuid()
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with one, other:
        assert peers.is_own(one)
        monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
        assert not peers.is_own(one)
