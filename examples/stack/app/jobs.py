"""The table of jobs, and a connection to it that is made anew when the database was away."""

import contextlib
import time

import psycopg2
import psycopg2.extensions

TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number integer NOT NULL,
    square bigint
)"""


def connected(patience: float = 30.0) -> psycopg2.extensions.connection:
    """A connection to the database of the world "db"."""
    give_up = time.monotonic() + patience
    while True:
        try:
            connection = psycopg2.connect("host=db user=app dbname=postgres connect_timeout=5")
            connection.autocommit = True
            with contextlib.suppress(psycopg2.errors.UniqueViolation):  # two made the table at once
                connection.cursor().execute(TABLE)
            return connection
        except psycopg2.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
