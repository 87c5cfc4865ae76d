"""Programs of real worlds behind HTTP rules: whose certificate they accept, and which requests pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio
from accounts import Account
from apis import http_api, https_api
from worlds import RunError, Worlds

import libos
from libos.net.http.messages import Refused, Request, Response

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
RULES = [{"method": ["GET"], "path": "/v1/**"}]

CLIENTS = {
    "curl": 'curl -sS -w "%{{http_code}}" {url}',
    "wget": "wget -q -S -O - {url} 2>&1",
    "python": "python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read())' {url} 2>&1",
    "node": "node -e 'fetch(process.argv[1]).then(async r => console.log(r.status, await r.text()))' {url}",
    "git": "git ls-remote {url} 2>&1",
}


def manifest(port: int, **keys: Any) -> dict[str, Any]:
    dial = {"to": f"tcp!localhost!{port}", "http": RULES} | keys
    return {"include": ["base"], "dial": [dial]}


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_accept_the_worlds_certificate_and_meet_its_rules(
    client: str, worlds: Worlds, as_user: Account
) -> None:
    if shutil.which(client if client != "python" else "python3") is None:
        pytest.skip(f"this machine has no {client}")
    with https_api(as_user.folder / "ca.pem") as api:
        asked = manifest(api.port, ca=str(as_user.folder / "ca.pem"))
        url = f"https://localhost:{api.port}/v1/things"
        passed = worlds.run("sh", "-c", CLIENTS[client].format(url=url), manifest=asked, check=False)
        (request, *_) = passed.of_kind("http.request")
        assert (request["method"], request["status"], request["grant"]) == ("GET", 200, "d1"), passed.err
        assert request["path"].startswith("/v1/things")
        if client != "git":
            assert "GET /v1/things HTTP/1.1" in passed.out
        heard = len(api.heard)
        refused = worlds.run(
            "sh", "-c", CLIENTS[client].format(url=url.replace("v1", "v2")), manifest=asked, check=False
        )
        assert "403" in refused.out + refused.err
        assert refused.of_kind("http.refused")[0]["reason"] == "no rule lets this request pass"
        assert len(api.heard) == heard


def test_what_does_not_verify_outside_is_an_error_inside(worlds: Worlds, as_user: Account) -> None:
    with https_api(as_user.folder / "ca.pem") as api:
        result = worlds.run("curl", "-sS", f"https://localhost:{api.port}/v1/x", manifest=manifest(api.port))
        assert "certificate that does not verify" in result.out
        (error,) = result.of_kind("error")
        assert error["operation"] == "http" and "local issuer" in error["error"]
        assert api.heard == []


def test_plain_http_is_judged_where_the_grant_says_so(worlds: Worlds) -> None:
    with http_api() as api:
        asked = manifest(api.port, tls=False)
        code = f"curl -sS localhost:{api.port}/v1/a; curl -sS -X POST -d x localhost:{api.port}/v1/b; env"
        result = worlds.run("sh", "-c", code, manifest=asked)
        assert "GET /v1/a" in result.out
        assert "libos: no rule lets this request pass" in result.out
        assert "SSL_CERT_FILE" not in result.out  # nothing is trusted that is not needed


def test_a_world_without_http_trusts_nobody_new(worlds: Worlds) -> None:
    with http_api() as api:
        plain = {"include": ["base"], "dial": [{"to": f"tcp!localhost!{api.port}"}]}
        result = worlds.run(
            "sh", "-c", "env; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt", manifest=plain
        )
        count = Path("/etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN")
        assert "SSL_CERT_FILE" not in result.out
        assert result.out.splitlines()[-1] == str(count)


def test_variables_of_the_manifest_stay_as_they_are(worlds: Worlds) -> None:
    asked = manifest(8443) | {"app": {"environment": {"SSL_CERT_FILE": "/mine"}}}
    result = worlds.run("sh", "-c", 'echo "$SSL_CERT_FILE $CURL_CA_BUNDLE"', manifest=asked)
    assert result.out == "/mine /etc/ssl/certs/ca-certificates.crt\n"


def test_a_world_without_host_trees_has_the_bundle_too(worlds: Worlds) -> None:
    asked = manifest(8443)
    asked["include"] = ["base", "-/etc/ssl/certs"]
    result = worlds.run("grep", "-c", "BEGIN CERT", "/etc/ssl/certs/ca-certificates.crt", manifest=asked)
    assert int(result.out) >= 1


@pytest.mark.parametrize(
    ("dial", "message"),
    [
        ({"http": [{"method": ["get"]}]}, 'write "GET"'),
        ({"http": [{"path": "v1"}]}, "begins with /"),
        ({"http": [{"paht": "/v1"}]}, 'did you mean "path"'),
        ({"http": [{"host": "a.*.b"}]}, "whole labels"),
        ({"tls": False}, "without http"),
        ({"http": [], "to": "udp!localhost!53"}, "is about TCP"),
        ({"http": [], "ca": "/nonexistent.pem"}, "cannot be used: No such file"),
    ],
)
def test_a_wrong_rule_is_an_error_that_says_what_to_write(
    worlds: Worlds, dial: dict[str, Any], message: str
) -> None:
    asked = {"include": ["base"], "dial": [{"to": "tcp!localhost!8443"} | dial]}
    with pytest.raises(RunError, match="ManifestError") as raised:
        worlds.run("true", manifest=asked)
    assert message in str(raised.value)


async def test_functions_of_the_caller_see_and_change(supervisor: libos.Supervisor, tmp_path: Path) -> None:
    seen: list[str] = []

    async def on_request(request: Request) -> None:
        seen.append(f"{request.method} {request.host} {request.path}")
        if request.path.endswith("no"):
            raise Refused("said the function")
        request.headers.append(("X-Added", "by the caller"))

    async def on_response(request: Request, response: Response) -> None:
        response.headers.append(("X-Seen", request.path))

    with https_api(tmp_path / "ca.pem") as api:
        keys = {"http_request": on_request, "http_response": on_response, "ca": str(tmp_path / "ca.pem")}
        asked = manifest(api.port, **keys)
        url = f"https://localhost:{api.port}/v1/"
        asked["app"] = {"command": ["curl", "-sS", "-i", f"{url}yes", f"{url}no"]}
        app = await supervisor.start(asked, stdout=-1)
        assert app.stdout is not None
        out = b"".join([chunk async for chunk in app.stdout]).decode()
        assert (await app.wait()).returncode == 0
    assert seen == ["GET localhost /v1/yes", "GET localhost /v1/no"]
    assert "x-added: by the caller" in out.lower() and "x-seen: /v1/yes" in out.lower()
    assert "403 Forbidden" in out and "said the function" in out


async def test_https_cannot_be_added_to_a_world_that_trusts_no_authority(
    supervisor: libos.Supervisor,
) -> None:
    app = await supervisor.start({"include": ["base"], "app": {"command": ["sleep", "60"]}})
    with pytest.raises(libos.SupervisorError, match="no certificate authority"):
        await app.dial("tcp!localhost!8443", http=RULES)
    await app.dial("tcp!localhost!8080", http=RULES, tls=False)
    await app.kill()
    with trio.fail_after(20):
        await app.wait()


@pytest.mark.soak_accounts("root")
def test_the_example_of_rules(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLES / "http-rules/rules.py")))
    assert done.returncode == 0, done.stderr
    statuses = [line.split()[2] for line in done.stdout.splitlines()]
    assert statuses == ["200", "200", "403", "403", "403", "400", "403"]
    assert done.stdout.count("done for the program") == 2


def test_explain_says_what_judges_a_request(as_user: Account) -> None:
    (as_user.folder / "m.toml").write_text(
        'libos = 1\ninclude = ["base"]\n[app]\ncommand = ["true"]\n[[dial]]\nto = "tcp!a.example!443"\n'
        'http = [{ method = ["GET"] }, { path = "/v1/**", action = "refuse" }]\n'
    )
    done = as_user.run(as_user.libos("explain", "--json", "m.toml"))
    lines = json.loads(done.stdout)["resources"]
    (line,) = [line for line in lines if line["at"] == "tcp!a.example!443"]
    assert "2 rules" in line["reason"]
