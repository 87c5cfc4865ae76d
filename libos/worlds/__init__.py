"""A world's parts on the supervisor's side: keeper and init to talk to, a view to serve, programs to start.

Rules:
- Each part is told what it needs and knows nothing of the supervisor; `libos.launch` puts them in order.
- A part that holds a descriptor, a mount or a process closes it, whatever happens.
"""
