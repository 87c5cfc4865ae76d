"""Takes one job after the other and writes the square of its number."""

import time

import jobs
import psycopg2

TAKE = """
UPDATE jobs SET square = number::bigint * number WHERE id = (
    SELECT id FROM jobs WHERE square IS NULL ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1
) RETURNING id"""

connection = jobs.connected()
print("working", flush=True)
while True:
    try:
        with connection.cursor() as cursor:
            cursor.execute(TAKE)
            if not cursor.fetchall():
                time.sleep(0.02)
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        connection = jobs.connected()
        print("connected again", flush=True)
