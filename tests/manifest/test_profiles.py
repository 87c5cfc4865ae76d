"""The profiles that come with libos: right by the checks that they skip, and small."""

from __future__ import annotations

import pytest

from libos.manifest import Manifest, from_options, profile_names
from libos.manifest.load import load
from libos.manifest.profiles import profile_path
from libos.namespace import HostSource, MemorySource, Mode, TextSource


def text(manifest: Manifest, at: str) -> str:
    [source] = [mount.source for mount in manifest.mounts if mount.at == at]
    assert isinstance(source, TextSource)
    return source.text


def test_the_names() -> None:
    assert profile_names() == ["base", "node", "python", "shell"]


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_passes_the_checks_of_a_file_and_means_the_same(name: str) -> None:
    assert load(profile_path(name)) == from_options(include=[name])


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_shows_nothing_of_the_host_for_writing(name: str) -> None:
    for mount in from_options(include=[name]).mounts:
        assert mount.mode is Mode.READ_ONLY or isinstance(mount.source, MemorySource)


@pytest.mark.parametrize("name", profile_names())
def test_of_etc_only_single_things_are_shown(name: str) -> None:
    for mount in from_options(include=[name]).mounts:
        if isinstance(mount.source, HostSource):
            assert mount.source.path not in (
                "/",
                "/etc",
                "/home",
                "/root",
                "/var",
                "/run",
                "/etc/ssl",
                "/etc/pki",
            )


@pytest.mark.parametrize("path", ["/home", "/root", "/var", "/run", "/etc/shadow", "/opt", "/sys", "/boot"])
def test_base_has_no(path: str) -> None:
    assert from_options().namespace().covering(path) is None


@pytest.mark.parametrize("name", profile_names())
def test_users_are_synthetic_and_agree_with_home(name: str) -> None:
    manifest = from_options(include=[name])
    users = [line.split(":") for line in text(manifest, "/etc/passwd").splitlines()]
    assert [(user[0], user[2], user[3]) for user in users] == [
        ("root", "0", "0"),
        ("app", "1000", "1000"),
        ("nobody", "65534", "65534"),
    ]
    home = manifest.app.environment["HOME"]
    assert users[1][5] == home
    assert isinstance(manifest.namespace().covering(home), type(manifest.mounts[0]))
    groups = [line.split(":")[2] for line in text(manifest, "/etc/group").splitlines()]
    assert groups == ["0", "1000", "65534"]


def test_every_profile_has_a_place_to_write() -> None:
    for name in profile_names():
        mount = from_options(include=[name]).namespace().covering("/tmp/x")
        assert mount is not None
        assert isinstance(mount.source, MemorySource)
