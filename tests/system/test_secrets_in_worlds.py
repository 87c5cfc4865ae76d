"""A secret is used by a program that never sees it, and that tries to."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from accounts import Account
from apis import Api, datagram_service, http_api, https_api, raw_service
from worlds import Result, RunError, Worlds

pytestmark = pytest.mark.system
pytest_plugins = ["running"]

VALUE = "s3cret-of-the-caller"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"
THIEF = Path(__file__).with_name("thief.py").read_text()


def manifest(account: Account, api: Api, *more: dict[str, Any], **secret: Any) -> dict[str, Any]:
    (account.folder / "token").write_text(f"{VALUE}\n")
    to = f"tcp!localhost!{api.port}"
    granted = {"to": to, "http": [{"path": "/v1/**"}], "ca": str(account.folder / "ca.pem")}
    source = {"file": str(account.folder / "token")} if not secret.keys() & {"environment", "command"} else {}
    asked = {"name": "TOKEN", "header": "Authorization", "to": [to]} | source | secret
    return {"include": ["python"], "dial": [granted, *more], "secret": [asked]}


def curl(api: Api) -> str:
    return f'curl -sS -H "Authorization: Bearer $TOKEN" https://localhost:{api.port}/v1/x'


def requests_with(value: str, api: Api) -> list[bytes]:
    return [each for each in api.heard if value.encode() in each]


def test_the_program_uses_it_and_holds_a_random_word(worlds: Worlds, as_user: Account) -> None:
    with https_api(as_user.folder / "ca.pem") as api:
        asked = manifest(as_user, api, at="/run/secrets/token")
        code = f'{curl(api)}; echo; echo "$TOKEN"; cat /run/secrets/token'
        first, second = (worlds.run("sh", "-c", code, manifest=asked) for _ in range(2))
        assert len(requests_with(f"authorization: Bearer {VALUE}\n", api)) == 2
    assert VALUE not in first.out + json.dumps(first.events)
    word, in_file = first.out.split()[-2:]
    assert word == in_file and re.fullmatch("libos-[0-9a-f]{40}", word)
    assert word not in second.out  # each world has its own


@pytest.mark.parametrize("wanted", ["environment", "command"])
def test_the_value_comes_from_the_callers_side(wanted: str, as_user: Account) -> None:
    source = {"environment": '"MY_TOKEN"', "command": f'["printf", "%s\\n", "{VALUE}"]'}[wanted]
    with https_api(as_user.folder / "ca.pem") as api:
        (as_user.folder / "m.toml").write_text(
            f'libos = 1\ninclude = ["base"]\n[app]\ncommand = ["sh", "-c", """{curl(api)}; env"""]\n'
            f'[[dial]]\nto = "tcp!localhost!{api.port}"\nca = "ca.pem"\n'
            f'[[secret]]\nname = "TOKEN"\nheader = "Authorization"\n{wanted} = {source}\n'
            f'to = ["tcp!localhost!{api.port}"]\n'
        )
        environment = as_user.environment | {"MY_TOKEN": VALUE}
        done = as_user.run(as_user.libos("run", "--events", "events", "m.toml"), env=environment)
        assert done.returncode == 0, done.stderr
        assert len(requests_with(f"Bearer {VALUE}", api)) == 1
    explained = as_user.run(as_user.libos("explain", "m.toml"), env=environment).stdout
    assert "TOKEN" in explained
    told = done.stdout + done.stderr + (as_user.folder / "events").read_text()
    assert VALUE not in told
    if wanted == "environment":
        assert VALUE not in explained


def test_no_process_of_the_world_has_it_in_its_environment(as_user: Account) -> None:
    # As root of the host: keeper and init are not the app's to look at anyway.
    with https_api(as_user.folder / "ca.pem") as api:
        (as_user.folder / "m.py").write_text(
            "import os, subprocess, sys, trio, libos\n"
            "async def main():\n"
            "    async with libos.Supervisor() as supervisor:\n"
            "        async with supervisor.events() as events:\n"
            f"            app = await supervisor.start({manifest(as_user, api, environment='MY_TOKEN')!r} | "
            "{'app': {'command': ['sleep', '60']}})\n"
            "            found = subprocess.run(['pgrep', '-g', str(os.getpgrp())], capture_output=True)\n"
            "            children = [p for p in os.listdir('/proc') if p.isdigit() and below(int(p))]\n"
            "            print(len(children), [p for p in children if held(p)])\n"
            "            await app.kill(); await app.wait()\n"
            "def parent(p):\n"
            "    try: return int(open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[1])\n"
            "    except OSError: return 0\n"
            "def below(p):\n"
            "    p = parent(p)\n"
            "    while p > 1 and p != os.getpid(): p = parent(p)\n"
            "    return p == os.getpid()\n"
            "def held(p):\n"
            "    try: return os.environb[b'MY_TOKEN'] in open(f'/proc/{p}/environ', 'rb').read()\n"
            "    except OSError: return False\n"
            "trio.run(main)\n"
        )
        environment = as_user.environment | {"MY_TOKEN": VALUE}
        done = as_user.run(as_user.python("m.py"), env=environment)
        assert done.returncode == 0, done.stderr
        count, holders = done.stdout.split(maxsplit=1)
        assert int(count) >= 3 and holders.strip() == "[]"


def thief(worlds: Worlds, account: Account) -> tuple[Result, Api, Api, Api]:
    with (
        https_api(account.folder / "ca.pem") as api,
        http_api() as other,
        raw_service() as raw,
        datagram_service() as datagrams,
    ):
        more = (
            {"to": f"udp!127.0.0.1!{datagrams.port}"},
            {"to": f"tcp!localhost!{other.port}", "http": [{}], "tls": False},
            {"to": f"tcp!localhost!{raw.port}"},
        )
        asked = manifest(account, api, *more, at="/run/secrets/token")
        ports = (str(each.port) for each in (api, other, raw, datagrams))
        command = ("python3", "-c", THIEF, *ports, "/run/secrets/token")
        result = worlds.run(*command, manifest=asked)
        raw.heard += datagrams.heard
        return result, api, other, raw


def test_a_thief_gets_nothing(worlds: Worlds, as_user: Account) -> None:
    result, api, other, raw = thief(worlds, as_user)
    ways = dict(re.findall(r"^== (.*?): (.*)$", result.out, re.MULTILINE))
    assert len(ways) >= 30
    told = result.out + result.err + json.dumps(result.events)
    assert VALUE not in told
    assert "*" * len(VALUE) in ways["an honest echo"]
    # Where it went: into the one header, in requests that the rules let pass.
    for request in requests_with(VALUE, api):
        line, *rest = request.decode().split("\n")
        assert re.match(r"\w+ /v1/x HTTP/1.1$", line)
        assert [each for each in rest if VALUE in each] == [f"authorization: Bearer {VALUE}"]
    word = ways["the file"].strip()
    assert VALUE.encode() not in other.all_heard + b"".join(raw.heard)
    assert word.encode() not in api.all_heard + other.all_heard + b"".join(raw.heard)


def test_what_a_thief_tried_is_told(worlds: Worlds, as_user: Account) -> None:
    result, *_ = thief(worlds, as_user)
    where = {event["where"] for event in result.of_kind("secret.refused")}
    headers = {"the header x-token", "the header cookie", "the header authorization"}
    assert headers | {"the path", "the body", "the bytes of a connection", "a datagram"} <= where
    assert {event["secret"] for event in result.of_kind("secret.refused")} == {"TOKEN"}
    reasons = {event["reason"] for event in result.of_kind("http.refused")}
    assert any("TLS asked for other.example" in reason for reason in reasons)
    assert any("Host is not localhost" in reason for reason in reasons)
    assert "only HTTP/1.1 is spoken here" in reasons
    assert "there are both Content-Length and Transfer-Encoding" in reasons


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ({"environment": "NOT_THERE_AT_ALL"}, "your environment has no NOT_THERE_AT_ALL: export it first"),
        ({"file": "/nonexistent"}, '"/nonexistent" cannot be read: No such file or directory'),
        ({"command": ["false"]}, '"false" ended with status 1'),
        ({"command": ["/nonexistent"]}, '"/nonexistent" cannot be run'),
        ({"command": ["printf", "short"]}, "fewer than 8 bytes"),
        ({"command": ["printf", "a\\nsecret-in-lines"]}, "holds what no header can"),
        ({"to": ["tcp!other.example!443"]}, 'add [[dial]] to = "tcp!other.example!443"'),
        ({"to": ["tcp!localhost!80"]}, "write tls = false"),
        ({"header": "Host"}, "no header that can hold a secret"),
        ({"name": "NO-NAME"}, "no name for a secret"),
        ({"name": "HOME"}, "is set in [app] environment too"),
        ({"file": "/a", "command": ["b"]}, "one of environment, file, command"),
    ],
)
def test_a_secret_that_cannot_be_had_stops_the_start(
    worlds: Worlds, as_user: Account, secret: dict[str, Any], message: str
) -> None:
    with https_api(as_user.folder / "ca.pem") as api:
        asked = manifest(as_user, api, {"to": "tcp!localhost!80"}, **secret)
        with pytest.raises(RunError, match="ManifestError") as raised:
            worlds.run("true", manifest=asked)
    assert message in str(raised.value)
    assert "secret-in-lines" not in str(raised.value)


@pytest.mark.soak_accounts("root")
def test_the_example_of_a_secret(as_user: Account) -> None:
    done = as_user.run(as_user.python(str(EXAMPLES / "secret/secret.py")))
    assert done.returncode == 0, done.stderr
    assert "known: True" in done.stdout and f"you sent Bearer {'*' * 40}" in done.stdout
    assert done.stdout.count("403 libos: the placeholder of API_TOKEN") == 2
    assert "refused: API_TOKEN in the bytes of a connection" in done.stdout
    assert done.stderr == ""


def test_including_a_manifest_can_drop_its_secret(worlds: Worlds, as_user: Account) -> None:
    with https_api(as_user.folder / "ca.pem") as api:
        (as_user.folder / "token").write_text(VALUE)
        (as_user.folder / "m.toml").write_text(
            f'libos = 1\ninclude = ["base"]\n[[dial]]\nto = "tcp!localhost!{api.port}"\nca = "ca.pem"\n'
            f'[[secret]]\nname = "TOKEN"\nheader = "Authorization"\nfile = "token"\n'
            f'to = ["tcp!localhost!{api.port}"]\n'
        )
        path = str(as_user.folder / "m.toml")
        assert worlds.run("sh", "-c", "echo $TOKEN", manifest={"include": [path]}).out.startswith("libos-")
        included = {"include": [path, "-secret:TOKEN", f"-tcp!localhost!{api.port}"]}
        assert worlds.run("sh", "-c", "echo $TOKEN", manifest=included).out == "\n"
    assert os.environ.get("TOKEN") is None
