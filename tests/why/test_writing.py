"""Grants are written into a manifest with its comments and layout kept."""

from __future__ import annotations

import tomllib

import pytest

from libos.errors import ManifestError
from libos.manifest.listening import published_option
from libos.why.questions import question
from libos.why.writing import Writing

TEXT = """\
# An agent.
libos = 1

[[mount]]   # the project
at = "/work"
host = "."   # here

[[dial]]
to = "tcp!*.example.org!443"
deny = ["tcp!bad.example.org!443"]

[limits]
memory = "64M"  # little
"""


def written(text: str, *words: str, host: str | None = "/host") -> str:
    writing = Writing(text)
    for word in words:
        writing.allow(question(word), host)
    return writing.text


def test_a_mount_is_added_after_the_others() -> None:
    after = written(TEXT, "/data")
    assert after == TEXT.replace("# here\n\n", '# here\n\n[[mount]]\nat = "/data"\nhost = "/host"\n\n')


def test_a_port_is_published_in_an_entry_that_published_it_nowhere_or_in_one_of_its_own() -> None:
    before = f"{TEXT}\n[[listen]]\nport = 80  # the web\npublish = false\n"
    writing = Writing(before)
    assert writing.publish(published_option("8080:80"))
    assert writing.text == before.replace("publish = false", 'publish = "127.0.0.1:8080"')
    assert not writing.publish(published_option("8080:80"))
    assert writing.publish(published_option("unix:/run/x.sock:80"))
    assert writing.publish(published_option("[::1]:5353:53/udp"))
    added = ['port = 80\npublish = "unix:/run/x.sock"\n', 'port = 53\npublish = "[::1]:5353/udp"\n']
    assert writing.text.endswith("".join(f"\n[[listen]]\n{each}" for each in added))


def test_a_mount_that_is_there_is_widened_where_it_stands() -> None:
    assert written(TEXT, "/work:rw") == TEXT.replace("# here\n", '# here\nmode = "read-write"\n')


def test_a_dial_a_call_and_a_limit_are_written_and_the_rest_stays() -> None:
    after = written(TEXT, "tcp!db!5432", "keyctl", "memory=1G", "processes=9")
    raw = tomllib.loads(after)
    assert [each["to"] for each in raw["dial"]] == ["tcp!*.example.org!443", "tcp!db!5432"]
    assert raw["syscalls"] == {"allow": ["keyctl"]}
    assert raw["limits"] == {"memory": "1G", "processes": 9}
    assert all(line in after for line in TEXT.splitlines() if "memory" not in line)
    assert 'memory = "1G"  # little' in after
    assert after.endswith('allow = ["keyctl"]\n')


def test_a_name_that_is_no_text_is_one_message() -> None:
    with pytest.raises(ManifestError, match="not UTF-8"):
        written(TEXT, "/data/\udcff")


def test_a_name_cannot_leave_its_string() -> None:
    name = '/x" # \nhost = "/etc\u202e\U0001f600'
    after = written(TEXT, name)
    assert {"at": name, "host": "/host"} in tomllib.loads(after)["mount"]
    assert "\u202e" not in after


COMMENTED = """\
libos = 1
[[mount]]
at = "/work"
host = "."
# mode = "read-write"

# What it may dial.
[[dial]]
to = "tcp!a.org!1"
# How much it gets.
[limits]
memory = "1G"

# The rest.
"""


def test_a_comment_stays_above_what_it_is_about() -> None:
    after = written(COMMENTED, "/data", "tcp!db!1", "processes=9", "/work:rw", "keyctl")
    assert (
        after
        == """\
libos = 1
[[mount]]
at = "/work"
host = "."
# mode = "read-write"
mode = "read-write"

[[mount]]
at = "/data"
host = "/host"

# What it may dial.
[[dial]]
to = "tcp!a.org!1"

[[dial]]
to = "tcp!db!1"

# How much it gets.
[limits]
memory = "1G"
processes = 9

# The rest.

[syscalls]
allow = ["keyctl"]
"""
    )


def test_tables_of_an_entry_stay_with_it() -> None:
    text = 'libos = 1\n[[mount]]\nat = "/a"\nhost = "/a"\n[mount.fault]\nrate = 0.1\n[app]\ncommand = ["x"]'
    raw = tomllib.loads(written(text, "/data", "/a:rw"))
    assert raw["mount"] == [
        {"at": "/a", "host": "/a", "mode": "read-write", "fault": {"rate": 0.1}},
        {"at": "/data", "host": "/host"},
    ]


def test_dotted_keys_and_inline_tables_are_added_to() -> None:
    after = written(
        'libos = 1\nlimits.memory = "1G"\nsyscalls = { profile = "strict" }\n', "keyctl", "processes=9"
    )
    raw = tomllib.loads(after)
    assert raw["limits"] == {"memory": "1G", "processes": 9}
    assert raw["syscalls"] == {"profile": "strict", "allow": ["keyctl"]}


def test_a_manifest_without_any_gets_the_first() -> None:
    after = written("libos = 1", "/data", "tcp!db!1", "keyctl", "memory=1G")
    assert tomllib.loads(after) == {
        "libos": 1,
        "mount": [{"at": "/data", "host": "/host"}],
        "dial": [{"to": "tcp!db!1"}],
        "syscalls": {"allow": ["keyctl"]},
        "limits": {"memory": "1G"},
    }


def test_inline_tables_stay_inline() -> None:
    after = written('libos = 1\nmount = [{ at = "/a", host = "/a" }]\n', "/data:cow")
    assert tomllib.loads(after)["mount"][1] == {"at": "/data", "host": "/host", "mode": "copy-on-write"}
    assert "[[mount]]" not in after


@pytest.mark.parametrize("word", ["/work", "tcp!api.example.org!443", "memory=64M"])
def test_what_is_there_already_is_not_written_again(word: str) -> None:
    writing = Writing(TEXT)
    assert not writing.allow(question(word), "/host")
    assert writing.text == TEXT


@pytest.mark.parametrize(
    ("word", "says"),
    [("bad.example.org:443", "denies"), ("example.com", "no port"), ("memory", "needs a value"),
     ("cpus=many", "no number"), ("/none", "the host has no")],
)  # fmt: skip
def test_what_cannot_be_written_is_one_message(word: str, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        written(TEXT, word, host=None)


def test_what_is_no_toml_is_one_message() -> None:
    with pytest.raises(ManifestError, match="not TOML"):
        Writing("libos = = 1")


def test_lines_that_end_as_on_windows_stay_so() -> None:
    assert 'at = "/work"\r\n' in written(TEXT.replace("\n", "\r\n"), "keyctl")
