"""What a manifest may hold on the tour: nothing of the learner's own, and nothing that leaves the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libos.manifest import from_mapping
from libos.manifest.model import Dial
from libos.tour.fitting import LONGEST, attacked, fitted, refusals


def refused(folder: Path, **keys: Any) -> list[str]:
    """Why a manifest with these keys is not run."""
    (folder / "files").mkdir(exist_ok=True)
    manifest = from_mapping({"app": {"command": ["true"]}, **keys}, base=folder)
    return refusals(manifest, folder)


@pytest.mark.parametrize(
    "mount",
    [
        {"host": "files", "mode": "read-write"},
        {"host": "files/below", "optional": True, "mode": "read-write"},
        {"host": "/usr/share"},
        {"host": "/usr/share", "mode": "copy-on-write"},
        {"memory": "1M"},
        {"text": "x"},
        {"bind": "/usr"},
    ],
)
def test_files_of_the_stop_and_of_the_system_are_granted(tmp_path: Path, mount: dict[str, Any]) -> None:
    assert refused(tmp_path, include=["base"], mount=[{"at": "/m", **mount}]) == []


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        ({"host": "."}, "the tour mounts files/ and the system's programs, not"),
        ({"host": "~"}, "the tour mounts files/ and the system's programs, not"),
        ({"host": "/"}, "the tour mounts files/ and the system's programs, not /"),
        ({"host": "files/../.."}, "the tour mounts files/ and the system's programs, not"),
        ({"host": "/usr/share", "mode": "read-write"}, "the tour mounts /usr/share read-only"),
        ({"service": "unix!/run/docker.sock"}, "nothing that leads outside"),
    ],
)
def test_nothing_else_of_the_host_is(tmp_path: Path, mount: dict[str, Any], said: str) -> None:
    (found,) = refused(tmp_path, mount=[{"at": "/m", **mount}])
    assert said in found


def test_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/out").symlink_to("/root")
    (found,) = refused(tmp_path, mount=[{"at": "/m", "host": "files/out", "mode": "read-write"}])
    assert "not /root" in found


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"app": {"command": ["true"], "keep": "mine"}}, "the tour keeps no changes"),
        ({"network": {"capture": "out.pcapng"}}, "the tour writes no capture"),
        ({"dial": [{"to": "udp!a.example!53"}]}, "over tcp alone"),
        ({"app": {}}, "it has no command"),
        (
            {
                "dial": [{"to": "tcp!a.example!443", "tls": True}],
                "secret": [{"name": "T", "command": ["id"], "header": "x", "to": ["tcp!a.example!443"]}],
            },
            "the tour does not use secrets",
        ),
    ],
)
def test_nothing_is_run_or_written_outside(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    (found,) = refused(tmp_path, **keys)
    assert said in found


def test_what_is_let_out_stays_on_the_machine(tmp_path: Path) -> None:
    def leads(dial: Dial) -> Any:
        return print

    manifest = from_mapping(
        {
            "app": {"command": ["true"], "name": "mine"},
            "dial": [{"to": "tcp!a.example!80", "via": "tcp!127.0.0.1!22", "private": True}],
            "listen": [{"port": 80, "publish": "0.0.0.0:8080"}],
        }
    )
    made = fitted(manifest, leads)
    assert [(each.via, each.private) for each in made.dials] == [(print, False)]
    assert [each.is_published for each in made.listens] == [False]
    assert (made.app.name, made.limits.time) == (None, LONGEST)


def test_the_attack_has_what_the_app_has_and_its_own_program(tmp_path: Path) -> None:
    manifest = from_mapping(
        {
            "app": {"command": ["true"], "directory": "/m"},
            "mount": [{"at": "/m", "memory": "1M"}, {"at": "/tour/attack.sh", "text": "exit 0"}],
        }
    )
    made = attacked(manifest, ("sh", "/tour/attack.sh"), tmp_path)
    assert made.app.command == ("sh", "/tour/attack.sh")
    assert made.app.directory == "/m"
    assert [mount.at for mount in made.mounts] == ["/m", "/tour"]
