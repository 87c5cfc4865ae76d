"""Ten programs that people use, each with a small project: what is learned of them must run them again.

Shared with tests/learning, which asserts it; benchmarks/programs.py counts what is learned.
"""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

_APP = """from wsgiref.simple_server import make_server
import threading, urllib.request
def app(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from " + environ["PATH_INFO"].encode()]
server = make_server("127.0.0.1", 0, app)
threading.Thread(target=server.handle_request).start()
print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/app").read().decode())
"""
_WHEEL = """import zipfile
with zipfile.ZipFile("wheels/demo-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("demo.py", "answer = 42")
    wheel.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n")
    tag = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    wheel.writestr("demo-1.0.dist-info/WHEEL", tag)
    wheel.writestr("demo-1.0.dist-info/RECORD", "")
"""
_C = """cat > main.c <<'END'
#include <stdio.h>
int twice(int);
int main(void) { printf("%d\\n", twice(21)); }
END
echo 'int twice(int n) { return 2 * n; }' > twice.c
"""


@dataclass(frozen=True)
class Program:
    """A program: what makes its project in an empty folder (sh), its command, and a part of what it prints.
    PORT in a word stands for a local web server's."""

    name: str
    setup: str
    command: tuple[str, ...]
    prints: str
    options: tuple[str, ...] = ()

    def learning(self, port: int) -> list[str]:
        """The words after `libos learn` that learn it, with a web server at this port."""
        return [word.replace("PORT", str(port)) for word in (*self.options, "--", *self.command)]


@contextmanager
def web_server(folder: Path) -> Iterator[int]:
    """A web server of this process on 127.0.0.1, which lists a folder. Gives its port."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


PROGRAMS = (
    Program("git", "git init -q .; echo x > file", ("git", "status", "--short"), "?? file"),
    Program(
        "sqlite3",
        "sqlite3 data.db 'create table t (n); insert into t values (6), (7)'",
        ("sqlite3", "data.db", "insert into t values (29); select sum(n) from t"),
        "42",
    ),
    Program("gcc", _C, ("sh", "-c", "gcc -O1 -o program main.c twice.c && ./program"), "42"),
    Program(
        "pip",
        f"mkdir wheels; {sys.executable} -c '{_WHEEL}'",
        (sys.executable, "-m", "pip", "install", "--no-index", "-f", "wheels", "-t", "out", "demo"),
        "Successfully installed demo-1.0",
    ),
    Program("node", "echo 'console.log(6 * 7)' > main.js", ("node", "main.js"), "42"),
    Program(
        "curl",
        "true",
        ("curl", "-s", "http://localhost:PORT/"),
        "Directory listing",
        ("--dial", "tcp!localhost!PORT"),
    ),
    Program("tar", "mkdir src; echo x > src/file", ("tar", "cvf", "src.tar", "src"), "src/file"),
    Program(
        "make",
        _C + "printf 'program: main.c twice.c\\n\\tcc -o $@ $^\\n\\t./program\\n' > Makefile",
        ("make",),
        "42",
    ),
    Program("web app", f"cat > app.py <<'END'\n{_APP}END", ("/usr/bin/python3", "app.py"), "hello from /app"),
    Program(
        "pytest",
        "printf 'def test_it():\\n    assert 6 * 7 == 42\\n' > test_it.py",
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        "1 passed",
    ),
)
