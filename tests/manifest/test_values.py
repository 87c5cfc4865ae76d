"""The small grammars of manifests, value by value."""

from __future__ import annotations

import pytest

from libos.manifest import listening, values


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1, 1),
        ("1", 1),
        ("64M", 64 << 20),
        ("64 MiB", 64 << 20),
        ("2kb", 2048),
        ("1T", 1 << 40),
        ("3g", 3 << 30),
    ],
)
def test_sizes(written: int | str, size: int) -> None:
    assert values.size(written) == size


@pytest.mark.parametrize(
    "written", [0, -1, "", "M", "1.5G", "1P", "-1", "1 2", "1 << 2", "٣", 1 << 60, "9" * 16]
)
def test_what_is_no_size(written: int | str) -> None:
    with pytest.raises(ValueError, match="size"):
        values.size(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(1, 1), (0.5, 0.5), ("90", 90), ("1.5", 1.5), ("10min", 600), ("10m", 600), ("1h30min", 5400),
     ("2d", 172800), ("250ms", 0.25), ("1m 5s", 65)],
)  # fmt: skip
def test_durations(written: float | str, seconds: float) -> None:
    assert values.duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", [0, -1, "", "s", "1w", "min10", "1h-5min", float("inf"), float("nan"), 1e12, "٣s"]
)
def test_what_is_no_duration(written: float | str) -> None:
    with pytest.raises(ValueError, match="time"):
        values.duration(written)


@pytest.mark.parametrize(
    ("written", "host", "outside"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 8000),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("[::1]:80", "::1", 80),
        ("::1:80", "::1", 80),
        ("8000", "127.0.0.1", 8000),
        (8000, "127.0.0.1", 8000),
        ("127.0.0.1:0", "127.0.0.1", 0),
    ],
)
def test_published_addresses(written: str | int, host: str, outside: int) -> None:
    assert listening.published(written) == (host, outside, None, None)


def test_an_unsaid_publish_is_the_same_port_on_loopback() -> None:
    assert listening.listen({"port": 80}, "").published == "127.0.0.1:80"
    assert listening.listen({"port": 80, "publish": "[::1]:81"}, "").published == "[::1]:81"


@pytest.mark.parametrize(
    ("said", "shown", "name"),
    [
        ({"publish": "5353/udp"}, "127.0.0.1:5353/udp", "udp!*!53"),
        ({"network": "udp"}, "127.0.0.1:53/udp", "udp!*!53"),
        ({"network": "udp", "publish": "[::1]:53/udp"}, "[::1]:53/udp", "udp!*!53"),
        ({"publish": "unix:/run/dns.sock"}, "unix:/run/dns.sock", "tcp!*!53"),
        ({"publish": False}, "nowhere", "tcp!*!53"),
    ],
)
def test_what_listen_says(said: dict[str, object], shown: str, name: str) -> None:
    made = listening.listen({"port": 53, **said}, "")
    assert (made.published, made.name, made.is_published) == (shown, name, shown != "nowhere")


@pytest.mark.parametrize(
    "said",
    [
        {"publish": "53/udp", "network": "tcp"},
        {"publish": "unix:/run/x", "network": "udp"},
        {"proxy_protocol": True, "network": "udp"},
        {"proxy_protocol": True, "publish": False},
    ],
)
def test_what_listen_cannot_say_together(said: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        listening.listen({"port": 53, **said}, "")


@pytest.mark.parametrize(
    ("text", "port", "shown"),
    [
        ("53/udp", 53, "127.0.0.1:53/udp"),
        ("5353:53/udp", 53, "127.0.0.1:5353/udp"),
        ("[::1]:5353:53/tcp", 53, "[::1]:5353"),
        ("unix:/run/a/b.sock:80", 80, "unix:/run/a/b.sock"),
    ],
)
def test_what_an_option_publishes(text: str, port: int, shown: str) -> None:
    made = listening.published_option(text)
    assert (made.port, made.published, made.origin) == (port, shown, f"-p {text}")


@pytest.mark.parametrize("text", ["53/sctp", "unix:x:80", "unix:/x/y", "1/2", "/udp", "80:80/udp/tcp"])
def test_what_an_option_cannot_publish(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        listening.published_option(text)


@pytest.mark.parametrize(
    "written",
    ["", ":", ":80", "localhost:80", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:70000", "1.2.3.4:²", 70000, -1],
)
def test_what_cannot_be_published(written: str | int) -> None:
    with pytest.raises(ValueError, match=r"port|address"):
        listening.published(written)


@pytest.mark.parametrize("name", ["a", "a-b.c", "A1", "x" * 63])
def test_host_names(name: str) -> None:
    assert values.host_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a_b", "a..b", "x" * 64, "a." * 33 + "a", "é", "a b", "a\n"]
)
def test_what_is_no_host_name(name: str) -> None:
    with pytest.raises(ValueError, match="host name"):
        values.host_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", ".", "../x", "a/", "/a", "a//b", "a/../b", "a b", "x" * 49, "a\0", "é", "a\n"]
)
def test_what_cannot_name_an_app(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an app"):
        values.world_name(name)


def test_the_name_of_an_app_below_others_has_an_end() -> None:
    for name in ("build/tests/unit", "/".join("abcdefgh"), "x" * 39 + "/" + "y" * 40):
        assert values.world_name(name) == name
    for name in ("/".join("abcdefghi"), "x" * 40 + "/" + "y" * 40):
        with pytest.raises(ValueError, match="is too deep"):
            values.world_name(name)


@pytest.mark.parametrize("path", ["/a", "/a/b", "/.a", "/a..b", "/tmp/é"])
def test_places(path: str) -> None:
    assert values.place(path) == path


@pytest.mark.parametrize(
    "path", ["", "a", "./a", "~", "//a", "/a/", "/a/.", "/a/..", "/a//b", "/", "/proc", "/dev/x", "/a\0"]
)
def test_what_is_no_place(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|form|mounted"):
        values.place(path)


def test_base64_may_be_wrapped_and_bytes_are_themselves() -> None:
    assert values.base64_bytes("aGVs\n bG8=\n") == b"hello"
    assert values.base64_bytes(b"\0") == b"\0"
