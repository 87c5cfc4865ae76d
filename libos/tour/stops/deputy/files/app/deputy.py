"""deputy.py RESULT: compiles, bills Ada, and puts the result into a file that the client names.

BILL is the deputy's own: a path, or the number of a file that is open already.
"""

import os
import sys

LINES = 42

bill = os.environ["BILL"]
bill_fd = int(bill) if bill.isdecimal() else os.open(bill, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(bill_fd, f"bill: ada, {LINES} lines\n".encode())
try:
    with open(sys.argv[1], "w") as result:
        result.write("compiled\n" * LINES)
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error.strerror}")
print(f"{LINES} lines are compiled into {sys.argv[1]}")
