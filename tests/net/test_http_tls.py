"""HTTPS by a grant: certificates of the world's own authority inside, verification outside."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trio
from cryptography import x509
from webs import HOST, Scene, exchange, scene

from libos.net.http.authority import Authority
from libos.net.http.trust import bundle

GET = f"GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


def trusting(pem: str, **settings: object) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name, value in settings.items():
        setattr(context, name, value)
    return context


async def https(
    there: Scene, name: str = HOST, context: ssl.SSLContext | None = None
) -> trio.SSLStream[trio.SocketStream]:
    context = context or trusting(there.web.authority.pem)
    stream = trio.SSLStream(await there.connect(), context, server_hostname=name, https_compatible=True)
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def test_the_app_meets_its_worlds_certificate_and_the_outside_is_verified(tmp_path: Path) -> None:
    async with scene(port=443, ca=tmp_path / "ca.pem") as there:
        context = trusting(there.web.authority.pem)
        context.set_alpn_protocols(["h2", "http/1.1"])
        stream = await https(there, context=context)
        assert stream.selected_alpn_protocol() == "http/1.1"
        answer = await exchange(stream, GET)
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"ok")
        assert (await there.events.take("http.request"))["status"] == 200


@pytest.mark.parametrize(
    ("settings", "why"),
    [({"ca": None}, "does not verify"), ({"certificate_for": "other.example"}, "does not verify")],
)
async def test_a_certificate_that_does_not_verify_is_an_error_and_nothing_is_sent(
    tmp_path: Path, settings: dict[str, object], why: str
) -> None:
    settings = {"ca": tmp_path / "ca.pem"} | settings
    async with scene(port=443, **settings) as there:  # type: ignore[arg-type]  # two keys of several
        answer = await exchange(await https(there), GET)
        assert answer.startswith(b"HTTP/1.1 502 ") and why.encode() in answer
        assert why in str((await there.events.take("error"))["error"])
        assert there.outside.heard == b""


async def test_an_outside_without_tls_is_an_error(tmp_path: Path) -> None:
    async with scene(port=443, ca=tmp_path / "ca.pem") as there:
        there.outside._context = None
        there.outside.handler = lambda stream: stream.send_all(b"220 smtp.example\r\n")
        answer = await exchange(await https(there), GET)
        assert answer.startswith(b"HTTP/1.1 502 ") and b"no TLS" in answer


async def test_another_name_in_the_handshake_is_misdirected(tmp_path: Path) -> None:
    async with scene(port=443, ca=tmp_path / "ca.pem") as there:
        context = trusting(there.web.authority.pem, check_hostname=False)
        stream = await https(there, "other.example", context)
        answer = await exchange(stream, GET)
        assert answer.startswith(b"HTTP/1.1 421 ")
        assert "other.example" in str((await there.events.take("http.refused"))["reason"])
        assert there.outside.connections == 0


async def test_a_client_that_does_not_trust_the_world_is_told_of(tmp_path: Path) -> None:
    async with scene(port=443, ca=tmp_path / "ca.pem") as there:
        with pytest.raises(trio.BrokenResourceError):
            await https(there, context=ssl.create_default_context())
        assert "handshake" in str((await there.events.take("http.refused"))["reason"])


async def test_plain_bytes_where_tls_is_spoken_are_refused(tmp_path: Path) -> None:
    async with scene(port=443, ca=tmp_path / "ca.pem") as there:
        assert not (await there.exchange(GET)).startswith(b"HTTP/1.1 2")
        assert "handshake" in str((await there.events.take("http.refused"))["reason"])
        assert there.outside.connections == 0


async def test_a_connection_is_used_again_over_tls(tmp_path: Path) -> None:
    async with scene(port=443, ca=tmp_path / "ca.pem") as there:
        stream = await https(there)
        again = GET.replace(b"Connection: close\r\n", b"")
        answer = await exchange(stream, again + again + GET)
        assert answer.count(b"HTTP/1.1 200") == 3
        assert there.outside.connections == 1


@pytest.mark.parametrize(
    "host", ["a.example", "198.51.100.7", "2001:db8::1", f"{'a' * 60}.{'b' * 60}.example"]
)
def test_a_leaf_is_what_strict_clients_want(host: str) -> None:
    authority = Authority("w")
    leaf = authority.leaf(host)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == [host]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= datetime.timedelta(days=398)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert authority.context(host) is authority.context(host)


def test_each_world_has_an_authority_of_its_own() -> None:
    one, other = Authority("w"), Authority("w")
    assert one.pem != other.pem
    assert "PRIVATE" not in one.pem


def test_the_bundle_has_the_hosts_authorities_and_the_worlds() -> None:
    own = Authority("w").pem
    text = bundle(own)
    assert text.endswith(own)
    assert ssl.create_default_context(cadata=text).cert_store_stats()["x509_ca"] >= 1
