"""Who is answered by a page on the loopback address."""

from __future__ import annotations

import pytest

from libos.view.access import Access, Door, Refusal

DOOR = Door(8000, token="secret-token", folder="/abc/")
HOST = {"host": "127.0.0.1:8000"}
COOKIE = {"libos-view": "secret-token"}


def decided(
    method: str = "GET",
    path: str = "/abc/",
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    cookies: dict[str, str] | None = None,
) -> Access | int:
    found = DOOR.decide(
        method, path, HOST | (headers or {}), query or {}, COOKIE if cookies is None else cookies
    )
    return int(found.status) if isinstance(found, Refusal) else found


def test_the_address_with_the_token_leads_in_and_the_cookie_then_reads() -> None:
    assert decided(path="/", query={"token": "secret-token"}, cookies={}) is Access.ENTER
    assert decided() is Access.READ
    assert decided(method="HEAD") is Access.READ
    assert decided(headers={"host": "localhost:8000", "origin": "http://localhost:8000"}) is Access.READ
    assert decided(headers={"sec-fetch-site": "same-origin"}) is Access.READ
    assert decided(headers={"sec-fetch-site": "none"}) is Access.READ


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "evil.example", "127.0.0.1", "127.0.0.1:80", "", "[::1]:8000"]
)
def test_another_name_for_this_address_is_misdirected(host: str) -> None:
    assert decided(headers={"host": host}) == 421
    assert decided(path="/", query={"token": "secret-token"}, headers={"host": host}) == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "https://127.0.0.1:8000"]
)
def test_another_origin_is_forbidden_even_with_the_cookie(origin: str) -> None:
    assert decided(headers={"origin": origin}) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_a_request_that_another_site_caused_is_forbidden(site: str) -> None:
    assert decided(headers={"sec-fetch-site": site}) == 403
    assert decided(path="/", query={"token": "secret-token"}, headers={"sec-fetch-site": site}) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get"])
def test_nothing_but_reading_is_allowed(method: str) -> None:
    assert decided(method=method) == 405


@pytest.mark.parametrize(
    "said", [None, "", "secret-toke", "secret-token2", "Secret-Token", "\udcff", "é" * 100]
)
def test_without_the_token_nothing_is_shown(said: str | None) -> None:
    given = {} if said is None else {"token": said}
    assert decided(path="/", query=given, cookies={}) == 401
    assert decided(cookies={} if said is None else {"libos-view": said}) == 401


def test_the_token_counts_in_the_first_address_alone_and_the_cookie_below_its_path_alone() -> None:
    assert decided(query={"token": "secret-token"}, cookies={}) == 401
    assert decided(path="/", cookies=COOKIE) == 401
    assert decided(path="/other/", cookies=COOKIE) == 401


def test_each_door_has_a_token_and_a_path_of_its_own_and_shows_the_token_in_its_address_alone() -> None:
    one, two = Door(8000), Door(8000)
    assert one.token != two.token and one.folder != two.folder
    assert len(one.token) >= 43  # 32 bytes
    assert one.token not in repr(one)
    assert one.url == f"http://127.0.0.1:8000/?token={one.token}"
    assert one.cookie.endswith(f"; Path={one.folder}; HttpOnly; SameSite=Strict")
