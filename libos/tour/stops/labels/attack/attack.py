"""Copies a plan to where others fetch it."""

import errno

with open("/plans/engine") as file:
    plan = file.read()
try:
    with open("/outbox/leak", "w") as leak:
        leak.write(plan)
    with open("/outbox/leak") as leak:
        print("outbox:", leak.read().strip())
except OSError as error:
    print("outbox:", errno.errorcode[error.errno or 0])
