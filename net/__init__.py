"""Endpoints: what a world may dial, where it may be reached, and who carries its connections.

Rules of this package:
- It knows nothing of files, manifests, processes or the supervisor. It is given three things: sockets that
  were made inside a world's network namespace, a name table, and a function that takes events.
- All work is done in the supervisor's process, on the trio thread. A socket stays in the network namespace
  where it was made, so binding, listening and connecting here acts there; no thread here ever enters a
  namespace.
- Every address in a world is local to it. A listener is the only way out, and every listener stands for a
  grant.
"""
