"""The server of the live page, asked by HTTP: who is refused, who comes back, who goes away."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from looking import Client, View, parts


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    view = View(tmp_path_factory.mktemp("view") / "events")
    try:
        yield view
    finally:
        view.end()


@pytest.fixture
def client(view: View) -> Client:
    return Client(view.url)


def until(client: Client, text: str, since: int = 0, **headers: str) -> tuple[int, list[str]]:
    """Read changes until one has the text; gives its version, and all the data until then."""
    seen = []
    with closing(client.changes(since, **headers)) as changes:
        for _, version, data in changes:
            seen.append(data)
            if text in data:
                return int(version), seen
    raise AssertionError(f"the stream ended before {text!r}")


def test_requests_are_refused_as_the_door_says(client: Client) -> None:
    cookie, page = client.cookie, client.folder
    assert client.status(page, Cookie=cookie) == 200
    assert client.status(page) == 401
    assert client.status("/") == 401
    assert client.status("/?token=wrong") == 401
    assert client.status(page, Cookie=cookie, Origin="http://evil.example") == 403
    assert client.status(page, Cookie=cookie, Sec_Fetch_Site="cross-site") == 403
    assert client.status(page, "POST", Cookie=cookie) == 405
    assert client.status(f"{page}other", Cookie=cookie) == 404
    assert client.status(client.first, Host="evil.example") == 421
    assert client.status(f"{page}changes", Host=f"evil.example:{client.host.partition(':')[2]}") == 421
    assert client.status(f"{page}changes") == 401


def test_every_answer_forbids_frames_caches_and_foreign_scripts(client: Client) -> None:
    for path in (client.folder, f"{client.folder}changes", "/nothing"):
        with client.ask(path, Cookie=client.cookie) as answer:
            assert answer.getheader("Cache-Control") == "no-store"
            assert answer.getheader("X-Frame-Options") == "DENY"
            assert answer.getheader("X-Content-Type-Options") == "nosniff"
            assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
            assert answer.getheader("Access-Control-Allow-Origin") is None
    with client.ask(client.folder, Cookie=client.cookie) as answer:
        policy = answer.getheader("Content-Security-Policy") or ""
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_it_listens_on_the_loopback_address_alone(view: View, client: Client) -> None:
    port = int(client.host.partition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))  # free: the server has not taken all addresses


def test_who_comes_back_gets_what_came_since(view: View, client: Client) -> None:
    view.add("path.absent", path="/one")
    version, _ = until(client, "/one")
    view.add("path.absent", path="/two")
    later, told = until(client, "/two", Last_Event_ID=str(version))
    assert later > version
    assert "/one" not in "".join(parts(data)["e2"] for data in told if "e2" in parts(data))
    assert not any("e1" in parts(data) for data in told)
    _, told = until(client, "/two", since=version)  # as a page says that was just loaded
    assert not any("e1" in parts(data) for data in told)


@pytest.mark.parametrize("said", ["99999999999999", "-1", "x", "", "1" * 400, "²"])
def test_a_version_that_was_made_up_does_no_harm(client: Client, said: str) -> None:
    path, raw = f"{client.folder}changes", said.encode().decode("latin-1")
    with client.ask(path, Cookie=client.cookie, Last_Event_ID=raw) as answer:
        assert answer.status == 200
        assert answer.readline() == b"retry: 500\n"


def test_browsers_that_go_away_make_room(view: View, client: Client) -> None:
    view.add("path.absent", path="/room")
    for _ in range(70):  # more than are served at once
        until(client, "/room")


def test_ctrl_c_ends_it_while_browsers_look_on(tmp_path: Path) -> None:
    view = View(tmp_path / "events")
    client = Client(view.url)
    view.add("path.absent", path="/x")
    with closing(client.changes()) as changes:
        assert any("/x" in data for _, _, data in changes)
        view.process.send_signal(signal.SIGINT)
        assert view.process.wait(20) == -signal.SIGINT
    view.end()


def test_a_port_that_is_taken_is_one_line_with_a_remedy(view: View, tmp_path: Path) -> None:
    port = Client(view.url).host.partition(":")[2]
    with pytest.raises(AssertionError) as refused:
        View(tmp_path / "events", "--port", port)
    assert f"127.0.0.1:{port}: Address already in use; name another port" in str(refused.value)


def test_a_message_is_json_with_the_parts_that_changed(view: View, client: Client) -> None:
    view.add("path.absent", path="/json")
    _, told = until(client, "/json")
    for data in told:
        for part in json.loads(data):
            assert [type(each) for each in part] == [str, str, str, str]
