"""Tries names, and reads nothing but errors."""

import errno
import os

NAMES = ("ada", "bob", "charles", "grace", "zoe")
known = []
for name in NAMES:
    try:
        os.stat(f"/clients/{name}/contract")
        answer = "there"
    except OSError as error:
        answer = errno.errorcode[error.errno or 0]
    print(f"{name}: {answer}")
    if answer != "ENOENT":
        known.append(name)
print("clients that are known now:", ", ".join(known) or "none")
