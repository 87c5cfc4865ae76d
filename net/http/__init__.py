"""HTTP/1.1 between a world and the outside: which requests pass, whose certificate the app sees, and secrets
that it uses and never sees."""
