"""Files that are functions in real worlds, as root and as an ordinary user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from accounts import Account

import libos

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

SCENES = Path(__file__).with_name("scenes.py")
EXAMPLE = Path(__file__).parent.parent.parent / "examples/nodes.py"


def scene(as_user: Account, name: str) -> dict[str, Any]:
    done = as_user.run(as_user.python(str(SCENES), name))
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_epoll_waits_for_a_stream(as_user: Account) -> None:
    result = scene(as_user, "polling")
    assert result == {"out": "['0', '1', '2'] []\n", "lines": [], "told": []}


def test_a_program_that_waits_for_a_stream_can_be_killed(as_user: Account) -> None:
    result = scene(as_user, "killing")
    assert result["out"] == "[b'0\\n', b'1\\n', b'2\\n']\n-9\n"
    assert result["told"] == []


@pytest.mark.soak_accounts("root")
def test_who_stands_behind_another_reader_can_be_killed(as_user: Account) -> None:
    assert scene(as_user, "behind")["out"] == "9\n9\n"


def test_a_stream_that_is_being_read_holds_up_no_end(as_user: Account) -> None:
    assert scene(as_user, "leaving")["told"] == []


def test_ordinary_programs_use_every_kind(as_user: Account) -> None:
    result = scene(as_user, "all")
    assert " ".join(result["out"].split()) == "2 0 0 1 refused did this ann bob 2 1 late"
    assert result["lines"] == ["one", "1", "2", "kept"]
    (path, reason), (slow, late) = result["told"]
    assert (path, reason, slow) == ("/out", "a bad line", "/slow")
    assert late.startswith("no answer in")


def test_the_example_shows_every_kind(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLE)))
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(
        [
            "you are user 1000",
            "10 of bolt, 1190 left",
            "waiting for an order",
            "an order was placed",
            "stock: bolt nut, fewest: 40",
            "metric: orders 1",
            "gold is refused",
            "log: done",
        ]
    )


# --- the decorators


def test_a_decorator_gives_its_function_back_and_a_path_is_taken_once() -> None:
    files = libos.Files()

    def motd() -> str:
        return "x"

    assert files.text("/etc/motd")(motd) is motd
    with pytest.raises(ValueError, match="/etc/motd is there already"):
        files.symlink("/etc/motd")(motd)
    assert [(mount["at"], mount["mode"]) for mount in files.mounts()] == [("/etc/motd", "read-write")]


@pytest.mark.parametrize("path", ["etc/motd", "/", "", "/a/", "/a/../b", "//a", "/a\0b"])
def test_a_path_that_is_none_is_refused_where_it_is_written(path: str) -> None:
    with pytest.raises(ValueError, match="a file's path is absolute"):
        libos.Files().log(path)


def test_only_nodes_are_files() -> None:
    with pytest.raises(TypeError, match="is to be a node, not str"):
        libos.Files().add("/a", "text")  # type: ignore[arg-type]


async def test_a_file_where_the_manifest_mounts_something_is_an_error(supervisor: libos.Supervisor) -> None:
    files = libos.Files()
    files.log("/log")
    manifest = {"include": ["base"], "app": {"command": ["true"]}, "mount": [{"at": "/log", "text": "x"}]}
    with pytest.raises(libos.ManifestError, match="/log"):
        await supervisor.start(manifest, files=files)
    with pytest.raises(libos.ManifestError, match="/log"):
        await supervisor.start({**manifest, "mount": [*files.mounts(), *files.mounts()]})
    app = await supervisor.start({**manifest, "mount": files.mounts()})
    assert (await app.wait()).returncode == 0
    with pytest.raises(libos.ManifestError, match="a plan takes no further files"):
        await supervisor.start(app.plan, files=files)
