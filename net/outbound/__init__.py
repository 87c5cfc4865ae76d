"""The ways outside: how the gate reaches what an app dialed."""
