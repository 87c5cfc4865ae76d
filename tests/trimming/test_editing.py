"""A manifest's text without grants: comments kept, everything else as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libos.errors import ManifestError
from libos.manifest import load
from libos.trimming.editing import edited, removable
from libos.trimming.grants import Grant, grants, without

TEXT = '''# What the app gets.
libos = 1
include = ["base"]  # programs

[app]
command = ["true"]

# The project.
[[mount]]
at = "/p"
host = "."      # here

# Why the cache is there:
# it is slow without.
[[mount]]
at = "/cache"
memory = "1M"

[[mount]]
at = "/text"
text = """
[[mount]]
# not a comment


# nor this
"""

# --- the network

# The API.
[[dial]]
to = "tcp!api.example.com!https"

[[listen]]
port = 8000
publish = "127.0.0.1:8000"

[syscalls]
allow = ["ptrace", "bpf"]   # both
# the end
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.toml"
    path.write_text(TEXT)
    return path


def named(path: Path, *names: str) -> list[Grant]:
    return [grant for grant in grants(load(path)) if str(grant) in names]


def test_an_entry_goes_with_the_comment_above_it_and_the_rest_stays(path: Path) -> None:
    made = edited(TEXT, named(path, "mount /cache"))
    assert made == TEXT.replace(
        '# Why the cache is there:\n# it is slow without.\n[[mount]]\nat = "/cache"\nmemory = "1M"\n\n', ""
    )


def test_a_text_that_looks_like_a_table_goes_with_its_entry(path: Path) -> None:
    made = edited(TEXT, named(path, "mount /text"))
    assert "not a comment" not in made
    assert "# --- the network\n\n# The API.\n[[dial]]" in made


def test_blank_lines_elsewhere_stay(path: Path) -> None:
    made = edited(TEXT, named(path, "mount /cache", "dial tcp!api.example.com!443"))
    assert "# not a comment\n\n\n# nor this" in made
    assert "\n# --- the network\n\n[[listen]]" in made


def test_the_last_entry_of_a_file_leaves_no_blank_end(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    text = 'libos = 1\n\n[[mount]]\nat = "/a"\nmemory = "1M"\n\n# b\n[[mount]]\nat = "/b"\nmemory = "1M"\n'
    path.write_text(text)
    assert edited(text, named(path, "mount /a", "mount /b")) == "libos = 1\n"
    assert edited(text, named(path, "mount /b")).endswith('at = "/a"\nmemory = "1M"\n')


def test_the_last_entry_of_a_kind_leaves_no_empty_list(path: Path) -> None:
    made = edited(TEXT, named(path, "dial tcp!api.example.com!443", "listen tcp!*!8000"))
    assert not {"dial", "listen"} & set(tomllib.loads(made))
    assert "# --- the network\n\n[syscalls]" in made


def test_what_an_include_brings_goes_by_a_removal(path: Path) -> None:
    made = edited(TEXT, named(path, "mount /sbin", "mount /etc/passwd"))
    assert tomllib.loads(made)["include"] == ["base", "-/sbin", "-/etc/passwd"]
    assert "# programs" in made


def test_a_call_goes_out_of_its_list(path: Path) -> None:
    made = edited(TEXT, named(path, "syscall bpf"))
    assert tomllib.loads(made)["syscalls"]["allow"] == ["ptrace"]
    assert "# both" in made


def test_entries_in_one_line_go_too(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    text = 'libos = 1\nmount = [{ at = "/a", memory = "1M" }, { at = "/b", memory = "1M" }]  # both\n'
    path.write_text(text)
    made = edited(text, named(path, "mount /a"))
    assert tomllib.loads(made)["mount"] == [{"at": "/b", "memory": "1M"}]
    assert "# both" in made


def test_an_entry_goes_with_its_own_tables(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    text = (
        'libos = 1\n[[mount]]\nat = "/a"\nhost = "."\n[mount.quota]\nsize = "1M"\n\n[app]\ncommand = ["x"]\n'
    )
    path.write_text(text)
    assert edited(text, named(path, "mount /a")) == 'libos = 1\n\n[app]\ncommand = ["x"]\n'


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    text = TEXT.replace("\n", "\r\n")
    path.write_bytes(text.encode())
    made = edited(text, named(path, "mount /cache", "mount /sbin", "syscall bpf"))
    assert made.count("\r\n") == made.count("\n")
    assert "/cache" not in made


def test_a_line_that_holds_an_odd_line_end_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    mounts = "".join(f'[[mount]]\nat = "/{name}"\nmemory = "1M"\n' for name in "ab")
    text = f"libos = 1\n# a\u2028b\x85c\n{mounts}"
    path.write_text(text)
    assert tomllib.loads(edited(text, named(path, "mount /b")))["mount"] == [{"at": "/a", "memory": "1M"}]


def test_a_call_that_an_included_file_allows_stays() -> None:
    assert not removable("libos = 1", Grant("syscall", "bpf"))
    assert removable(TEXT, Grant("syscall", "bpf"))


def test_a_file_that_changed_meanwhile_is_told_of(path: Path) -> None:
    gone = named(path, "mount /cache")
    with pytest.raises(ManifestError, match="changed meanwhile"):
        edited("# a line more\n" + TEXT, gone)


@settings(deadline=None)  # asserts no time: machines are busy
@given(st.sets(st.integers(0, 40)))
def test_the_text_says_what_the_manifest_without_the_grants_says(
    tmp_path_factory: pytest.TempPathFactory, chosen: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("edited")
    (folder / "app.toml").write_text(TEXT)
    manifest = load(folder / "app.toml")
    gone = [grant for number, grant in enumerate(grants(manifest)) if number in chosen]
    (folder / "less.toml").write_text(edited(TEXT, gone))
    less, wanted = load(folder / "less.toml"), without(manifest, gone)
    assert (less.mounts, less.dials, less.listens) == (wanted.mounts, wanted.dials, wanted.listens)
    assert less.syscalls.allow == wanted.syscalls.allow
    assert (less.app, less.limits) == (wanted.app, wanted.limits)
