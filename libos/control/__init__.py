"""The control socket: how `libos ps`, `exec`, `kill` and `ns` reach a running supervisor.

    folder.py     where the sockets are, and who may be there
    wire.py       the language: JSON lines with descriptors, pure
    channel.py    one end of a connection, for trio
    server.py     a world's side
    execution.py  a further process for a client
    launching.py  a world below one, for a client
    telling.py    a world's events for a client
    following.py  the client's side of that
    client.py     one question, one answer, without trio

Import the modules themselves: `client` and `folder` are what `ps` and `kill` load, in a few milliseconds.
"""
