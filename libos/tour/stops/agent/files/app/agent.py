"""Prices the inventory with the help of a service."""

import socket

with socket.create_connection(("prices.example", 80)) as connection, connection.makefile() as answer:
    prices = dict(line.split() for line in answer)
with open("/project/inventory") as inventory, open("/project/priced", "w") as priced:
    for line in inventory:
        if not line.startswith("#"):
            count, item = line.split()
            row = f"{count} {item} {int(count) * float(prices[item]):.2f}"
            print(row, file=priced)
            print("priced:", row)
