"""Includes: profiles, files, cycles, removals, and what clashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from libos.errors import ManifestError
from libos.manifest import Manifest, load
from libos.namespace import HostSource, MemorySource, TextSource

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def one(name: str, text: str) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("libos = 1\n" + text)
        return path

    return one


def error(path: Path) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load(path)
    return str(caught.value).splitlines()


def places(manifest: Manifest) -> list[str]:
    return [mount.at for mount in manifest.mounts]


def memory(at: str) -> str:
    return f"[[mount]]\nat = '{at}'\nmemory = 1\n"


def test_a_profile_by_name(write: Write) -> None:
    manifest = load(write("a.toml", 'include = ["base"]'))
    assert HostSource("/usr") in [mount.source for mount in manifest.mounts]
    assert {mount.origin for mount in manifest.mounts} == {"profile base"}


def test_a_file_by_path_is_relative_to_the_including_file(write: Write) -> None:
    write("lib/common.toml", 'include = ["more/x.toml"]\n' + memory("/b"))
    write("lib/more/x.toml", memory("/c"))
    manifest = load(write("a.toml", 'include = ["lib/common.toml"]\n' + memory("/a")))
    assert places(manifest) == ["/c", "/b", "/a"]
    assert [mount.origin for mount in manifest.mounts] == [
        "lib/more/x.toml:2:1",
        "lib/common.toml:3:1",
        "a.toml:3:1",
    ]


def test_a_host_path_is_relative_to_the_file_that_has_it(write: Write, tmp_path: Path) -> None:
    (tmp_path / "lib" / "data").mkdir(parents=True)
    write("lib/common.toml", "[[mount]]\nat = '/d'\nhost = 'data'")
    [mount] = load(write("a.toml", 'include = ["lib/common.toml"]')).mounts
    assert mount.source == HostSource(str(tmp_path / "lib" / "data"))


def test_home_is_expanded(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    [mount] = load(write("a.toml", "[[mount]]\nat = '/d'\nhost = '~'")).mounts
    assert mount.source == HostSource(str(tmp_path))


def test_scalars_replace_tables_merge_lists_append(write: Write) -> None:
    write(
        "b.toml",
        '[app]\ncommand = ["x", "y"]\ndirectory = "/"\nenvironment = { A = "1", B = "1" }\n'
        "[limits]\ntime = 5\n"
        '[[dial]]\nto = "tcp!a!1"\n',
    )
    manifest = load(
        write(
            "a.toml",
            'include = ["./b.toml"]\n[app]\ncommand = ["z"]\nenvironment = { B = "2" }\n'
            '[[dial]]\nto = "tcp!b!1"\n',
        )
    )
    assert manifest.app.command == ("z",)
    assert manifest.app.directory == "/"
    assert dict(manifest.app.environment) == {"A": "1", "B": "2"}
    assert manifest.limits.time == 5
    assert [dial.to for dial in manifest.dials] == ["tcp!a!1", "tcp!b!1"]


def test_a_removal_takes_out_an_included_mount_and_makes_room(write: Write) -> None:
    manifest = load(write("a.toml", 'include = ["-/tmp", "base"]\n[[mount]]\nat = "/tmp"\nmemory = "1M"'))
    assert [mount.source for mount in manifest.mounts if mount.at == "/tmp"] == [MemorySource(1 << 20)]


def test_removals_of_dials_and_listens(write: Write) -> None:
    write("b.toml", '[[dial]]\nto = "tcp!A!http"\n[[dial]]\nto = "tcp!b!1"\n[[listen]]\nport = 80\n')
    manifest = load(write("a.toml", 'include = ["b.toml", "-tcp!a!80", "-tcp!*!80"]'))
    assert ([dial.to for dial in manifest.dials], manifest.listens) == (["tcp!b!1"], ())


def test_a_removal_of_nothing_is_an_error(write: Write) -> None:
    found = error(write("a.toml", 'include = ["base", "-/temp"]\n' + memory("/temp")))
    assert found == ['a.toml:2:20: nothing that is included has the name "/temp", did you mean "/tmp"?']


def test_an_unknown_profile(write: Write) -> None:
    assert error(write("a.toml", 'include = ["pyton", "zzz"]')) == [
        'a.toml:2:12: no profile is named "pyton", did you mean "python"?',
        'a.toml:2:21: no profile is named "zzz": there are base, node, python, shell; '
        "a file is written as ./zzz.toml",
    ]


def test_errors_of_included_files_come_with_those_of_the_file(write: Write) -> None:
    write("b.toml", "what = 1")
    write("c.toml", "open = ")
    found = error(write("a.toml", 'include = ["b.toml", "./c.toml", "./d.toml"]\nthat = 1'))
    assert found[:2] == [
        'a.toml:2:34: cannot include "./d.toml": no such file: check the path, or write a manifest there',
        'a.toml:3:1: unknown key "that"; known are allow, allow_missing, app, channel, descriptor, dial, '
        "domain, include, labels, libos, limits, listen, mount, network, secret, syscalls",
    ]
    assert [line.split(" ")[0] for line in found[2:]] == ["b.toml:2:1:", "./c.toml:2:8:"]


@pytest.mark.parametrize("through", [["a.toml"], ["b.toml"], ["b.toml", "c/d.toml"]])
def test_a_cycle_is_an_error_that_shows_it(through: list[str], write: Write) -> None:
    names = ["a.toml", *[name for name in through if name != "a.toml"]]
    for name, following in zip(names, [*names[1:], "a.toml"], strict=True):
        up = "../" if "/" in name else ""
        write(name, f'include = ["{up}{following}"]\n')
    [line] = error(Path("a.toml"))
    ring = " -> ".join([*names, ("../" if "/" in names[-1] else "") + "a.toml"])
    assert line.endswith(f"include cycle: {ring}; remove one of these includes")


def test_a_document_included_twice_is_taken_once(write: Write) -> None:
    write("base.toml", memory("/x"))
    write("b.toml", 'include = ["./base.toml"]\n' + memory("/b"))
    write("c.toml", 'include = ["./base.toml"]\n' + memory("/c"))
    assert places(load(write("a.toml", 'include = ["./b.toml", "./c.toml"]'))) == ["/x", "/b", "/c"]


@pytest.mark.parametrize("order", [["shell", "python"], ["python", "shell"], ["base", "shell", "node"]])
def test_profiles_combine_in_every_order(order: list[str], write: Write) -> None:
    manifest = load(write("a.toml", f"include = {order}"))
    [passwd] = [mount for mount in manifest.mounts if mount.at == "/etc/passwd"]
    assert isinstance(passwd.source, TextSource)
    assert "/home/app" in passwd.source.text


def test_mounts_of_two_files_at_one_place_are_an_error_that_names_both(write: Write) -> None:
    found = error(write("a.toml", 'include = ["base"]\n' + memory("/tmp")))
    assert found == [
        'a.toml:3:1: "/tmp" is already mounted by profile base; remove one of them, '
        'or an included one by "-/tmp" in include'
    ]


def test_the_same_mount_from_two_files_is_one(write: Write) -> None:
    write("b.toml", memory("/x"))
    assert places(load(write("a.toml", 'include = ["b.toml"]\n' + memory("/x")))) == ["/x"]


def test_without_an_include_there_is_only_what_the_file_has(write: Write) -> None:
    assert load(write("a.toml", "")) == Manifest()
