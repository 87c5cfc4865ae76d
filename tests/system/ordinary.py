"""What ordinary programs do, as ordinary.c does it; and it takes a signal, and asks where it is."""

import json
import os
import signal
import sys
import threading
import time

with open(sys.argv[1]) as file:
    line = file.readline()
    file.seek(0)
    assert file.readline() == line
with open(sys.argv[2], "w") as file:
    file.write(line)
assert os.stat(sys.argv[2]).st_size == len(line)
assert "tmp" in os.listdir("/")
assert not os.path.exists("/nothing")
assert os.getcwd() == "/"
signal.signal(signal.SIGTERM, lambda *_: None)
large = bytearray(1 << 24)
said: list[int] = []
thread = threading.Thread(target=said.append, args=(42,))
thread.start()
thread.join()
time.sleep(0.000001)
assert os.urandom(8) != os.urandom(8)
print(json.dumps(said)[1:-1], line, end="")
