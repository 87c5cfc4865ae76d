"""What sockets a world has, as its kernel tells: sock_diag(7) over netlink, and waiting for one to listen."""
