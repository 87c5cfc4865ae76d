"""Runs PostgreSQL with a database in /data, made at the first start. With "ping": is it there?"""

import glob
import os
import subprocess
import sys

import psycopg2

DATA = "/data/jobs"

if sys.argv[1:] == ["ping"]:
    try:
        psycopg2.connect("host=127.0.0.1 user=app dbname=postgres").close()
    except psycopg2.OperationalError as error:
        sys.exit(str(error))
    sys.exit()

programs = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
if not os.path.exists(f"{DATA}/PG_VERSION"):
    # Whoever can reach the port may do anything: only worlds that dial "db" can.
    command = [f"{programs}/initdb", "--pgdata", DATA, "--username=app", "--auth=trust", "--no-sync"]
    subprocess.run([*command, "--encoding=UTF8", "--locale=C.UTF-8"], check=True, stdout=subprocess.DEVNULL)
settings = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
}
options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
os.execv(f"{programs}/postgres", ["postgres", "-D", DATA, *options])
