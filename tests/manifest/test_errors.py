"""Every error of a manifest in one message: place, what is wrong, what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from libos.errors import ManifestError
from libos.manifest import from_mapping, load


def errors(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "agent.toml").write_text(text, encoding="utf-8", newline="")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError) as caught:
        load("agent.toml")
    assert caught.value.exit_status == 2
    return str(caught.value).splitlines()


# Each text stands after the line `libos = 1`.
ONE = {
    "unknown_key_near_a_known_one": (
        'moun = []',
        ['2:1: unknown key "moun", did you mean "mount"?'],
    ),
    "a_wrong_value_in_a_table_that_could_be_no_table": (
        '[[mount]]\nat = "/a"\nhost = "/usr"\nask = { timeout = "soon" }',
        ['5:19: "soon" is no time: write seconds or a number with ms, s, min, h or d, as "10min"'],
    ),
    "unknown_key_near_none": (
        '[[dial]]\nto = "tcp!a!80"\nqqq = 1',
        [
            '4:1: unknown key "qqq"; known are ask, ca, connections, deny, http, label, private, rate, '
            "received, sent, tls, to, via",
        ],
    ),
    "unknown_key_in_a_dotted_key": (
        'app.comand = ["a"]',
        ['2:5: unknown key "comand", did you mean "command"?'],
    ),
    "unknown_key_in_an_inline_table": (
        'limits = { tme = 1 }',
        ['2:12: unknown key "tme", did you mean "time"?'],
    ),
    "python_only_key": (
        '[[mount]]\nat = "/a"\nfunction = "f"',
        [
            "2:1: a mount shows one of host, image, text, bytes, memory, bind, service, p9: "
            "this one has none of them",
            '4:1: unknown key "function"; known are append_only, ask, at, audit, bind, bytes, count, exec, '
            "fault, hide, host, image, label, memory, mode, only, optional, order, p9, path, quota, "
            "replaceable, revocable, service, text, type",
        ],
    ),
    "wrong_types": (
        'include = "base"\n[app]\ncommand = "ls -l"\nenvironment = { A = 1 }\n[[listen]]\nport = "80"',
        [
            '2:11: "include" is a list, not a text: "base"',
            '4:11: "command" is a list, not a text: "ls -l"',
            '5:21: "A" is a text, not a whole number: 1',
            '7:8: "port" is a whole number, not a text: "80"',
        ],
    ),
    "wrong_type_where_two_are_allowed": (
        '[[mount]]\nat = "/a"\nmemory = true\n[limits]\ntime = []',
        [
            '4:10: "memory" is a whole number or a text, not true or false: true',
            '6:8: "time" is a whole number or a number or a text, not a list',
        ],
    ),
    "table_instead_of_array": (
        '[mount]\nat = "/a"\ntext = ""',
        ['2:1: "mount" is a list, not a table'],
    ),
    "entry_of_a_list": (
        'mount = [1]\n[app]\ncommand = ["a", 2]',
        [
            '2:10: an entry of "mount" is a table, not a whole number: 1',
            '4:17: an entry of "command" is a text, not a whole number: 2',
        ],
    ),
    "missing_keys": (
        "[[mount]]\nmemory = 1\n[[dial]]\n[[listen]]",
        [
            '2:1: the key "at" is missing in this [[mount]]',
            '4:1: the key "to" is missing in this [[dial]]',
            '5:1: the key "port" is missing in this [[listen]]',
        ],
    ),
    "empty_command": (
        "[app]\ncommand = []",
        ['3:11: "command" is empty: write at least one entry, or remove the key'],
    ),
    "two_mounts_at_one_place": (
        '[[mount]]\nat = "/a"\nmemory = 1\n[[mount]]\nat = "/a"\ntext = "x"',
        [
            '5:1: "/a" is already mounted by agent.toml:2:1; remove one of them, '
            'or an included one by "-/a" in include'
        ],
    ),
    "missing_source": (
        '[[mount]]\nat = "/a"\nhost = "no/such"',
        ['4:8: the host has no "{folder}/no/such": make it, or correct the path, or set optional = true'],
    ),
    "empty_names": (
        'include = [""]\n[[mount]]\nat = "/a"\nhost = ""\n[[mount]]\nat = ""\nmemory = 1',
        [
            "2:12: this names neither a profile nor a file",
            '5:8: an empty path: write "." for the folder of the manifest',
            '7:6: "" is a relative path: write an absolute one, as "/"',
        ],
    ),
    "relative_at": (
        '[[mount]]\nat = "work"\nmemory = 1',
        ['3:6: "work" is a relative path: write an absolute one, as "/work"'],
    ),
    "unclean_at": (
        '[[mount]]\nat = "/a//b/../c/"\nmemory = 1',
        ['3:6: "/a//b/../c/" is not in its plain form: write "/a/c"'],
    ),
    "at_of_init": (
        '[[mount]]\nat = "/proc/x"\nmemory = 1\n[[mount]]\nat = "/dev"\nmemory = 1\n'
        '[[mount]]\nat = "/"\nmemory = 1',
        [
            '3:6: nothing can be mounted at "/proc/x": every world has a /proc of its own',
            '6:6: nothing can be mounted at "/dev": every world has a /dev of its own',
            '9:6: nothing can be mounted at "/": it shows what is mounted below; name a directory',
        ],
    ),
    "nul_bytes": (
        '[[mount]]\nat = "/a\\u0000"\nmemory = 1\n[app]\ncommand = ["a\\u0000"]',
        [
            "3:6: a path cannot hold a NUL byte",
            "6:12: a text with a NUL byte cannot be handed to a program",
        ],
    ),
    "two_sources": (
        '[[mount]]\nat = "/a"\ntext = "x"\nmemory = 1',
        [
            "2:1: a mount shows one of host, image, text, bytes, memory, bind, service, p9: "
            "this one has text and memory"
        ],
    ),
    "modes": (
        '[[mount]]\nat = "/a"\ntext = "x"\nmode = "read-write"\noptional = true\n'
        '[[mount]]\nat = "/b"\nhost = "."\nmode = "rw"\n[[mount]]\nat = "/c"\nmemory = 1\nmode = "read-only"',
        [
            "5:1: a text mount is always read-only: remove this key",
            "6:1: only a host mount can be optional: remove this key",
            '10:8: "mode" is "read-only", "read-write" or "copy-on-write", not "rw"',
            "14:1: a memory mount is always read-write: remove this key",
        ],
    ),
    "not_base64": (
        '[[mount]]\nat = "/a"\nbytes = "é"',
        ["4:9: this is not base64: encode it with base64(1), or use text"],
    ),
    "services_that_are_none": (
        '[[mount]]\nat = "/a"\nservice = "udp!h!1"\n[[mount]]\nat = "/b"\nservice = "unix!/x"\nhide = ["x"]\n'
        'mode = "read-write"',
        [
            '4:11: "udp!h!1" is no service: write unix!/PATH or tcp!HOST!PORT',
            "8:1: a service is a socket and no file: remove this key",
            "9:1: a service mount is always read-only: remove this key",
        ],
    ),
    "listens_that_cannot_be": (
        '[[listen]]\nport = 53\nnetwork = "udp"\npublish = "unix:/x"\n[[listen]]\nport = 54\npublish = true\n'
        '[[listen]]\nport = 0\n[[listen]]\nport = 55\nproxy_protocol = true\nnetwork = "udp"',
        [
            "2:1: a unix socket is published for tcp alone: remove it, or network",
            '8:11: "publish" is where it is reached, or false for nowhere: write "127.0.0.1:8000"',
            "10:8: port 0 is out of range: it is 1 to 65535",
            "11:1: the PROXY protocol is for tcp alone: remove it, or network",
        ],
    ),
    "port_out_of_range": (
        "[[listen]]\nport = 0\n[[listen]]\nport = 80\npublish = 65536",
        [
            "3:8: port 0 is out of range: it is 1 to 65535",
            "6:11: port 65536 is out of range: it is 1 to 65535",
        ],
    ),
    "published_twice": (
        "[[listen]]\nport = 1\npublish = 80\n[[listen]]\nport = 2\npublish = '127.0.0.1:80'",
        ["5:1: 127.0.0.1:80 is already published by agent.toml:2:1; choose another port"],
    ),
    "publish_that_is_no_address": (
        '[[listen]]\nport = 80\npublish = "localhost:80"',
        [
            '4:11: "localhost" is no IP address: write one as 127.0.0.1 or [::1], '
            "or 0.0.0.0 for every interface"
        ],
    ),
    "two_words_for_one_weight": (
        '[limits]\nlatency = "priority"\ncpu_share = 5',
        ["3:11: latency and cpu_share are one weight: say one of them"],
    ),
    "names_that_are_none": (
        '[app]\nname = "a b"\nhostname = "-x"\nenvironment = { "A=B" = "" }',
        [
            '3:8: "a b" cannot name an app: write letters, digits, "-", "_" and inner ".", 48 at most; '
            "below another one build/tests",
            '4:12: "-x" is no host name: use letters, digits and inner hyphens, 64 at most',
            '5:17: "A=B" cannot name an environment variable: it is empty or has "=" or NUL in it',
        ],
    ),
    "sizes_and_times": (
        '[[mount]]\nat = "/a"\nmemory = "0"\n[limits]\ntime = "1week"',
        [
            "4:10: a size of 0 is out of range: it is between 1 byte and 1 EiB",
            '6:8: "1week" is no time: write seconds or a number with ms, s, min, h or d, as "10min"',
        ],
    ),
    "control_characters_stay_on_their_line": (
        '"a\\nb\\u001b" = 1',
        [
            r'2:1: unknown key "a\nb\x1b"; known are allow, allow_missing, app, channel, descriptor, dial, '
            "domain, include, labels, libos, limits, listen, mount, network, secret, syscalls",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE)
def test_errors_of_a_file(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = ONE[case]
    wanted = ["agent.toml:" + line.replace("{folder}", str(tmp_path)) for line in expected]
    assert errors(tmp_path, "libos = 1\n" + text, monkeypatch) == wanted


def test_a_dial_address_is_judged_by_the_network_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [line] = errors(tmp_path, 'libos = 1\n[[dial]]\nto = "tcp!a b!80"', monkeypatch)
    assert line.startswith('agent.toml:3:6: "tcp!a b!80": ')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", '1:1: the key "libos" is missing: write libos = 1 on the first line'),
        ("libos = 2", "1:9: this libos reads version 1 of the manifest, not 2: write libos = 1"),
        ("libos = true", '1:9: "libos" is a whole number, not true or false: true'),
        ("lbos = 1", '1:1: unknown key "lbos", did you mean "libos"?'),
    ],
)
def test_the_version_is_asked_for(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "agent.toml:" + message in errors(tmp_path, text, monkeypatch)


def test_all_errors_come_at_once_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "libos = 1\n" + "".join(f"[[mount]]\nat = 'x{n}'\nhost = 'gone'\nwhat = 1\n" for n in range(5))
    found = errors(tmp_path, text, monkeypatch)
    assert [line.split(":")[1] for line in found] == [str(n) for n in range(2, 22) if n % 4 != 2]


def test_very_many_errors_are_counted_and_very_long_ones_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "libos = 1\n" + "".join(f"k{n} = 1\n" for n in range(90)) + "x" * 5000 + " = 1\n"
    found = errors(tmp_path, text, monkeypatch)
    assert (len(found), found[-1]) == (51, "and 41 more errors")
    assert max(map(len, found)) <= 500


def test_errors_of_a_mapping_name_the_path_of_keys() -> None:
    with pytest.raises(ManifestError) as caught:
        from_mapping({"mount": [{"at": "x", "memory": 1}, {"at": "/y", "function": 3}], "ap": {}})
    assert sorted(str(caught.value).splitlines()) == [
        'manifest: ap: unknown key "ap", did you mean "app"?',
        'manifest: mount[0].at: "x" is a relative path: write an absolute one, as "/x"',
        'manifest: mount[1].function: "function" is a callable, not a whole number: 3',
    ]


def test_a_mapping_that_is_none_of_it() -> None:
    for wrong in ({1: 2}, {"mount": None}, {"app": {"environment": {1: "x"}}}, {"mount": [{"at": b"/x"}]}):
        with pytest.raises(ManifestError):
            from_mapping(wrong)  # type: ignore[arg-type]  # what a caller may get wrong


def test_a_table_where_a_text_or_number_belongs() -> None:
    with pytest.raises(ManifestError) as caught:
        from_mapping({"limits": {"time": {}}, "mount": [{"at": "/a", "memory": {}}]})
    assert sorted(str(caught.value).splitlines()) == [
        'manifest: limits.time: "time" is a whole number or a number or a text, not a table',
        'manifest: mount[0].memory: "memory" is a whole number or a text, not a table',
    ]
