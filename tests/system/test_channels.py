"""Channels in real worlds, from a manifest to the report."""

from __future__ import annotations

import hashlib
import json

import pytest
from accounts import Account

pytestmark = pytest.mark.system

MANIFEST = """
libos = 1
include = ["base"]

[app]
command = ["sh", "-c", '''
exec 3< /channel/in
dd bs=4 count=1 <&3 2>/dev/null > /channel/out
dd bs=4 count=1 < /channel/in 2>/dev/null >> /channel/out
cat /channel/out; tail -c +1 /channel/random; cat /channel/in; cat /channel/in
''']

[[channel]]
at = "/channel/in"
host = "in"
gets = 10
get_size = 11

[[channel]]
at = "/channel/out"
host = "out"
puts = 10
put_size = 10

[[channel]]
at = "/channel/random"
host = "in"
get = "random"
gets = 10
get_size = "1K"
"""


def test_what_passes_is_limited_counted_and_reported(as_user: Account) -> None:
    (as_user.folder / "in").write_text("0123456789abcdef")
    (as_user.folder / "channels.toml").write_text(MANIFEST)
    command = as_user.libos("run", "--report", "--events", "events", "channels.toml")
    done = as_user.run(command)
    assert done.stdout == "0123456789abcdef" + "89a"
    assert "/channel/out: Permission denied" in done.stderr
    assert "/channel/in: Disk quota exceeded" in done.stderr
    assert (as_user.folder / "out").read_text() == "01234567"
    last = json.loads((as_user.folder / "events").read_text().splitlines()[-1])
    source, drain, random = last["channels"]
    assert source["get_sha256"] == hashlib.sha256(b"0123456789a").hexdigest()
    assert (drain["puts"], drain["put_size"]) == (2, 8)
    assert drain["put_sha256"] == hashlib.sha256(b"01234567").hexdigest()
    assert (random["get_size"], random["get_sha256"]) == (16, None)
    assert f"channel /channel/out: put 8 bytes, 2 times, sha256 {drain['put_sha256']}" in done.stderr


@pytest.mark.accounts("user")
def test_what_cannot_be_a_channel_starts_nothing(as_user: Account) -> None:
    wrong = as_user.folder / "wrong.toml"
    wrong.write_text(
        'libos = 1\n[[channel]]\nat = "/a"\ngets = 1\n[[channel]]\nat = "/b"\n'
        '[[channel]]\nat = "/c"\nhost = "absent"\ngets = 1\nget_size = 1\n'
    )
    done = as_user.run(as_user.libos("run", "wrong.toml"))
    assert done.returncode == 2
    assert '"gets" says one limit of two: write "get_size" too' in done.stderr
    assert "nothing may pass through this channel: write gets or puts" in done.stderr
    wrong.write_text(
        'libos = 1\ninclude = ["base"]\n[app]\ncommand = ["true"]\n'
        '[[channel]]\nat = "/c"\nhost = "/proc/self/status"\ngets = 1\nget_size = 1\n'
    )
    done = as_user.run(as_user.libos("run", "wrong.toml"))
    assert done.returncode != 0
    assert "cannot be a channel: it says that it is empty, and is not" in done.stderr
