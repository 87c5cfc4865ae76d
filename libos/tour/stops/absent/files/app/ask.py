"""Reads the contract that is its own, and tries two others."""

import errno

for name in ("mine", "ada", "zoe"):
    try:
        with open(f"/clients/{name}/contract") as file:
            print(f"{name}: {file.read().strip()}")
    except OSError as error:
        print(f"{name}: {errno.errorcode[error.errno or 0]} ({error.strerror})")
