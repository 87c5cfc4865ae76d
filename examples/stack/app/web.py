"""POST /jobs?number=N adds a job; GET /jobs tells how many there are, and how many are done."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jobs
import psycopg2

local = threading.local()


def ask(statement: str, *values: object) -> list[tuple[Any, ...]]:
    """One statement's rows; a lost connection is made anew once."""
    for attempt in (1, 2):
        try:
            if not hasattr(local, "connection"):
                local.connection = jobs.connected()
            with local.connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            del local.connection
            if attempt == 2:
                raise
    raise AssertionError


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ((count, done),) = ask("SELECT count(*), count(square) FROM jobs")
        self.answer(200, {"jobs": count, "done": done})

    def do_POST(self) -> None:
        number = int(parse_qs(urlsplit(self.path).query)["number"][0])
        ((made,),) = ask("INSERT INTO jobs (number) VALUES (%s) RETURNING id", number)
        self.answer(201, {"id": made})

    def answer(self, status: int, what: dict[str, Any]) -> None:
        data = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


ask("SELECT 1")  # no port before the database answers
server = ThreadingHTTPServer(("127.0.0.1", 8000), Handler)
print("listening on port 8000", flush=True)
server.serve_forever()
