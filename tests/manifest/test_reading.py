"""Files that cannot be manifests at all: one clear error, nothing hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libos.errors import ManifestError
from libos.manifest import from_options, load


def error(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(path.parent)
    with pytest.raises(ManifestError) as caught:
        load(path.name)
    with pytest.raises(ManifestError) as again:
        from_options(path.name)
    assert str(again.value) == str(caught.value)
    return str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "a.toml: no such file: check the path, or write a manifest there"
    assert error(tmp_path / "a.toml", monkeypatch) == message


def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    message = "d: this is a directory: name the manifest file in it, as agent.toml"
    assert error(tmp_path / "d", monkeypatch) == message


def test_a_fifo_does_not_hold_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert error(tmp_path / "fifo", monkeypatch) == "fifo: this is no regular file: write the manifest to one"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.toml").write_text("libos = 1")
    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    message = 'a.toml: you may not read this file: chmod u+r "a.toml", or run as its owner'
    assert error(tmp_path / "a.toml", monkeypatch) == message


@pytest.mark.parametrize("size", [(1 << 20) + 1, 10 << 20])
def test_a_file_that_is_too_large(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_bytes(b"#" * size)
    message = "a.toml: larger than 1 MiB, so no manifest: mount large content with host"
    assert error(tmp_path / "a.toml", monkeypatch) == message


def test_a_file_of_just_the_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"libos = 1\n#".ljust(1 << 20, b"x"))
    assert load(path).mounts == ()


def test_a_file_that_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_bytes("libos = 1\n# é".encode() + b"\xe9\n")
    message = "a.toml:2:4: byte 0xe9 is not UTF-8: save the file as UTF-8"
    assert error(tmp_path / "a.toml", monkeypatch) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("libos = \n", "1:9: not TOML: invalid value"),
        ("libos = 1\nlibos = 2\n", "2:10: not TOML: cannot overwrite a value"),
        ("[app\n", '1:5: not TOML: expected "]" at the end of a table declaration'),
        ('a = "open', "1:10: not TOML: unterminated string"),
        ("a = '''\nopen", "2:5: not TOML: "),
        ("a = 1_", "1:6: not TOML: "),
        ("a = " + "9" * 5000, " not TOML: exceeds the limit"),
        ("\0", "1:1: not TOML: "),
    ],
)
def test_a_file_that_is_not_toml(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text(text)
    found = error(tmp_path / "a.toml", monkeypatch)
    assert found.replace("'", '"').startswith("a.toml:" + message)
    assert found.endswith("; the form of TOML is at https://toml.io")


@pytest.mark.parametrize("depth", [100, 200, 300, 400, 500, 20000])
def test_a_file_nested_deeply(depth: int, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("libos = 1\na = " + "[" * depth + "]" * depth)
    with pytest.raises(ManifestError, match=r'unknown key "a"|nested too deeply'):
        load(tmp_path / "a.toml")


def test_a_name_that_cannot_be_a_file_name() -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        load("a\0b")
