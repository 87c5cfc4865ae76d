"""Finding a command in a namespace, and telling how to bring one that is not there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from libos.errors import CommandError, CommandNotFoundError
from libos.manifest import from_mapping
from libos.plan import Plan, explain_failure, find_command, lower

HOST_PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of programs, real ones: /opt/tool and a project beside it."""
    for name in ("tool/bin", "project", "store/v1/bin"):
        (tmp_path / name).mkdir(parents=True)
    program(tmp_path / "tool/bin/tool", "#!/bin/sh\n")
    program(tmp_path / "project/run", "#!/bin/sh\n")
    program(tmp_path / "project/script", f"#! {tmp_path}/tool/bin/tool -x\n")
    (tmp_path / "project/text").write_text("no program")
    program(tmp_path / "store/v1/bin/real", "\x7fELF")
    (tmp_path / "tool/bin/linked").symlink_to(tmp_path / "store/v1/bin/real")
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def plan(*mounts: dict[str, object], path: str = "/usr/bin:/bin", directory: str = "/") -> Plan:
    app = {"environment": {"PATH": path}, "directory": directory}
    return lower(from_mapping({"include": ["base"], "mount": list(mounts), "app": app}))


def missing(made: Plan, command: str, host_path: str = HOST_PATH) -> str:
    with pytest.raises(CommandNotFoundError) as caught:
        find_command(made, command, host_path=host_path)
    assert caught.value.exit_status == 127
    return str(caught.value)


def refused(made: Plan, command: str) -> str:
    with pytest.raises(CommandError) as caught:
        find_command(made, command)
    assert caught.value.exit_status == 126
    return str(caught.value)


def test_by_path_of_the_app() -> None:
    assert find_command(plan(), "true") == "/usr/bin/true"
    assert find_command(plan(path="/bin:/usr/bin"), "sh") == "/bin/sh"
    assert find_command(lower(from_mapping({"include": ["base"]})), "env") == "/usr/bin/env"


def test_the_plans_own_command() -> None:
    made = lower(from_mapping({"include": ["base"], "app": {"command": ["true", "x"]}}))
    assert find_command(made) == "/usr/bin/true"


def test_no_command_at_all() -> None:
    with pytest.raises(CommandNotFoundError, match="no command is given"):
        find_command(plan())


def test_a_relative_command_starts_at_the_apps_directory(tree: Path) -> None:
    made = plan({"at": "/w", "host": tree / "project"}, directory="/w")
    assert find_command(made, "./run") == "/w/run"
    assert find_command(made, "../w/run") == "/w/run"
    assert find_command(made, "/w/run") == "/w/run"


def test_a_link_is_followed_in_the_world_and_not_on_the_host(tree: Path) -> None:
    made = plan({"at": "/t", "host": tree / "tool"}, path="/t/bin")
    assert find_command(made, "tool") == "/t/bin/tool"
    assert missing(made, "linked").startswith("linked: not in the namespace (PATH is /t/bin)")
    store = {"at": str(tree / "store"), "host": tree / "store"}
    assert (
        find_command(plan({"at": "/t", "host": tree / "tool"}, store, path="/t/bin"), "linked")
        == "/t/bin/linked"
    )


def test_a_missing_command_says_where_it_stands_and_what_brings_it(tree: Path) -> None:
    found = missing(plan(), "tool", f"{tree}/tool/bin")
    assert found == (
        f"tool: not in the namespace (PATH is /usr/bin:/bin); on the host it is {tree}/tool/bin/tool; "
        f"bring it with -v {tree}/tool:{tree}/tool, and call it {tree}/tool/bin/tool"
    )


def test_what_a_link_leads_to_is_brought_too(tree: Path) -> None:
    found = missing(plan(), f"{tree}/tool/bin/linked")
    assert found.endswith(f"bring it with -v {tree}/tool:{tree}/tool -v {tree}/store/v1:{tree}/store/v1")


def test_so_is_the_interpreter_of_a_script(tree: Path) -> None:
    found = missing(plan(), f"{tree}/project/script")
    assert found.endswith(f"bring it with -v {tree}/project:{tree}/project -v {tree}/tool:{tree}/tool")


def test_an_interpreter_that_is_not_there_is_told(tree: Path) -> None:
    made = plan({"at": "/w", "host": tree / "project"})
    assert missing(made, "/w/script") == (
        f'/w/script: its first line names "{tree}/tool/bin/tool", which is not in the namespace; '
        f"bring it with -v {tree}/tool:{tree}/tool"
    )


def test_the_proposed_options_bring_the_command(tree: Path) -> None:
    for name in ("tool/bin/linked", "project/script", "tool/bin/tool"):
        options = missing(plan(), f"{tree}/{name}").split(" -v ")[1:]
        mounts: list[dict[str, object]] = [
            {"at": option.split(":")[1], "host": option.split(":")[0]} for option in options
        ]
        assert find_command(plan(*mounts), f"{tree}/{name}") == f"{tree}/{name}"


def test_a_command_that_is_nowhere() -> None:
    assert missing(plan(), "no-such-program") == (
        "no-such-program: not in the namespace (PATH is /usr/bin:/bin), and not on the host either: "
        "check the name, or install it"
    )
    assert "not on the host either" in missing(plan(), "/no/such")


def test_what_is_there_but_cannot_be_run(tree: Path) -> None:
    made = plan({"at": "/w", "host": tree / "project"}, {"at": "/t", "text": "#!/bin/sh"}, path="/w:/usr/bin")
    assert refused(made, "/w/text") == f'/w/text: is not executable: chmod +x "{tree}/project/text"'
    assert refused(made, "text") == f'/w/text: is not executable: chmod +x "{tree}/project/text"'
    assert refused(made, "/w") == "/w: is a directory: name a program in it"
    assert (
        refused(made, "/t") == "/t: is a text served by libos and not executable: give it to its interpreter"
    )


def test_a_socket_is_no_program(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"{tree}/project/sock")
    made = plan({"at": "/w", "host": tree / "project"})
    assert refused(made, "/w/sock") == "/w/sock: is no program file"


def test_what_a_node_holds_is_left_to_execve() -> None:
    made = plan({"at": "/n", "node": object()})
    assert find_command(made, "/n/any") == "/n/any"


def test_links_without_end_lead_nowhere(tree: Path) -> None:
    (tree / "project/a").symlink_to("b")
    (tree / "project/b").symlink_to("a")
    made = plan({"at": "/w", "host": tree / "project"})
    assert "not in the namespace" in missing(made, "/w/a")


def test_dot_dot_of_a_mounted_root_is_the_parent_of_its_mount_point(tree: Path) -> None:
    (tree / "project/up").symlink_to("../x/run")
    made = plan({"at": "/w", "host": tree / "project"}, {"at": "/x", "host": tree / "project"})
    assert find_command(made, "/w/up") == "/w/up"


def test_a_failure_is_explained_where_the_plan_shows_its_cause(tree: Path) -> None:
    failure = CommandNotFoundError("the kernel's word")
    made = plan({"at": "/w", "host": tree / "project"})
    explained = explain_failure(made, "/w/text", failure)
    assert str(explained).startswith("/w/text: is not executable")
    assert explain_failure(made, "true", failure) is failure
    assert explain_failure(made, "run", failure, environment={"PATH": "/w"}) is failure
    assert explain_failure(made, "./run", failure, directory="/w") is failure
    assert "not in the namespace" in str(explain_failure(made, "./run", failure))
