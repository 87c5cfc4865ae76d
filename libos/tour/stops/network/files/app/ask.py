"""Counts the processes that it sees, and asks for prices."""

import os
import socket

with open("/keys/id") as key:
    print("the key is here:", bool(key.read()))
print("processes:", sum(name.isdecimal() for name in os.listdir("/proc")))
with socket.create_connection(("prices.example", 80)) as connection, connection.makefile() as answer:
    print("prices:", answer.read().strip())
