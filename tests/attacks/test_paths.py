"""Attacks on what is not granted, by every kind of path; and by a descriptor that somebody gives away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attack import Attack, answers
from attacking import Field, Outcomes, judge
from booty import WORD, scene

pytestmark = pytest.mark.system
pytest_plugins = ["running", "ground"]

ABSENT = "ENOENT"
NAMESPACE = "the namespace: there is no such path"


def path(name: str, what: str, get: str = ABSENT, wall: str = NAMESPACE, root: bool = False) -> Attack:
    """A row of the table."""
    return Attack(name, what, "outside", wall, answers(get), root=root)


PATHS = [
    path("the_absolute_path", "its absolute path"),
    path("dots_above_a_grant", "`..` above a granted directory"),
    path("dots_above_the_working_directory", "`..` above the working directory"),
    path("dots_above_a_descriptor", "`..` above a descriptor of a served directory"),
    path("link_to_the_absolute_path", "a symbolic link that the app made"),
    path("link_to_a_relative_path", "a relative link beside it on the host"),
    path("link_to_a_directory", "a link to its directory"),
    path("link_in_a_served_tree", "a link in a served tree"),
    path(
        "relative_link_in_a_served_tree",
        "a relative link in a served tree",
        wall="the kernel follows it, inside",
    ),
    path(
        "directory_link_in_a_served_tree",
        "a link to its directory in a served tree",
        wall="the kernel follows it, inside",
    ),
    path("hard_link", "a hard link to it"),
    path("hard_link_in_a_served_tree", "a hard link to it in a served tree"),
    path("root_of_each_process", "/proc/*/root", "ENOENT EACCES EPERM"),
    path("working_directory_of_each_process", "/proc/*/cwd", "ENOENT EACCES EPERM"),
    path("root_of_each_thread", "/proc/self/task/*/root"),
    path("descriptors_of_each_process", "/proc/*/fd/*, init's too", "ENOENT EACCES EPERM ENOTDIR"),
    path(
        "handle_of_the_file",
        "open_by_handle_at(2) with its handle",
        "EPERM",
        "the system call filter",
        root=True,
    ),
    path(
        "descriptor_through_a_service", "SCM_RIGHTS from a service", "nothing", "the gate carries bytes alone"
    ),
    path("rename_race", "a directory and a link change places", "nothing", NAMESPACE),
    path(
        "rename_race_in_a_served_tree", "the same in a served tree", "nothing", "descriptor-relative serving"
    ),
]
MOVED = [
    Attack(name, what, "in a chroot", wall, answers("ENOENT"))
    for name, what, wall in (
        (
            "working_directory_moved_out",
            "the working directory moved out of its mount (CVE-2015-2925)",
            "mounts, no chroot",
        ),
        (
            "working_directory_moved_out_of_a_served_tree",
            "the same in a served tree",
            "descriptor-relative serving",
        ),
    )
]
ATTACKS = {"test_a_path": PATHS, "test_a_directory_that_is_moved_out": MOVED}


@contextmanager
def giving_away(secret: str, at: Path) -> Iterator[None]:
    """A server that gives everybody a descriptor of the secret."""
    with socket.socket(socket.AF_UNIX) as listener, open(secret) as file:
        listener.bind(str(at))
        at.chmod(0o777)
        listener.listen()

        def give() -> None:
            while True:
                try:
                    stream, _ = listener.accept()
                except OSError:
                    return
                with stream:
                    socket.send_fds(stream, [b"take this"], [file.fileno()])

        thread = threading.Thread(target=give)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def tried(ground: Field) -> tuple[Outcomes, Outcomes]:
    """All attacks in a world, and where they work."""

    def both() -> tuple[Outcomes, Outcomes]:
        with scene(ground.account) as made, giving_away(made.secret, service := made.folder / "service"):
            mount = {"at": "/run/service", "service": f"unix!{service}"}
            setting = made.inside() | {"service": "/run/service", "tries": 300}
            held = ground.in_world("paths", setting, manifest=made.manifest(mount=[mount]))
        with scene(ground.account) as made, giving_away(made.secret, service := made.folder / "service"):
            live = ground.outside("paths", made.outside() | {"service": str(service)})
        return held, live

    return ground.once("paths", both)


@pytest.mark.parametrize("attack", PATHS, ids=lambda attack: attack.name)
def test_a_path(attack: Attack, ground: Field) -> None:
    held, live = tried(ground)
    judge(attack, live[attack.name], held[attack.name], ground.account.uid)
    assert (attack.root and ground.account.uid) or WORD in live[attack.name]


@pytest.mark.parametrize("attack", MOVED, ids=lambda attack: attack.name)
def test_a_directory_that_is_moved_out(attack: Attack, ground: Field) -> None:
    held, _ = tried(ground)

    def moved() -> Outcomes:
        with scene(ground.account) as made:
            return ground.in_namespaces("paths", made.outside() | {"chroot": True})

    live = ground.once("moved", moved)
    judge(attack, live[attack.name], held[attack.name], ground.account.uid)
    assert WORD in live[attack.name]
