"""/mnt/ns: what an app sees of its own world, and how it gives up what it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from worlds import Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]


def world(script: str, *mounts: dict[str, Any], **app: Any) -> dict[str, Any]:
    """A manifest whose app runs a script of bash."""
    return {
        "include": ["base"],
        "app": {"command": ["bash", "-c", script], **app},
        "mount": list(mounts),
    }


def run(worlds: Worlds, script: str, *mounts: dict[str, Any], **app: Any) -> str:
    """What the script writes."""
    return worlds.run(manifest=world(script, *mounts, **app), check=False).out


def test_it_is_there_only_when_asked_for(worlds: Worlds) -> None:
    assert "No such file" in run(worlds, "ls /mnt/ns 2>&1")
    assert run(worlds, "ls /mnt/ns", control=True) == "ctl\n"
    listed = run(worlds, "ls /mnt/ns", introspect=True).split()
    assert listed == [
        *("beancounters", "denials", "denials.json", "notices", "ns", "policy", "policy.json"),
        "repossessed",
    ]


def test_the_policy_names_what_is_granted(worlds: Worlds) -> None:
    out = run(worlds, "cat /mnt/ns/policy.json", {"at": "/note", "text": "x"}, introspect=True)
    policy = json.loads(out)
    assert {"/usr", "/note"} <= {each["at"] for each in policy["files"]}
    text = run(worlds, "cat /mnt/ns/policy", {"at": "/note", "text": "x"}, introspect=True)
    assert "  /note: text, 1 bytes (served)\n" in text
    assert "addresses that may be dialled:\n  none\n" in text


def test_the_denials_say_what_would_grant_it(worlds: Worlds) -> None:
    script = "cat /secret/file; exec 3<>/dev/tcp/1.1.1.1/80; cat /mnt/ns/denials; cat /mnt/ns/denials.json"
    out = run(worlds, f"({script}) 2>/dev/null", introspect=True)
    text, _, raw = out.partition("{")
    assert '1x path /secret: nothing is mounted there; [[mount]] at = "/secret", and what' in text
    denials = json.loads("{" + raw)["denials"]
    assert {"path", "dial"} <= {each["kind"] for each in denials}
    (dial,) = [each for each in denials if each["kind"] == "dial"]
    assert dial["remedy"] == '[[dial]] to = "tcp!1.1.1.1!80"'


def test_the_app_binds_and_drops(worlds: Worlds) -> None:
    script = """
        echo bind /usr/share /share > /mnt/ns/ctl && ls -d /share/doc
        echo unmount /share > /mnt/ns/ctl; ls /share
        echo unmount /data > /mnt/ns/ctl; ls /data
        grep -c data /mnt/ns/ns
    """
    out = run(worlds, f"({script}) 2>&1", {"at": "/data", "memory": "1M"}, introspect=True, control=True)
    assert out == (
        "/share/doc\n"
        "ls: cannot access '/share': No such file or directory\n"
        "ls: cannot access '/data': No such file or directory\n"
        "0\n"
    )


def test_clear_leaves_its_own_files_and_what_init_made(worlds: Worlds) -> None:
    script = 'echo clear > /mnt/ns/ctl; echo /*; echo /mnt/ns/*; read -r line < /etc/passwd; echo "$?"'
    out = run(worlds, f"({script}) 2>/dev/null", introspect=True, control=True)
    roots, own, status = out.splitlines()
    assert not {"/usr", "/etc/passwd", "/tmp"} & set(roots.split()) - {"/etc"}
    assert "/mnt/ns/ns" in own
    assert status == "1"


def test_a_bind_is_no_more_writable_than_what_it_shows(worlds: Worlds) -> None:
    script = """
        echo bind /usr /again > /mnt/ns/ctl; touch /again/x
        echo bind /etc/passwd /mine > /mnt/ns/ctl; echo > /mine
    """
    out = run(worlds, f"({script}) 2>&1", control=True)
    assert out.count("Read-only file system") + out.count("Permission denied") == 2


def test_what_covers_cannot_be_taken_out_alone(worlds: Worlds) -> None:
    mounts = [{"at": "/data", "memory": "1M"}, {"at": "/data/covered", "text": "x"}]
    script = """
        echo unmount /data/covered > /mnt/ns/ctl; cat /data/covered; echo
        echo unmount /data > /mnt/ns/ctl; ls /data
    """
    out = run(worlds, f"({script}) 2>&1", *mounts, control=True)
    assert "Operation not permitted" in out
    assert "\nx\n" in out
    assert "cannot access '/data'" in out


@pytest.mark.parametrize(
    "command",
    [
        "bind /proc/1/root /out",
        "bind /proc/self/root /out",
        "bind /no/such /out",
        "bind /usr /usr",
        "bind /usr relative",
        "bind /usr /proc/x",
        "bind /usr",
        "mount x /y",
        "unmount /never",
        "drop 999",
        "nonsense",
        "bind /usr /\\x01 more",
    ],
)
def test_a_command_that_cannot_be_done_fails_and_changes_nothing(worlds: Worlds, command: str) -> None:
    look = "ls / /usr >"
    script = f"{look} /tmp/1; echo '{command}' > /mnt/ns/ctl; echo $?; {look} /tmp/2; cmp /tmp/1 /tmp/2"
    assert run(worlds, f"({script}) 2>/dev/null", control=True) == "1\n"


def test_a_program_cannot_reach_the_control_file_of_a_world_without_it(worlds: Worlds) -> None:
    out = run(worlds, "(echo clear > /mnt/ns/ctl) 2>&1; ls -d /usr", introspect=True)
    assert "No such file" in out or "Permission denied" in out or "Read-only" in out
    assert out.endswith("/usr\n")
