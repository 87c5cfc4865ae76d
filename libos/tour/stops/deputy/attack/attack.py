"""A client who names the bill as the place of the result."""

import subprocess

BOOK = "/srv/bill/book"
subprocess.run(["python3", "/app/deputy.py", BOOK], check=False)
try:
    with open(BOOK) as file:
        bills = [line for line in file if line.startswith("bill:")]
    print("".join(bills) or "the bill is gone")
except OSError as error:
    print(f"{BOOK}: {error.strerror}")
